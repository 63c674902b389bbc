"""Work that takes moments, for tests that start and kill real processes."""

import os
import signal
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from motionlift.errors import OutputError


@dataclass(frozen=True)
class Item:
    """A piece of work."""

    number: int
    folder: Path
    seconds: float = 0.0


@cache
def model() -> float:
    """Stands in for a model that a process loads once; when it was loaded."""
    return time.monotonic()


def work(item: Item) -> tuple[int, int, float]:
    """Notes that it was begun, and tells its number, its process, and what the process keeps."""
    (item.folder / f"begun-{item.number}-{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(item.seconds)
    return item.number, os.getpid(), model()


def deadly(item: Item) -> tuple[int, int, float]:
    """Ends its process, at item 2."""
    if item.number == 2:
        (item.folder / f"begun-{item.number}-{os.getpid()}-{time.monotonic_ns()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return work(item)


def failing(item: Item) -> tuple[int, int, float]:
    """Ends the run, at item 2."""
    if item.number == 2:
        raise OutputError("cannot write there")
    return work(item)


def writing(item: Item) -> tuple[int, int, float]:
    """Has a file half written while it is at work."""
    half = item.folder / f"half-{item.number}"
    try:
        half.touch()
        return work(item)
    finally:
        half.unlink()


def items(folder: Path, count: int, seconds: float = 0.0) -> list[Item]:
    return [Item(number, folder, seconds) for number in range(count)]
