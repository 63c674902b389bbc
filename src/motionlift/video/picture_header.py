"""A look at a picture by its header: it is told before anything is decoded, and before PyTorch is imported."""

from pathlib import Path

from PIL import Image

from motionlift.errors import InputError
from motionlift.video.animated import UNREADABLE


def check_picture(path: str | Path, advice: str) -> None:
    """Refuse what Pillow does not know; more is looked at once it is read.

    Args:
        path: the file, which is there.
        advice: what to do.

    Raises:
        InputError: it is no picture.
    """
    try:
        Image.open(path).close()
    except UNREADABLE as error:
        raise InputError(f"{path} is no picture, or is damaged; {advice}") from error
