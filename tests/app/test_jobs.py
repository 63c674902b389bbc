"""Tasks are done in order, told as they go, cancelled at once, and none is lost."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from motionlift.app.history import History, State
from motionlift.app.jobs import MOST_WAITING, Jobs
from motionlift.app.making import Live
from motionlift.app.tasks import CAST, Task
from motionlift.app.workspace import Workspace, new_token
from motionlift.errors import InputError, OutputError, SettingError

TASK = Task(CAST, "motion.safetensors", "a star", prompt="a red star")


class Stepping:
    """Does what it is asked for in steps, each when it is let."""

    def __init__(self):
        self.let, self.done, self.begun = threading.Semaphore(0), [], threading.Event()
        self.held = threading.Event()  # of its steps, while it is clear none ends
        self.held.set()
        self.forgotten = 0

    def made(self, task: Task, workspace: Workspace, live: Live) -> tuple[str, ...]:
        self.begun.set()
        if task.prompt == "wrong":
            raise InputError("it cannot be read")
        if task.prompt == "fault":
            raise ZeroDivisionError("by nothing")
        while not self.let.acquire(timeout=0.01):
            assert self.held.wait(60)
            live.enter("sample")
        self.done.append((workspace.owner, task.prompt))
        return (f"{task.name}.mp4",)

    def forget(self) -> None:
        self.forgotten += 1


def until(true, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def maker() -> Stepping:
    return Stepping()


@pytest.fixture
def jobs(tmp_path: Path, maker: Stepping):
    made = Jobs(tmp_path / "data", maker)
    yield made
    made.close()


def test_tasks_are_done_in_the_order_in_which_they_came(jobs: Jobs, maker: Stepping):
    items = [
        jobs.submit(owner, Task(CAST, "m", f"{number}", prompt=f"{number}"))[0] for number, owner in enumerate("abab")
    ]
    until(maker.begun.is_set)
    until(lambda: jobs.place(items[0].number) == 0)
    assert [jobs.place(item.number) for item in items] == [0, 1, 2, 3]
    for _ in items:
        maker.let.release()
    until(lambda: jobs.place(items[3].number) is None)
    until(lambda: jobs.history.items("b")[0].state is State.DONE)
    assert [prompt for _, prompt in maker.done] == ["0", "1", "2", "3"]
    assert [item.files for item in jobs.history.items("a")] == [("2.mp4",), ("0.mp4",)]


def test_what_runs_and_what_waits_is_cancelled_by_its_owner_alone(jobs: Jobs, maker: Stepping):
    running, waiting = jobs.submit("a", TASK, TASK)
    until(maker.begun.is_set)
    for item in (running, waiting):
        jobs.cancel(item.number, "b")
    assert jobs.place(waiting.number) is not None
    jobs.cancel(waiting.number, "a")
    jobs.cancel(running.number, "a")
    until(lambda: all(item.state is State.CANCELLED for item in jobs.history.items("a")))
    assert maker.done == []


def test_all_that_is_open_is_cancelled_at_once_and_what_is_at_work_is_stopping_till_its_next_step(
    jobs: Jobs, maker: Stepping
):
    running, first, _second = jobs.submit("a", TASK, TASK, TASK)
    (other,) = jobs.submit("b", TASK)
    until(maker.begun.is_set)
    assert not jobs.is_stopping(running.number) and not jobs.cancel(first.number, "b")
    maker.held.clear()
    assert jobs.cancel_all("a") == 3 and jobs.is_stopping(running.number)
    states = [item.state for item in jobs.history.items("a")]
    assert states == [State.CANCELLED, State.CANCELLED, State.RUNNING] and jobs.place(other.number) == 1
    maker.held.set()
    until(lambda: jobs.history.items("a")[-1].state is State.CANCELLED)
    assert jobs.cancel_all("a") == 0 and not jobs.cancel(running.number, "a")
    assert maker.done == [] and jobs.cancel(other.number, "b")


def test_what_goes_wrong_is_told_and_the_next_one_comes(jobs: Jobs, maker: Stepping):
    for prompt in ("wrong", "fault", "right"):
        jobs.submit("a", Task(CAST, "m", "n", prompt=prompt))
    maker.let.release()
    until(lambda: jobs.history.items("a")[0].state is State.DONE)
    _, fault, wrong = jobs.history.items("a")
    assert (wrong.state, wrong.told) == (State.FAILED, "it cannot be read")
    assert fault.state is State.FAILED and "ZeroDivisionError: by nothing" in fault.told


def test_nobody_fills_the_queue(jobs: Jobs, maker: Stepping):
    jobs.submit("a", TASK)
    until(maker.begun.is_set)
    until(lambda: jobs.place(1) == 0)
    for _ in range(MOST_WAITING):
        jobs.submit("a", TASK)
    with pytest.raises(SettingError, match="50 of your tasks are waiting; 50 may wait"):
        jobs.submit("a", TASK)
    assert jobs.submit("b", TASK)


def test_of_tasks_that_are_too_many_none_is_taken(jobs: Jobs, maker: Stepping):
    jobs.submit("a", TASK)
    until(maker.begun.is_set)
    until(lambda: jobs.place(1) == 0)
    jobs.submit("a", *[TASK] * (MOST_WAITING - 5))
    with pytest.raises(SettingError, match="45 of your tasks are waiting, and 6 more are asked for; 50 may wait"):
        jobs.submit("a", *[TASK] * 6)
    assert len(jobs.history.items("a")) == 1 + MOST_WAITING - 5
    assert len(jobs.submit("a", *[TASK] * 5)) == 5


def test_a_history_that_cannot_be_written_for_a_while_ends_nothing(
    jobs: Jobs, maker: Stepping, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("motionlift.app.jobs.PAUSE", 0.01)
    change, refused = jobs.history.change, []

    def full(number: int, state: State, *more: Any) -> None:
        if len(refused) < 5:
            refused.append(state)
            raise OutputError("the disk is full")
        change(number, state, *more)

    monkeypatch.setattr(jobs.history, "change", full)
    jobs.submit("a", TASK, TASK)
    maker.let.release()
    maker.let.release()
    until(lambda: [item.state for item in jobs.history.items("a")] == [State.DONE] * 2)
    assert refused == [State.RUNNING] * 5


@pytest.mark.slow
def test_after_a_while_without_tasks_no_model_is_held(tmp_path: Path, maker: Stepping, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.app.jobs.IDLE", 0.2)
    jobs = Jobs(tmp_path / "data", maker)
    until(lambda: maker.forgotten == 1)
    jobs.submit("a", TASK)
    until(maker.begun.is_set)
    time.sleep(0.5)
    assert maker.forgotten == 1, "it works"
    maker.let.release()
    until(lambda: maker.forgotten == 2)
    time.sleep(0.5)
    assert maker.forgotten == 2
    jobs.close()


def test_what_was_open_is_stopped_after_a_restart_and_can_be_done_again(tmp_path: Path, maker: Stepping):
    jobs = Jobs(tmp_path / "data", maker)
    jobs.submit("a", TASK)
    jobs.submit("a", TASK)
    until(maker.begun.is_set)
    jobs.close()
    assert [item.state for item in History(tmp_path / "data" / "history.sqlite").items("a")] == [State.STOPPED] * 2
    again = Jobs(tmp_path / "data", maker)
    item = again.again(1, "a")
    assert item is not None and item.task == TASK and again.again(1, "b") is None
    maker.let.release()
    until(lambda: again.history.items("a")[0].state is State.DONE)
    again.close()


def test_twenty_visitors_at_once_lose_nothing(jobs: Jobs, maker: Stepping):
    owners = [Workspace.of(Path("data"), new_token()).owner for _ in range(20)]
    threads = [threading.Thread(target=jobs.submit, args=(owner, TASK)) for owner in owners for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
        maker.let.release()
    until(lambda: len(maker.done) == 60)
    until(lambda: all(item.state is State.DONE for owner in owners for item in jobs.history.items(owner)))
    assert sorted(owner for owner, _ in maker.done) == sorted(3 * owners)
