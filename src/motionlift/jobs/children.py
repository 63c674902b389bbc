"""Processes that a process starts, and that are not to outlive it, a kill included."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from motionlift.jobs.workers import GRACE

PUTTING_AWAY = f"""
import contextlib, shutil, sys, time, psutil
sys.stdin.read()
found = set()
for seconds in (0, {GRACE}):  # at once, since what ends in the meantime leaves its children to nobody
    time.sleep(seconds)
    for pid, began in (told.split(":") for told in sys.argv[2:]):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(int(pid))
            if abs(process.create_time() - float(began)) < 1:
                found.update([process, *process.children(recursive=True)])
for process in found:
    with contextlib.suppress(psutil.Error):
        process.kill()
if sys.argv[1]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != psutil.Process().pid and any(sys.argv[1] in word for word in process.cmdline()):
                process.kill()
    shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
"""What a process does that waits for the end of ours, which closes its input; it knows the others by when they began, too."""


def end_called_with(folder: Path) -> None:
    """End all processes that were called with a folder, whoever their parent is now."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(folder) in word for word in process.cmdline()):
                process.kill()


@contextmanager
def put_away(processes: Iterable[psutil.Process], folder: Path | None = None) -> Iterator[None]:
    """Where this process is killed within, have others ended with all that they started.

    Args:
        processes: the others.
        folder: one of theirs, which is removed then; those that were called with it end too.
    """
    told = [f"{process.pid}:{process.create_time()}" for process in processes if process.is_running()]
    waiting = subprocess.Popen(
        [sys.executable, "-c", PUTTING_AWAY, str(folder or ""), *told],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        waiting.kill()
        waiting.communicate()
