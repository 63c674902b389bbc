"""A line of the history is cancelled and forgotten, and what can be compared is what was made."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import gradio as gr
import pytest

from motionlift.app.compare_panel import beside
from motionlift.app.desk import Desk
from motionlift.app.history import State
from motionlift.app.history_tab import _looked_at, all_cancelled, cancelled, forgotten
from motionlift.app.jobs import Jobs
from motionlift.app.page import built
from motionlift.app.tasks import CAST, Task
from motionlift.app.workspace import new_token
from motionlift.errors import InputError
from motionlift.video.clip import Clip
from motionlift.world.scenes import render, sample
from tests.app.test_jobs import Stepping, until

TOKEN = new_token()


@pytest.fixture
def maker() -> Stepping:
    return Stepping()


@pytest.fixture
def desk(tmp_path: Path, maker: Stepping) -> Iterator[Desk]:
    jobs = Jobs(tmp_path, maker)
    made = Desk(jobs, tmp_path, gr.BrowserState(""), gr.State(""))
    own = made.workspace(TOKEN)
    own.new("m", ".safetensors").touch()
    yield made
    maker.held.set()
    jobs.close()


def asked(desk: Desk, count: int) -> list[int]:
    tasks = [
        Task(CAST, "m.safetensors", f"{number}", prompt="a red star", seed=number) for number in range(1, count + 1)
    ]
    return [item.number for item in desk.submit(TOKEN, *tasks)]


def states(desk: Desk) -> list[State]:
    """Of all lines, the first one first."""
    return [item.state for item in reversed(desk.jobs.history.items(desk.workspace(TOKEN).owner))]


def test_the_line_that_is_chosen_is_cancelled_and_then_forgotten(desk: Desk, maker: Stepping):
    asked(desk, 3)
    until(maker.begun.is_set)
    with pytest.raises(InputError, match="number 3 waits or is being made; press Cancel it"):
        forgotten(desk, TOKEN, 3)
    assert cancelled(desk, TOKEN, 3) == "Number 3 is cancelled."
    assert states(desk) == [State.RUNNING, State.WAITING, State.CANCELLED]
    with pytest.raises(InputError, match="number 3 has ended"):
        cancelled(desk, TOKEN, 3)
    assert forgotten(desk, TOKEN, 3) == "Number 3 is forgotten, with what it made."
    maker.held.clear()
    assert cancelled(desk, TOKEN, 1) == "Number 1 stops at its next step."
    with pytest.raises(InputError, match="number 1 is stopping"):
        forgotten(desk, TOKEN, 1)
    with pytest.raises(InputError, match="choose a line"):
        cancelled(desk, new_token(), 2)


def test_all_of_a_visitor_are_cancelled(desk: Desk, maker: Stepping):
    with pytest.raises(InputError, match="nothing to cancel"):
        all_cancelled(desk, TOKEN)
    asked(desk, 3)
    until(maker.begun.is_set)
    until(lambda: states(desk)[0] is State.RUNNING)
    maker.held.clear()
    assert all_cancelled(desk, TOKEN) == "3 tasks are cancelled; number 1 stops at its next step."
    maker.held.set()
    until(lambda: states(desk) == [State.CANCELLED] * 3)


@pytest.mark.slow
def test_a_player_is_sent_anew_when_its_video_is_another_and_not_when_the_queue_is(
    desk: Desk, maker: Stepping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    page = built(desk.jobs, desk.data, "0" * 64)
    handlers = {each.name: each.fn for each in page.fns.values()}
    last, seen = handlers["last"], partial(_looked_at, desk, TOKEN, 1)
    asked(desk, 3)
    for number in (1, 2):
        Clip.of(render([sample(3, number)], 32, 32).frames[0], 8).save(desk.workspace(TOKEN).folder / f"{number}.mp4")
    maker.let.release()
    until(lambda: states(desk)[0] is State.DONE)
    (html, button, mark), (here, _, there) = last(TOKEN, ""), seen("")
    assert "1.mp4" in str(button.value) and "<iframe" in html and "<iframe" in here
    asked(desk, 1)
    assert last(TOKEN, mark) == (gr.skip(), gr.skip(), mark) and seen(there) == (gr.skip(), gr.skip(), there)
    maker.let.release()
    until(lambda: states(desk)[1] is State.DONE)
    html, button, other = last(TOKEN, mark)
    assert other != mark and "2.mp4" in str(button.value) and seen(there) == (gr.skip(), gr.skip(), there)


def test_videos_are_compared_in_the_order_in_which_they_are_chosen(desk: Desk, maker: Stepping):
    numbers = asked(desk, 4)
    for number in numbers:
        Clip.of(render([sample(3, number)], 32, 32).frames[0], 8).save(desk.workspace(TOKEN).folder / f"{number}.mp4")
        maker.let.release()
    until(lambda: states(desk) == [State.DONE] * 4)
    assert [item.number for item in desk.videos(TOKEN)] == [4, 3, 2, 1]
    shown = beside(desk, TOKEN, [3, 1])
    assert shown.count("&lt;video ") == 2 and shown.index("3. a red star") < shown.index("1. a red star")
    assert beside(desk, TOKEN, []) == "" and beside(desk, TOKEN, [99]) == ""
    with pytest.raises(InputError, match="choose up to 3"):
        beside(desk, TOKEN, numbers)
