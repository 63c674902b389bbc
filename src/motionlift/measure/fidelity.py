"""Motion fidelity: how alike the directions are in which the points of two videos move.

Every track is the sequence of its unit displacements from frame to frame. Two tracks are as alike as the mean over frames of
the cosine between these; a step in which a point stands still is like another such step, 1, and unlike any motion, 0. Every
track of one video counts with its best match in the other; the score is the mean of both directions.

Sources: the measure is that of "Space-Time Features for Text-driven Motion Transfer" (2311.17009); both directions, standing
points, visibility and resampling are ours. What most papers report comes from the script published with it, which differs:
see ``legacy``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motionlift.errors import InputError
from motionlift.measure.matching import DECIMALS, ROWS, Seen, both_seen, least_together, long_seen, together
from motionlift.measure.metric import Figure, Job, Metric

STILL = 1 / 32
"""A track that never gets farther than this share of the frame's longer side from where it was first seen stands still: two
pixels of 64 (ours: above what the built-in trackers drift on a picture at rest, below any motion a person would name)."""
LEGACY = "motion_fidelity_legacy"
"""Name of the older script's figure."""


@dataclass(frozen=True)
class MovingFidelity:
    """Motion fidelity over what moves."""

    score: float
    """-1..1: motion fidelity over the tracks that move; 1 where nothing moves in either video, 0 where in one only, or where the
    tracks of one are nowhere seen for long enough to tell."""
    share: float
    """Share of the tracks of both videos that move, 0..1."""


def motion_fidelity(
    reference: Float[Tensor, "points frames 2"],
    generated: Float[Tensor, "others times 2"],
    legacy: bool = False,
    *,
    reference_visible: Bool[Tensor, "points frames"] | None = None,
    generated_visible: Bool[Tensor, "others times"] | None = None,
    standing: float = 0.0,
) -> float:
    """How alike two videos move, at most 1, which a video reaches against itself exactly.

    Both videos are taken to play over their whole duration; the one with more frames is resampled in time, linearly, to
    the frames of the other. Frames in which either point of a pair is not seen are left out of the pair's mean. A pair
    counts if both are seen in at least half of all steps (:data:`motionlift.measure.matching.LEAST_TOGETHER`): a pair
    that shares one lucky step is no match. A track that is itself seen in fewer is left out; one that finds no pair
    that counts is worth 0, and so is every track where the other video has none.

    Where most of the picture stands still in both videos, so do most tracks, and any two such videos score near 1: read
    it beside :func:`motion_fidelity_moving`.

    Args:
        reference: tracks in pixels, x then y.
        generated: tracks of the other video, in pixels of a frame of the same size.
        legacy: give instead the figure of the widely copied script, to be compared with tables made by it: one way only,
            for each generated track the best reference track; an identity matrix subtracted from the
            generated-by-reference similarities, so that a track is never matched with the one of its own number; and steps
            of no length divided by their length, so that one track that stands still for one frame makes the figure NaN.
            Visibility and ``standing`` are ignored, as the script ignores them. Resampling is ours: the script needs
            equally many frames, and equally many points.
        reference_visible: where the points are seen; by default everywhere.
        generated_visible: likewise.
        standing: longest step, in pixels, that counts as none. 0 takes tracks as exact; measured ones tremble.

    Returns:
        -1..1, without a unit. With ``legacy`` -2..1, or NaN.

    Raises:
        InputError: tracks that do not fit, hold NaN where a point is to be seen, or are nowhere seen for half of the time
            in either video.
    """
    if legacy:
        return _legacy(reference, generated)
    one, other = both_seen(reference, generated, reference_visible, generated_visible)
    return _fidelity(_steps(one, standing), _steps(other, standing))


