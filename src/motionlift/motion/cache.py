"""Lifted motions kept by content, so that lifting the same clip again costs nothing; and tuning runs that were stopped.

The folder is the user's cache folder, or ``MOTIONLIFT_CACHE``; the oldest-used files go when it outgrows its cap, or
``MOTIONLIFT_CACHE_BYTES``. A run's folder goes when the run is done. Of those that were stopped, what is older than
:data:`MOST_DAYS` goes, and what is beyond the cap, the oldest first, but not the newest.

The two folders in it are marked (``CACHEDIR.TAG``, https://bford.info/cachedir/). One that is not, and that holds anything else
than the cache puts there, is somebody's own: nothing is kept in it, or removed. Nor is what has another name than the cache gives,
or holds no motion or run. A cache that cannot be used is no reason to fail; notices tell of it.
"""

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from motionlift.errors import MotionError, OutputError, SettingError
from motionlift.motion import run_files
from motionlift.motion.file import SUFFIX, Motion, write_motion
from motionlift.motion.lock import held
from motionlift.video.marks import FOREIGN, MOTION, Kind, header_of, opened_by
from motionlift.video.writing import TEMPORARY, remove_leftovers, replacing

MOST_BYTES = 4 * 2**30
"""Cap of the size of the motions, and of the stopped runs (ours)."""
MOST_DAYS = 14
"""Days after which a stopped run is no longer gone on with (ours)."""
TAG = "CACHEDIR.TAG"
"""Name of the file that marks a folder as the cache's."""
TAG_LINES = (
    "Signature: 8a477f597d28d172789f06886806bc55",
    "# This folder is a cache of motionlift, which removes what it keeps here. See https://bford.info/cachedir/",
)
"""What it says: the first line is the convention's, and tells backup programs to leave the folder out."""
TAGGED = opened_by("tag of the cache", ".tag", "\n".join(TAG_LINES))
"""The mark of the cache's folders."""
KEPT = "motionlift_cache"
"""Key in the header of a kept motion: the name under which it is kept, and its hash."""
NAME = re.compile(r"[0-9a-f]{64}")
"""Names of what is kept, as :func:`key` gives them."""

WORD_LINE = "A command of motionlift is at work, or was killed; begun at:"
WORD = opened_by("word of a command at work", ".word", WORD_LINE)
"""The mark of what commands leave while they are at work."""


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
    notices: tuple[str, ...] = ()
    """What a person should know."""


def folder() -> Path:
    """Where motions are kept."""
    named = os.environ.get("MOTIONLIFT_CACHE")
    return (Path(named) if named else user_cache_path("motionlift", appauthor=False)) / "motions"


def is_own() -> bool:
    """Whether the folder of motions is the cache's, or could be: beside somebody's own nothing is kept."""
    with suppress(OSError):
        return _stranger(folder()) is None
    return False


def runs() -> Path:
    """Where tuning runs are kept until they are done."""
    return folder().parent / "runs"


def at_work() -> Path:
    """Where commands leave word while they are at work."""
    return folder().parent / "at-work"


def words() -> list[Path]:
    """What commands left there that are at work, or were killed."""
    with suppress(OSError):
        return [path for path in at_work().iterdir() if path.suffix == WORD.suffixes[0] and WORD.wrote(path)]
    return []


def run_place(name: str) -> Path:
    """The folder of a tuning run, after those of runs that nobody went on with are removed.

    Raises:
        OutputError: the cache cannot be used.
        SettingError: ``MOTIONLIFT_CACHE_BYTES`` is not a number.
    """
    most, place = most_bytes(), runs() / name
    _claim(runs())
    _shrink_runs(most, place)
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


@dataclass(frozen=True)
class Found:
    """What the cache has of a motion."""

    motion: Motion | None
    """The motion, if it is kept."""
    notices: tuple[str, ...] = ()
    """What a person should know."""


def find(name: str) -> Found:
    """A kept motion that is as it was kept; of one that is not, or of a folder that cannot be read, a notice tells."""
    path = folder() / (name + SUFFIX)
    try:
        if _stranger(folder()) is not None or not path.exists():
            return Found(None)  # that it cannot be kept either is told then
        told = header_of(path).get(KEPT)
        motion = Motion.load(path)
    except OSError as error:
        return Found(None, (_unusable(folder(), error.strerror or str(error)),))
    except (MotionError, *FOREIGN):
        told, motion = None, None
    if motion is None or told != _told(name, motion):
        return Found(None, (f"{path} is not the motion that was kept there; it is lifted anew",))
    with suppress(OSError):  # as in a cache that may only be read
        os.utime(path)
    return Found(motion)


def holds(name: str) -> bool:
    """Whether a motion is kept under a name, as far as the folder can be read."""
    with suppress(OSError):
        return (folder() / (name + SUFFIX)).is_file()
    return False


def keep(name: str, motion: Motion) -> tuple[str, ...]:
    """Keep a motion if the folder can be written; returns what a person should know where it cannot.

    One that is larger than the cap would push out all others and then itself: it is not kept.

    Raises:
        SettingError: ``MOTIONLIFT_CACHE_BYTES`` is not a number.
    """
    most = most_bytes()
    if sum(tensor.nbytes for tensor in motion.tensors.values()) > most:
        return ()
    try:
        _claim(folder())
    except OutputError as error:
        return (str(error),)
    try:
        with replacing(folder() / (name + SUFFIX), REPLACED) as partial:
            write_motion(partial, motion, {KEPT: _told(name, motion)})
        _shrink(most)
    except (OutputError, OSError) as error:
        return (f"the motion is not kept in the cache: {error}",)
    return ()


def _told(name: str, motion: Motion) -> str:
    """What the header of a kept motion says of it."""
    return f"{name} {motion.digest()}"


