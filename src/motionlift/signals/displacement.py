r"""Attention Motion Flow (DiTFlow, arXiv 2412.07776): how far each token's attention reaches into every other frame.

With ``S = mean over heads of Q K^T / sqrt(d)``, a token ``(u, v)`` of frame ``i`` attends to the tokens ``(u', v')`` of frame
``j`` with ``P = softmax(temperature * S)`` over that frame alone. Its displacement is the expected ``(u' - u, v' - v)``
(soft), or that of the key of the largest logit (hard).

The mean over heads of ``Q K^T`` is one product of the heads laid end to end, divided by their number. So logits are formed
for one target frame and one run of queries at a time, and formed again in the backward pass. With ``g`` the gradient of
a displacement, ``c_k`` the coordinates of key ``k`` and ``e`` the expected coordinates, the gradient of a logit is
``P_k * g.(c_k - e)``.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.lattice import Lattice
from motionlift.errors import SettingError

LOGITS_AT_ONCE = 2**22
"""Most logits held at a time, 16 MiB in single precision; ours: on one CPU core anything from a 64th is as fast."""


def displacement(
    q: Float[Tensor, "heads tokens d"],
    k: Float[Tensor, "heads tokens d"],
    lattice: Lattice,
    temperature: float = 2.0,
    hard: bool = False,
) -> Float[Tensor, "query_frame key_frame token 2"]:
    """Displacement of every token into every frame, x then y, in tokens.

    Logits and softmax are computed in single precision, in double where the input is double; the result has that
    precision too. Memory beyond the inputs is a few copies of them and one run of logits, in forward and backward alike.

    Args:
        q: queries of the video tokens in frame-row-column order, after normalisation and rotary positions.
        k: keys, likewise.
        lattice: the lattice; ``frames * height * width`` must equal the number of tokens.
        temperature: factor on the logits, over zero; 2 is DiTFlow's released value. Without effect when ``hard``.
        hard: take the key of the largest logit, the first of equals. The result then carries no gradient.

    Raises:
        SettingError: the temperature is not a finite number over zero, or queries, keys and lattice do not fit together.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise SettingError(f"temperature is {temperature}; give a finite number over 0, such as 2")
    _check_tokens(q, k, lattice)
    frames, height, width = lattice.frames, lattice.height, lattice.width
    precision = torch.promote_types(torch.promote_types(q.dtype, k.dtype), torch.float32)
    places = _coordinates(height, width, q.device, precision)
    with torch.autocast(q.device.type, enabled=False):
        if hard:
            reached = _largest(q.detach(), k.detach(), places, frames)
        else:
            scale = temperature / (q.shape[0] * math.sqrt(q.shape[2]))
            reached = _Expected.apply(q, k, places, frames, scale)
    return reached.unflatten(1, (frames, height * width)).transpose(0, 1) - places


