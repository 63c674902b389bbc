"""Each quality can be had of every motion: steps that its lift settled are not asked for, and what cannot be is refused at once."""

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from motionlift.app.desk import Desk
from motionlift.app.history_tab import _repeated
from motionlift.app.jobs import Jobs
from motionlift.app.tasks import CAST, Task, command_of
from motionlift.app.video_tab import QUALITIES, STEPS_TOLD, _offered, _planning, _submitted
from motionlift.app.workspace import new_token
from motionlift.core.model import Model
from motionlift.errors import MotionliftError, SettingError
from motionlift.methods import methods
from motionlift.models.loading import load
from motionlift.motion.file import Motion
from motionlift.work import prepare
from motionlift.work.lift import lift
from tests import twins
from tests.work.trials import PROMPT, a_clip

STEPS = 4
SMALL = {
    "steps": STEPS,
    "tuning_steps": 1,
    "rank": 4,
    "source_prompt": "a blue ring on the field",
    "subjects": ("ring", "field"),
    "targets": ("star", "field"),
    "channel_share": 0.2,
}
"""What a small lift needs, for the methods that have such a setting."""
TOKEN = new_token()


class Idle:
    """Does nothing: what was asked for is looked at."""

    def made(self, task: Any, workspace: Any, live: Any) -> tuple[str, ...]:
        return ()

    def forget(self) -> None:
        """There is nothing."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    jobs = Jobs(tmp_path, Idle())
    yield Desk(jobs, tmp_path, gr.BrowserState(""), gr.State(""), "cpu", folders=True)
    jobs.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / "dit"
    twins.cogvideox(window=32).save_pretrained(folder)
    return str(folder)


@cache
def model_of(place: str) -> Model:
    return load(place, "cpu")


@cache
def motion_of(place: str, method: str) -> Motion:
    known = {item.name for item in fields(methods()[method].Settings)}
    values = {name: value for name, value in SMALL.items() if name in known}
    return lift(a_clip(), model_of(place), method, settings=values, cached=False)


def submitted(desk: Desk, motion: Motion, quality: str, **settings: str) -> list[Task]:
    """What is in the queue after a press."""
    own = desk.workspace(TOKEN)
    name = own.new("m", ".safetensors").name
    motion.save(own.folder / name)
    _submitted(desk, TOKEN, name, PROMPT, "0", quality, motion.model, settings)
    return [item.task for item in desk.jobs.history.items(own.owner)]


def steps(motion: Motion, values: Any, place: str) -> int:
    """In how many steps a video is made.

    Raises:
        MotionliftError: it cannot be made so.
    """
    request = prepare.ask(motion.method, values, prompt=PROMPT, motion=motion)
    return prepare.prepare(request, model_of(place), motion=motion).settings.steps


@pytest.mark.slow
@pytest.mark.parametrize("method", list(methods()))
def test_each_quality_can_be_had(desk: Desk, place: str, method: str):
    motion = motion_of(place, method)
    for quality, values in QUALITIES.items():
        task = submitted(desk, motion, quality)[0]
        try:
            expected = steps(motion, values, place)
        except MotionliftError:  # the steps are settled
            expected = STEPS
            assert f"lifted for {STEPS} steps" in _offered(method, dict(motion.settings), {}).info
        else:
            assert quality == "good" or _offered(method, dict(motion.settings), {}).info == STEPS_TOLD
        assert steps(motion, task.settings, place) == expected


def test_what_is_set_counts_in_what_is_settled(desk: Desk, place: str):
    """Inverted noise asks for the steps in which it was found; without it, any will do."""
    motion = motion_of(place, "inverted")
    lifted = dict(motion.settings)
    assert _offered("inverted", lifted, {"beta": "0"}).info == STEPS_TOLD
    assert f"{STEPS} steps" in _offered("inverted", lifted, {"beta": "0.5"}).info
    assert submitted(desk, motion, "draft", beta="0")[0].settings == {"steps": "10", "beta": "0"}
    assert submitted(desk, motion, "draft")[0].settings == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": "10"}, "lift it again with steps=10"),
        ({"share": "2"}, "share is"),
        ({"none_such": "2"}, "unknown setting"),
        ({"source_prompt": "another"}, "the motion was lifted with"),
    ],
)
def test_what_cannot_be_is_refused_in_the_press(desk: Desk, place: str, settings: dict[str, str], message: str):
    with pytest.raises(SettingError, match=message):
        submitted(desk, motion_of(place, "inverted"), "good", **settings)
    assert desk.jobs.history.items(desk.workspace(TOKEN).owner) == []


def test_an_earlier_version_kept_steps_that_are_settled_and_they_are_left_out(desk: Desk, place: str):
    own, motion = desk.workspace(TOKEN), motion_of(place, "inverted")
    motion.save(own.new("m", ".safetensors"))
    for settings, kept in (({"steps": "10", "cfg": "3"}, {"cfg": "3"}), ({"steps": "10", "beta": "0"},) * 2):
        (old,) = desk.submit(TOKEN, Task(CAST, "m.safetensors", "v", model=place, prompt=PROMPT, settings=settings))
        _repeated(desk, TOKEN, old.number)
        again = desk.jobs.history.items(own.owner)[0]
        assert again.number > old.number and again.task == replace(old.task, settings=kept)


@pytest.mark.slow
def test_what_is_settled_is_planned_once_and_told(desk: Desk, place: str):
    own, motion = desk.workspace(TOKEN), motion_of(place, "inverted")
    motion.save(own.new("m", ".safetensors"))
    told = _planning(desk)(TOKEN, "m.safetensors", PROMPT, place, {})
    assert told.count("<tr>") == 2 and "draft, good, best" in told and f"lifted for {STEPS} steps" in told
    assert "cannot be" not in told
    told = _planning(desk)(TOKEN, "m.safetensors", PROMPT, place, {"beta": "0"})
    assert told.count("<tr>") == 4 and "lifted for" not in told and "cannot be" not in told


@pytest.mark.slow
def test_videos_of_a_press_begin_with_one_picture(desk: Desk, place: str, tmp_path: Path):
    own, motion, upload = desk.workspace(TOKEN), motion_of(place, "none"), tmp_path / "photo.png"
    motion.save(own.new("m", ".safetensors"))
    Image.new("RGB", (8, 8)).save(upload)
    _submitted(desk, TOKEN, "m.safetensors", PROMPT, "0, 1", "good", place, {}, str(upload))
    tasks = [item.task for item in desk.jobs.history.items(own.owner)]
    assert len(tasks) == 2 and {task.picture for task in tasks} == {own.kept(tasks[0].picture).name}
    assert tasks[0].picture.startswith("photo ") and f"--picture '{own.folder}/photo " in command_of(
        tasks[0], own.folder
    )
    with pytest.raises(MotionliftError, match="is no picture"):
        _submitted(desk, TOKEN, "m.safetensors", PROMPT, "0", "good", place, {}, str(own.kept("m.safetensors")))
    planned = _planning(desk)
    told = planned(TOKEN, "m.safetensors", PROMPT, place, {}, str(upload))
    assert "from text alone" in told and "from text alone" not in planned(TOKEN, "m.safetensors", PROMPT, place, {})
