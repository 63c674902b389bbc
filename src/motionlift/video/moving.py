"""Where things move in a video, seen small: whether anything does, and whether a crop keeps it."""

import itertools
from dataclasses import dataclass, field

import cv2
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float, UInt8

from motionlift.video.matrices import known_matrix
from motionlift.video.moment import Moment, Moments

LONGEST = 128
"""Longest side of the small frames, pixels (ours: noise of a camera averages out, and what is smaller than a hundredth of the frame
still shows)."""
LEAST = 12
"""Least change of a small frame's pixel that has weight where something moves, levels of 255 (ours)."""
SCALES = ((1, 40.0), (3, 18.0), (9, 12.0))
"""Sides of squares of a small frame's pixels, and how much the mean luminance of one must change, levels of 255, for something to
move there (ours: of pictures at rest at 160x120 and 320x240, with grain of up to 6 levels, as H.264 at a constant rate factor of
18 to 30, MPEG-4 and Motion JPEG, luminance changes by at most 31, 14 and 7; a dot of a hundredth of the frame's width shows)."""
COLOUR = (3, 40.0)
"""The same for what changes its colour alone (ours: codecs keep colour at half the size, and of the same pictures it changes by
up to 30)."""
GRAIN = (4.0, 1.5)
"""Noise of pixels, levels, above which more must change in proportion, and how many times more at most (ours: a texture that slides
looks like noise)."""
EXPOSURE = 30.0
"""Most levels by which brightness may waver and be taken for exposure (ours: above it is a cut or a fade)."""
STRUCTURE = 4.0
"""Least deviation of luminance over a picture, levels, by which exposure can be told from what changes (ours)."""
LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)
"""Share of red, green and blue in luminance (BT.601)."""
MUCH = 0.25
"""Share of all pixels above which the whole picture moves, as under a moving camera (ours)."""
LEFT = 0.1
"""Share of all changes below which what the camera does not explain counts for nothing: it is rounding (ours)."""
OFTEN = 0.1
"""Share of the moving steps between frames in which things must be outside the crop for that to be told (ours)."""
MOST_SEARCHED = 3000
"""Most frames that are gone through for where motion begins (ours: as many as are streamed)."""


