"""Frames of animated pictures, GIF, PNG and WebP, as browsers show them, each for as long as it says."""

import io
import struct
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from motionlift.video.clock import calm
from motionlift.video.files import broken, check_size
from motionlift.video.flattening import frame_of, quiet
from motionlift.video.layers import GIF_CONTROL, Opened, composed, gif_layers, png_layers
from motionlift.video.moment import Moment

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    UnidentifiedImageError,
)
"""What Pillow raises at damaged files."""
WEBP_FLAGS, WEBP_ALPHA = 20, 0x10
"""Where an extended WebP has its flags, and the one that says that it may be transparent (specification of the WebP container)."""
HEAD = 30
"""Bytes at a file's start by which its kind and size are known."""
UNENDED = "the GIF lacks its last byte: the pictures that are there were taken"
"""What is said of one that ends behind a whole picture; browsers show it."""


def kind_of(source: Path) -> str:
    """``GIF``, ``PNG``, ``WEBP`` where it is an extended one, which alone may move, or nothing: by the first bytes of a file."""
    with source.open("rb") as file:
        head = file.read(HEAD)
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    return "WEBP" if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" else ""


def animated_moments(source: Path, kind: str) -> Generator[Moment, None, None]:
    """The pictures of an animated one.

    Args:
        source: the file.
        kind: as :func:`kind_of` says.

    Raises:
        InputError: it is damaged or cut short, as far as Pillow notices, or too large.
    """
    time, count = 0.0, 0
    try:
        check_size(source, *_size(source, kind))
        with _opened(source, kind) as file:
            unended = kind == "GIF" and _lacks_end(file)
            file.seek(0)
            for picture, seconds in _pictures(file, kind):
                shown = calm(seconds)
                notices = (UNENDED,) if unended and not count else ()
                yield Moment(frame_of(picture), time, time + shown, notices=notices)
                time, count = time + shown, count + 1
    except UNREADABLE as error:
        raise broken(source, count, time) from error


def _opened(source: Path, kind: str) -> Opened:
    """The file; a WebP with the flag that says that it may be transparent.

    Where no picture of it is transparent itself, but all are smaller than the whole, encoders leave the flag out, and Pillow then
    takes what is around them for black.
    """
    if kind != "WEBP":
        return source.open("rb")
    data = bytearray(source.read_bytes())
    data[WEBP_FLAGS] |= WEBP_ALPHA
    return io.BytesIO(data)


def _size(source: Path, kind: str) -> tuple[int, int]:
    """Width and height in pixels, of the header alone: nothing is decoded."""
    with source.open("rb") as file:
        head = file.read(HEAD)
    if len(head) < HEAD:
        raise EOFError("the header is cut short")
    if kind == "GIF":
        return struct.unpack("<HH", head[6:10])
    if kind == "PNG":
        return struct.unpack(">II", head[16:24])
    return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1


def _lacks_end(file: Opened) -> bool:
    """Whether a GIF ends behind a whole picture and without its last byte (by GIF89a, of blocks in parts)."""
    flags = file.read(13)[10]
    if flags & 0x80:
        file.seek(3 << (1 + (flags & 7)), 1)
    drawn = False
    while kind := file.read(1):
        if kind == b"!":
            drawn = file.read(1) != GIF_CONTROL and drawn
        elif kind == b",":
            flags = (file.read(9) or b"\0")[-1]
            file.seek((3 << (1 + (flags & 7)) if flags & 0x80 else 0) + 1, 1)
            drawn = True
        else:
            return False
        while size := file.read(1):
            if size == b"\0":
                break
            file.seek(size[0], 1)
        else:
            return False
    return drawn


def _pictures(file: Opened, kind: str) -> Iterator[tuple[Image.Image, float]]:
    """The pictures of an animated one, and for how many seconds each says that it is shown.

    Raises:
        Exception: one of :data:`UNREADABLE`, for a damaged file.
    """
    with quiet():
        picture = Image.open(file, formats=(kind,))
    several = kind == "GIF" or getattr(picture, "is_animated", False)
    if kind == "WEBP" or not several:
        for number in range(getattr(picture, "n_frames", 1)):
            with quiet():
                picture.seek(number)
                picture.load()
            yield picture, float(picture.info.get("duration", 0)) / 1000
        return
    file.seek(0)
    for whole, seconds in composed(gif_layers(file) if kind == "GIF" else png_layers(file), picture.size):
        if "exif" in picture.info:
            whole.info["exif"] = picture.info["exif"]  # how it is turned
        yield whole, seconds
