"""Files written whole or not at all, in the place of none but our own.

A file is written beside its place under a name of :data:`TEMPORARY`, which says whose it is, and takes its place once it is whole.
What a process that was killed left so is removed by the next that writes in the folder: where that process is gone, or nothing was
written for :data:`STALE_AFTER` seconds.
"""

import errno
import functools
import hashlib
import json
import logging
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from av.error import FFmpegError

from motionlift.core.places import address_in
from motionlift.errors import OutputError
from motionlift.video.marks import CLIP, FOLDER, Kind, marked_json

TEMPORARY = re.compile(r"\.motionlift-(?:(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]+)-)?[0-9a-f]{16}\.tmp")
"""Names of files that are being written: machine and process, which versions up to 0.1 did not say, and something random."""
STALE_AFTER = 24 * 3600
"""Seconds without a change after which nobody writes a file any more (ours: a write takes minutes)."""
LOG = logging.getLogger(__name__)


NAMELESS = ("", "..")
"""Last parts of paths that name a folder by where it lies alone, as ``.`` and ``/`` do."""


def check_output(path: str | Path, kind: Kind = CLIP, overwrite: bool = True) -> None:
    """Make sure, before long work, that a file can be written at ``path``, by writing a small one beside it.

    Raises:
        OutputError: as :func:`check_place`; not writable, or a full disk.
    """
    target = check_place(path, kind, overwrite)
    with _temporary(target) as temporary:
        try:
            temporary.write_bytes(bytes(1 << 16))
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from error


