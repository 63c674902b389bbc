"""Everything elsewhere in the frame; what comes in at a side repeats what is seen at that side.

It puts a motion where the thing is in a picture that a video begins with: what is read of a reference is tied to its places. What
leaves at one side does not come in at the other: on ``tiny-wan`` a second thing came of it, there.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Shaped
from torch import Tensor

from motionlift.core.edit import Edit
from motionlift.core.edit_names import written_edit

Change = Callable[[Tensor], Tensor]


def edit(right: float, down: float) -> Edit:
    """Moves by shares of the frame's width and height, rounded to whole places."""
    name = written_edit("move", right, down)
    return Edit(name, *_moving(right, down), partial(_by_places, name, right, down))


def _by_places(name: str, right: float, down: float, rows: int, columns: int) -> Edit:
    """The same by whole places of a field, which fields of other sizes follow."""
    return Edit(name, *_moving(round(right * columns) / columns, round(down * rows) / rows))


def _moving(right: float, down: float) -> tuple[Change, Change, Change]:
    """How places, vectors and noise change."""
    return partial(_moved, right, down), _same, partial(_rolled, right, down)


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
