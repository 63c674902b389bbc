"""Processes that are ended with what they were started for."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from motionlift.jobs.children import put_away
from motionlift.jobs.putting_away import end_users

SLEEPS = "import os, sys, time; kept = open(os.environ['KEPT'], 'w'); print(flush=True); time.sleep(600)"
"""A process that keeps a file open, whose name is nowhere among its words."""


@contextmanager
def sleeper(kept: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPS, *words], env={**os.environ, "KEPT": str(kept)}, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def ends(process: subprocess.Popen[bytes], within: float = 30) -> bool:
    until = time.monotonic() + within
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    return process.returncode is not None


def test_who_has_a_file_of_the_folder_open_or_was_called_with_it_ends_and_nobody_else(tmp_path: Path):
    folder, other = tmp_path / "theirs", tmp_path / "theirs-too"
    folder.mkdir()
    other.mkdir()
    with (
        sleeper(folder / "log") as writes,
        sleeper(tmp_path / "log", f"--folder={folder / 'within'}") as called,
        sleeper(other / "log") as beside,
    ):
        end_users(folder)
        assert ends(writes) and ends(called)
        assert beside.poll() is None


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_folder_is_known_by_the_name_that_a_link_gives_it(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with sleeper(tmp_path / "link" / "log") as process:
        end_users(tmp_path / "link")
        assert ends(process)


@pytest.mark.slow
def test_a_killed_process_takes_the_others_and_users_of_their_folder_with_it(tmp_path: Path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    with sleeper(folder / "log") as orphan, sleeper(tmp_path / "log") as other, sleeper(tmp_path / "third") as third:
        told = [str(other.pid), str(folder)]
        dies = "import os, psutil, sys, pathlib; from motionlift.jobs.children import put_away\n"
        dies += "with put_away([psutil.Process(int(sys.argv[1]))], pathlib.Path(sys.argv[2])): os.kill(os.getpid(), 9)"
        subprocess.run([sys.executable, "-c", dies, *told], check=False, timeout=120)
        assert ends(orphan) and ends(other)
        assert third.poll() is None
    until = time.monotonic() + 30
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not folder.exists()


def test_nothing_ends_where_nobody_is_killed(tmp_path: Path):
    with sleeper(tmp_path / "log") as other:
        with put_away([psutil.Process(other.pid)], tmp_path):
            pass
        time.sleep(0.2)
        assert other.poll() is None and tmp_path.exists()
