"""The whole of a clip as a strip of frames, on which a touch lays where the part that is read begins or ends."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from motionlift.video.colour import rgb_of
from motionlift.video.files import existing
from motionlift.video.fitting import resized_image
from motionlift.video.limits import Image
from motionlift.video.moment import Moment, upright, upright_size
from motionlift.video.part import WHOLE
from motionlift.video.reading import moments_of

WIDE, SIDE = 8, 160
"""How many times as wide as high a strip is, about, and the longest side of its frames in pixels (ours: a column of the page)."""
DIM = 4
"""By what is divided what is not read (ours: it can still be made out)."""
LONGEST = 120.0
"""Seconds of the longest clip that has a strip (ours): all of it is decoded."""
MOST_HELD = 128
"""Most frames that are held until the length is known (ours): enough that each place of a strip finds one near it."""


@dataclass(frozen=True)
class Film:
    """A strip of frames, evenly spread over the time of a clip."""

    frames: UInt8[np.ndarray, "count height width 3"]
    """The frames."""
    seconds: float
    """How long the clip plays."""

    def strip(self, start: float, duration: float | None) -> Image:
        """The frames beside each other, dark where they are not read.

        Args:
            start: where the part begins, seconds.
            duration: how long it is; none to the end.
        """
        whole = np.concatenate(list(self.frames), axis=1)
        ends = start, self.seconds if duration is None else start + duration
        first, last = (round(whole.shape[1] * min(1.0, end / self.seconds)) for end in ends)
        shown = whole // DIM
        shown[:, first:last] = whole[:, first:last]
        return shown


def film_of(source: Path) -> Film | None:
    """The strip of a clip; none of one that lasts longer than :data:`LONGEST` seconds.

    Raises:
        InputError: it cannot be read.
    """
    held: list[tuple[float, Image]] = []
    apart, end = 0.0, 0.0
    with closing(moments_of(existing(source))) as moments:
        for moment in moments:
            if moment.time > LONGEST:
                return None
            end = moment.end
            if not held or moment.time - held[-1][0] >= apart:
                held.append((moment.time, _small(moment)))
            if len(held) > MOST_HELD:
                held = held[::2]
                apart = 2 * end / MOST_HELD
    height, width = held[0][1].shape[:2]
    count = min(len(held), max(2, round(WIDE * height / width)))
    times = [time for time, _ in held]
    middles = (np.arange(count) + 0.5) * end / count
    places = np.searchsorted(times, middles, side="right") - 1
    return Film(np.stack([resized_image(held[place][1], height, width) for place in places]), end)


def _small(moment: Moment) -> Image:
    """The image of a frame as it is shown, small."""
    image = upright(rgb_of(moment.frame, WHOLE.colour, str(WHOLE.background))[0], moment.frame)
    height, width, pixel_aspect = upright_size(moment)
    shown = height / max(pixel_aspect, 1), width * min(pixel_aspect, 1)
    scale = SIDE / max(shown)
    return resized_image(image, *(max(1, round(side * scale)) for side in shown))


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
