"""What is sent to the page anew, and when."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from motionlift.app.desk import Desk
from motionlift.app.history import State
from motionlift.app.jobs import Jobs
from motionlift.app.now import _stamps
from motionlift.app.tasks import CAST, Task
from motionlift.app.workspace import MOTION, new_token
from tests.app.test_jobs import Stepping


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    jobs = Jobs(tmp_path, Stepping())
    yield Desk(jobs, tmp_path, gr.BrowserState(""), gr.State(""))
    jobs.close()


def test_the_player_is_sent_anew_when_something_ended_and_the_library_when_a_motion_came(desk: Desk):
    token = new_token()
    own, history = desk.workspace(token), desk.jobs.history
    before = _stamps(desk, token)
    (item,) = history.add(own.owner, Task(CAST, "m.safetensors", "made", prompt="a red star"))
    waiting = _stamps(desk, token)
    assert [one != other for one, other in zip(before, waiting, strict=True)] == [True, False, False]
    history.change(item.number, State.RUNNING)
    assert _stamps(desk, token)[1:] == waiting[1:]
    history.change(item.number, State.DONE, files=("made.mp4",))
    done = _stamps(desk, token)
    assert [one != other for one, other in zip(waiting, done, strict=True)] == [True, False, True]
    own.new("m", MOTION).touch()
    assert all(one != other for one, other in zip(done, _stamps(desk, token), strict=True))
