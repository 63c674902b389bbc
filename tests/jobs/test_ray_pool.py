"""Workers of a Ray that is started here: what becomes of items, and that nothing of it stays."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from motionlift.errors import ClusterError, OutputError
from motionlift.jobs import ray_pool
from motionlift.jobs.ray_pool import LOCAL, Needs, RayPool
from motionlift.jobs.runner import Pool, Spread
from motionlift.jobs.schedule import Patience
from tests.jobs import quick_work
from tests.jobs.quick_work import Item, items

ROOT = Path(__file__).parents[2]


def died(item: Item) -> tuple[int, int, float]:
    return item.number, 0, 0.0


def begun(folder: Path, number: int) -> int:
    return len([*folder.glob(f"begun-{number}-*")])


def started(folder: Path, count: int, seconds: float) -> subprocess.Popen[str]:
    """A run of the program's kind, that waits with its first items."""
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.quick_run", str(folder), str(count), str(seconds)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert run.stdout is not None and run.stdout.readline() == "ready\n"
    return run


def gone(processes: list[psutil.Process], within: float) -> bool:
    return not psutil.wait_procs(processes, within)[1]


# Without Ray at work


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'motionlift\[cluster\]'"), RayPool(LOCAL):
        pass


@pytest.mark.parametrize("address", ["nonsense", "ray://here:1", "host:", ":80", "host:99999", "host:port"])
def test_what_is_no_address_is_refused_at_once(address: str):
    with (
        pytest.raises(ClusterError, match="is no address of a cluster; give local, auto or HOST:PORT"),
        RayPool(address),
    ):
        pass


def test_an_address_where_nothing_listens_is_refused_at_once():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{own.getsockname()[1]}"
        began = time.monotonic()
        with (
            pytest.raises(
                ClusterError, match=rf"^there is no cluster at {address} \(.*refused\); look whether it runs"
            ),
            RayPool(address),
        ):
            pass
        assert time.monotonic() - began < 10


@pytest.mark.slow
def test_what_listens_and_is_no_cluster_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ray_pool, "ANSWERS_WITHIN", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as own:
        address = f"127.0.0.1:{own.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"no cluster answers at {address} within 1 seconds"), RayPool(address):
            pass


def test_as_many_workers_fit_as_the_least_of_what_they_need():
    node = {"Alive": True, "Resources": {"CPU": 9.0, "GPU": 2.0, "memory": 2.0**35}}
    dead = {**node, "Alive": False}
    without = {"Alive": True, "Resources": {"CPU": 64.0, "memory": 2.0**35}}
    assert ray_pool._fitting([node, dead, without], Needs(cores=2)) == 4 + 32
    assert ray_pool._fitting([node, dead, without], Needs(gpus=1)) == 2
    assert ray_pool._fitting([node], Needs(gpus=0.5, memory=2**34)) == 2
    assert ray_pool._fitting([without], Needs(gpus=1)) == 0


def test_folders_of_runs_that_were_killed_go_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ray_pool.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(ray_pool, "LONGEST", 1000)
    left = tmp_path / f"{ray_pool.FOLDER}left"
    (left / "session").mkdir(parents=True)
    (left / "lock").touch()
    with ray_pool._own_folder() as at_work:
        assert not left.exists()
        with ray_pool._own_folder() as other:
            assert at_work.is_dir() and other.is_dir() and at_work != other
    assert [*tmp_path.iterdir()] == []


# With it


@pytest.fixture(scope="module")
def pool() -> Iterator[RayPool]:
    with RayPool(LOCAL, 2) as started:
        yield started


@pytest.mark.slow
def test_items_are_worked_on_in_processes_that_keep_what_they_loaded(pool: RayPool, tmp_path: Path):
    assert isinstance(pool, Pool)
    taken: list[int] = []

    def lazily() -> Iterator[Item]:
        for item in items(tmp_path, 8, 0.2):
            taken.append(item.number)
            yield item

    found: list[tuple[int, int, float]] = []
    for number, result in enumerate(pool.each(quick_work.work, lazily(), died)):
        found.append(result)
        assert len(taken) <= number + 2, "no more are at work than there are workers"
    assert sorted(number for number, *_ in found) == list(range(8))
    assert taken == list(range(8))
    loaded = {process: when for _, process, when in found}
    assert len(loaded) <= 2 and os.getpid() not in loaded
    assert len({(process, when) for _, process, when in found}) == len(loaded), "each loads once"


