"""Runs that ended without a word, as those that the system kills for want of memory: the same command, given again, says so.

While a command works it holds a lock on a small file in the cache folder, named after the command and where it was given.
However a run ends with words, the file goes; whoever finds it there, and nobody holding it, knows that the last run was killed.
Whether somebody holds it the system knows, it is not read from the file: numbers of processes come again, and machines crash.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from motionlift.cli.terminal import COMMAND_LINE, SMALLER, notice
from motionlift.loops.run_folder import is_first_process
from motionlift.motion import cache

MOST_DAY = 18
"""Characters of the file, after its first words, that say when its run began."""


@contextmanager
def at_work(smaller: str = SMALLER) -> Iterator[None]:
    """Leave word that the command is at work, until left; says so where its last run left such word and is gone.

    Where the cache folder cannot be written, and where the same command is at work already, there is no word.

    Args:
        smaller: what to ask for, should memory be short.
    """
    lock = None
    # A file system may lock nothing: that is an error of Python's own, NotImplementedError.
    with suppress(Timeout, OSError, NotImplementedError):
        lock = _begun(smaller) if is_first_process() else None
    try:
        yield
    finally:
        if lock is not None:
            _end(lock)


def _begun(smaller: str) -> FileLock:
    """Take the file, say what it tells of the last run, and write of this one.

    Raises:
        OSError: the cache folder cannot be written, or the file is not ours.
        Timeout: the same command is at work already.
    """
    place = cache.at_work() / f"{_key()}{cache.WORD.suffixes[0]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place, blocking=False)
    lock.acquire()
    # Read once it is ours, and empty where we made it: seen before, it might be that of a run which just ends.
    left = place.read_text(encoding="utf-8", errors="replace")
    if left and not cache.WORD.wrote(place):
        raise OSError(f"{place} is somebody's own")
    place.write_text(f"{cache.WORD_LINE}\n{time.strftime('%Y-%m-%d %H:%M')}\n", encoding="utf-8")
    if left:
        began = left.removeprefix(cache.WORD_LINE)[:MOST_DAY]
        notice(
            [
                f"the last run of this command, begun {began.strip()}, ended without a word; most likely the system killed it for "
                f"want of memory: then ask for {smaller}. What it kept is gone on with"
            ]
        )
    _forget_old()
    return lock


def _end(lock: FileLock) -> None:
    """Remove the file while it is still held, so that nobody finds it unheld."""
    place = Path(lock.lock_file)
    with suppress(OSError):
        place.unlink()
    lock.release()
    with suppress(OSError):  # as where another command is at work
        place.parent.rmdir()


def _forget_old() -> None:
    """Remove what runs left that nobody went on with."""
    oldest = time.time() - cache.MOST_DAYS * 24 * 3600
    for other in cache.words():
        with suppress(OSError):
            if other.stat().st_mtime < oldest:
                other.unlink()


def _key() -> str:
    """A name for the command and the folder that it is given in."""
    return hashlib.sha256(json.dumps([os.getcwd(), *COMMAND_LINE.get()]).encode()).hexdigest()[:32]  # noqa: PTH109  # as text
