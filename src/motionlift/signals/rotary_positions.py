"""Rotary positions moved by parts of a token: where a token believes that it is (RoPECraft, Gokmen et al., 2505.13344).

A rotary embedding turns pairs of a token's channels by angles that grow evenly with its frame, row and column. So the turn from one
row to the next is the same everywhere, and a token that is to be ``y`` rows lower is turned ``y`` times as far; columns likewise.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.lattice import Lattice


def moved_positions(
    cosine: Float[Tensor, "..."], sine: Float[Tensor, "..."], lattice: Lattice, shift: Float[Tensor, "frames area 2"]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """Rotary tensors of tokens that believe to be elsewhere.

    Args:
        cosine: of every token's angles, with the tokens on one axis and the angles on the last.
        sine: likewise.
        lattice: the tokens, in frame-row-column order.
        shift: how far each token is moved, in tokens, x then y.

    Returns:
        Cosine and sine, with the same axes.
    """
    axis = list(cosine.shape[:-1]).index(lattice.tokens)
    turns = torch.complex(cosine.double(), sine.double()).movedim(axis, 0)
    laid = turns.unflatten(0, (lattice.frames, lattice.height, lattice.width))
    right, down = _turn(laid, 2), _turn(laid, 1)
    x, y = shift.double().flatten(0, 1).to(turns.device).unbind(-1)
    sizes = (-1, *(1,) * (turns.ndim - 1))
    moved = (turns * torch.polar(torch.ones_like(right), x.view(sizes) * right + y.view(sizes) * down)).movedim(0, axis)
    return moved.real.to(cosine.dtype), moved.imag.to(sine.dtype)


def _turn(laid: Tensor, axis: int) -> Tensor:
    """Angles of the turn from one token to the next along an axis; zero where there is one alone."""
    if laid.shape[axis] < 2:
        return torch.zeros_like(laid[0, 0, 0].real)
    ahead = laid.select(axis, 1)[0, 0] if axis == 1 else laid[0, 0, 1]
    return (ahead * laid[0, 0, 0].conj()).angle()
