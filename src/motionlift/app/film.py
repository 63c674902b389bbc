"""The whole of a clip as a strip of frames, on which a touch lays where the part that is read begins or ends."""

from pathlib import Path

import numpy as np

from motionlift.video.footage import Footage
from motionlift.video.limits import Image

WIDE, SIDE = 8, 160
"""How many times as wide as high the strip is, about, and the longest side of its frames in pixels (ours: a column of the page)."""
DIM = 4
"""By what is divided what is not read (ours: it can still be made out)."""


def film(source: Path, start: float, duration: float | None) -> tuple[Image, float]:
    """Frames of a whole clip beside each other, dark where they are not read, and how many seconds the clip plays.

    Args:
        source: the clip.
        start: where the part begins, seconds.
        duration: how long it is; none to the end.

    Raises:
        InputError: it cannot be read, or has more frames than a :class:`motionlift.video.footage.Footage`.
    """
    footage = Footage.of(source, SIDE)
    count = min(footage.frames, max(2, round(WIDE * footage.height / footage.width)))
    numbers = set(np.linspace(0, footage.frames - 1, count).round().astype(int).tolist())
    strip = np.concatenate([frame for number, frame in enumerate(footage) if number in numbers], axis=1)
    ends = start, footage.seconds if duration is None else start + duration
    first, last = (round(strip.shape[1] * min(1.0, end / footage.seconds)) for end in ends)
    shown = strip // DIM
    shown[:, first:last] = strip[:, first:last]
    return shown, footage.seconds


def touched(share: float, start: float, duration: float | None, seconds: float) -> tuple[float, float]:
    """Start and duration after a touch of the strip: the nearer end of the part moves there.

    Args:
        share: where it was touched, from the left, 0..1.
        start: where the part begins, seconds.
        duration: how long it is; none to the end.
        seconds: how long the clip plays.

    Returns:
        Both in seconds, a duration of 0 for one to the end.
    """
    at, end = share * seconds, seconds if duration is None else min(seconds, start + duration)
    if abs(at - start) <= abs(at - end):
        return round(at, 2), 0.0 if duration is None else round(end - at, 2)
    return start, round(at - start, 2)
