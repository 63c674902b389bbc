"""A clip in which a piece of a picture moves along a path: a motion that is drawn, for methods that read motions from clips."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from motionlift.errors import InputError, SettingError
from motionlift.video.clip import Clip

FPS = 24.0
"""Frames a second (ours: more than models make)."""
SECONDS = (0.5, 20.0)
"""Least and greatest duration (ours)."""
SIZES = (0.05, 0.5)
"""Least and greatest radius of the piece, as a share of the picture's shorter side (ours)."""
MOST_POINTS = 200
"""Most points of a path (ours)."""
LONGEST = 512
"""Longest side of the clip, pixels (ours: models see no more of a reference)."""
SOFT = 0.15
"""Share of the radius over which the piece's edge fades (ours)."""

Array = np.ndarray
Point = tuple[float, float]


def dragged(
    picture: UInt8[Array, "height width 3"], points: Sequence[Point], size: float = 0.2, seconds: float = 3.0
) -> Clip:
    """A clip in which the piece of a picture that lies around the first point moves along a path at an even speed.

    The place that it leaves is filled from around it (Telea 2004, as OpenCV has it). What is cut out and dragged so shows the
    motion alone and need not look right, as in Time-to-Move (Singer et al. 2025), whose animations of cut-outs it follows.

    Args:
        picture: RGB.
        points: where the piece's middle comes by, ``(x, y)`` as shares of width and height, 0..1; two at least.
        size: radius of the piece, as a share of the shorter side, within :data:`SIZES`.
        seconds: how long it takes, within :data:`SECONDS`.

    Raises:
        InputError: fewer than two points, or more than :data:`MOST_POINTS`, or one outside of the picture, or all in one place.
        SettingError: a size or a duration out of range.
    """
    _check(points, size, seconds)
    shrunk = _shrunk(picture)
    height, width = shrunk.shape[:2]
    radius = max(2.0, size * min(height, width))
    path = along(np.array(points) * [width, height], max(2, round(seconds * FPS)))
    piece = _disc(height, width, path[0], radius)
    ground = cv2.inpaint(shrunk, (piece > 0).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    frames = []
    for place in path:
        moved = np.array([[1, 0, place[0] - path[0][0]], [0, 1, place[1] - path[0][1]]], np.float32)
        seen = cv2.warpAffine(shrunk, moved, (width, height), borderMode=cv2.BORDER_REPLICATE)
        share = cv2.warpAffine(piece, moved, (width, height))[..., None]
        frames.append((seen * share + ground * (1 - share)).round().astype(np.uint8))
    return Clip.of(np.stack(frames), FPS)


def along(points: Float[Array, "points 2"], count: int) -> Float[Array, "count 2"]:
    """Places at even distances along straight lines between points, both ends among them."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, reached[-1], count)
    return np.stack([np.interp(wanted, reached, points[:, axis]) for axis in (0, 1)], axis=1)


def _check(points: Sequence[Point], size: float, seconds: float) -> None:
    if not 2 <= len(points) <= MOST_POINTS:
        raise InputError(
            f"the path has {len(points)} points; give 2 to {MOST_POINTS}: where it begins, and where it goes"
        )
    for point in points:
        if not all(math.isfinite(value) and 0 <= value <= 1 for value in point):
            raise InputError(
                f"the point {point[0]:g},{point[1]:g} is outside of the picture; allowed is 0 to 1 each way"
            )
    if len(set(points)) == 1:
        raise InputError("all points of the path are the same, so that nothing moves; give another one")
    for name, value, (least, most) in (("size", size, SIZES), ("seconds", seconds, SECONDS)):
        if not least <= value <= most:
            raise SettingError(f"{name} is {value:g}; allowed is {least:g} to {most:g}")


def _shrunk(picture: UInt8[Array, "height width 3"]) -> UInt8[Array, "_ _ 3"]:
    """The picture with its longer side at most :data:`LONGEST`, both sides even."""
    height, width = picture.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    sides = [max(2, round(side * scale) // 2 * 2) for side in (width, height)]
    return cv2.resize(np.ascontiguousarray(picture), sides, interpolation=cv2.INTER_AREA)


def _disc(height: int, width: int, middle: Float[Array, "2"], radius: float) -> Float[Array, "height width"]:
    """1 within a disc, 0 without, fading at its edge."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    distance = np.hypot(columns - middle[0], rows - middle[1])
    return np.clip((radius - distance) / (SOFT * radius), 0, 1).astype(np.float32)
