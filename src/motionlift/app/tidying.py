"""Which files of a visitor go: those that no task and no motion names any more."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from motionlift.app.history import Item
from motionlift.app.jobs import Jobs
from motionlift.app.workspace import DRAWN, MOTION, REFERENCE, Workspace
from motionlift.errors import MotionliftError
from motionlift.motion.file import source_of
from motionlift.video.reading import hash_of

UNUSED = 24 * 3600
"""Seconds that a file is kept which was never named (ours: a clip that was uploaded, and not yet lifted)."""


@contextmanager
def tidying(jobs: Jobs, own: Workspace) -> Iterator[None]:
    """Delete what is named no more by what is done inside, and what was never named for long.

    Args:
        jobs: whose history names files.
        own: the visitor's files.
    """
    there = set(own.entries())  # what comes meanwhile is about to be named, by a task that is just being done
    named = there.difference(_unnamed(own, jobs.history.items(own.owner, -1)))
    yield
    unnamed = _unnamed(own, jobs.history.items(own.owner, -1))
    old = time.time() - UNUSED
    own.discard([place.name for place in unnamed if place in named or _changed(place) < old])


def _unnamed(own: Workspace, items: Sequence[Item]) -> list[Path]:
    """What lies in a workspace and is no source of a task, nothing that one made, no motion, and no picture or clip of one."""
    motions = own.motions()
    pictures = {Path(name).stem + kind for name in motions for kind in (DRAWN, REFERENCE)}
    named = {name for item in items for name in (*item.task.names, *item.files)}
    named |= {*motions, *pictures}
    others = [place for place in own.entries() if place.name not in named]
    lifted = {_source(own.folder / name) for name in motions} if others else set()
    return [place for place in others if _hash(place) not in lifted]


def _source(motion: Path) -> str | None:
    """The hash of the clip that a motion was lifted from."""
    try:
        return source_of(motion).sha256
    except MotionliftError:
        return None


def _hash(place: Path) -> str:
    """The hash of a file, or of a folder of pictures; of what cannot be one, nothing."""
    try:
        found = place.stat()
        return "" if place.suffix == MOTION else _hash_as_of(place, found.st_mtime_ns, found.st_size)
    except (OSError, MotionliftError):  # it was just deleted
        return ""


@lru_cache(maxsize=256)
def _hash_as_of(place: Path, _changed: int, _size: int) -> str:
    """The same, of a file that changed then and has so many bytes."""
    return hash_of(place)


def _changed(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:  # it was just deleted
        return time.time()