def motion_fidelity_moving(
    reference: Float[Tensor, "points frames 2"],
    generated: Float[Tensor, "others times 2"],
    height: int,
    width: int,
    *,
    reference_visible: Bool[Tensor, "points frames"] | None = None,
    generated_visible: Bool[Tensor, "others times"] | None = None,
    standing: float = 0.0,
) -> MovingFidelity:
    """Motion fidelity over the tracks of either video that move, matched with those of the other that move.

    A track moves if it gets farther than :data:`STILL` of the frame's longer side from where it was first seen.

    Args:
        reference: tracks in pixels, x then y; likewise the others, as :func:`motion_fidelity` has them.
        generated: tracks of the other video.
        height: rows of the frame.
        width: columns of the frame.
        reference_visible: where the points are seen.
        generated_visible: likewise.
        standing: longest step, in pixels, that counts as none.

    Returns:
        The score, -1..1, and the share of the tracks that move, 0..1.

    Raises:
        InputError: as :func:`motion_fidelity`.
    """
    pair = both_seen(reference, generated, reference_visible, generated_visible)
    counted = [long_seen(_steps(seen, standing).visible) for seen in pair]
    if not any(each.any() for each in counted):
        raise _nothing_seen()
    moving = [each & (_reach(seen) > STILL * max(height, width)) for seen, each in zip(pair, counted, strict=True)]
    share = sum(int(each.sum()) for each in moving) / sum(int(each.sum()) for each in counted)
    if not all(each.any() for each in moving):
        both_rest = all(each.any() for each in counted) and not any(each.any() for each in moving)
        return MovingFidelity(float(both_rest), share)
    steps = [
        _steps(Seen(seen.positions[each], seen.visible[each]), standing)
        for seen, each in zip(pair, moving, strict=True)
    ]
    return MovingFidelity(_fidelity(*steps), share)


def still_step(frames: int, height: int, width: int) -> float:
    """Longest step, in pixels, of a track that so many of them would not carry beyond :data:`STILL`.

    It is meant as ``standing`` of measured tracks. Being a share of the whole way, it does not change with the rate.
    """
    return STILL * max(height, width) / (frames - 1)


@dataclass(frozen=True)
class _Steps:
    """Directions of the steps of tracks."""

    units: Float[Tensor, "points steps 2"]
    """Of length one; zero where the point stands or is not seen."""
    stands: Bool[Tensor, "points steps"]
    """Seen, and standing still."""
    visible: Bool[Tensor, "points steps"]
    """Seen before and after."""


def _steps(seen: Seen, standing: float) -> _Steps:
    moved = seen.positions.diff(dim=1)
    visible = seen.visible[:, 1:] & seen.visible[:, :-1]
    length = moved.norm(dim=-1)
    moves = visible & (length > standing)
    units = torch.where(moves[..., None], moved / length.clamp(min=1e-300)[..., None], 0.0)
    return _Steps(units, visible & ~moves, visible)


def _reach(seen: Seen) -> Float[Tensor, " points"]:
    """Greatest distance of every track from where it was first seen."""
    first = seen.visible.int().argmax(dim=1)
    start = seen.positions[torch.arange(len(first)), first][:, None]
    distance = (seen.positions - start).norm(dim=-1)
    return torch.where(seen.visible, distance, 0.0).amax(dim=1)


def _fidelity(one: _Steps, other: _Steps) -> float:
    """Mean of both directions."""
    counted = long_seen(one.visible), long_seen(other.visible)
    if not any(each.any() for each in counted):
        raise _nothing_seen()
    if not all(each.any() for each in counted):
        return 0.0
    rows, columns = _best(one, other)
    return round(float((rows[counted[0]].mean() + columns[counted[1]].mean()) / 2), DECIMALS)


