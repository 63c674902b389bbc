"""Lifted motions kept by content, so that lifting the same clip again costs nothing.

The folder is the user's cache folder, or ``MOTIONLIFT_CACHE``; the oldest-used files go when it outgrows its cap, or
``MOTIONLIFT_CACHE_BYTES``.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from motionlift.errors import MotionError, OutputError, SettingError
from motionlift.motion.file import SUFFIX, Motion

MOST_BYTES = 4 * 2**30
"""Cap of the folder's size (ours)."""


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


def folder() -> Path:
    """Where motions are kept."""
    named = os.environ.get("MOTIONLIFT_CACHE")
    return (Path(named) if named else user_cache_path("motionlift", appauthor=False)) / "motions"


def runs() -> Path:
    """Where tuning runs are kept until their motion is there."""
    return folder().parent / "runs"


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
    files = _files()
    return CacheState(folder(), len(files), sum(kept.bytes for kept in files), most_bytes())


def clear() -> CacheState:
    """Remove every motion, and what stopped tuning runs left; returns the motions that there were.

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
    shutil.rmtree(runs(), ignore_errors=True)
    return before
