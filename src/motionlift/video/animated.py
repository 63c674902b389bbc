"""Frames of animated pictures, GIF, PNG and WebP, as Pillow decodes them, each shown for as long as it says."""

import io
import struct
import warnings
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from av.video.frame import VideoFrame
from PIL import Image, UnidentifiedImageError

from motionlift.video.clock import calm
from motionlift.video.files import broken, check_size
from motionlift.video.flattening import frame_of
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
GIF_CONTROL = b"\xf9"
"""Kind of the block that says how the picture behind it is shown (GIF89a, section 23)."""
GIF_END = b";"
"""The last byte of a GIF."""
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
            picture = _picture(file, (kind,))
            for frame in _frames(picture, unended):
                shown = calm(float(picture.info.get("duration", 0)) / 1000)
                yield Moment(frame, time, time + shown, notices=(UNENDED,) if unended and not count else ())
                time, count = time + shown, count + 1
    except UNREADABLE as error:
        raise broken(source, count, time) from error


def _opened(source: Path, kind: str) -> io.BufferedReader | io.BytesIO:
    """The file; a WebP with the flag that says that it may be transparent.

    Where no picture of it is transparent itself, but all are smaller than the whole, encoders leave the flag out, and Pillow then
    takes what is around them for black.
    """
    if kind != "WEBP":
        return source.open("rb")
    data = bytearray(source.read_bytes())
    data[WEBP_FLAGS] |= WEBP_ALPHA
    return io.BytesIO(data)


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow warns of damage on the terminal, where it goes on all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _picture(file: io.BufferedReader | io.BytesIO, formats: tuple[str, ...]) -> Image.Image:
    with quiet():
        return Image.open(file, formats=formats)


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


def _lacks_end(file: io.BufferedReader | io.BytesIO) -> bool:
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


def _frames(picture: Image.Image, unended: bool) -> Iterator[VideoFrame]:
    """The frames of an open picture; what it says of one is known once that one is given.

    Args:
        picture: the picture.
        unended: whether it is a GIF that ends behind a whole picture, without its last byte.

    Raises:
        Exception: one of :data:`UNREADABLE`, for a damaged file.
    """
    first = 1 if picture.info.get("default_image") else 0  # a PNG's picture for those who show no animation
    promised = None if picture.format == "GIF" else getattr(picture, "n_frames", 1)
    number = first
    while promised is None or number < promised:
        try:
            with quiet():
                picture.seek(number)
                frame = frame_of(picture)
        except EOFError:
            if promised is None and (unended or _is_ended(picture)):
                return
            raise
        yield frame
        number += 1


def _is_ended(picture: Image.Image) -> bool:
    """Whether reading a GIF has come to its end, and not to that of a file which is cut short."""
    file = getattr(picture, "fp", None)
    if file is None:
        return True
    file.seek(-1, 1)
    return file.read(1) == GIF_END