@contextmanager
def replacing(path: str | Path, kind: Kind = CLIP, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there takes its place once the block ends well.

    Whatever goes wrong inside, Ctrl-C included, leaves neither the temporary file nor a change at ``path``. The caller writes the
    mark of the kind; a folder takes a folder's place in the same way.

    Raises:
        OutputError: as :func:`check_output`.
    """
    target = check_place(path, kind, overwrite)
    with _temporary(target) as temporary:
        try:
            yield temporary
            check_place(path, kind, overwrite)  # somebody may have put a file there meanwhile
            _take_place(temporary, target)
            LOG.info("wrote %s", path)
        except (OSError, FFmpegError) as error:
            raise _unwritable(path, error) from error


def write_json(path: Path, kind: Kind, content: Mapping[str, Any], indent: int) -> dict[str, Any]:
    """Write JSON with the mark of its kind to a temporary path; returns it as it was written."""
    marked = marked_json(kind, content)
    path.write_text(json.dumps(marked, indent=indent), encoding="utf-8")
    return marked


# Output files


def check_place(path: str | Path, kind: Kind, overwrite: bool = True) -> Path:
    """The real file or folder behind ``path``, after what can be said without writing.

    Args:
        path: where something is to be written; a folder where its name has no suffix and the kind may be one.
        kind: what is to be written.
        overwrite: whether it may take the place of one of its kind.

    Raises:
        OutputError: as :func:`check_named`; another suffix, a folder, no parent folder, read-only, or there is a file that this
            program did not write, or that is to stay.
    """
    check_named(path)
    suffix = Path(path).suffix.lower()
    if kind.suffixes and suffix not in kind.suffixes:
        raise OutputError(f"cannot write {str(path)!r}: {_named_so(kind)}")
    try:
        target = Path(path).resolve()
        if target.is_dir():
            _check_folder(path, target, kind, suffix)
        elif target.exists() and not target.is_file():
            raise OutputError(f"cannot write {path}: it is not a regular file; choose another name")
        if not target.parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {target.parent}; make it first")
        _check_permissions(path, target)
        if target.is_file() and not kind.wrote(target):
            raise OutputError(
                f"cannot write {path}: the file that is there is no {kind.name} as motionlift wrote it; choose another name, or "
                "remove it"
            )
        if not overwrite and is_taken(target):
            raise OutputError(f"cannot write {path}: it is there already; choose another name, or give --overwrite")
    except (OSError, ValueError, RuntimeError) as error:
        raise _unwritable(path, error) from error
    return target


def check_named(path: str | Path) -> None:
    """Refuse what names no file: an address, and a folder without a name of its own, as ``.``.

    Raises:
        OutputError: so it is.
    """
    check_local(path)
    if Path(path).name in NAMELESS:
        raise OutputError(f"cannot write {str(path)!r}: that names no file; give the name of one")


def check_local(path: str | Path) -> None:
    """Refuse an address in the place of a file or folder that is written.

    Raises:
        OutputError: it is one.
    """
    address = address_in(path)
    if address is not None:
        raise OutputError(f"cannot write {address}: it is an address, and results go to files here; give a path")


def _check_folder(path: str | Path, target: Path, kind: Kind, suffix: str) -> None:
    """Refuse a folder where a file is to be, and one that holds other things than frames of ours."""
    if suffix != FOLDER or FOLDER not in kind.suffixes:
        raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
    if is_taken(target) and not kind.wrote(target):
        raise OutputError(
            f"cannot write {path}: it is a folder that holds other things than frames as motionlift wrote them; name a file in it, "
            "or a new folder"
        )


def _check_permissions(path: str | Path, target: Path) -> None:
    """Refuse what its owner marked read-only: respected even where, as for root, the system would let us."""
    for place in (target.parent, target):
        if place.exists() and not place.stat().st_mode & 0o222:
            raise OutputError(f"cannot write {path}: {place} is read-only; choose another place")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"cannot write {path}: it may not be overwritten; choose another name")


def is_taken(path: Path) -> bool:
    """Whether something is there that writing would replace; an empty folder is nothing."""
    return any(path.iterdir()) if path.is_dir() else path.exists()


def named_beside(video: Path, suffix: str) -> Path:
    """The name of :func:`companion`, whatever is there."""
    return video.with_suffix(suffix) if video.suffix.lower() == ".mp4" else video.with_name(video.name + suffix)


def companion(path: str | Path, suffix: str) -> Path:
    """The file that goes with a video: ``x.json`` with ``x.mp4``, ``x.gif.json`` with ``x.gif``, ``x.json`` with a folder ``x``.

    Raises:
        OutputError: as :func:`check_named`; or that file goes with another video of the folder, whose suffix is in other letters:
            ``x.MP4`` beside ``x.mp4``.
    """
    check_named(path)
    video = Path(path)
    other = named_beside(video, suffix)
    if video.suffix.lower() != ".mp4" or not other.exists():
        return other
    with suppress(OSError):  # as where there is no such folder: writing says so
        alike = [own for own in video.parent.glob("*") if own.stem == video.stem and own.suffix.lower() == ".mp4"]
        others = [own.name for own in alike if own.name != video.name and not (video.exists() and own.samefile(video))]
        if others and other.exists():
            raise OutputError(f"cannot write {other}: it goes with {others[0]}; choose another name than {video.name}")
    return other


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A path for the file until it is whole; afterwards nothing is there, even where a stop comes while it is removed."""
    temporary = _beside(target)
    try:
        try:
            yield temporary
        finally:
            _discard(temporary)
    finally:
        _discard(temporary)  # again: a stop is raised once, and may have been raised in the first


def _beside(target: Path) -> Path:
    """A name for the file until it is whole."""
    _clean_once(target.parent)
    return target.with_name(f".motionlift-{machine()}-{os.getpid()}-{secrets.token_hex(8)}.tmp")


@functools.lru_cache(maxsize=1024)
def _clean_once(folder: Path) -> None:
    """Remove what was left in a folder, the first time that this process writes there: looking through large ones takes long."""
    remove_leftovers(folder)


def remove_leftovers(folder: Path, all_of_them: bool = False) -> None:
    """Remove what processes that are gone left of files in a folder; ``all_of_them`` where none can be at work there."""
    with suppress(OSError):
        for path in folder.iterdir():
            named = TEMPORARY.fullmatch(path.name)
            if named is not None and not path.is_symlink() and (all_of_them or _is_left(path, named)):
                _discard(path)


def _is_left(path: Path, named: re.Match[str]) -> bool:
    """Whether nobody writes a file any more."""
    if named["machine"] == machine() and os.name == "posix":  # elsewhere the question would end the process
        try:
            os.kill(int(named["process"]), 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:  # there is one, another user's
            pass
    return time.time() - path.stat().st_mtime > STALE_AFTER


@functools.cache
def machine() -> str:
    """Where the numbers of processes mean the same: one start of one machine, and one container on it."""
    told = [platform.node()]
    with suppress(OSError):
        told += [
            Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8"),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:8]


def _discard(temporary: Path) -> None:
    if temporary.is_dir() and not temporary.is_symlink():
        shutil.rmtree(temporary, ignore_errors=True)
        return
    with suppress(OSError):  # as in a folder that takes no files, where it was never made
        temporary.unlink()


def _take_place(temporary: Path, target: Path) -> None:
    """Put what was written in its place; a folder that is there makes room first, and comes back should that fail."""
    if not (temporary.is_dir() and target.is_dir()):
        os.replace(temporary, target)
        return
    with _temporary(target) as former:
        os.replace(target, former)
        try:
            os.replace(temporary, target)
        except BaseException:
            os.replace(former, target)
            raise


def _named_so(kind: Kind) -> str:
    """How names of a kind may end."""
    files = [suffix for suffix in kind.suffixes if suffix != FOLDER]
    more = "; a name that ends in none is a folder of PNG" if FOLDER in kind.suffixes else ""
    return f"the name must end in {' or '.join(files)}{more}"


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"cannot write {path}: the disk is full; free some space or choose another place")
    reason = error.strerror if isinstance(error, OSError | FFmpegError) and error.strerror else str(error)
    return OutputError(f"cannot write {str(path)!r}: {reason}; choose another place")
