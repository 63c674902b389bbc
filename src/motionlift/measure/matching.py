"""Tracks of two videos brought together: checked, resampled in time, and compared pair by pair as far as both are seen.

Two videos are taken to play over their whole duration: where one has more frames than the other, be it that it is longer or
that it runs at a higher rate, its tracks are resampled in time, linearly, to the lesser number of frames. Nothing is cut off.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motionlift.errors import InputError

LEAST_TOGETHER = 0.5
"""Share of all frames, or of all steps, in which both tracks of a pair must be seen for the pair to count; a track that is
seen in fewer is left out of its video's mean. Ours: a pair that shares one lucky step would else match as well as any."""
ROWS = 256
"""Tracks of one video that are compared with all of the other at a time (ours: five MB for 2500 others)."""
DECIMALS = 9
"""Decimals that scores are rounded to (ours): a matrix product leaves errors some ten thousand times smaller, and a video
against itself is to be exactly what it should."""

Tracks = Float[Tensor, "points frames 2"]
Visibility = Bool[Tensor, "points frames"]


@dataclass(frozen=True)
class Seen:
    """Tracks, and where each is seen."""

    positions: Float[Tensor, "points frames 2"]
    """float64; zero where a point is not seen."""
    visible: Bool[Tensor, "points frames"]
    """Whether the point is seen in the frame."""


def both_seen(
    reference: Tensor, generated: Tensor, reference_visible: Tensor | None, generated_visible: Tensor | None
) -> tuple[Seen, Seen]:
    """Tracks of two videos, checked, with one number of frames.

    Raises:
        InputError: tracks or visibility are of the wrong shape or type, or tracks hold NaN where a point is to be seen.
    """
    one = _checked(reference, reference_visible, "reference")
    other = _checked(generated, generated_visible, "generated")
    frames = min(one.positions.shape[1], other.positions.shape[1])
    return _resampled(one, frames), _resampled(other, frames)


def _checked(tracks: Tensor, visible: Tensor | None, name: str) -> Seen:
    if tracks.ndim != 3 or tracks.shape[-1] != 2 or not tracks.is_floating_point():
        raise InputError(
            f"the {name} tracks are {tracks.dtype} {tuple(tracks.shape)}; give a floating-point tensor (points, frames, 2)"
        )
    if not len(tracks) or tracks.shape[1] < 2:
        raise InputError(f"the {name} tracks are {tuple(tracks.shape)}; give at least one point and two frames")
    if visible is None:
        visible = torch.ones(tracks.shape[:2], dtype=torch.bool)
    if visible.dtype != torch.bool or visible.shape != tracks.shape[:2]:
        raise InputError(
            f"the visibility of the {name} tracks is {visible.dtype} {tuple(visible.shape)}; "
            f"give booleans {tuple(tracks.shape[:2])}"
        )
    visible, positions = visible.detach().cpu(), tracks.detach().cpu().double()
    if not positions[visible].isfinite().all():
        raise InputError(
            f"the {name} tracks hold NaN or infinite positions; give finite ones, or say by visibility where nothing is seen"
        )
    return Seen(torch.where(visible[..., None], positions, 0.0), visible)


def _resampled(seen: Seen, frames: int) -> Seen:
    """Tracks at evenly spaced times from the first frame to the last; seen where both neighbours in time are."""
    count = seen.positions.shape[1]
    if frames == count:
        return seen
    times = torch.arange(frames, dtype=torch.float64) * (count - 1) / (frames - 1)
    before = times.floor().long().clamp(max=count - 2)
    share = (times - before)[:, None]
    positions = seen.positions[:, before] * (1 - share) + seen.positions[:, before + 1] * share
    early, late = seen.visible[:, before] | (share[:, 0] == 1), seen.visible[:, before + 1] | (share[:, 0] == 0)
    visible = early & late
    return Seen(torch.where(visible[..., None], positions, 0.0), visible)


def least_together(times: int) -> float:
    """In how many of so many frames or steps a pair must be seen together."""
    return max(1.0, LEAST_TOGETHER * times)


def long_seen(visible: Bool[Tensor, "points times"]) -> Bool[Tensor, " points"]:
    """Tracks that are seen for long enough to be compared with any other."""
    return visible.sum(dim=1) >= least_together(visible.shape[1])


def together(
    one: Bool[Tensor, "points times"], other: Bool[Tensor, "others times"]
) -> Iterator[tuple[slice, Float[Tensor, "rows others"]]]:
    """For blocks of the first video's tracks: which ones, and how often each pair is seen together."""
    columns = other.double().T
    for start in range(0, len(one), ROWS):
        rows = slice(start, start + ROWS)
        yield rows, one[rows].double() @ columns
