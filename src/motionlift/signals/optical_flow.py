"""Displacement of a reference read from its pixels alone, by dense optical flow: it depends on no model.

The flow between two far frames is chained through all frames between them and then refined on the two frames themselves.
Measured on rendered scenes of 17 frames at 64x64, lattice 5x8x8, at 993 moving entries of object tokens (14 scenes of the first 20
of a stream; the others hold a spinning object, and turning in one colour cannot be seen):

============================  ===============  ==============  ======
flow                          known            relative error  cosine
============================  ===============  ==============  ======
of the two frames directly    50 %             0.101           0.960
chained                       59 %             0.066           0.995
chained, then refined         78 %             0.038           0.988
============================  ===============  ==============  ======
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from motionlift.core.lattice import Lattice
from motionlift.errors import SettingError

LEAST_SIDE = 128
"""Smaller frames are enlarged until their longer side has so many pixels; ours: at 64x64, better than 96, 192 or 256."""
NARROWEST = 32
"""Each side is stretched to at least so many pixels, which the search over scales needs; ours."""
SLACK = 0.05
"""Share of a flow's length that is added to the tolerance, since long flows are less sure; ours."""

Flow = Float32[np.ndarray, "height width 2"]
Grey = UInt8[np.ndarray, "height width"]


def flow_displacement(
    frames: UInt8[Tensor, "frames height width 3"],
    times: Sequence[float],
    lattice: Lattice,
    *,
    tolerance: float = 1.0,
    least_share: float = 0.5,
) -> Float[Tensor, "query_frame key_frame token 2"]:
    """Displacement of every cell of the lattice between every two latent frames, x then y, in tokens; NaN where unknown.

    A pixel counts where the flow there and back ends at most the tolerance from where it began, and inside the frame. The
    displacement of a cell is the mean over the pixels that count.

    Args:
        frames: RGB video, 0..255.
        times: for each latent frame the place of the pixel frames it stands for; the nearest one is read.
        lattice: the lattice, laid over the whole frame.
        tolerance: in pixels, after small frames were enlarged; 5 % of the flow's length is added. Ours.
        least_share: share of a cell's pixels that must count for it to be known. Ours.

    Raises:
        SettingError: not one time for each latent frame, a time outside the video, or a tolerance or share out of range.
    """
    _check(len(frames), times, lattice, tolerance, least_share)
    if frames.is_meta:  # only the size is asked for
        return frames.new_zeros(lattice.frames, lattice.frames, lattice.height * lattice.width, 2, dtype=torch.float32)
    greys = _greys(frames)
    places = [round(time) for time in times]
    flows = _flows(greys, places)
    height, width = greys[0].shape
    found = torch.zeros(lattice.frames, lattice.frames, lattice.height * lattice.width, 2)
    for start, i in enumerate(places):
        for end, j in enumerate(places):
            if i != j:
                counts = _agreeing(flows[i, j], flows[j, i], tolerance)
                found[start, end] = torch.from_numpy(_cell_means(flows[i, j], counts, lattice, least_share))
    return found * torch.tensor([lattice.width / width, lattice.height / height])


def _check(frames: int, times: Sequence[float], lattice: Lattice, tolerance: float, least_share: float) -> None:
    if len(times) != lattice.frames:
        raise SettingError(f"{len(times)} times for {lattice.frames} latent frames; give one time for each")
    if not all(0 <= time <= frames - 1 for time in times):
        raise SettingError(f"times {list(times)} leave the video; allowed are 0 to {frames - 1}")
    if not tolerance > 0:
        raise SettingError(f"tolerance is {tolerance}; give a number of pixels over 0, such as 1")
    if not 0 < least_share <= 1:
        raise SettingError(f"least share is {least_share}; give a number over 0, at most 1, such as 0.5")


def _greys(frames: UInt8[Tensor, "frames rows columns 3"]) -> list[Grey]:
    """Grey frames, the small ones enlarged."""
    rows, columns = frames.shape[1:3]
    scale = max(1.0, LEAST_SIDE / max(rows, columns))
    size = (max(NARROWEST, round(columns * scale)), max(NARROWEST, round(rows * scale)))
    colours = (cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in frames.cpu().numpy())
    return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in colours]


def _flows(greys: Sequence[Grey], places: Sequence[int]) -> dict[tuple[int, int], Flow]:
    """Flow between every two different places, chained and then refined."""
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    still = np.zeros((*greys[0].shape, 2), np.float32)
    wanted, flows = sorted(set(places)), {}
    for direction in (1, -1):
        ordered = wanted[::direction]
        steps = {
            place: solver.calc(greys[place], greys[place + direction], still.copy())
            for place in range(ordered[0], ordered[-1], direction)
        }
        for number, start in enumerate(ordered):
            chained, place = still, start
            for end in ordered[number + 1 :]:
                while place != end:
                    chained = chained + _carried(steps[place], chained)
                    place += direction
                flows[start, end] = solver.calc(greys[start], greys[end], chained.copy())
    return flows


def _home(height: int, width: int) -> Flow:
    """Every pixel's own place, x then y."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


def _carried(field: Flow, flow: Flow) -> Flow:
    """A field as seen from where a flow starts: its value where the flow ends."""
    there = _home(*flow.shape[:2]) + flow
    return cv2.remap(field, there[..., 0], there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _agreeing(forward: Flow, backward: Flow, tolerance: float) -> Bool[np.ndarray, "height width"]:
    """Where there and back again ends near its beginning, by way of a place inside the frame."""
    height, width = forward.shape[:2]
    there = _home(height, width) + forward
    inside = ((there >= -0.5) & (there <= np.array([width, height]) - 0.5)).all(axis=-1)
    miss = np.linalg.norm(forward + _carried(backward, forward), axis=-1)
    return inside & (miss < tolerance + SLACK * np.linalg.norm(forward, axis=-1))


def _cell_means(
    flow: Flow, counts: Bool[np.ndarray, "height width"], lattice: Lattice, least_share: float
) -> Float32[np.ndarray, "token 2"]:
    """Mean flow over the counting pixels of each cell, NaN where they are too few."""
    height, width = counts.shape
    rows, columns = np.arange(height) * lattice.height // height, np.arange(width) * lattice.width // width
    cell = (rows[:, None] * lattice.width + columns).ravel()
    tokens = lattice.height * lattice.width
    pixels = np.bincount(cell, minlength=tokens)
    counted = np.bincount(cell, weights=counts.ravel(), minlength=tokens)
    sums = [np.bincount(cell, weights=(flow[..., axis] * counts).ravel(), minlength=tokens) for axis in (0, 1)]
    known = (counted > 0) & (counted >= least_share * pixels)
    means = np.full((tokens, 2), np.nan, np.float32)
    means[known] = np.stack(sums, axis=-1)[known] / counted[known, None]
    return means
