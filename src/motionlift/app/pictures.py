"""Pictures that visitors bring: looked at by their header before anything is decoded."""

import shutil
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from motionlift.app.uploads import PICTURES, arriving, check_bytes, named_plainly
from motionlift.app.workspace import Workspace, plain_name
from motionlift.errors import InputError
from motionlift.video.animated import UNREADABLE, quiet
from motionlift.video.files import hash_of_file
from motionlift.video.fitting import resized_image
from motionlift.video.picture import FORMATS, read_picture

MOST_PIXELS = 40_000_000
"""Most pixels of a picture (ours: larger than those of phones)."""
LONGEST = 1024
"""Longest side of a picture as it is shown and dragged, pixels (ours: twice that of the clip)."""
DIGITS, MOST_STEM = 12, 40
"""Digits of a picture's hash in its name, so that the same one lies there once; and most letters before it (ours)."""
SUFFIXES = (*PICTURES, ".gif")
"""How names of pictures end; what is in a file is seen when it is read."""
Picture = UInt8[np.ndarray, "height width 3"]
_READING = Lock()
"""Held while a picture is read: of those that come at once one is in memory as it is, and the others as they are shown."""


def picture_of(place: str) -> Picture:
    """A picture as it is shown, at most :data:`LONGEST` pixels a side; nothing of one that is too large is decoded.

    Args:
        place: where what was uploaded lies.

    Raises:
        InputError: it has more than :data:`MOST_PIXELS` pixels, or is none.
    """
    with _READING, named_plainly(Path(place)):
        return _read(Path(place))


@lru_cache(maxsize=16)
def _read(place: Path) -> Picture:
    """The same; what is uploaded lies under a hash of its bytes, so that it is known by its place."""
    size = _size(place)
    if size is None or size[0] * size[1] > MOST_PIXELS:
        told = f"is {size[0]}x{size[1]}" if size else "has too many pixels"
        raise InputError(f"the picture {told}; allowed are {MOST_PIXELS // 10**6} million pixels: make it smaller")
    picture = read_picture(place).frames[0].numpy()
    scale = min(1.0, LONGEST / max(picture.shape[:2]))
    return resized_image(picture, *(max(1, round(side * scale)) for side in picture.shape[:2]))


def _size(place: Path) -> tuple[int, int] | None:
    """Width and height by the header alone; none where Pillow reads no picture that is so large."""
    try:
        with quiet(), Image.open(place, formats=FORMATS) as picture:
            return picture.size
    except Image.DecompressionBombError:
        return None
    except UNREADABLE as error:
        raise InputError(f"{place} is no picture, or is damaged; give a file of {', '.join(FORMATS)}") from error


def taken_picture(upload: Path, workspace: Workspace) -> str:
    """Take a picture that videos are to begin with into the workspace; one that is there stays as it is.

    Returns:
        Its name there.

    Raises:
        InputError: it is none, too large, or more than the visitor may have.
        OutputError: there is no room.
    """
    check_bytes(upload, workspace)
    picture_of(str(upload))
    suffix = upload.suffix.lower() if upload.suffix.lower() in SUFFIXES else ".png"
    name = f"{plain_name(upload.stem, 'picture', most=MOST_STEM)} {hash_of_file(upload)[:DIGITS]}"
    if (workspace.folder / f"{name}{suffix}").is_file():
        return f"{name}{suffix}"
    with workspace.placed(name, suffix) as place, arriving(place) as part:
        shutil.copyfile(upload, part)
    return place.name
