"""Which part of a video's picture is read, shown on its first frame."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from motionlift.video.colour import rgb_of
from motionlift.video.files import existing
from motionlift.video.fitting import Fitting, begin, canvas_of, resized_image
from motionlift.video.moment import upright, upright_size
from motionlift.video.moving import Watch
from motionlift.video.part import MOTION, WHOLE, Part
from motionlift.video.reading import first_frames, moments_of, one_frame, sampled_frames

LONGEST = 480
"""Longest side of the picture, pixels (ours: as wide as a page's column)."""
SMALL = 64
"""Longest side at which frames are read to see where things move, pixels (ours: the watch looks at the whole ones itself)."""
DIM = 4
"""By what is divided what a crop leaves out (ours: it can still be made out)."""


@dataclass(frozen=True)
class Outline:
    """A whole frame and the part of it that is read."""

    picture: UInt8[np.ndarray, "height width 3"]
    """The frame, upright, with square pixels."""
    rows: tuple[float, float]
    """Where the part begins and ends, as shares of the height from the top."""
    columns: tuple[float, float]
    """Likewise of the width, from the left."""

    @property
    def dimmed(self) -> UInt8[np.ndarray, "height width 3"]:
        """The frame, dark where it is not read."""
        height, width = self.picture.shape[:2]
        (top, bottom), (left, right) = (
            (round(low * side), round(high * side))
            for (low, high), side in ((self.rows, height), (self.columns, width))
        )
        shown = self.picture // DIM
        shown[top:bottom, left:right] = self.picture[top:bottom, left:right]
        return shown


def outline(
    path: str | Path, *, frames: int, fps: float | None, aspect: tuple[int, int], part: Part = WHOLE
) -> Outline:
    """The first frame of a part of a video, and what a crop keeps of it.

    Args:
        path: as :meth:`motionlift.Clip.read` takes it.
        frames: number of frames that will be read.
        fps: of them a second; none where they are taken as they come.
        aspect: height and width of the model's frame.
        part: from when on, and where the crop lies.

    Raises:
        InputError: it cannot be read.
    """
    source = existing(path)
    place = part.place
    if part.crop == MOTION:
        fitting = Fitting(aspect, SMALL, "crop", frames, part, watch=Watch())

        moments = partial(moments_of, source, part)
        if fps is None:
            first_frames(moments, str(path), fitting)
        else:
            sampled_frames(moments, str(path), fps, fitting)
        place = fitting.moving_place() or place
    found = moments_of(source, part)
    try:
        moment = next(found, None)
    finally:
        found.close()
    if moment is None:
        raise one_frame(str(path), part)
    image = upright(rgb_of(moment.frame, part.colour, str(part.background))[0], moment.frame)
    height, width, pixel_aspect = upright_size(moment)
    canvas = canvas_of(height, width, aspect[1] / aspect[0] / pixel_aspect)
    top, left = begin(height, canvas[0], place[1]), begin(width, canvas[1], place[0])
    shown = height / max(pixel_aspect, 1), width * min(pixel_aspect, 1)
    scale = min(1.0, LONGEST / max(shown))
    return Outline(
        resized_image(image, *(max(1, round(side * scale)) for side in shown)),
        (top / height, (top + canvas[0]) / height),
        (left / width, (left + canvas[1]) / width),
    )
