"""Real processes: they die, are killed, and are stopped."""

import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from motionlift.bench import cells
from motionlift.jobs.records import read_lines
from motionlift.jobs.runner import DIED
from motionlift.jobs.workers import Workers
from motionlift.loops.interrupts import STOPPING
from tests.bench import quick_cells

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as started:
        yield started


def started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.quick_cells", str(folder)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_failing_cell_is_recorded_and_the_others_go_on(tmp_path: Path, workers: Workers):
    records = list(quick_cells.waiting(tmp_path).measured(workers, quick_cells.measure_or_fail))
    assert sorted(record["seed"] for record in records) == list(range(quick_cells.COUNT))
    assert [record["error"] for record in records if "error" in record] == ["ValueError: no such luck"]
    assert read_lines(tmp_path / cells.RECORDS).records == records
    assert not quick_cells.waiting(tmp_path).waiting, "one that failed counts as measured"


def test_a_process_that_dies_takes_only_its_cell(tmp_path: Path, workers: Workers):
    records = list(quick_cells.waiting(tmp_path).measured(workers, quick_cells.measure_or_die))
    assert sorted(record["seed"] for record in records) == list(range(quick_cells.COUNT))
    (failed,) = [record for record in records if "error" in record]
    assert failed["seed"] == quick_cells.DEADLY and failed["error"] == DIED


def test_a_process_that_dies_before_it_is_given_an_item_takes_none():
    """Nothing waits for it: that it is gone shows when the next item is handed over."""
    called = operator.methodcaller("__call__")
    with Workers(1) as workers:
        (process,) = workers.each(called, [os.getpid], called)
        os.kill(process, signal.SIGKILL)
        until = time.monotonic() + 100
        while alive(process) and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.5)  # until its executor has seen it too
        found = list(workers.each(called, [os.getpid] * 2, called))
    assert len(found) == 2 and process not in found and os.getpid() not in found


class Broken:
    """Stands in for an executor whose process dies between two items that are handed over."""

    def submit(self, work: Callable[[int], int], item: int) -> Future[int]:
        raise BrokenProcessPool

    def shutdown(self, wait: bool, cancel_futures: bool = False) -> None:
        pass


class BrokenAtSecond(Broken):
    def __init__(self) -> None:
        self.first: Future[int] | None = None

    def submit(self, work: Callable[[int], int], item: int) -> Future[int]:
        if self.first is None:
            self.first = Future()
            return self.first
        self.first.set_exception(BrokenProcessPool())
        raise BrokenProcessPool


class Whole(Broken):
    def submit(self, work: Callable[[int], int], item: int) -> Future[int]:
        future = Future[int]()
        future.set_result(work(item))
        return future


def test_an_item_that_a_broken_executor_does_not_take_is_given_to_the_next(monkeypatch: pytest.MonkeyPatch):
    """Also where it is tried alone: nobody counts it as deadly."""
    pools = [BrokenAtSecond(), Broken(), *[Whole()] * 9]
    monkeypatch.setattr("motionlift.jobs.workers.ProcessPoolExecutor", lambda *_, **__: pools.pop(0))
    with Workers(2) as workers:
        found = list(workers.each(lambda item: item + 10, [0, 1, 2], lambda item: -item))
    assert sorted(found) == [10, 11, 12]


def test_a_run_that_is_killed_goes_on_without_losing_or_repeating_a_cell(tmp_path: Path, workers: Workers):
    process = started(tmp_path)
    assert process.stdout is not None
    done = {int(process.stdout.readline()) for _ in range(4)}
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = read_lines(tmp_path / cells.RECORDS).records
    assert {record["seed"] for record in kept} >= done
    of_it = {record["process"] for record in kept}
    until = time.monotonic() + 100
    while any(map(alive, of_it)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, of_it)), "no process outlives its parent"
    path = tmp_path / cells.RECORDS
    path.write_bytes(path.read_bytes()[:-7])  # as if the kill had come in the middle of the line
    lost = kept[-1]["seed"]
    (tmp_path / "begun.txt").unlink()
    left = quick_cells.waiting(tmp_path)
    assert left.lost == 1 and lost in {cell.seed for cell in left.waiting}
    list(left.measured(workers, quick_cells.measure))
    records = read_lines(path).records
    assert sorted(record["seed"] for record in records) == list(range(quick_cells.COUNT)), "each once"
    begun = [int(line) for line in (tmp_path / "begun.txt").read_text().split()]
    assert sorted(begun) == sorted({*range(quick_cells.COUNT)} - {each["seed"] for each in kept[:-1]})


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_to_all_keeps_what_there_is_and_stops_at_once(tmp_path: Path, number: signal.Signals):
    """As a terminal sends Ctrl-C and its end, and a service manager sends TERM."""
    process = started(tmp_path)
    assert process.stdout is not None
    done = {int(process.stdout.readline()) for _ in range(2)}
    of_it = {record["process"] for record in read_lines(tmp_path / cells.RECORDS).records}
    os.killpg(process.pid, number)
    _, complaints = process.communicate(timeout=100)
    assert (process.returncode, complaints) == (128 + number, ""), "the workers leave without a word"
    records = read_lines(tmp_path / cells.RECORDS).records
    assert {record["seed"] for record in records} >= done and len(records) < quick_cells.COUNT
    assert not any("error" in record for record in records), "what was interrupted has not failed"
    assert not any(map(alive, of_it))


def test_a_process_that_is_asked_to_end_removes_what_is_half_written(tmp_path: Path):
    """By hand, or by a watch over memory: its item is tried again, and the run is not stopped."""
    with Workers(1) as workers:
        waiting = [quick_cells.Writing(tmp_path, signal.SIGTERM), quick_cells.Writing(tmp_path, None)]
        assert list(workers.each(quick_cells.write, waiting, lambda item: "died")) == ["died", "written"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped.txt", "written.txt"]


def test_ctrl_c_in_a_process_alone_means_nothing(tmp_path: Path):
    with Workers(1) as workers:
        item = quick_cells.Writing(tmp_path, signal.SIGINT)
        assert list(workers.each(quick_cells.write, [item], lambda item: "died")) == ["written"]
