"""Motion discrepancy: how far the tracks of two videos are apart. Unlike motion fidelity it sees where things are.

Source: MotionMatcher (2502.13234), as its released program computes it: for every track of one video the least mean squared
distance to a track of the other, the mean over frames and over x and y; the mean over tracks; the **sum** of both directions,
divided by height times width. Visibility and resampling are ours.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motionlift.errors import InputError, SettingError
from motionlift.measure.matching import DECIMALS, Seen, both_seen, least_together, long_seen, together
from motionlift.measure.metric import Figure, Job, Metric


def motion_discrepancy(
    reference: Float[Tensor, "points frames 2"],
    generated: Float[Tensor, "others times 2"],
    height: int,
    width: int,
    *,
    reference_visible: Bool[Tensor, "points frames"] | None = None,
    generated_visible: Bool[Tensor, "others times"] | None = None,
) -> float:
    """How far apart the tracks of two videos are; 0 for a video against itself.

    Lengths, rates and visibility are treated as in :func:`motionlift.measure.fidelity.motion_fidelity`. A track that finds
    no pair that counts is taken to be as far away as the frame is large. The pairs are gone through in blocks, so that
    2500 tracks of 49 frames need some tens of megabytes.

    Args:
        reference: tracks in pixels, x then y.
        generated: tracks of the other video, in pixels of a frame of the same size.
        height: rows of the frame.
        width: columns of the frame.
        reference_visible: where the points are seen; by default everywhere.
        generated_visible: likewise.

    Returns:
        Squared pixels divided by the frame's height times width, so without a unit; at least 0, and not bounded above.

    Raises:
        InputError: tracks that do not fit, hold NaN where a point is to be seen, or are nowhere seen for half of the time
            in either video.
        SettingError: height or width is not positive.
    """
    if not (height > 0 and width > 0):
        raise SettingError(f"height and width are {height} and {width}; give the frame's size in pixels")
    one, other = both_seen(reference, generated, reference_visible, generated_visible)
    counted = long_seen(one.visible), long_seen(other.visible)
    if not any(each.any() for each in counted):
        raise InputError(
            "no point is seen for half of the time in either video, so that no motion can be compared; "
            "give longer-seen tracks"
        )
    farthest = (height**2 + width**2) / 2
    nearest = _nearest(one, other, farthest)
    both = [each[long].mean() if long.any() else farthest for each, long in zip(nearest, counted, strict=True)]
    return round(float(both[0] + both[1]) / (height * width), DECIMALS)


def _nearest(one: Seen, other: Seen, farthest: float) -> tuple[Float[Tensor, " points"], Float[Tensor, " others"]]:
    """Least mean squared distance of every track to one of the other video, both ways."""
    least = least_together(one.visible.shape[1])
    middle = one.positions[one.visible].mean(dim=0) if one.visible.any() else 0.0
    places = [torch.where(seen.visible[..., None], seen.positions - middle, 0.0) for seen in (one, other)]
    squares = [place.square().sum(dim=-1) for place in places]
    rows = torch.zeros(len(places[0]), dtype=torch.float64)
    columns = torch.full((len(places[1]),), torch.inf, dtype=torch.float64)
    masks = one.visible.double(), other.visible.double()
    for block, count in together(one.visible, other.visible):
        total = squares[0][block] @ masks[1].T + masks[0][block] @ squares[1].T
        total = (total - 2 * places[0][block].flatten(1) @ places[1].flatten(1).T).clamp(min=0)
        distance = torch.where(count >= least, total / (2 * count.clamp(min=1)), torch.inf)
        rows[block] = distance.amin(dim=1)
        columns = torch.minimum(columns, distance.amin(dim=0))
    return rows.nan_to_num(posinf=farthest), columns.nan_to_num(posinf=farthest)


def _measured(job: Job) -> Mapping[str, float]:
    one, other = job.tracks()
    apart = motion_discrepancy(
        one.positions,
        other.positions,
        other.height,
        other.width,
        reference_visible=one.visible,
        generated_visible=other.visible,
    )
    job.tell_followed()
    return {"motion_discrepancy": apart}


METRIC = Metric(
    "motion discrepancy",
    20,
    (
        Figure(
            "motion_discrepancy",
            "motion discrepancy",
            "mean squared distance of each track to its nearest in the other video, over height times width; 0 for the same motion",
            "at least 0",
            better=-1,
            places=4,  # as the paper has it
            column=70,
        ),
    ),
    _measured,
)
"""Motion discrepancy."""
