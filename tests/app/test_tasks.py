"""A task is data: it is kept, and the command line that is told for it makes the same file."""

import gc
import json
import shlex
import time
import weakref
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from PIL import Image

from motionlift.app.history import State
from motionlift.app.jobs import Jobs
from motionlift.app.making import CancelledError, Live, Maker
from motionlift.app.tasks import CAST, LIFT, Task, command_of
from motionlift.app.workspace import Workspace
from motionlift.cli import main
from motionlift.core.cost import Step
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.reading import hash_of
from motionlift.world.scenes import render, sample
from tests import twins

STEPS = {"steps": "3", "share": "0.34", "inner": "1", "block": "0"}


@pytest.fixture
def own(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "own")
    Clip.of(render([sample(3, 1, motion="arc")]).frames[0], 8).save(made.new("clip", ".mp4"))
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("model") / "dit"
    twins.cogvideox(window=32).save_pretrained(place)
    return str(place)


def test_a_task_is_kept_as_it_was():
    task = Task(LIFT, "clip.mp4", "arc", settings={"block": "0"}, duration=1.5, crop="0.2,0.5")
    told = json.loads(json.dumps(asdict(task)))
    assert Task.of({**told, "of_a_later_version": 1}) == task
    assert task.part.crop == (0.2, 0.5) and task.part.duration == 1.5


@pytest.mark.slow
def test_the_command_that_is_told_makes_the_same(
    own: Workspace, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    maker, live = Maker("cpu"), Live()
    lift = Task(LIFT, "clip.mp4", "arc", model=model, settings=STEPS, start=0.25)
    motion, *shown = maker.made(lift, own, live)
    assert [Path(name).suffix for name in shown] == [".mp4", ".mp4"]
    cast = Task(CAST, motion, "a 'star'", model=model, settings={"steps": "3"}, prompt="a red star", seed=5)
    video, record = maker.made(cast, own, live)
    assert live.phase == "sample" and live.done == live.total == 3 and live.preview is not None
    assert json.loads(own.kept(record).read_text())["prompt"] == "a red star"
    monkeypatch.chdir(tmp_path)
    for task in (lift, cast):
        words = shlex.split(command_of(task, own.folder))
        assert words[0] == "motionlift" and main.run([*words[1:], "--device", "cpu"]) == 0
    assert Motion.load("arc.safetensors").digest() == Motion.load(own.kept(motion)).digest()
    told, made = (json.loads(path.read_text()) for path in (Path("a 'star'.json"), own.kept(record)))
    assert told["output"]["sha256"] == made["output"]["sha256"] or told["seed"] == made["seed"] == 5
    frames = [Clip.read(path, frames=9, fps=8, aspect=(1, 1)).frames for path in ("a 'star'.mp4", own.kept(video))]
    assert frames[0].equal(frames[1])


@pytest.mark.slow
def test_a_video_begins_with_a_picture_as_by_the_command(
    own: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    maker, picture = Maker("cpu"), own.new("photo", ".png")
    Image.fromarray(render([sample(4, 1, 1)]).frames[0][0].numpy()).save(picture)
    (motion, *_) = maker.made(Task(LIFT, "clip.mp4", "arc", method="none", settings={"steps": "2"}), own, Live())
    cast = Task(CAST, motion, "begun", prompt="a red car on a grey road", settings={"steps": "2"}, picture=picture.name)
    video, record = maker.made(cast, own, Live())
    (without, _) = maker.made(replace(cast, picture=""), own, Live())
    assert json.loads(own.kept(record).read_text())["picture_sha256"] == hash_of(picture)
    monkeypatch.chdir(tmp_path)
    assert main.run([*shlex.split(command_of(cast, own.folder))[1:], "--device", "cpu"]) == 0
    places = (own.kept(video), Path("begun.mp4"), own.kept(without))
    made, same, other = (Clip.read(path, frames=17, fps=8, aspect=(1, 1)).frames for path in places)
    assert made.equal(same) and not made[0].equal(other[0])


@pytest.mark.slow
def test_of_a_cast_that_is_cancelled_no_latents_are_left_and_of_a_forgotten_model_nothing(
    own: Workspace, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All that is held in the end is the model, and that as long as it is wanted."""
    maker, seen = Maker("cpu"), []
    (motion, *_) = maker.made(Task(LIFT, "clip.mp4", "arc", model=model, settings=STEPS), own, Live())
    jobs = Jobs(tmp_path, maker)
    visitor = Workspace(tmp_path / "visitors" / "a")
    visitor.new("arc", ".safetensors").write_bytes(own.kept(motion).read_bytes())
    watching = maker._watching

    def cancelling(live: Live):
        watch = watching(live)

        def watched(step: Step) -> None:
            if step.latents is not None:
                seen.append(weakref.ref(step.latents))
                jobs.cancel(1, "a")
            watch(step)

        return watched

    monkeypatch.setattr(maker, "_watching", cancelling)
    jobs.submit("a", Task(CAST, "arc.safetensors", "made", model=model, settings={"steps": "3"}, prompt="a star"))
    end = time.monotonic() + 60
    while jobs.history.items("a")[0].state is not State.CANCELLED:
        assert time.monotonic() < end
        time.sleep(0.01)
    gc.collect()
    assert seen and [ref() for ref in seen] == [None] * len(seen)
    assert maker._kept is not None and maker._kept.model is not None
    held = weakref.ref(maker._kept.model)
    maker.forget()
    assert held() is None
    jobs.close()


def test_what_is_not_wanted_any_more_is_left(own: Workspace, model: str):
    live = Live()
    live.unwanted.set()
    with pytest.raises(CancelledError):
        Maker("cpu").made(Task(LIFT, "clip.mp4", "arc", model=model, settings=STEPS), own, live)
    assert own.motions() == []
