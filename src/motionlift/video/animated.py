"""Frames of animated WebP, which libavformat does not read."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image, UnidentifiedImageError

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    UnidentifiedImageError,
)
"""What Pillow raises at damaged files."""


def is_animated_webp(source: Path) -> bool:
    """Whether a file is a WebP of several pictures: its extended header has the bit of an animation set."""
    with source.open("rb") as file:
        head = file.read(21)
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def size_of_webp(source: Path) -> tuple[int, int]:
    """Width and height in pixels, of the header alone: nothing is decoded."""
    with source.open("rb") as file:
        head = file.read(30)
    if len(head) < 30:
        raise EOFError("the header is cut short")
    return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1


def webp_frames(source: Path) -> Iterator[tuple[VideoFrame, float]]:
    """The frames of an animated WebP as RGBA, each with the seconds that it says it is shown.

    Raises:
        Exception: one of :data:`UNREADABLE`, for a damaged file.
    """
    with Image.open(source, formats=("WEBP",)) as picture:
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            image = picture.convert("RGBA")
            yield VideoFrame.from_ndarray(np.asarray(image), format="rgba"), picture.info.get("duration", 0) / 1000
