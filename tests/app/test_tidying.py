"""What is forgotten takes its files with it, and nothing that a task or the library still names."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from motionlift.app import workspace
from motionlift.app.desk import Desk
from motionlift.app.editing import edited
from motionlift.app.history import Item, State
from motionlift.app.jobs import Jobs
from motionlift.app.making import Live, Maker
from motionlift.app.pictures import taken_picture
from motionlift.app.tasks import CAST, LIFT, Task
from motionlift.app.tidying import UNUSED, tidying
from motionlift.app.uploads import taken_clip, taken_motion
from motionlift.app.workspace import DRAWN, MOTION, REFERENCE, Workspace, new_token
from motionlift.errors import InputError
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work.lift import lift
from motionlift.world.scenes import render, sample
from tests import twins

TOKEN = new_token()


class Making:
    """Makes the files that tasks make, with nothing in them but a motion in motions."""

    def __init__(self, motion: Motion):
        self.motion, self.let = motion, threading.Event()
        self.let.set()

    def made(self, task: Task, workspace: Workspace, live: Live) -> tuple[str, ...]:
        assert self.let.wait(60)
        place = workspace.new(task.name, MOTION if task.kind == LIFT else ".mp4")
        if task.kind == LIFT:
            pictures = [place.with_name(place.stem + kind) for kind in (DRAWN, REFERENCE)]
            self.motion.save(place)
        else:
            pictures = [place.with_suffix(".json")]
            place.touch()
        for each in pictures:
            each.touch()
        return (place.name, *(each.name for each in pictures))

    def forget(self) -> None:
        pass


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clip") / "clip.mp4"
    Clip.of(render([sample(3, 1, 9, motion="line", camera="still")], 32, 32).frames[0], 8).save(place)
    return place


@pytest.fixture(scope="module")
def motion(clip: Path) -> Motion:
    return lift(clip, twins.cogvideox(), "ditflow", settings={"steps": 2}, cached=False)


@pytest.fixture
def making(motion: Motion) -> Making:
    return Making(motion)


@pytest.fixture
def desk(tmp_path: Path, making: Making) -> Iterator[Desk]:
    jobs = Jobs(tmp_path / "data", making)
    yield Desk(jobs, tmp_path / "data", gr.BrowserState(""), gr.State(""))
    making.let.set()
    jobs.close()


@pytest.fixture
def own(desk: Desk) -> Workspace:
    return desk.workspace(TOKEN)


def done(desk: Desk, *tasks: Task) -> list[Item]:
    """Tasks that were asked for, once they are done."""
    owner = desk.workspace(TOKEN).owner
    numbers = [item.number for item in desk.submit(TOKEN, *tasks)]
    end = time.monotonic() + 60
    while True:
        items = [item for number in numbers if (item := desk.jobs.history.item(number, owner)) is not None]
        if all(item.state is State.DONE for item in items):
            return items
        assert time.monotonic() < end
        time.sleep(0.01)


def names(own: Workspace) -> set[str]:
    return {place.name for place in own.entries()}


def test_a_forgotten_video_is_deleted_and_a_clip_once_nobody_names_it(desk: Desk, own: Workspace, clip: Path):
    taken_clip(clip, own)
    (lifted,) = done(desk, Task(LIFT, "clip.mp4", "star"))
    one, other = done(desk, *[Task(CAST, f"star{MOTION}", "made", prompt="a star", seed=seed) for seed in (0, 1)])
    motion = {f"star{kind}" for kind in (MOTION, DRAWN, REFERENCE)}
    desk.forget(one)
    assert names(own) == {"clip.mp4", "made-2.mp4", "made-2.json", *motion}, "what others made stays"
    desk.forget(lifted)
    assert names(own) == {"clip.mp4", "made-2.mp4", "made-2.json", *motion}, "the library names the motion and its clip"
    desk.remove(TOKEN, f"star{MOTION}")
    assert names(own) == {"made-2.mp4", "made-2.json"}
    desk.forget(other)
    assert names(own) == set()


def test_a_clip_that_another_task_reads_stays(desk: Desk, own: Workspace, clip: Path, making: Making):
    (own.new("clip", ".mp4")).write_bytes(clip.read_bytes() + b"another")
    (first,) = done(desk, Task(LIFT, "clip.mp4", "star"))
    making.let.clear()
    (again,) = desk.submit(TOKEN, first.task)
    desk.forget(first)
    assert "clip.mp4" in names(own)
    with pytest.raises(InputError, match="press Cancel it, and forget it then"):
        desk.forget(again)
    assert "clip.mp4" in names(own)


def test_a_picture_stays_as_long_as_a_video_that_begins_with_it(
    desk: Desk, own: Workspace, motion: Motion, tmp_path: Path
):
    motion.save(own.new("star", MOTION))
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    picture = taken_picture(tmp_path / "photo.png", own)
    one, other = done(
        desk, *[Task(CAST, f"star{MOTION}", "made", prompt="a star", seed=seed, picture=picture) for seed in (0, 1)]
    )
    desk.forget(one)
    assert picture in names(own)
    desk.forget(other)
    assert picture not in names(own)


def test_a_motion_that_waits_to_be_cast_is_not_deleted(desk: Desk, own: Workspace, motion: Motion, making: Making):
    motion.save(own.new("star", MOTION))
    making.let.clear()
    desk.submit(TOKEN, Task(CAST, f"star{MOTION}", "made", prompt="a star"))
    with pytest.raises(InputError, match="number 1 in the queue needs it; delete it when that is done"):
        desk.remove(TOKEN, f"star{MOTION}")
    assert own.motions()


def test_what_was_never_used_goes_after_a_day(desk: Desk, own: Workspace, clip: Path, motion: Motion):
    for name in ("new", "old", "lifted"):
        own.new(name, ".mp4").write_bytes(clip.read_bytes() + (b"" if name == "lifted" else b"another"))
    motion.save(own.new("star", MOTION))
    long_ago = time.time() - 2 * UNUSED
    for name in ("old.mp4", "lifted.mp4", f"star{MOTION}"):
        os.utime(own.folder / name, (long_ago, long_ago))
    desk.tidy(own)
    assert names(own) == {"new.mp4", "lifted.mp4", f"star{MOTION}"}, "the motion says that it is of this clip"


def test_what_comes_meanwhile_stays(desk: Desk, own: Workspace):
    """A task that is just being done writes its files before the history names them."""
    own.new("begun", ".mp4").touch()
    with tidying(desk.jobs, own):
        own.new("made", ".mp4").touch()
    assert names(own) == {"begun.mp4", "made.mp4"}


def test_nobody_fills_the_disk(
    desk: Desk, own: Workspace, clip: Path, motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taken_clip(clip, own)
    motion.save(tmp_path / "star.safetensors")
    taken_motion(tmp_path / "star.safetensors", own)
    monkeypatch.setattr(workspace, "MOST_KEPT", own.size + 100)
    kept, told = names(own), "your files may have .* are to come: delete motions in the library, or forget lines"
    with pytest.raises(InputError, match=told):
        taken_clip(clip, own)
    with pytest.raises(InputError, match=told):
        taken_motion(tmp_path / "star.safetensors", own)
    monkeypatch.setattr(workspace, "MOST_KEPT", own.size)
    full = "your files may have [^,]*: delete"
    with pytest.raises(InputError, match=full):
        desk.submit(TOKEN, Task(LIFT, "clip.mp4", "star"))
    with pytest.raises(InputError, match=full):
        edited(own, f"star{MOTION}", "mirror")
    with pytest.raises(InputError, match=full):
        Maker("cpu").made(Task(LIFT, "clip.mp4", "star"), own, Live())
    assert names(own) == kept
