"""What is allowed of videos: sizes, rates, lengths."""

import numpy as np
from jaxtyping import UInt8

from motionlift.errors import SettingError

Rate = float | int | np.floating | np.integer
"""Frames a second, as programs hold it."""
Image = UInt8[np.ndarray, "height width 3"]
"""One frame, RGB."""

FRAMES = (2, 10_000)
"""Fewest and most frames of a video that is read or made (ours: those beyond a model's own length are made in windows)."""
MOST_STREAMED = 3000
"""Most frames of a video that is gone through frame by frame (ours: 2500 tracks through them take some hundred megabytes)."""
LONGEST = 512
"""Longest side, in pixels, that streamed frames are scaled down to by default (ours: that of :meth:`Clip.read`)."""
RATES = (0.1, 240.0)
"""Lowest and highest frames a second (ours)."""
SIDES = (8, 16384)
"""Shortest and longest side of a video that is read, in pixels (ours)."""
MOST_PIXELS = 8192 * 8192
"""Most pixels of one frame of a video that is read (ours: above 8K; a decoder holds up to 17 frames)."""
MOST_BYTES = 4 << 30
"""Most memory for the frames of one clip (ours)."""


FITS = ("crop", "pad", "stretch")
"""How frames get another shape: their middle is cut out, black is laid around them, or their sides are scaled apart."""


# Checks


def check_reading(frames: int, fps: float | int, aspect: tuple[int, int], longest: int, fit: str) -> None:
    """Refuse what :meth:`motionlift.video.clip.Clip.read` is not to be asked for.

    Raises:
        SettingError: a number out of range, or a way to fit that does not exist.
    """
    if not is_whole(frames) or not FRAMES[0] <= frames <= FRAMES[1]:
        raise SettingError(f"frames is {frames!r}; give a whole number from {FRAMES[0]} to {FRAMES[1]}")
    check_rate(fps)
    if len(aspect) != 2:
        raise SettingError(f"aspect is {aspect!r}; give height and width")
    check_side("height of the aspect", aspect[0])
    check_side("width of the aspect", aspect[1])
    check_side("longest", longest)
    check_fit(fit)


def check_fit(fit: str) -> None:
    """Refuse a way to fit that does not exist.

    Raises:
        SettingError: it does not.
    """
    if fit not in FITS:
        raise SettingError(f"fit is {str(fit)[:40]!r}; allowed is {' or '.join(FITS)}")


def check_rate(fps: float | int) -> None:
    """Refuse a rate out of :data:`RATES`.

    Raises:
        SettingError: it is out of range, or no number.
    """
    number = isinstance(fps, int | float) and not isinstance(fps, bool)
    if not number or not RATES[0] <= fps <= RATES[1]:
        raise SettingError(f"fps is {fps!r}; give a number from {RATES[0]:g} to {RATES[1]:g}")


def check_side(name: str, side: int) -> None:
    """Refuse a number of pixels, told by name, out of 1 to the longest of :data:`SIDES`.

    Raises:
        SettingError: it is out of range, or no whole number.
    """
    if not is_whole(side) or not 1 <= side <= SIDES[1]:
        raise SettingError(f"{name} is {side!r}; give a whole number of pixels from 1 to {SIDES[1]}")


def check_bytes(frames: int, height: int, width: int) -> None:
    """Refuse frames that take more than :data:`MOST_BYTES`.

    Raises:
        SettingError: they would.
    """
    if frames * height * width * 3 > MOST_BYTES:
        raise SettingError(
            f"{frames} frames of {width}x{height} take more than {MOST_BYTES >> 30} GiB; ask for fewer or smaller ones"
        )


def plain(number: Rate) -> float | int:
    """NumPy's numbers as Python's; what is no number as it is."""
    return float(number) if isinstance(number, np.floating | np.integer) else number


def is_whole(number: object) -> bool:
    """Whether it is a whole number; true and false are none."""
    return isinstance(number, int) and not isinstance(number, bool)
