"""How much moves in what was lifted, and whether a video moves like it: told where it is next to nothing."""

import torch

from motionlift.core.lattice import Lattice
from motionlift.motion.file import Motion
from motionlift.motion.names import DISPLACEMENT, by_block
from motionlift.signals.optical_flow import flow_displacement
from motionlift.video.clip import Clip

STANDING = 0.25
"""A place that moves no further than this many places stands (as in drawings)."""
FEW = 1 / 16
"""Share of the places below which next to nothing moves (ours: the smallest thing of the bundled world sweeps over more)."""
CELLS = 8
"""Rows and columns by which two videos are compared (ours: those of the bundled models)."""
MOMENTS = 5
"""Moments of two videos between which they are compared (ours: the lattice frames of the bundled models)."""
FOLLOWED = 1 / 2
"""Share of a reference that optical flow must be able to follow (ours: of one that it mostly cannot, it cannot be the judge)."""
UNLIKE = 0.2
"""Likeness below which a video hardly moves like its motion (ours, set on eight videos of tiny-dit of four references of the
world: plain sampling reached -0.21 to 0.37, DiTFlow 0.49 to 0.89; of three others it then was 0.03 and 0.04, and 0.35 and 0.77)."""
LONGEST = 128
"""Longest side, in pixels, at which they are (ours: that to which optical flow enlarges small frames)."""
CLEARLY = 2 * STANDING
"""How far, in cells, a reference moves at its furthest where a video that stands still is told (ours: by a rule that was set before
it was measured, twice what stands; of one that moves less, a video that moves half as far would be said to stand)."""
UNMOVED = "none"
"""The method whose videos are to follow no motion."""
REMEDY = "Try another seed, other settings or another method; motionlift score measures more"


def found_lines(motion: Motion, reference: Clip) -> list[str]:
    """A line where next to nothing moves in a displacement that was lifted; of other motions, in their reference by optical flow.

    Args:
        motion: what was lifted.
        reference: what it was lifted from; where optical flow cannot follow a place, that may move.
    """
    found = [_moving(part) for part in _displacements(motion)]
    if found:
        is_read = motion.settings.get("read") != "flow"
        other = "--read flow" if is_read else "another clip, or another part of it"
        told = f"in what was lifted, so that a video will hardly follow it: try {other}; motionlift inspect draws what was found"
    elif motion.method == UNMOVED or len(reference.frames) < MOMENTS:
        return []
    else:
        found = [*(_steps(reference, _span(motion)).norm(dim=-1).nan_to_num(nan=torch.inf) > STANDING)]
        told = "in the reference, by optical flow, so that there is hardly any motion to follow: try another clip, or another part"
    moves = torch.stack(found).any(dim=0)
    count, places = int(moves.sum()), len(moves)
    if count >= FEW * places:
        return []
    return [f"{count or 'none'} of {places} places {'moves' if count <= 1 else 'move'} {told}"]


def _displacements(motion: Motion) -> list[torch.Tensor]:
    """The displacement of the first block of each window, ``(query_frame, key_frame, token, 2)``."""
    count = 1 if motion.windows is None else len(motion.windows)
    fields = [by_block(motion.part(number), DISPLACEMENT) for number in range(count)]
    return [next(iter(field.values())) for field in fields if field]


def _moving(displacement: torch.Tensor) -> torch.Tensor:
    """Which places move from one frame to the next, ever."""
    steps = [displacement[frame, frame + 1] for frame in range(len(displacement) - 1)]
    return (torch.stack(steps).float().norm(dim=-1).nan_to_num() > STANDING).any(dim=0)


def _span(motion: Motion) -> int | None:
    """Frames of a window; none of a motion without."""
    return None if motion.windows is None else motion.windows.shape.frames


def unlike_lines(motion: Motion, reference: Clip, video: Clip) -> list[str]:
    """A line where a video hardly moves like its reference, or stands still.

    Args:
        motion: what was lifted of the reference and cast; where it has windows, the two are compared in spans of their length.
        reference: as many frames as the video.
        video: what was made.
    """
    both = _both(reference, video, _span(motion))
    if both is None:
        return []
    if _stands_beside(*both):
        return [f"the video stands still, by optical flow, and its motion does not. {REMEDY}"]
    alike = _likeness(*both)
    if alike is None or alike >= UNLIKE:
        return []
    return [
        f"the video hardly moves like its motion: by optical flow the likeness is {alike:.2f}, of at most 1, and {UNLIKE:g} is "
        f"reached by chance. {REMEDY}"
    ]


