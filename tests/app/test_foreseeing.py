"""What a video takes is planned before it is made, and its time is known after the first one."""

from pathlib import Path
from weakref import WeakSet

import pytest

from motionlift.app.foreseeing import foreseen, matching
from motionlift.app.video_tab import QUALITIES
from motionlift.methods import methods
from motionlift.models.loading import load
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work import measured, prepare
from motionlift.work.keeping import Kept
from motionlift.work.lift import lift
from motionlift.work.memory import Room
from motionlift.work.plan import Plan
from motionlift.work.planning import Asked, planned
from motionlift.work.record import pace_key
from motionlift.world.scenes import render, sample


@pytest.fixture(scope="module")
def motion() -> Motion:
    clip = Clip.of(render([sample(3, 1, motion="arc", camera="still")]).frames[0], 8)
    return lift(clip, load(DEFAULT_MODEL, "cpu"), "ditflow", cached=False)


@pytest.mark.slow
def test_time_is_known_once_it_was_measured(motion: Motion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    one = {"draft": QUALITIES["draft"]}
    assert "known after the first video" in foreseen(motion, "a red star", DEFAULT_MODEL, "cpu", one, {})
    job = Asked(prepare.ask("ditflow", {}, prompt="a red star", motion=motion), motion=motion).job(
        load(DEFAULT_MODEL, "cpu")
    )
    measured.keep_seconds(pace_key(job), 10.0)
    told = foreseen(motion, "a red star", DEFAULT_MODEL, "cpu", one, {})
    assert "about" in told and "known after" not in told and "MB of" in told


@pytest.mark.slow
def test_a_model_that_is_kept_is_no_memory_that_is_taken(motion: Motion, monkeypatch: pytest.MonkeyPatch):
    """The next video is made with it, or it goes first."""
    monkeypatch.setattr("motionlift.work.keeping._KEPT", WeakSet())
    kept = Kept(DEFAULT_MODEL, device="cpu")
    kept.model = load(DEFAULT_MODEL, "cpu")
    rooms: list[Room] = []
    monkeypatch.setattr("motionlift.work.memory._of", lambda _: ("cpu", 10**9, 10**12))

    def noted(asked: Asked, name: str, space: Room) -> Plan:
        rooms.append(space)
        return planned(asked, name, space)

    monkeypatch.setattr("motionlift.app.foreseeing.planned", noted)
    for _ in range(2):
        foreseen(motion, "a red star", DEFAULT_MODEL, "cpu", {"draft": QUALITIES["draft"]}, {})
        kept.model = None
    assert rooms[0].bytes > rooms[1].bytes == 10**9


@pytest.mark.slow
def test_a_motion_can_be_cast_in_every_quality(motion: Motion):
    model = load(DEFAULT_MODEL, "cpu")
    for values in QUALITIES.values():
        request = prepare.ask(motion.method, values, prompt="a red star", motion=motion)
        assert Asked(request, motion=motion).job(model)


@pytest.mark.slow
def test_why_not_is_told_as_text(motion: Motion):
    told = foreseen(motion, "a red star", DEFAULT_MODEL, "cpu", {"<b>": {"steps": "<i>"}}, {})
    assert "cannot be" in told and "<b>" not in told and "<i>" not in told


def test_the_matrix_is_text():
    told = matching({name: {"one": "yes", "<other>": "no: <why>"} for name in methods()})
    assert "&lt;other&gt;" in told and "&lt;why&gt;" in told and all(name in told for name in methods())
