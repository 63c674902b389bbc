"""The number of threads, by what other work takes of the cores."""

import os

import psutil
import pytest
import torch

from motionlift.cli import threads
from motionlift.cli.threads import NAMED, OWN, Load, threads_beside, use_threads


@pytest.mark.parametrize(
    ("taken", "cores", "expected"),
    [
        (0.0, 2, 2),
        (0.3, 2, 2),
        (1.0, 2, 1),
        (2.0, 2, 1),
        (0.0, 1, 1),
        (3.4, 16, 13),
        (16.0, 16, 1),
        (64.0, 16, 1),
        (0.0, 16, 16),
    ],
)
def test_threads_are_for_cores_that_are_free(taken: float, cores: int, expected: int):
    assert threads_beside(taken, cores) == expected


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Four cores, of which a share is taken for ten seconds, some of it by this process."""
    state = {"percent": 0.0, "own": 0.0}
    monkeypatch.setattr(psutil, "cpu_percent", lambda: state["percent"])
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(threads.time, "monotonic", iter((0.0, 10.0)).__next__)
    monkeypatch.setattr(threads.time, "process_time", lambda: iter_own(state))
    monkeypatch.setenv(NAMED, "")
    return state


def iter_own(state: dict[str, float]) -> float:
    """Seconds of this process: none at first, then all."""
    state["asked"] = state.get("asked", 0) + 1
    return 0.0 if state["asked"] == 1 else state["own"]


def chosen() -> str:
    load = Load()
    load.begin()
    load.leave_room()
    return os.environ[NAMED]


def test_other_work_leaves_fewer_threads(machine: dict[str, float]):
    machine["percent"] = 75.0
    assert chosen() == "1"


def test_the_programs_own_work_is_no_other_work(machine: dict[str, float]):
    machine |= {"percent": 50.0, "own": 10.0}
    assert chosen() == "3"


def test_where_all_is_free_nothing_is_said(machine: dict[str, float]):
    machine |= {"percent": 25.0, "own": 10.0}
    assert chosen() == ""


def test_the_environment_says_otherwise(machine: dict[str, float], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(NAMED, "4")
    machine["percent"] = 100.0
    assert chosen() == "4"


@pytest.mark.parametrize(("asked", "used"), [(1, 1), (3, 3), (64, 4)])
def test_a_number_of_threads_is_taken_as_far_as_there_are_cores(asked: int, used: int, monkeypatch: pytest.MonkeyPatch):
    taken: list[int] = []
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    monkeypatch.setenv(NAMED, "2")
    for is_own, expected in ((False, ("2", [])), (True, (str(used), [used]))):
        before = OWN.set(is_own)
        try:
            use_threads(asked)
        finally:
            OWN.reset(before)
        assert (os.environ[NAMED], taken) == expected
