"""A motion that is called otherwise is so in the history too, unless the queue needs it."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from motionlift.app.desk import Desk
from motionlift.app.history import State
from motionlift.app.jobs import Jobs
from motionlift.app.tasks import CAST, LIFT, Task
from motionlift.app.workspace import new_token
from motionlift.errors import InputError


class Held:
    """Is done when it is let."""

    def __init__(self):
        self.let = threading.Event()

    def made(self, task, workspace, live) -> tuple[str, ...]:
        assert self.let.wait(60)
        return (f"{task.name}.safetensors",) if task.kind == LIFT else ()

    def forget(self) -> None:
        """There is nothing."""


def test_a_picture_that_a_task_needs_stays_under_its_name(tmp_path: Path):
    maker, token = Held(), new_token()
    jobs = Jobs(tmp_path, maker)
    desk = Desk(jobs, tmp_path, gr.BrowserState(""), gr.State(""))
    own = desk.workspace(token)
    for name, suffix in (("star", ".safetensors"), ("photo", ".png")):
        own.new(name, suffix).touch()
    try:
        (item,) = desk.submit(token, Task(CAST, "star.safetensors", "made", prompt="a star", picture="photo.png"))
        with pytest.raises(InputError, match="number 1 in the queue needs it; delete"):
            desk.remove(token, "photo.png")
        maker.let.set()
        while desk.jobs.history.items(own.owner)[0].state is not State.DONE:
            time.sleep(0.01)
        desk.rename(token, "photo.png", "other")
        again = desk.jobs.history.items(own.owner)[0].task
        assert again.picture == "other.png" and own.kept(again.picture).is_file()
        with pytest.raises(InputError, match=r"gone\.png is no file of yours"):
            desk.submit(token, replace(item.task, picture="gone.png"))
    finally:
        maker.let.set()
        jobs.close()


def test_what_is_renamed_can_be_done_again(tmp_path: Path):
    maker, token = Held(), new_token()
    jobs = Jobs(tmp_path, maker)
    desk = Desk(jobs, tmp_path, gr.BrowserState(""), gr.State(""))
    own = desk.workspace(token)
    for name, suffix in (("clip", ".mp4"), ("star", ".safetensors")):
        own.new(name, suffix).touch()
    desk.submit(token, Task(LIFT, "clip.mp4", "star"))
    desk.submit(token, Task(CAST, "star.safetensors", "made", prompt="a star"))
    try:
        with pytest.raises(InputError, match="number 2 in the queue needs it"):
            desk.rename(token, "star.safetensors", "sun")
        assert desk.places(jobs.history.items(own.owner))[2] >= 1
        maker.let.set()
        while any(item.state is not State.DONE for item in jobs.history.items(own.owner)):
            time.sleep(0.01)
        desk.rename(token, "star.safetensors", "sun")
        cast, lift = jobs.history.items(own.owner)
        assert cast.task.source == "sun.safetensors" and lift.files == ("sun.safetensors",)
        assert jobs.again(cast.number, own.owner) is not None
    finally:
        maker.let.set()
        jobs.close()
