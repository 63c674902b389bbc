"""Attention probabilities of three kinds, the masks they give, and the losses of MotionFlow (arXiv 2412.05275).

Every kind is the mean over heads of ``softmax(Q K^T / sqrt(d))``. *Cross* attends to text tokens, *spatial* to the tokens of the
same frame, *temporal* to the same place in all frames. A UNet has a module for each. A transformer over whole videos has one map,
of which the last two are slices, and in joint attention the first too: its softmax runs over all keys. Those are given as
``joint_keys``, and only the logarithm of their sum is formed, a run of queries at a time and, where all are many, again in the
backward pass.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as functional
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from motionlift.core.lattice import Lattice
from motionlift.errors import SettingError

LOGITS_AT_ONCE = 2**22
"""Most logits held at a time for a sum over joint_keys, and most of all heads together that are kept for the backward pass and not
formed again: 16 MiB in single precision (ours)."""
SMOOTHING = 0.5
"""Deviation in tokens of the 3x3 Gaussian that smooths a map before its threshold (ours: the paper names none)."""


def cross_probabilities(
    query: Float[Tensor, "heads tokens d"],
    key: Float[Tensor, "heads text d"],
    joint_keys: Sequence[Float[Tensor, "heads _ d"]] = (),
) -> Float[Tensor, "tokens text"]:
    """Attention of every video token to every text token, mean over heads.

    Args:
        query: queries of the video tokens.
        key: keys of the text tokens.
        joint_keys: in joint attention all its keys, text and video; none where the text has an attention of its own.
    """
    return _head_mean(query[:, None], key[:, None], joint_keys)[0]


def spatial_probabilities(
    query: Float[Tensor, "heads tokens d"],
    key: Float[Tensor, "heads tokens d"],
    lattice: Lattice,
    joint_keys: Sequence[Float[Tensor, "heads _ d"]] = (),
) -> Float[Tensor, "frame token token"]:
    """Attention of every token to the tokens of its own frame, mean over heads; from query to key.

    Raises:
        SettingError: the tokens do not fill the lattice.
    """
    return _head_mean(_by_frame(query, lattice), _by_frame(key, lattice), joint_keys)


def temporal_probabilities(
    query: Float[Tensor, "heads tokens d"],
    key: Float[Tensor, "heads tokens d"],
    lattice: Lattice,
    joint_keys: Sequence[Float[Tensor, "heads _ d"]] = (),
) -> Float[Tensor, "token frame frame"]:
    """Attention of every token to its own place in all frames, mean over heads; from query to key.

    Raises:
        SettingError: the tokens do not fill the lattice.
    """
    return _head_mean(_by_frame(query, lattice).transpose(1, 2), _by_frame(key, lattice).transpose(1, 2), joint_keys)


def _by_frame(tokens: Float[Tensor, "heads tokens d"], lattice: Lattice) -> Float[Tensor, "heads frames token d"]:
    if tokens.shape[1] != lattice.frames * lattice.height * lattice.width:
        raise SettingError(f"{tokens.shape[1]} tokens do not fill a lattice of {lattice}; give its video tokens alone")
    return tokens.unflatten(1, (lattice.frames, -1))


def _head_mean(
    query: Float[Tensor, "heads groups m d"],
    key: Float[Tensor, "heads groups n d"],
    joint_keys: Sequence[Float[Tensor, "heads _ d"]],
) -> Float[Tensor, "groups m n"]:
    """Mean over heads of the probabilities within each group, a head at a time; where all are many, formed again in backward."""
    others = sum(each.shape[1] for each in joint_keys)
    logits = query[..., 0].numel() * (key.shape[2] + others)
    formed = partial(checkpoint, use_reentrant=False) if logits > LOGITS_AT_ONCE else _kept
    total = torch.zeros((), device=query.device)
    for number in range(len(query)):
        joint = [each[number] for each in joint_keys]
        total = total + formed(_probabilities, query[number], key[number], joint, formed)
    return total / len(query)


def _kept(function: Callable[..., Tensor], *given: Any) -> Tensor:
    """What a function gives, with what its backward pass needs."""
    return function(*given)


def _probabilities(
    query: Float[Tensor, "groups m d"],
    key: Float[Tensor, "groups n d"],
    joint_keys: Sequence[Float[Tensor, "_ d"]],
    formed: Callable[..., Tensor],
) -> Float[Tensor, "groups m n"]:
    """One head's, in single precision at least."""
    with torch.autocast(query.device.type, enabled=False):
        query, *keys = (each if each.dtype == torch.float64 else each.float() for each in (query, key, *joint_keys))
        query = query / math.sqrt(query.shape[-1])
        logits = query @ keys[0].transpose(1, 2)
        if not joint_keys:
            return logits.softmax(dim=-1)
        others = torch.cat(keys[1:])
        runs = query.flatten(0, 1).split(max(1, LOGITS_AT_ONCE // len(others)))
        sums = torch.cat([formed(_log_sum, run, others) for run in runs])
        return (logits - sums.unflatten(0, logits.shape[:2])[..., None]).exp()


def _log_sum(query: Float[Tensor, "m d"], keys: Float[Tensor, "n d"]) -> Float[Tensor, " m"]:
    return (query @ keys.T).logsumexp(dim=-1)


def smoothed(maps: Float[Tensor, "... height width"]) -> Float[Tensor, "... height width"]:
    """Maps after a 3x3 Gaussian of deviation :data:`SMOOTHING`, edges repeated (ours: the paper names no smoothing)."""
    line = torch.exp(-torch.tensor([1.0, 0.0, 1.0], device=maps.device, dtype=maps.dtype) / (2 * SMOOTHING**2))
    kernel = (line[:, None] * line / line.sum() ** 2)[None, None]
    flat = functional.pad(maps.reshape(-1, 1, *maps.shape[-2:]), (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(flat, kernel).reshape(maps.shape)


def adaptive_mask(maps: Float[Tensor, "... height width"], tau: float = 0.4) -> Bool[Tensor, "... height width"]:
    """Where a map exceeds a share of its own maximum: ``M = 1 if A > tau max(A) else 0`` (paper), in every frame by itself.

    Args:
        maps: attention to one word, in every frame.
        tau: the share; 0.4 is the paper's.

    Raises:
        SettingError: the share is not between 0 and 1.
    """
    if not 0 <= tau < 1:
        raise SettingError(f"tau is {tau}; allowed is 0 to below 1, such as 0.4")
    return maps > tau * maps.amax(dim=(-2, -1), keepdim=True)


def cross_loss(
    maps: Float[Tensor, "words frames height width"], masks: Bool[Tensor, "words frames height width"]
) -> Float[Tensor, ""]:
    """Share of the attention to each word that falls outside its mask: mean of ``1 - sum(M A) / sum(A)`` (paper)."""
    inside = (maps * masks).sum(dim=(-2, -1))
    return (1 - inside / maps.sum(dim=(-2, -1)).clamp(min=torch.finfo(maps.dtype).tiny)).mean()


def self_loss(
    spatial: Float[Tensor, "frame token token"], masks: Bool[Tensor, "words frames height width"]
) -> Float[Tensor, ""]:
    """Share of the masked queries' attention within their frame that falls outside the mask (the paper gives no formula; ours)."""
    flat = masks.flatten(2).to(spatial.dtype)
    inside = torch.einsum("wfq,fqk,wfk->wf", flat, spatial, flat)
    whole = torch.einsum("wfq,fqk->wf", flat, spatial)
    shares = 1 - inside / whole.clamp(min=torch.finfo(spatial.dtype).tiny)
    kept = flat.any(dim=-1)
    return (shares * kept).sum() / kept.sum().clamp(min=1)


def temporal_loss(
    generated: Float[Tensor, "token frame frame"],
    reference: Float[Tensor, "token frame frame"],
    masks: Bool[Tensor, "words frames height width"],
) -> Float[Tensor, ""]:
    """Mean squared distance to the reference's temporal attention where a query is masked (the paper gives no formula; ours)."""
    kept = masks.any(dim=0).flatten(1).T[..., None]
    squares = (generated - reference.detach()).square() * kept
    return squares.sum() / (kept.sum() * generated.shape[-1]).clamp(min=1)