def likeness(reference: Clip, video: Clip, span: int | None = None) -> float | None:
    """How alike two videos move: the cosine between their displacements, 1 where they differ by speed alone, 0 by chance.

    It is of the cells of a lattice, from each of a few moments to the next, by optical flow, where both are known; or of the mean
    over the cells by how much they move, whichever is greater: the second lets a thing be elsewhere.

    Args:
        reference: one of them.
        video: the other.
        span: frames in which they have so many moments; all of them where none are given.

    Returns:
        0 where the video stands still beside a reference that clearly moves. None where one of them stands still otherwise, optical
        flow cannot follow most of the reference, too little is known of both, or they have other numbers of frames.
    """
    both = _both(reference, video, span)
    if both is None:
        return None
    return 0.0 if _stands_beside(*both) else _likeness(*both)


def _both(reference: Clip, video: Clip, span: int | None) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The steps of both; none where they have other numbers of frames, or too few."""
    if len(reference.frames) != len(video.frames) or len(video.frames) < MOMENTS:
        return None
    return _steps(reference, span), _steps(video, span)


def _stands_beside(own: torch.Tensor, made: torch.Tensor) -> bool:
    """Whether a video stands still, as far as optical flow follows it, beside a reference that clearly moves there."""
    known = _known(made)
    if float(known.float().mean()) < FOLLOWED:
        return False
    return _furthest(own.nan_to_num() * known) > CLEARLY and _furthest(made.nan_to_num() * known) <= STANDING


def _likeness(own: torch.Tensor, made: torch.Tensor) -> float | None:
    followed = _known(own)
    both = followed & _known(made)
    if float(followed.float().mean()) < FOLLOWED or float(both.float().mean()) < FEW:
        return None
    own, made = own.nan_to_num() * both, made.nan_to_num() * both
    found = [_cosine(first, second) for first, second in ((own, made), (_mean(own), _mean(made)))]
    counted = [value for value in found if value is not None]
    return max(counted) if counted else None


def _known(steps: torch.Tensor) -> torch.Tensor:
    """Where optical flow follows, ``(steps, cells, 1)``."""
    return ~steps.isnan().any(dim=-1, keepdim=True)


def _steps(clip: Clip, span: int | None) -> torch.Tensor:
    """Displacement of each cell from each moment to the next, in cells, ``(steps, cells, 2)``; NaN where it is unknown.

    Args:
        clip: at least as many frames as moments.
        span: frames of each of the spans that have so many moments, or somewhat more; none for one of all frames.
    """
    height, width = clip.frames.shape[1:3]
    scale = min(1.0, LONGEST / max(height, width))
    small = clip.resized(max(1, round(height * scale)), max(1, round(width * scale))) if scale < 1 else clip
    last, lattice = len(clip.frames) - 1, Lattice(MOMENTS, CELLS, CELLS)
    count = 1 if span is None else max(1, len(clip.frames) // max(span, MOMENTS))
    steps: list[torch.Tensor] = []
    for number in range(count):
        begin, end = (round(last * bound / count) for bound in (number, number + 1))
        times = [moment * (end - begin) / (MOMENTS - 1) for moment in range(MOMENTS)]
        found = flow_displacement(small.frames[begin : end + 1], times, lattice)
        steps += [found[moment, moment + 1] for moment in range(MOMENTS - 1)]
    return torch.stack(steps)


def _mean(steps: torch.Tensor) -> torch.Tensor:
    """The mean of each step, by how much each cell moves, ``(steps, 2)``: what stands does not count."""
    weights = steps.norm(dim=-1, keepdim=True)
    return (steps * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-6)


def _furthest(steps: torch.Tensor) -> float:
    """How far what moves most does, in cells."""
    return float(steps.norm(dim=-1).max())


def _cosine(first: torch.Tensor, second: torch.Tensor) -> float | None:
    """The cosine between two motions; none where one of them nowhere moves further than what stands."""
    if min(_furthest(first), _furthest(second)) <= STANDING:
        return None
    return float((first * second).sum() / (first.norm() * second.norm()))
