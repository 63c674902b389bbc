"""Files written whole or not at all, and the MP4 encoder."""

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from motionlift.errors import OutputError

CRF = "10"
"""x264's quality of written videos, visually lossless (ours: 64x64 videos of saturated shapes show any loss)."""
X264 = "mbtree=0:rc-lookahead=0"
"""Without looking ahead: with it, x264 gave different bytes for the same small frames from run to run (ours)."""
ENCODER_THREADS = 1
"""Threads of the encoder (ours): x264's output depends on their number, and the same clip is to give the same bytes."""


def check_output(path: str | Path, suffixes: Sequence[str] = (".mp4",)) -> None:
    """Make sure, before long work, that a file can be written at ``path``, by writing a small one beside it.

    Raises:
        OutputError: another suffix, a folder, no parent folder, not writable, or a full disk.
    """
    target = _writable(path, suffixes)
    temporary = _beside(target)
    try:
        temporary.write_bytes(bytes(1 << 16))
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    finally:
        _discard(temporary)


@contextmanager
def replacing(path: str | Path, suffixes: Sequence[str] = (".mp4",)) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there takes its place once the block ends well.

    Whatever goes wrong inside, Ctrl-C included, leaves neither the temporary file nor a change at ``path``.

    Raises:
        OutputError: as :func:`check_output`.
    """
    target = _writable(path, suffixes)
    temporary = _beside(target)
    try:
        yield temporary
        os.replace(temporary, target)
    except (OSError, FFmpegError) as error:
        raise _unwritable(path, error) from error
    finally:
        _discard(temporary)


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


def _writable(path: str | Path, suffixes: Sequence[str]) -> Path:
    """The real file behind ``path``, after what can be said without writing."""
    if Path(path).suffix.lower() not in suffixes:
        raise OutputError(f"cannot write {str(path)!r}: the name must end in {' or '.join(suffixes)}")
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
    except (OSError, ValueError, RuntimeError) as error:
        raise _unwritable(path, error) from error
    return target


def _beside(target: Path) -> Path:
    return target.with_name(f".motionlift-{secrets.token_hex(8)}.tmp")


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # as in a folder that takes no files, where it was never made
        temporary.unlink()


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"cannot write {path}: the disk is full; free some space or choose another place")
    reason = error.strerror if isinstance(error, OSError | FFmpegError) and error.strerror else str(error)
    return OutputError(f"cannot write {str(path)!r}: {reason}; choose another place")