def _best(one: _Steps, other: _Steps) -> tuple[Float[Tensor, " points"], Float[Tensor, " others"]]:
    """Likeness of every track's best match, both ways; 0 where no pair counts."""
    least = least_together(one.visible.shape[1])
    features, others = _features(one), _features(other).T
    rows = torch.zeros(len(one.units), dtype=torch.float64)
    columns = torch.full((len(other.units),), -torch.inf, dtype=torch.float64)
    for block, count in together(one.visible, other.visible):
        likeness = features[block] @ others / count.clamp(min=1)
        likeness = torch.where(count >= least, likeness, -torch.inf)
        rows[block] = likeness.amax(dim=1)
        columns = torch.maximum(columns, likeness.amax(dim=0))
    return rows.nan_to_num(neginf=0.0), columns.nan_to_num(neginf=0.0)


def _features(steps: _Steps) -> Float[Tensor, "points features"]:
    """What makes the sum of cosines, and of ones where both stand, one product."""
    return torch.cat([steps.units.flatten(1), steps.stands.double()], dim=1)


def _legacy(reference: Tensor, generated: Tensor) -> float:
    """The script's figure (diffusion-motion-transfer, ``motion_fidelity_score.py``)."""
    one, other = both_seen(reference, generated, None, None)
    if len(one.positions) != len(other.positions):
        raise InputError(
            f"there are {len(one.positions)} reference tracks and {len(other.positions)} generated ones; the older figure "
            "(legacy) is defined for equally many"
        )
    steps = [seen.positions.diff(dim=1) for seen in (other, one)]
    units = [(moved / moved.norm(dim=-1, keepdim=True)).flatten(1) for moved in steps]
    best = torch.empty(len(units[0]), dtype=torch.float64)
    for start in range(0, len(best), ROWS):
        similarity = units[0][start : start + ROWS] @ units[1].T / steps[0].shape[1]
        similarity.diagonal(start).sub_(1)
        best[start : start + ROWS] = similarity.amax(dim=1)
    return float(best.mean())


def _nothing_seen() -> InputError:
    return InputError(
        "no point is seen for half of the time in either video, so that no motion can be compared; give longer-seen tracks"
    )


def _measured(job: Job) -> Mapping[str, float]:
    one, other = job.tracks()
    steps = min(one.positions.shape[1], other.positions.shape[1])
    standing = still_step(steps, other.height, other.width)
    tracks = one.positions, other.positions
    seen: dict[str, Any] = {"reference_visible": one.visible, "generated_visible": other.visible}
    moving = motion_fidelity_moving(*tracks, other.height, other.width, standing=standing, **seen)
    alike = motion_fidelity(*tracks, standing=standing, **seen)
    older = {LEGACY: motion_fidelity(*tracks, legacy=True)} if job.wants(LEGACY) else {}
    followed = job.tell_followed()
    return {
        "motion_fidelity": alike,
        "motion_fidelity_moving": moving.score,
        "moving_share": moving.share,
        "followed_reference": followed[0],
        "followed_generated": followed[1],
        **older,
    }


METRIC = Metric(
    "motion fidelity",
    10,
    (
        Figure(
            "motion_fidelity",
            "motion fidelity",
            "how alike the directions are in which the points of both videos move; near 1 too where most stands still in both",
            "cosine, -1 to 1",
            better=1,
            column=40,
        ),
        Figure(
            "motion_fidelity_moving",
            "motion fidelity, moving",
            "the same over what moves: tracks that get farther than 1/32 of the longer side",
            "cosine, -1 to 1",
            better=1,
            column=50,
        ),
        Figure("moving_share", "share that moves", "share of the tracks that move", share=True, column=210),
        Figure(
            "followed_reference",
            "followed, reference",
            "share of the reference's points that were followed for half of the time",
            share=True,
            column=220,
        ),
        Figure(
            "followed_generated",
            "followed, video",
            "share of the generated video's points that were followed for half of the time",
            share=True,
            column=230,
        ),
        Figure(
            LEGACY,
            "motion fidelity, older script",
            "motion fidelity by the older, widely copied script, to compare with its tables; undefined where a track stands still",
            "cosine, -2 to 1",
            better=1,
            column=60,
            on_request=True,
        ),
    ),
    _measured,
)
"""Motion fidelity, and how much of both videos it speaks of."""
