"""What a video takes is planned before it is made, and its time is known after the first one."""

from pathlib import Path

import pytest

from motionlift.app.foreseeing import foreseen, matching
from motionlift.app.video_tab import QUALITIES
from motionlift.methods import methods
from motionlift.models.loading import load
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work import measured, prepare
from motionlift.work.lift import lift
from motionlift.work.planning import Asked, pace_key
from motionlift.world.scenes import render, sample


@pytest.fixture(scope="module")
def motion() -> Motion:
    clip = Clip.of(render([sample(3, 1, motion="arc", camera="still")]).frames[0], 8)
    return lift(clip, load(DEFAULT_MODEL, "cpu"), "ditflow", cached=False)


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


def test_a_motion_can_be_cast_in_every_quality(motion: Motion):
    model = load(DEFAULT_MODEL, "cpu")
    for values in QUALITIES.values():
        request = prepare.ask(motion.method, values, prompt="a red star", motion=motion)
        assert Asked(request, motion=motion).job(model)


def test_why_not_is_told_as_text(motion: Motion):
    told = foreseen(motion, "a red star", DEFAULT_MODEL, "cpu", {"<b>": {"steps": "<i>"}}, {})
    assert "cannot be" in told and "<b>" not in told and "<i>" not in told


def test_the_matrix_is_text():
    told = matching({name: {"one": "yes", "<other>": "no: <why>"} for name in methods()})
    assert "&lt;other&gt;" in told and "&lt;why&gt;" in told and all(name in told for name in methods())
