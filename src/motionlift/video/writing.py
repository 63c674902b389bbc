"""Files written whole or not at all, in the place of none but our own, and the MP4 encoder.

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
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from motionlift.errors import OutputError
from motionlift.video.marks import CLIP, Kind, marked_json, seal

CRF = "10"
"""x264's quality of written videos, visually lossless (ours: 64x64 videos of saturated shapes show any loss)."""
X264 = "mbtree=0:rc-lookahead=0"
"""Without looking ahead: with it, x264 gave different bytes for the same small frames from run to run (ours)."""
ENCODER_THREADS = 1
"""Threads of the encoder (ours): x264's output depends on their number, and the same clip is to give the same bytes."""


TEMPORARY = re.compile(r"\.motionlift-(?:(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]+)-)?[0-9a-f]{16}\.tmp")
"""Names of files that are being written: machine and process, which versions up to 0.1 did not say, and something random."""
STALE_AFTER = 24 * 3600
"""Seconds without a change after which nobody writes a file any more (ours: a write takes minutes)."""
LOG = logging.getLogger(__name__)


def check_output(path: str | Path, kind: Kind = CLIP) -> None:
    """Make sure, before long work, that a file can be written at ``path``, by writing a small one beside it.

    Raises:
        OutputError: as :func:`check_place`; not writable, or a full disk.
    """
    target = check_place(path, kind)
    with _temporary(target) as temporary:
        try:
            temporary.write_bytes(bytes(1 << 16))
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from error


@contextmanager
def replacing(path: str | Path, kind: Kind = CLIP) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there takes its place once the block ends well.

    Whatever goes wrong inside, Ctrl-C included, leaves neither the temporary file nor a change at ``path``. The caller writes the
    mark of the kind.

    Raises:
        OutputError: as :func:`check_output`.
    """
    target = check_place(path, kind)
    with _temporary(target) as temporary:
        try:
            yield temporary
            check_place(path, kind)  # somebody may have put a file there meanwhile
            os.replace(temporary, target)
            LOG.info("wrote %s", path)
        except (OSError, FFmpegError) as error:
            raise _unwritable(path, error) from error


def write_json(path: Path, kind: Kind, content: Mapping[str, Any], indent: int) -> dict[str, Any]:
    """Write JSON with the mark of its kind to a temporary path; returns it as it was written."""
    marked = marked_json(kind, content)
    path.write_text(json.dumps(marked, indent=indent), encoding="utf-8")
    return marked


def write_video(path: Path, frames: np.ndarray, fps: float, kind: Kind) -> None:
    """Encode frames with the mark of their kind to a temporary path."""
    encode(path, frames, fps)
    seal(path, kind)


# Encoding


def encode(path: Path, frames: np.ndarray, fps: float) -> None:
    """Write frames as H.264, in BT.709 and limited range, and tagged so."""
    frames = np.pad(frames, [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)], mode="edge")
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": CRF, "preset": "medium", "x264-params": X264}
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = ENCODER_THREADS
        stream.codec_context.colorspace = 1  # BT.709 in AVColorSpace, whose numbers are not those of Colorspace
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.color_trc = ColorTrc.BT709
        stream.codec_context.color_primaries = ColorPrimaries.BT709
        for number, image in enumerate(frames):
            frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.AREA,
            )
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


# Output files


def check_place(path: str | Path, kind: Kind) -> Path:
    """The real file behind ``path``, after what can be said without writing.

    Raises:
        OutputError: another suffix, a folder, no parent folder, read-only, or there is a file that this program did not write.
    """
    if kind.suffixes and Path(path).suffix.lower() not in kind.suffixes:
        raise OutputError(f"cannot write {str(path)!r}: the name must end in {' or '.join(kind.suffixes)}")
    try:
        target = Path(path).resolve()
        if target.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
        if target.exists() and not target.is_file():
            raise OutputError(f"cannot write {path}: it is not a regular file; choose another name")
        if not target.parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {target.parent}; make it first")
        # Marked read-only by its owner: respected even where, as for root, the system would let us.
        for place in (target.parent, target):
            if place.exists() and not place.stat().st_mode & 0o222:
                raise OutputError(f"cannot write {path}: {place} is read-only; choose another place")
        if target.exists() and not os.access(target, os.W_OK):
            raise OutputError(f"cannot write {path}: it may not be overwritten; choose another name")
        if target.exists() and not kind.wrote(target):
            raise OutputError(
                f"cannot write {path}: the file that is there is no {kind.name} as motionlift wrote it; choose another name, or "
                "remove it"
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise _unwritable(path, error) from error
    return target


def companion(path: str | Path, suffix: str) -> Path:
    """The file that goes with a video: its name with another suffix.

    Raises:
        OutputError: that file goes with another video of the folder, whose suffix is in other letters: ``x.MP4`` beside ``x.mp4``.
    """
    video = Path(path)
    other = video.with_suffix(suffix)
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
    return target.with_name(f".motionlift-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.tmp")


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
    if named["machine"] == _machine() and os.name == "posix":  # elsewhere the question would end the process
        try:
            os.kill(int(named["process"]), 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:  # there is one, another user's
            pass
    return time.time() - path.stat().st_mtime > STALE_AFTER


@functools.cache
def _machine() -> str:
    """Where the numbers of processes mean the same: one start of one machine, and one container on it."""
    told = [platform.node()]
    with suppress(OSError):
        told += [
            Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8"),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:8]


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # as in a folder that takes no files, where it was never made
        temporary.unlink()


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"cannot write {path}: the disk is full; free some space or choose another place")
    reason = error.strerror if isinstance(error, OSError | FFmpegError) and error.strerror else str(error)
    return OutputError(f"cannot write {str(path)!r}: {reason}; choose another place")
