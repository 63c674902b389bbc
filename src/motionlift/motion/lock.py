"""A folder that one run holds at a time: a tuning run, a benchmark."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from motionlift.errors import OutputError

LOCK = ".lock"
"""Name of the file in a folder that is locked while the folder is held."""


@contextmanager
def held(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold a folder, made if need be, so that no other run works in it until left.

    Args:
        path: the folder.
        wait: wait for a run that holds it.

    Raises:
        OutputError: it cannot be made or written, or another run holds it and is not waited for.
    """
    lock = _locked(path, wait)
    try:
        yield
    finally:
        # While it is still held: whoever waits for this file sees that it is gone, and begins anew with one of its own.
        with suppress(OSError):
            (path / LOCK).unlink()
        lock.release()


def _locked(path: Path, wait: bool) -> FileLock:
    """The lock of a folder, once it is ours."""
    lock = FileLock(path / LOCK, blocking=wait, thread_local=False)
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            return lock
        except Timeout as error:
            raise OutputError(f"another run is at work in {path}; wait for it, or give another folder") from error
        except FileNotFoundError:
            continue  # the run that held it has removed the folder meanwhile
        except OSError as error:
            raise OutputError(f"cannot write to {path}: {error.strerror or error}; give another folder") from error


def empty(path: Path) -> None:
    """Remove what is in a folder that this process holds, but for the lock; what cannot be removed stays."""
    for inside in path.iterdir():
        if inside.is_dir() and not inside.is_symlink():
            shutil.rmtree(inside, ignore_errors=True)
        elif inside.name != LOCK:
            with suppress(OSError):
                inside.unlink()