def displacement_loss(
    generated: Float[Tensor, "query_frame key_frame token 2"],
    reference: Float[Tensor, "query_frame key_frame token 2"],
    threshold: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean squared distance, in square tokens, between two displacements over the entries where the reference moves.

    An entry is one token and one frame pair. Its squared distance is the mean over x and y (released). Entries whose reference
    is NaN are unknown and left out. Where no entry is left the loss is
    zero, with a gradient of zero. The gradient goes to ``generated`` alone.

    Args:
        generated: displacement of the video being made.
        reference: displacement to match.
        threshold: keep the entries whose reference is longer than this many tokens; 0 keeps those that are not zero
            (released), a negative value keeps all that are known.

    Raises:
        SettingError: the threshold is not finite, or the two displacements differ in shape.
    """
    if not math.isfinite(threshold):
        raise SettingError(f"threshold is {threshold}; give a finite number of tokens, such as 0")
    if generated.shape != reference.shape:
        shapes = f"{tuple(generated.shape)} and {tuple(reference.shape)}"
        raise SettingError(f"displacements of shape {shapes} cannot be compared; take both on the same lattice")
    reference = reference.detach()
    kept = (reference.norm(dim=-1) > threshold)[..., None]  # the length of an unknown displacement is NaN: never longer
    difference = torch.where(kept, generated - reference, 0)
    return difference.square().sum() / (2 * kept.sum()).clamp(min=1)


def confirmed(
    field: Float[Tensor, "frame frame token 2"], lattice: Lattice, tolerance: float = 1.0
) -> Float[Tensor, "frame frame token 2"]:
    """The field with NaN, which stands for unknown, where the way there and back does not end near its beginning.

    Where a frame is flat, the largest logit may lie anywhere; two largest logits that point at each other seldom do so by chance.
    The forward-backward check of optical flow, for attention (ours).

    Args:
        field: hard displacement, from every frame to every frame, in tokens.
        lattice: its lattice.
        tolerance: greatest distance in tokens between beginning and end; one is a neighbour (ours).
    """
    places = _coordinates(lattice.height, lattice.width, field.device, field.dtype)
    reached = (places + field).round().long()
    numbers = reached[..., 1] * lattice.width + reached[..., 0]
    back = field.transpose(0, 1).gather(2, numbers[..., None].expand_as(field))
    missed = (field + back).norm(dim=-1) > tolerance
    return field.masked_fill(missed[..., None], float("nan"))


def _check_tokens(q: Tensor, k: Tensor, lattice: Lattice) -> None:
    if q.ndim != 3 or q.shape != k.shape or 0 in q.shape:
        shapes = f"queries {tuple(q.shape)} and keys {tuple(k.shape)}"
        raise SettingError(f"{shapes} do not fit together; give both as (heads, tokens, d)")
    tokens = lattice.frames * lattice.height * lattice.width
    if q.shape[1] != tokens:
        raise SettingError(
            f"{q.shape[1]} tokens do not fill a lattice of {lattice}; give its {tokens} video tokens alone"
        )


def _coordinates(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "token 2"]:
    """Column and row of every token of a frame."""
    rows = torch.arange(height, device=device, dtype=dtype)
    columns = torch.arange(width, device=device, dtype=dtype)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).flatten(0, 1)


def _end_to_end(x: Float[Tensor, "heads tokens d"], dtype: torch.dtype) -> Float[Tensor, "tokens heads*d"]:
    return x.transpose(0, 1).to(dtype, memory_format=torch.contiguous_format).flatten(1)


def _blocks(tokens: int, area: int) -> Iterator[tuple[int, slice, slice]]:
    """Every target frame with its keys and a run of queries, by turns."""
    run = max(1, LOGITS_AT_ONCE // area)
    for frame in range(tokens // area):
        keys = slice(frame * area, (frame + 1) * area)
        for start in range(0, tokens, run):
            yield frame, slice(start, min(start + run, tokens)), keys


def _largest(
    q: Tensor, k: Tensor, places: Float[Tensor, "token 2"], frames: int
) -> Float[Tensor, "key_frame tokens 2"]:
    """Coordinates of the key of the largest logit."""
    queries, keys = _end_to_end(q, places.dtype), _end_to_end(k, places.dtype)
    reached = places.new_empty(frames, len(queries), 2)
    for frame, run, own in _blocks(len(queries), len(places)):
        reached[frame, run] = places[_product(queries[run], keys[own]).argmax(dim=-1)]
    return reached


def _product(left: Float[Tensor, "m n"], right: Float[Tensor, "k n"]) -> Float[Tensor, "m k"]:
    """``left @ right.T``.

    On a CPU by the operator of oneDNN that ``torch.compile`` emits: exact single precision like ``@``, which PyTorch leaves to
    MKL, but at twice its speed on AMD processors.
    """
    if left.device.type == "cpu" and left.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return left @ right.T


class _Expected(torch.autograd.Function):
    """Expected coordinates of the attended key, ``(key_frame, tokens, 2)``."""

    @staticmethod
    def forward(
        context: Any, q: Tensor, k: Tensor, places: Float[Tensor, "token 2"], frames: int, scale: float
    ) -> Float[Tensor, "key_frame tokens 2"]:
        queries, keys = _end_to_end(q, places.dtype) * scale, _end_to_end(k, places.dtype)
        expected = places.new_empty(frames, len(queries), 2)
        logsums = places.new_empty(frames, len(queries), 1)
        weighed = torch.cat([places, torch.ones_like(places[:, :1])], dim=-1)
        for frame, run, own in _blocks(len(queries), len(places)):
            logits = _product(queries[run], keys[own])
            largest = logits.amax(dim=-1, keepdim=True)
            sums = logits.sub_(largest).exp_() @ weighed
            expected[frame, run] = sums[:, :2] / sums[:, 2:]
            logsums[frame, run] = largest + sums[:, 2:].log()
        context.save_for_backward(q, k, places, expected, logsums)
        context.scale = scale
        return expected

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        q, k, places, expected, logsums = context.saved_tensors
        # The slope of a logit before its weight P, g.(c - e), is one product of three columns.
        slopes = torch.cat([gradient, -(gradient * expected).sum(dim=-1, keepdim=True)], dim=-1)
        weighed = torch.cat([places, torch.ones_like(places[:, :1])], dim=-1)
        with torch.autocast(q.device.type, enabled=False):
            queries, keys = _end_to_end(q, places.dtype) * context.scale, _end_to_end(k, places.dtype)
            to_queries, to_keys = torch.zeros_like(queries), torch.zeros_like(keys)
            for frame, run, own in _blocks(len(queries), len(places)):
                weights = _product(queries[run], keys[own]).sub_(logsums[frame, run]).exp_()
                weights *= slopes[frame, run] @ weighed.T
                to_queries[run] += _product(weights, keys[own].T)
                to_keys[own] += _product(weights.T, queries[run].T)
        heads, _, size = q.shape
        grads = [x.unflatten(1, (heads, size)).transpose(0, 1) for x in (to_queries.mul_(context.scale), to_keys)]
        return grads[0].to(q.dtype), grads[1].to(k.dtype), None, None, None