def _unusable(place: Path, reason: str) -> str:
    return f"the cache in {place} is not used: {reason}; MOTIONLIFT_CACHE names another folder"


def _strange(name: str) -> str:
    return f"it holds {name}, which motionlift did not put there"


# Whose a folder or file is


def _claim(place: Path) -> None:
    """Make and mark a folder of the cache.

    Raises:
        OutputError: it cannot be made, or is somebody's own.
    """
    try:
        stranger = _stranger(place)
        place.mkdir(parents=True, exist_ok=True)
        if stranger is None and not (place / TAG).exists():
            with replacing(place / TAG, TAGGED) as partial:
                partial.write_text("\n".join([*TAG_LINES, ""]), encoding="utf-8")
    except OSError as error:
        raise OutputError(_unusable(place, error.strerror or str(error))) from error
    except OutputError as error:
        raise OutputError(_unusable(place, str(error))) from error
    if stranger is not None:
        raise OutputError(_unusable(place, _strange(stranger)))


def _stranger(place: Path) -> str | None:
    """The name of something that makes a folder somebody's own; None where it is the cache's, or could be.

    Raises:
        OSError: it cannot be read.
    """
    if not place.exists() or TAGGED.wrote(place / TAG):
        return None
    is_own: Callable[[Path], bool] = _is_motion if place == folder() else _is_run
    entries = sorted(place.iterdir())
    return next((own.name for own in entries if not (TEMPORARY.fullmatch(own.name) or is_own(own))), None)


def _is_motion(path: Path) -> bool:
    """Whether the cache keeps a motion there, damaged or not."""
    return (
        _is_named(path) and path.suffix == SUFFIX and not path.is_symlink() and path.is_file() and REPLACED.wrote(path)
    )


def _is_run(path: Path) -> bool:
    """Whether the cache keeps a tuning run there."""
    return _is_named(path) and path.name == path.stem and run_files.is_run(path)


def _is_named(path: Path) -> bool:
    return NAME.fullmatch(path.stem) is not None


def _is_replaced(path: Path) -> bool:
    """Whether a file in the cache may be replaced or removed: a motion, or what can no longer be read."""
    try:
        header_of(path)
    except FOREIGN:
        return True
    return MOTION.wrote(path)


REPLACED = Kind("motion", (SUFFIX,), _is_replaced)
"""What has the name of a kept motion in a folder of the cache."""


# What is kept


@dataclass(frozen=True)
class _Kept:
    path: Path
    bytes: int
    used: int


def _files() -> list[_Kept]:
    """Kept motions, the longest unused first; other runs may remove some meanwhile.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    for path in _entries(folder()):
        with suppress(OSError):
            if _is_motion(path):
                about = path.stat()
                found.append(_Kept(path, about.st_size, about.st_mtime_ns))
    return sorted(found, key=lambda kept: kept.used)


def _run_folders() -> list[_Kept]:
    """Folders of tuning runs, the longest unused first; they may go, or grow, meanwhile.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    for path in _entries(runs()):
        with suppress(OSError):
            if _is_run(path):
                about = [own.stat() for own in (path, *path.rglob("*"))]
                size = sum(own.st_size for own in about if stat.S_ISREG(own.st_mode))
                found.append(_Kept(path, size, max(own.st_mtime_ns for own in about)))
    return sorted(found, key=lambda kept: kept.used)


def _entries(place: Path) -> list[Path]:
    """What lies in a folder of the cache; nothing where it is somebody's own."""
    return list(place.iterdir()) if place.is_dir() and _stranger(place) is None else []


def _shrink_runs(most: int, wanted: Path) -> None:
    """Remove runs that were stopped long ago, and those beyond the cap, but not the newest, nor the one that is wanted."""
    with suppress(OSError):
        found = [kept for kept in _run_folders() if kept.path != wanted]
        total = sum(kept.bytes for kept in found)
        oldest = time.time_ns() - MOST_DAYS * 24 * 3600 * 10**9
        for kept in found:
            is_beyond = total > most and kept is not found[-1]
            if kept.used < oldest or is_beyond:
                total -= kept.bytes
                _remove_run(kept.path)


def _remove_run(path: Path) -> None:
    """Remove a run, if none is at work in its folder; what else lies there stays."""
    with suppress(OutputError, OSError), held(path):
        run_files.remove(path)
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
        OutputError: it cannot be read.
        SettingError: ``MOTIONLIFT_CACHE_BYTES`` is not a number.
    """
    most = most_bytes()
    try:
        strangers = {place: _stranger(place) for place in (folder(), runs())}
        files, stopped = _files(), _run_folders()
    except OSError as error:
        raise OutputError(f"cannot read the cache {error.filename or folder().parent}: {error.strerror}") from error
    return CacheState(
        folder=folder(),
        files=len(files),
        bytes=sum(kept.bytes for kept in files),
        most_bytes=most,
        runs=len(stopped),
        run_bytes=sum(kept.bytes for kept in stopped),
        notices=tuple(_unusable(place, _strange(name)) for place, name in strangers.items() if name is not None),
    )


def clear() -> CacheState:
    """Remove every motion, what stopped tuning runs left, and what was left of files where a process was killed.

    Runs at work go on; what the cache did not put there stays.

    Returns:
        What is no longer there.

    Raises:
        OutputError: the cache cannot be read, or something in it cannot be removed.
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
    for place in (folder(), runs()):
        remove_leftovers(place)
    for word in words():  # of runs that were killed; one at work goes on without
        with suppress(OSError):
            word.unlink()
    after = state()
    return replace(before, runs=before.runs - after.runs, run_bytes=before.run_bytes - after.run_bytes)
