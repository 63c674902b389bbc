"""A motion that is called otherwise is so in the history too, unless the queue needs it."""

import threading
import time
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
        with pytest.raises(InputError, match="number 2 in the queue needs this motion"):
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
