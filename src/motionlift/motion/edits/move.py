"""Everything elsewhere in the frame; what comes in at a side repeats what is seen at that side.

It puts a motion where the thing is in a picture that a video begins with: what is read of a reference is tied to its places. What
leaves at one side does not come in at the other: on ``tiny-wan`` a second thing came of it, there.
"""

from functools import partial

import torch
from jaxtyping import Shaped
from torch import Tensor

from motionlift.core.edit import Edit


def edit(right: float, down: float) -> Edit:
    """Moves by shares of the frame's width and height, rounded to whole places of each field."""
    return Edit(f"move={right:g},{down:g}", partial(_moved, right, down), _same, partial(_rolled, right, down))


def _moved(
    right: float, down: float, field: Shaped[Tensor, "*axes height width"]
) -> Shaped[Tensor, "*axes height width"]:
    rows, columns = (
        (torch.arange(size, device=field.device) - round(share * size)).clamp(0, size - 1)
        for share, size in zip((down, right), field.shape[-2:], strict=True)
    )
    return field[..., rows[:, None], columns]


def _rolled(
    right: float, down: float, noise: Shaped[Tensor, "*axes height width"]
) -> Shaped[Tensor, "*axes height width"]:
    """What leaves at one side comes in at the other."""
    height, width = noise.shape[-2:]
    return noise.roll((round(down * height), round(right * width)), (-2, -1))


def _same(moves: Shaped[Tensor, "*axes 2"]) -> Shaped[Tensor, "*axes 2"]:
    """Which way things go does not change."""
    return moves
