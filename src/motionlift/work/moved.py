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


def found_lines(motion: Motion) -> list[str]:
    """A line where next to nothing moves in a displacement that was lifted; none of motions that are no displacement."""
    moving = [_moving(part) for part in _displacements(motion)]
    if not moving:
        return []
    moves = torch.stack(moving).any(dim=0)
    count, places = int(moves.sum()), len(moves)
    if count >= FEW * places:
        return []
    moves = f"{count or 'none'} of {places} places {'moves' if count <= 1 else 'move'}"
    other = "another clip, or another part of it" if motion.settings.get("read") == "flow" else "--read flow"
    return [
        f"{moves} in what was lifted, so that a video will hardly follow it: try {other}; motionlift inspect draws what was found"
    ]


def _displacements(motion: Motion) -> list[torch.Tensor]:
    """The displacement of the first block of each window, ``(query_frame, key_frame, token, 2)``."""
    count = 1 if motion.windows is None else len(motion.windows)
    fields = [by_block(motion.part(number), DISPLACEMENT) for number in range(count)]
    return [next(iter(field.values())) for field in fields if field]


def _moving(displacement: torch.Tensor) -> torch.Tensor:
    """Which places move from one frame to the next, ever."""
    steps = [displacement[frame, frame + 1] for frame in range(len(displacement) - 1)]
    return (torch.stack(steps).float().norm(dim=-1).nan_to_num() > STANDING).any(dim=0)


def unlike_lines(reference: Clip, video: Clip) -> list[str]:
    """A line where a video hardly moves like its reference.

    Args:
        reference: as many frames as the video.
        video: what was made.
    """
    alike = likeness(reference, video)
    if alike is None or alike >= UNLIKE:
        return []
    return [
        f"the video hardly moves like its motion: by optical flow the likeness is {alike:.2f}, of at most 1, and {UNLIKE:g} is "
        "reached by chance. Try another seed, other settings or another method; motionlift score measures more"
    ]


def likeness(reference: Clip, video: Clip) -> float | None:
    """How alike two videos move: the cosine between their displacements, 1 where they differ by speed alone, 0 by chance.

    It is of the cells of a lattice, from each of a few moments to the next, by optical flow, where both are known; or of the mean
    over the cells by how much they move, whichever is greater: the second lets a thing be elsewhere.

    Returns:
        None where one of them stands still, optical flow cannot follow most of the reference, too little is known of both, or they
        have other numbers of frames.
    """
    if len(reference.frames) != len(video.frames) or len(video.frames) < MOMENTS:
        return None
    own, made = (_steps(clip) for clip in (reference, video))
    followed = ~own.isnan().any(dim=-1, keepdim=True)
    both = followed & ~made.isnan().any(dim=-1, keepdim=True)
    if float(followed.float().mean()) < FOLLOWED or float(both.float().mean()) < FEW:
        return None
    own, made = own.nan_to_num() * both, made.nan_to_num() * both
    found = [_cosine(first, second) for first, second in ((own, made), (_mean(own), _mean(made)))]
    counted = [value for value in found if value is not None]
    return max(counted) if counted else None


def _steps(clip: Clip) -> torch.Tensor:
    """Displacement of each cell from each moment to the next, in cells, ``(moments - 1, cells, 2)``; NaN where it is unknown."""
    height, width = clip.frames.shape[1:3]
    scale = min(1.0, LONGEST / max(height, width))
    small = clip.resized(max(1, round(height * scale)), max(1, round(width * scale))) if scale < 1 else clip
    times = [moment * (len(clip.frames) - 1) / (MOMENTS - 1) for moment in range(MOMENTS)]
    found = flow_displacement(small.frames, times, Lattice(MOMENTS, CELLS, CELLS))
    return torch.stack([found[moment, moment + 1] for moment in range(MOMENTS - 1)])


def _mean(steps: torch.Tensor) -> torch.Tensor:
    """The mean of each step, by how much each cell moves, ``(moments - 1, 2)``: what stands does not count."""
    weights = steps.norm(dim=-1, keepdim=True)
    return (steps * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-6)


def _cosine(first: torch.Tensor, second: torch.Tensor) -> float | None:
    """The cosine between two motions; none where one of them nowhere moves further than what stands."""
    if not all(bool((own.norm(dim=-1) > STANDING).any()) for own in (first, second)):
        return None
    return float((first * second).sum() / (first.norm() * second.norm()))