@pytest.mark.slow
def test_what_each_machine_does_is_done_once_on_it(pool: RayPool, tmp_path: Path):
    assert isinstance(pool, Spread)
    assert len(list(pool.each(quick_work.work, items(tmp_path, 4, 0.1), died))) == 4
    pool.everywhere(quick_work.work, Item(9, tmp_path))
    assert begun(tmp_path, 9) == 1, "both workers are on this machine"
    pool.everywhere(quick_work.failing, Item(2, tmp_path))
    assert len(list(pool.each(quick_work.work, items(tmp_path, 2), died))) == 2, "whatever fails there"


@pytest.mark.slow
def test_an_item_that_takes_its_workers_with_it_is_given_up_and_the_others_are_done(
    pool: RayPool, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ray_pool, "PATIENCE", Patience(tries=2, alone_from=2))
    found = list(pool.each(quick_work.deadly, items(tmp_path, 5, 0.1), died))
    assert sorted(number for number, *_ in found) == list(range(5))
    assert [number for number, process, _ in found if not process] == [2]
    assert begun(tmp_path, 2) == 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_its_item_tried_again(pool: RayPool, tmp_path: Path):
    results = pool.each(quick_work.work, items(tmp_path, 6, 0.5), died)
    number, process, _ = next(results)
    os.kill(process, signal.SIGKILL)
    found = [number, *(number for number, process, _ in results if process)]
    assert sorted(found) == list(range(6)), "each is done, and once"


@pytest.mark.slow
def test_an_error_that_ends_the_run_comes_as_it_was_raised(pool: RayPool, tmp_path: Path):
    with pytest.raises(OutputError, match=r"^cannot write there$"):
        list(pool.each(quick_work.failing, items(tmp_path, 5), died))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_nothing_outlives_a_run_that_is_stopped(tmp_path: Path, name: str):
    """As a terminal sends Ctrl-C, and as a kill comes to the driver alone."""
    run = started(tmp_path, 4, 60)
    until = time.monotonic() + 100
    while len([*tmp_path.glob("begun-*")]) < 2 and time.monotonic() < until and run.poll() is None:
        time.sleep(0.1)
    assert run.poll() is None, run.communicate()
    processes = psutil.Process(run.pid).children(recursive=True)
    assert len(processes) > 4
    number = signal.Signals[name]
    if number == signal.SIGKILL:
        run.kill()
        run.communicate(timeout=100)
        assert gone(processes, 30)
        return
    os.killpg(run.pid, number)
    out, complaints = run.communicate(timeout=100)
    assert (run.returncode, out, complaints) == (128 + number, "", "")
    assert [*tmp_path.glob("half-*")] == [], "what was half written is removed"
    assert gone(processes, 10)


@pytest.mark.slow
def test_a_cluster_that_is_there_is_joined_and_stays(tmp_path: Path):
    """In a process of its own: one joins one cluster at a time."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
    environment = {**os.environ, "RAY_AUTH_TOKEN": "0123456789abcdef" * 2, "RAY_USAGE_STATS_ENABLED": "0"}
    environment["RAY_AUTH_MODE"] = "token"
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: sockets lie in it
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
    head = subprocess.Popen(
        [*ray, "--num-cpus=1", "--include-dashboard=false", f"--temp-dir={folder}"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 100
        while time.monotonic() < until and head.poll() is None:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        joining = [sys.executable, "-m", "tests.jobs.quick_run", str(tmp_path), "2", "0.1", f"127.0.0.1:{port}"]
        told = subprocess.run(joining, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout.split() == ["ready", "0", "1"]
        assert head.poll() is None
    finally:
        head.terminate()
        head.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
