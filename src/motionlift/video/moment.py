"""A decoded frame, when it is shown, and how it stands upright."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8


@dataclass(frozen=True)
class Moment:
    """A decoded frame and when it is shown."""

    frame: VideoFrame
    time: float
    """Seconds since the first frame."""
    end: float
    """Seconds since the first frame, when this frame would leave the screen."""
    pixel_aspect: float = 1.0
    """Width of a pixel over its height."""
    notices: tuple[str, ...] = ()
    """What had to be assumed of the video, or was done to it, each a plain sentence."""


LEVEL = 1.0
"""Degrees by which a turn may miss a quarter turn and be none to speak of (ours)."""
Moments = Callable[[], Generator[Moment, None, None]]
"""Gives the frames of a video from its first on, anew each time."""


def moments_of_frames(frames: UInt8[np.ndarray, "frames height width 3"], fps: float) -> Generator[Moment, None, None]:
    """Frames in memory at the times when they are shown."""
    for number, image in enumerate(frames):
        yield Moment(VideoFrame.from_ndarray(image, format="rgb24"), number / fps, (number + 1) / fps)


def upright(image: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Turn and mirror the image of a frame as its display matrix says, to the nearest quarter turn."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return image
    (a, b), (c, d) = matrix.tolist()
    if _turned(matrix):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def askew(frame: VideoFrame) -> tuple[str, ...]:
    """What is said of a frame whose display matrix turns it by no quarter turn."""
    matrix = _display_matrix(frame)
    if matrix is None or not matrix[0].any():
        return ()
    angle = math.degrees(math.atan2(matrix[0, 1], matrix[0, 0]))
    quarter = 90 * round(angle / 90)
    if abs(angle - quarter) <= LEVEL:
        return ()
    return (
        f"the file asks players to turn its video by {angle:.0f} degrees; it was turned by the nearest quarter turn, {quarter}: "
        "where that matters, turn it before",
    )


def upright_size(moment: Moment) -> tuple[int, int, float]:
    """Height, width and pixel aspect of a frame as it is shown."""
    height, width = moment.frame.height, moment.frame.width
    if _turned(_display_matrix(moment.frame)):
        return width, height, 1 / moment.pixel_aspect
    return height, width, moment.pixel_aspect


def _display_matrix(frame: VideoFrame) -> np.ndarray | None:
    """The linear part ``[[a, b], [c, d]]`` of how players show a frame: x, y goes to a x + c y, b x + d y."""
    stored = frame.side_data.get("DISPLAYMATRIX")
    return None if stored is None else np.frombuffer(bytes(stored), np.int32)[:9].reshape(3, 3)[:2, :2]


def _turned(matrix: np.ndarray | None) -> bool:
    return matrix is not None and abs(int(matrix[0, 1])) > abs(int(matrix[0, 0]))
