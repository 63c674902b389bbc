"""Left and right swapped: what moved to the right moves to the left."""

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.edit import Edit


def edit() -> Edit:
    """Swaps left and right."""
    return Edit("mirror", _flipped, _turned, _flipped)


def _flipped(field: Float[Tensor, "*axes height width"]) -> Float[Tensor, "*axes height width"]:
    """The columns in reverse."""
    return field.flip(-1)


def _turned(moves: Float[Tensor, "*axes 2"]) -> Float[Tensor, "*axes 2"]:
    """The x negated."""
    return moves * torch.tensor([-1, 1], dtype=moves.dtype, device=moves.device)
