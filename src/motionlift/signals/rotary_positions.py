"""Rotary positions moved by parts of a token: where a token believes that it is (RoPECraft, Gokmen et al., 2505.13344).

A rotary embedding turns pairs of a token's channels by angles that grow evenly with its frame, row and column. So the turn from one
row to the next is the same everywhere, and a token that is to be ``y`` rows lower is turned ``y`` times as far; columns likewise.

Cosine and sine tell a turn but for whole turns, so that it must be less than half a turn from a token to the next: it is with
positions that count tokens (CogVideoX, HunyuanVideo, Wan). LTX's fractions of a large video turn up to 490 radians a token, and
frequencies that are learned (Mochi) tell nothing.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from motionlift.core.lattice import Lattice

STILL = 1e-6
"""Turns of less, in radians, are none (ours: single precision tells 1e-7 apart, and published tables turn by 1e-4 at least)."""
UNEVEN = 0.05
"""Largest difference of the logarithm of the ratio of two turns from the mean (ours: what half precision rounds is below 0.02)."""


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
    axis, laid = _laid(cosine, sine, lattice)
    turns = laid.flatten(0, 2)
    right, down = _turn(laid, 2), _turn(laid, 1)
    x, y = _exact(shift).flatten(0, 1).to(turns.device).unbind(-1)
    sizes = (-1, *(1,) * (turns.ndim - 1))
    moved = (turns * torch.polar(torch.ones_like(right), x.view(sizes) * right + y.view(sizes) * down)).movedim(0, axis)
    return moved.real.to(cosine), moved.imag.to(sine)


def can_be_moved(cosine: Float[Tensor, "..."], sine: Float[Tensor, "..."], lattice: Lattice) -> bool:
    """Whether the turn from each token to its neighbour is known: less than half a turn in every channel.

    That is known of a table whose turns fall by one ratio from channel to channel, as those of rotary embeddings do: where some
    were of half a turn or more, they would be seen in the other direction, or out of the row.

    Args:
        cosine: as of :func:`moved_positions`.
        sine: likewise.
        lattice: the tokens.
    """
    _, laid = _laid(cosine, sine, lattice)
    return all(
        _fall_evenly(_turn(laid, axis)) for axis, tokens in ((1, lattice.height), (2, lattice.width)) if tokens > 1
    )


def _fall_evenly(turns: Float[Tensor, "... channels"]) -> bool:
    """Whether there are turns, none backwards, and every row of them has one ratio; pairs of channels may share one."""
    moving = turns.abs() > STILL
    if not moving.any() or (turns[moving] < 0).any():
        return False
    for row in turns.reshape(-1, turns.shape[-1]):
        ratios = row[row > STILL].log().diff()
        ratios = ratios[ratios.abs() > UNEVEN]
        if len(ratios) and (ratios - ratios.mean()).abs().max() > UNEVEN:
            return False
    return True


def _laid(
    cosine: Tensor, sine: Tensor, lattice: Lattice
) -> tuple[int, Complex[Tensor, "frames height width ... channels"]]:
    """The axis of the tokens, and the turns as complex numbers, tokens by frame, row and column."""
    axis = list(cosine.shape[:-1]).index(lattice.tokens)
    turns = torch.complex(_exact(cosine), _exact(sine)).movedim(axis, 0)
    return axis, turns.unflatten(0, (lattice.frames, lattice.height, lattice.width))


def _exact(tensor: Tensor) -> Tensor:
    """In double precision, on the CPU where the device is Apple's, which has none."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def _turn(laid: Tensor, axis: int) -> Tensor:
    """Angles of the turn from one token to the next along an axis; zero where there is one alone."""
    if laid.shape[axis] < 2:
        return torch.zeros_like(laid[0, 0, 0].real)
    ahead = laid.select(axis, 1)[0, 0] if axis == 1 else laid[0, 0, 1]
    return (ahead * laid[0, 0, 0].conj()).angle()