@dataclass
class Watch:
    """Looks at whole frames as they are read, one after the other, and keeps little of them."""

    still: bool = field(default=True, init=False)
    """Whether no frame differs from the first."""
    _first: np.ndarray | None = field(default=None, init=False)
    _before: np.ndarray | None = field(default=None, init=False)
    _steps: list[tuple[np.ndarray, np.ndarray, float]] = field(default_factory=list, init=False)
    """Of every step between frames: how much changed by column and by row, and the share of pixels that did."""

    def see(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Look at the next frame, upright and whole."""
        if self._first is None or self._before is None:
            scale = min(1.0, LONGEST / max(image.shape[:2]))
            rows, columns = (max(1, round(side * scale)) for side in image.shape[:2])
            self._first = self._before = _resized(image, rows, columns)
            return
        small = _resized(image, *self._first.shape[:2])
        self.still = self.still and not _moved(self._first, small).any()
        change = _change(self._before, small)
        covered = float((change > 0).mean())
        if covered > MUCH:
            change = _beside_camera(self._before, small, change)
        self._steps.append((change.sum(0, np.float64), change.sum(1, np.float64), covered))
        self._before = small

    def place(self, height: float, width: float) -> tuple[float, float] | None:
        """Where the middle of a crop lies that holds most of what moves, as shares from the left and from the top; none for rest.

        Args:
            height: of the crop, as a share of the frame's.
            width: likewise.
        """
        if self.still or not any(covered for _, _, covered in self._steps):
            return None
        columns = np.sum([columns for columns, _, _ in self._steps], axis=0)
        rows = np.sum([rows for _, rows, _ in self._steps], axis=0)
        return _best_middle(columns, width), _best_middle(rows, height)

    def outside(self, place: tuple[float | int, float | int], height: float, width: float) -> tuple[int, int]:
        """In how many steps between frames most of what moves lies outside a crop, and in how many anything moves.

        Args:
            place: of the crop's middle, as shares.
            height: of the crop, as a share of the frame's.
            width: likewise.
        """
        left, moving = 0, 0
        for columns, rows, covered in self._steps:
            if not covered:
                continue
            moving += 1
            for middle, size, changes in ((place[0], width, columns), (place[1], height, rows)):
                if _is_outside(changes, middle, size, covered > MUCH):
                    left += 1
                    break
        return left, moving


def where_motion_begins(moments: Moments, after: float) -> float | None:
    """When a video that rests at first begins to move.

    Args:
        moments: the video.
        after: seconds up to which nothing moves, as is known.

    Returns:
        Seconds, of the first frame that differs; none where nothing moves in the first :data:`MOST_SEARCHED` frames.
    """
    first = None
    for moment in itertools.islice(moments(), MOST_SEARCHED):
        small = _grey(moment)
        first = small if first is None else first
        if moment.time > after and (small.shape != first.shape or _moved(first, small).any()):
            return moment.time
    return None


def _change(before: np.ndarray, small: np.ndarray) -> np.ndarray:
    """By how much each pixel changes, as far as that counts."""
    change = np.abs(small.astype(np.float32) - before).max(-1)
    change[(change < LEAST) | ~_moved(before, small)] = 0
    return change


def _moved(before: np.ndarray, small: np.ndarray) -> np.ndarray:
    """At which pixels something moves: what changes is more than noise, what a codec loses, and a wavering exposure.

    Args:
        before: a small frame, RGB, or luminance alone.
        small: a later one.
    """
    earlier, later = _luminance(before), _luminance(small)
    exposed = _exposed(earlier, later)
    change, spared = later - exposed, np.abs(exposed - earlier)
    grain = 1.4826 * float(np.median(np.abs(change - cv2.blur(change, (3, 3)))))  # a deviation, by the median
    more = min(max(1.0, grain / GRAIN[0]), GRAIN[1])
    found = np.zeros(change.shape, bool)
    for side, least in SCALES:
        found |= np.abs(cv2.blur(change, (side, side))) - spared >= more * least
    for channel in (0, 2) if before.ndim == 3 else ():
        colour = (small[..., channel] - later) - (before[..., channel] - earlier)
        found |= np.abs(cv2.blur(colour, (COLOUR[0], COLOUR[0]))) - spared >= more * COLOUR[1]
    return found


def _luminance(small: np.ndarray) -> Float[np.ndarray, "rows columns"]:
    return small.astype(np.float32) if small.ndim == 2 else small.astype(np.float32) @ LUMINANCE


def _exposed(
    earlier: Float[np.ndarray, "rows columns"], later: Float[np.ndarray, "rows columns"]
) -> Float[np.ndarray, "rows columns"]:
    """The earlier picture in the light of the later one: a factor and an offset, fitted to those pixels that keep to them."""
    if earlier.std() < STRUCTURE:
        return earlier
    factor, offset = 1.0, float(np.median(later - earlier))
    for _ in range(3):
        miss = np.abs(later - factor * earlier - offset)
        kept = miss <= max(2.0, 2.5 * float(np.median(miss)))
        own, other = earlier[kept], later[kept]
        if own.std() < STRUCTURE:
            break
        factor = float(((own - own.mean()) * (other - other.mean())).mean() / own.var())
        offset = float(other.mean() - factor * own.mean())
    exposed = factor * earlier + np.float32(offset)
    return exposed if np.abs(exposed - earlier).max() <= EXPOSURE else earlier


def _beside_camera(before: np.ndarray, small: np.ndarray, change: np.ndarray) -> np.ndarray:
    """What changes beside a shift of the whole picture, as a camera makes it that follows something; no more than all changes.

    The shift is found by phase correlation. What it brings into the picture counts for nothing.
    """
    rows, columns = change.shape
    grey, later = (picture.mean(-1).astype(np.float32) for picture in (before, small))
    (right, down), _ = cv2.phaseCorrelate(grey, later, cv2.createHanningWindow((columns, rows), cv2.CV_32F))
    shift = np.array(((1, 0, right), (0, 1, down)), np.float32)
    known = cv2.warpAffine(np.ones((rows, columns), np.float32), shift, (columns, rows)) > 0.999
    shifted = _change(cv2.warpAffine(before.astype(np.float32), shift, (columns, rows)), small) * known
    if shifted.sum() > (change * known).sum():
        return change
    return shifted if shifted.sum() > LEFT * change.sum() else np.zeros_like(change)


def _is_outside(changes: Float[np.ndarray, "places"], middle: float | int, size: float, everything: bool) -> bool:
    """Whether most of what moves lies outside; where everything moves, whether its middle does."""
    count = len(changes)
    begin, end = _bounds(middle, size)
    if not changes.sum():
        return False
    if everything:
        median = (np.searchsorted(np.cumsum(changes), changes.sum() / 2) + 0.5) / count
        return not begin <= median <= end
    places = (np.arange(count) + 0.5) / count
    return float(changes[(places >= begin) & (places <= end)].sum()) < 0.5 * float(changes.sum())


def _bounds(middle: float | int, size: float) -> tuple[float, float]:
    """Where a crop begins and ends that stays within the frame."""
    begin = min(max(middle - size / 2, 0.0), 1 - size)
    return begin, begin + size


def _best_middle(changes: Float[np.ndarray, "places"], size: float) -> float:
    """The middle of the window of so large a share that holds most; the middle of all that hold as much."""
    count = len(changes)
    length = max(1, round(size * count))
    if length >= count or not changes.sum():
        return 0.5
    held = np.convolve(changes, np.ones(length), "valid")
    best = np.flatnonzero(held >= held.max() * (1 - 1e-6))
    return float((best.mean() + length / 2) / count)


def _resized(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    if image.shape[:2] != (rows, columns):
        image = cv2.resize(np.ascontiguousarray(image), (columns, rows), interpolation=cv2.INTER_AREA)
    return image.astype(np.int16)


def _grey(moment: Moment) -> np.ndarray:
    """A frame small and without colour, as it is stored."""
    frame: VideoFrame = moment.frame
    scale = min(1.0, LONGEST / max(frame.height, frame.width))
    rows, columns = (max(1, round(side * scale)) for side in (frame.height, frame.width))
    return _resized(frame.to_ndarray(format="gray", src_colorspace=known_matrix(frame)), rows, columns)
