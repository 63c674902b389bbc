"""Lifted motions kept by content, so that lifting the same clip again costs nothing; and tuning runs that were stopped.

The folder is the user's cache folder, or ``MOTIONLIFT_CACHE``; the oldest-used files go when it outgrows its cap, or
``MOTIONLIFT_CACHE_BYTES``. A run's folder goes when the run is done. Of those that were stopped, what is older than
:data:`MOST_DAYS` goes, and what is beyond the cap, the oldest first, but not the newest.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from motionlift.errors import MotionError, OutputError, SettingError
from motionlift.motion.file import SUFFIX, Motion
from motionlift.motion.lock import empty, held

MOST_BYTES = 4 * 2**30
"""Cap of the size of the motions, and of the stopped runs (ours)."""
MOST_DAYS = 14
"""Days after which a stopped run is no longer gone on with (ours)."""


@dataclass(frozen=True)
class CacheState:
    """What the cache holds."""

    folder: Path
    """Where it is."""
    files: int
    """Number of motions."""
    bytes: int
    """Their size together."""
    most_bytes: int
    """The cap."""
    runs: int
    """Number of tuning runs that were stopped, or are at work."""
    run_bytes: int
    """Their size together."""


def folder() -> Path:
    """Where motions are kept."""
    named = os.environ.get("MOTIONLIFT_CACHE")
    return (Path(named) if named else user_cache_path("motionlift", appauthor=False)) / "motions"


def runs() -> Path:
    """Where tuning runs are kept until they are done."""
    return folder().parent / "runs"


def run_place(name: str) -> Path:
    """The folder of a tuning run, after those of runs that nobody went on with are removed.

    Raises:
        SettingError: ``MOTIONLIFT_CACHE_BYTES`` is not a number.
    """
    place = runs() / name
    _shrink_runs(most_bytes(), place)
    return place


def most_bytes() -> int:
    """The cap in bytes.

    Raises:
        SettingError: ``MOTIONLIFT_CACHE_BYTES`` is not a whole number of at least zero.
    """
    named = os.environ.get("MOTIONLIFT_CACHE_BYTES", str(MOST_BYTES))
    if not named.isdecimal() or len(named) > 18:
        raise SettingError(f"MOTIONLIFT_CACHE_BYTES is {named[:40]!r}; allowed is a whole number of bytes")
    return int(named)


def key(content: Mapping[str, Any]) -> str:
    """Hash of all that a lifted motion depends on."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def find(name: str) -> Motion | None:
    """A kept motion, or None; a damaged file counts as none."""
    path = folder() / (name + SUFFIX)
    try:
        motion = Motion.load(path)
        os.utime(path)
    except (MotionError, OSError):
        return None
    return motion


def keep(name: str, motion: Motion) -> None:
    """Keep a motion if the folder can be written; a cache that cannot is no reason to fail.

    One that is larger than the cap would push out all others and then itself: it is not kept.

    Raises:
        SettingError: ``MOTIONLIFT_CACHE_BYTES`` is not a number.
    """
    most = most_bytes()
    if sum(tensor.nbytes for tensor in motion.tensors.values()) > most:
        return
    try:
        folder().mkdir(parents=True, exist_ok=True)
        motion.save(folder() / (name + SUFFIX))
        _shrink(most)
    except (OSError, OutputError):
        return


@dataclass(frozen=True)
class _Kept:
    path: Path
    bytes: int
    used: int


def _files() -> list[_Kept]:
    """Kept motions, the longest unused first; other runs may remove some meanwhile."""
    found = []
    for path in folder().glob("*" + SUFFIX):
        with suppress(OSError):
            about = path.stat()
            found.append(_Kept(path, about.st_size, about.st_mtime_ns))
    return sorted(found, key=lambda kept: kept.used)


def _run_folders() -> list[_Kept]:
    """Folders of tuning runs, the longest unused first; they may go, or grow, meanwhile."""
    found = []
    with suppress(OSError):
        for path in [path for path in runs().iterdir() if path.is_dir()]:
            with suppress(OSError):
                about = [own.stat() for own in (path, *path.rglob("*"))]
                size = sum(own.st_size for own in about if stat.S_ISREG(own.st_mode))
                found.append(_Kept(path, size, max(own.st_mtime_ns for own in about)))
    return sorted(found, key=lambda kept: kept.used)


def _shrink_runs(most: int, wanted: Path) -> None:
    """Remove runs that were stopped long ago, and those beyond the cap, but not the newest, nor the one that is wanted."""
    found = [kept for kept in _run_folders() if kept.path != wanted]
    total = sum(kept.bytes for kept in found)
    oldest = time.time_ns() - MOST_DAYS * 24 * 3600 * 10**9
    for kept in found:
        is_beyond = total > most and kept is not found[-1]
        if kept.used < oldest or is_beyond:
            total -= kept.bytes
            _remove_run(kept.path)


def _remove_run(path: Path) -> None:
    """Remove a run's folder, if no run is at work in it."""
    with suppress(OutputError), held(path):
        empty(path)
    with suppress(OSError):  # as where a run is at work in it
        path.rmdir()


def _shrink(most: int) -> None:
    """Remove the oldest-used motions until the rest fit the cap."""
    files = _files()
    total = sum(kept.bytes for kept in files)
    for kept in files:
        if total <= most:
            return
        total -= kept.bytes
        kept.path.unlink(missing_ok=True)


def state() -> CacheState:
    """What the cache holds now.

    Raises:
        SettingError: ``MOTIONLIFT_CACHE_BYTES`` is not a number.
    """
    files, stopped = _files(), _run_folders()
    return CacheState(
        folder=folder(),
        files=len(files),
        bytes=sum(kept.bytes for kept in files),
        most_bytes=most_bytes(),
        runs=len(stopped),
        run_bytes=sum(kept.bytes for kept in stopped),
    )


def clear() -> CacheState:
    """Remove every motion, and what stopped tuning runs left; returns what is no longer there. Runs at work go on.

    Raises:
        OutputError: one cannot be removed.
        SettingError: ``MOTIONLIFT_CACHE_BYTES`` is not a number.
    """
    before = state()
    for kept in _files():
        try:
            kept.path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {kept.path}: {error.strerror}; remove the folder by hand") from error
    for kept in _run_folders():
        _remove_run(kept.path)
    after = state()
    return replace(before, runs=before.runs - after.runs, run_bytes=before.run_bytes - after.run_bytes)
