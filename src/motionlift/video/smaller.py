"""A video made small, to be looked at where its bytes count."""

import math
import tempfile
from pathlib import Path

import numpy as np

from motionlift.video.encoding import write_small
from motionlift.video.footage import Footage

MOST_FRAMES = 241
"""Most frames of a small video; of more, every second, third, ... (ours: ten seconds at the rate of most models)."""
SMALLEST_SIDE = 60
"""Longest side below which none is made smaller (ours)."""


def smaller(source: Path, longest: int, most: int) -> bytes | None:
    """A video as an MP4 that is small, as fast as the other; none where it cannot be made small enough.

    Args:
        source: a video file.
        longest: longest side, pixels; where that takes too many bytes, half of it, and so on.
        most: bytes that it may have.

    Raises:
        InputError: it cannot be read, or has more frames than are streamed.
    """
    seen = Footage.of(source, longest)
    every = math.ceil(seen.frames / MOST_FRAMES)
    frames = np.stack([image for number, image in enumerate(seen) if number % every == 0])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "small.mp4")
        write_small(place, frames, max(seen.fps / every, 0.1))
        made = place.read_bytes()
    if len(made) <= most:
        return made
    return smaller(source, longest // 2, most) if longest // 2 >= SMALLEST_SIDE else None
