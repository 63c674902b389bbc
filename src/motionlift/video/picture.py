"""Pictures that videos begin with: read from files whatever their kind, turned, and fitted to a video's frame."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from motionlift.errors import InputError
from motionlift.video.animated import UNREADABLE
from motionlift.video.clip import Clip
from motionlift.video.files import existing_file, hash_of_file
from motionlift.video.flattening import eight_bits
from motionlift.video.limits import MOST_PIXELS, SIDES

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Formats that are read; of those that move, the first picture."""
BACKGROUND = (128, 128, 128)
"""What lies behind what is transparent (ours: middle grey, which is the zero of a model's pixels)."""


def read_picture(given: "str | Path | Image.Image | Clip") -> Clip:
    """A picture as a clip of one frame, at its own size.

    Args:
        given: a file, a picture of Pillow's, or a clip, whose first frame is taken.

    Raises:
        InputError: no such file, no picture, damaged, or too small or too large.
    """
    if isinstance(given, Clip):
        return replace(given, frames=given.frames[:1])
    if isinstance(given, Image.Image):
        frames, notices = _flattened(given)
        return Clip(frames, 1.0, hashlib.sha256(frames.numpy().data).hexdigest(), notices)
    source = existing_file(given, "a picture")
    try:
        with Image.open(source, formats=FORMATS) as picture:
            _check_size(picture, str(given))
            frames, notices = _flattened(picture)
    except UNREADABLE as error:
        raise InputError(f"{given} is no picture, or is damaged; give a file of {', '.join(FORMATS)}") from error
    return Clip(frames, 1.0, hash_of_file(source), notices)


def fitted(picture: Clip, height: int, width: int) -> Clip:
    """A picture at the size of a video: the middle of it, as much as has that shape. What that took is told.

    Raises:
        SettingError: a side out of range.
    """
    rows, columns = picture.frames.shape[1:3]
    cut = replace(picture, notices=()).cropped((height, width))
    notices = tuple(f"the picture: {notice}" for notice in cut.notices)
    if cut.frames.shape[1] < height:
        notices += (f"the picture of {columns}x{rows} was enlarged for {width}x{height}: it will look soft",)
    elif not notices and (rows, columns) != (height, width):
        notices = (f"the picture of {columns}x{rows} was made {width}x{height}",)
    return replace(cut.resized(height, width), notices=(*picture.notices, *notices))


def _check_size(picture: Image.Image, name: str) -> None:
    """Refuse by the header alone."""
    low, high = SIDES
    if not all(low <= side <= high for side in picture.size) or picture.width * picture.height > MOST_PIXELS:
        raise InputError(
            f"{name} is a picture of {picture.width}x{picture.height}; allowed are sides of {low} to {high} pixels, and at most "
            f"{MOST_PIXELS} of them: make it smaller"
        )


def _flattened(picture: Image.Image) -> tuple[torch.Tensor, tuple[str, ...]]:
    """The one frame of a picture, ``(1, height, width, 3)``: turned as cameras say, on grey where it is transparent."""
    flat = eight_bits(picture)
    notices: tuple[str, ...] = ()
    if flat.mode == "RGBA":
        if np.asarray(flat)[..., 3].min() < 255:
            notices = ("the picture is transparent in parts: they are shown grey",)
        flat = Image.alpha_composite(Image.new("RGBA", flat.size, (*BACKGROUND, 255)), flat)
    return torch.from_numpy(np.array(flat.convert("RGB")))[None], notices
