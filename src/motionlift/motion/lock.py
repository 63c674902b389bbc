"""A folder that one run holds at a time: a tuning run, a benchmark."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from motionlift.errors import OutputError
from motionlift.video.writing import check_local

LOCK = ".motionlift.lock"
"""Name of the file in a folder that is locked while the folder is held; it is empty."""


@contextmanager
def held(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold a folder, made if need be, so that no other run works in it until left; one that was made and stays empty goes.

    Args:
        path: the folder.
        wait: wait for a run that holds it.

    Raises:
        OutputError: it is an address, cannot be made or written, another run holds it and is not waited for, or the lock's file is
            not ours.
    """
    was_there = path.is_dir()
    lock = _locked(path, wait)
    try:
        yield
    finally:
        # While it is still held: whoever waits for this file sees that it is gone, and begins anew with one of its own.
        with suppress(OSError):
            (path / LOCK).unlink()
            if not was_there:
                path.rmdir()  # where nothing was put into it
        lock.release()


def _locked(path: Path, wait: bool) -> FileLock:
    """The lock of a folder, once it is ours."""
    check_local(path)
    lock = FileLock(path / LOCK, blocking=wait, thread_local=False)
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
            check_lock(path)
            lock.acquire()
            return lock
        except Timeout as error:
            raise OutputError(f"another run is at work in {path}; wait for it, or give another folder") from error
        except FileNotFoundError:
            continue  # the run that held it has removed the folder meanwhile
        except OSError as error:
            # Python makes a folder and then looks whether it is one: it may be removed between the two.
            if isinstance(error, FileExistsError) and (path.is_dir() or not os.path.lexists(path)):
                continue
            raise OutputError(f"cannot write to {path}: {error.strerror or error}; give another folder") from error


def check_lock(path: Path) -> None:
    """Refuse a folder in which a file with the lock's name is another's: ours are empty.

    Raises:
        OutputError: it is.
    """
    lock = path / LOCK
    try:
        about = lock.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(about.st_mode) or about.st_size:
        raise OutputError(f"{lock} is no lock that motionlift wrote; give another folder, or remove it")
