"""Processes that a process starts, and that are not to outlive it, a kill included."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from motionlift.jobs import putting_away
from motionlift.jobs.workers import GRACE


@contextmanager
def put_away(processes: Iterable[psutil.Process], folder: Path | None = None) -> Iterator[None]:
    """Where this process is killed within, have others ended with all that they started.

    Args:
        processes: the others.
        folder: one of theirs, which is removed then; those that use it end too.
    """
    told = [f"{process.pid}:{process.create_time()}" for process in processes if process.is_running()]
    waiting = subprocess.Popen(
        [sys.executable, putting_away.__file__, str(GRACE), str(folder or ""), *told],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        waiting.kill()
        waiting.communicate()
