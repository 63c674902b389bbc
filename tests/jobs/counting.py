"""A pool whose processes note what they load and lift."""

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.jobs.runner import Pool
from motionlift.work import lift, planning


@dataclass(frozen=True)
class Counted:
    """Any pool, in whose processes a file is made for each model that is loaded and each motion that is lifted."""

    pool: Pool
    """Who works."""
    folder: Path
    """Where the files are made."""

    def each(self, work: Callable[[Any], Any], items: Iterable[Any], died: Callable[[Any], Any]) -> Iterator[Any]:
        return self.pool.each(functools.partial(noted, work, self.folder), items, died)

    def loaded(self) -> list[str]:
        """The process of each load."""
        return [path.name.split("-")[1] for path in self.folder.glob("loaded-*")]

    def lifted(self) -> list[str]:
        """The start of the hash of each clip that was lifted."""
        return [path.name.split("-")[1] for path in self.folder.glob("lifted-*")]


def noted(work: Callable[[Any], Any], folder: Path, item: Any) -> Any:
    """Work on an item, in a process that takes notes."""
    _take_notes(folder)
    return work(item)


@functools.cache
def _take_notes(folder: Path) -> None:
    load, taken = planning.load, lift.taken

    def noted_load(*given: Any, **named: Any) -> Any:
        (folder / f"loaded-{os.getpid()}-{time.monotonic_ns()}").touch()
        return load(*given, **named)

    def noted_taken(job: Any, pixels: Any, wide: Any, *given: Any, **named: Any) -> Any:
        (folder / f"lifted-{wide.sha256[:8]}-{os.getpid()}-{time.monotonic_ns()}").touch()
        return taken(job, pixels, wide, *given, **named)

    planning.load, lift.taken = noted_load, noted_taken
