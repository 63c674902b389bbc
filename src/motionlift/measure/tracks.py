"""How far generated tracks are from true ones.

A track is ``(frames, 2)``, or several at once ``(objects, frames, 2)``: x then y as shares of the frame's width and
height. NaN in a generated track means that the object is not seen in that frame; a true track is whole.

Unseen frames are left out of every mean, so each score should be read beside :func:`seen_share`. Leaving out alone
would reward a clip that shows its object only where that is easy: a track seen in fewer than half of its frames is
scored as one that stands still in the middle of the frame. (All of this is ours.)
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motionlift.errors import InputError

Track = Tensor | np.ndarray
"""``(frames, 2)`` or ``(objects, frames, 2)``, floating point."""

STANDING = 0.25 / 64
"""A true step no longer than this, a quarter of a pixel of 64, has no direction worth comparing (ours)."""
LEAST_SEEN = 0.5
"""A track seen in a smaller share of its frames than this is scored as standing still in the middle (ours)."""


def _whole(tracks: Track, name: str) -> Float[Tensor, "objects frames 2"]:
    tensor = torch.as_tensor(tracks)
    if tensor.ndim not in (2, 3) or tensor.shape[-1] != 2 or tensor.numel() == 0 or not tensor.is_floating_point():
        raise InputError(
            f"the {name} track is {tensor.dtype} of shape {tuple(tensor.shape)}; give floats of shape (frames, 2) or "
            "(objects, frames, 2), neither of them zero"
        )
    if tensor.isinf().any():
        raise InputError(f"the {name} track holds infinite positions; give finite ones, or NaN where nothing is seen")
    return tensor.detach().cpu().double().reshape(-1, *tensor.shape[-2:])


def _seen(tracks: Float[Tensor, "objects frames 2"]) -> Bool[Tensor, "objects frames"]:
    return ~tracks.isnan().any(dim=-1)


def _pair(generated: Track, true: Track) -> tuple[Float[Tensor, "objects frames 2"], Float[Tensor, "objects frames 2"]]:
    """Both tracks, checked; a generated one that is seen too little replaced by the middle of the frame."""
    made, truth = _whole(generated, "generated"), _whole(true, "true")
    if made.shape != truth.shape:
        raise InputError(
            f"the generated track has shape {tuple(made.shape)} and the true one {tuple(truth.shape)} "
            "(objects, frames, 2); give tracks of the same objects and frames"
        )
    if truth.isnan().any():
        raise InputError("the true track holds NaN; give a true track that is known in every frame")
    too_little = _seen(made).double().mean(dim=1) < LEAST_SEEN
    return torch.where(too_little[:, None, None], torch.full_like(made, 0.5), made), truth


def _mean_seen(values: Tensor, seen: Bool[Tensor, "objects frames"]) -> Tensor:
    """Means over the seen frames, ``(objects, ...)``; every object is seen in some frame."""
    weights = seen.reshape(*seen.shape, *[1] * (values.ndim - 2))
    return torch.where(weights, values, 0.0).sum(dim=1) / weights.sum(dim=1)


def seen_share(generated: Track) -> float:
    """Share of frames, 0..1, in which the object is seen; over all objects.

    Raises:
        InputError: the track is of the wrong shape or type.
    """
    return float(_seen(_whole(generated, "generated")).double().mean())


def absolute_error(generated: Track, true: Track) -> float:
    """Mean distance ``mean |g - t|`` between the tracks over the seen frames, then over objects; shares of the frame.

    Raises:
        InputError: a track is of the wrong shape or type, the shapes differ, or the true track holds NaN.
    """
    made, truth = _pair(generated, true)
    return float(_mean_seen((made - truth).norm(dim=-1), _seen(made)).mean())


def aligned_error(generated: Track, true: Track) -> float:
    """Mean distance ``mean |(g - mean g) - (t - mean t)|`` between the tracks after removing each one's own mean.

    All means are over the frames in which the generated object is seen, then over objects; in shares of the frame. It
    is blind to where the object is and sees only how it moves.

    Raises:
        InputError: a track is of the wrong shape or type, the shapes differ, or the true track holds NaN.
    """
    made, truth = _pair(generated, true)
    seen = _seen(made)
    difference = made - truth
    return float(_mean_seen((difference - _mean_seen(difference, seen)[:, None]).norm(dim=-1), seen).mean())


def direction_cosine(generated: Track, true: Track) -> float:
    """Mean cosine between the tracks' steps from frame to frame, over the true steps longer than :data:`STANDING`.

    Steps of all objects count alike. A generated step of no length counts as zero. A step with an unseen end is left
    out; where none is left the score is zero, as of a track standing still.

    Returns:
        -1..1, or NaN if no true step is long enough: then it is undefined.

    Raises:
        InputError: a track is of the wrong shape or type, the shapes differ, or the true track holds NaN.
    """
    made, truth = _pair(generated, true)
    made_steps, true_steps = made.diff(dim=1), truth.diff(dim=1)
    moving = true_steps.norm(dim=-1) > STANDING
    if not moving.any():
        return math.nan
    counted = moving & _seen(made_steps)
    if not counted.any():
        return 0.0
    return float(torch.cosine_similarity(made_steps[counted], true_steps[counted], dim=-1, eps=1e-12).mean())
