"""What Pillow opened, as pixels of eight bits."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image, ImageOps
from PIL.PpmImagePlugin import PpmImageFile

from motionlift.errors import InputError

WIDE = "I"
"""Pillow's mode of integers of 32 bits, in which those of 16 bits may come."""
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", WIDE)
"""Pillow's modes of sixteen bits a pixel."""


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow warns of damage on the terminal, where it goes on all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def eight_bits(picture: Image.Image, name: str = "the picture") -> Image.Image:
    """A picture of RGB, or of RGBA where parts may be transparent, turned as cameras say.

    Args:
        picture: the picture.
        name: what it is called in messages.

    Raises:
        InputError: it holds floats, or integers of 32 bits, of which nothing says what is white.
    """
    if picture.mode == "F":
        raise InputError(
            f"{name} is a picture of floats, which does not say what is white; save it with 8 or 16 bits, such as PNG"
        )
    picture = _scaled_ppm(picture)
    if _is_wide(picture):
        raise InputError(
            f"{name} holds integers of 32 bits, or signed ones, which do not say what is white; save it with 8 or 16 bits, such as "
            "PNG"
        )
    turned = ImageOps.exif_transpose(picture)
    if turned.mode in DEEP:
        deep = np.asarray(turned).astype(np.int64).clip(0, 65535)
        turned = Image.fromarray((deep >> 8).astype(np.uint8))
    return turned.convert("RGBA" if turned.has_transparency_data else "RGB")


def _is_wide(picture: Image.Image) -> bool:
    """Whether a picture is of integers beyond the sixteen bits as which Pillow gives deep PPM in the same mode."""
    if picture.mode != WIDE:
        return False
    if picture.format == "TIFF":  # which has a mode of its own for sixteen bits
        return True
    pixels = np.asarray(picture)
    return bool(pixels.min() < 0 or pixels.max() > 65535)


def _scaled_ppm(picture: Image.Image) -> Image.Image:
    """A PPM that is open and whose white is not 255, in eight bits: Pillow scales such numbers one by one, in seconds a frame."""
    if not isinstance(picture, PpmImageFile) or picture.fp is None or not picture.tile:
        return picture
    codec, _, start, arguments = picture.tile[0]
    if codec != "ppm" or not isinstance(arguments, tuple):
        return picture
    white = int(arguments[1])
    shape = (picture.height, picture.width, len(picture.getbands()))
    kind = np.dtype(">u2" if white > 255 else "u1")
    picture.fp.seek(start)
    numbers = np.frombuffer(picture.fp.read(math.prod(shape) * kind.itemsize), kind).reshape(shape)
    return Image.fromarray(np.rint(numbers.clip(0, white) * np.float32(255 / white)).astype(np.uint8).squeeze())


def frame_of(picture: Image.Image, name: str = "the picture") -> VideoFrame:
    """A picture, told by name, as a frame of a video.

    Raises:
        InputError: as :func:`eight_bits` says.
    """
    flat = eight_bits(picture, name)
    return VideoFrame.from_ndarray(np.asarray(flat), format="rgb24" if flat.mode == "RGB" else "rgba")
