"""Temporal consistency: how well every frame of a video follows from the one before by motion alone.

Ours, after the warping error of "Learning Blind Video Temporal Consistency" (1808.00449): each frame is warped onto the next by
dense optical flow, and what differs is counted where the flow there and back agrees. A video at rest reaches 1, so that it says
nothing of motion. (MotionFlow's measure of the same name is CLIP's frame consistency, :mod:`motionlift.measure.alignment`.)
"""

from collections.abc import Iterable, Mapping

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from motionlift.errors import InputError
from motionlift.measure.metric import Figure, Job, Metric
from motionlift.signals.optical_flow import NARROWEST
from motionlift.video.limits import Image

AGREE = 1.0
"""How far apart, in pixels, there and back may end for a pixel to count: others are covered or uncovered (ours)."""

Flow = Float32[np.ndarray, "height width 2"]


def temporal_consistency(frames: Iterable[Image]) -> float:
    """One less the mean difference between each frame and the one before warped onto it, 0..1.

    The mean is over the pixels that count, then over the pairs of neighbours; a pair of which no pixel counts differs wholly.

    Raises:
        InputError: fewer than two frames came.
    """
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    before: Image | None = None
    errors: list[float] = []
    for frame in frames:
        after = _large_enough(frame)
        if before is not None:
            errors.append(_difference(before, after, solver))
        before = after
    if not errors:
        raise InputError("fewer than two frames came, which have no neighbours; give a video")
    return 1 - sum(errors) / len(errors)


def _difference(before: Image, after: Image, solver: cv2.DISOpticalFlow) -> float:
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after)]
    still = np.zeros((*greys[0].shape, 2), np.float32)
    back = solver.calc(greys[1], greys[0], still.copy())
    forth = solver.calc(greys[0], greys[1], still)
    counts = np.linalg.norm(back + _warped(forth, back), axis=-1) < AGREE
    return _mean_difference(_warped(before.astype(np.float32), back), after, counts)


def _mean_difference(
    warped: Float32[np.ndarray, "height width 3"],
    frame: UInt8[np.ndarray, "height width 3"],
    counts: Bool[np.ndarray, "height width"],
) -> float:
    if not counts.any():
        return 1.0
    return float(np.abs(warped - frame)[counts].mean()) / 255


def _warped(field: np.ndarray, flow: Flow) -> np.ndarray:
    """A field as seen from where a flow starts: its value where the flow ends."""
    height, width = flow.shape[:2]
    home = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    there = home + flow
    return cv2.remap(field, there[..., 0], there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _large_enough(frame: Image) -> UInt8[np.ndarray, "rows columns 3"]:
    """The frame, stretched where it is too narrow for the search over scales."""
    height, width = frame.shape[:2]
    if min(height, width) >= NARROWEST:
        return frame
    return cv2.resize(frame, (max(NARROWEST, width), max(NARROWEST, height)), interpolation=cv2.INTER_CUBIC)


def _measured(job: Job) -> Mapping[str, float]:
    return {"temporal_consistency": temporal_consistency(job.generated)}


METRIC = Metric(
    "consistency",
    50,
    (
        Figure(
            "temporal_consistency",
            "temporal consistency",
            "how well each frame follows from the one before by motion alone",
            "0 to 1; 1 at rest",
            better=1,
            column=170,
        ),
    ),
    _measured,
)
"""Temporal consistency."""
