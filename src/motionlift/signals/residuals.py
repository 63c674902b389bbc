"""Residuals of noise between consecutive frames, the motion vectors of VMC (arXiv 2312.00845).

By Tweedie's formula the difference of denoised frames is an affine map of the difference of their noises, so that matching one is
matching the other.
"""

import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

from motionlift.errors import SettingError

FORMS = ("cos", "l2", "released")
"""Forms of the loss: the paper's two, and what the authors' program computes."""


def residual_loss(
    predicted: Float[Tensor, "batch channels frames height width"],
    true: Float[Tensor, "batch channels frames height width"],
    form: str = "cos",
) -> Float[Tensor, ""]:
    """Distance between the residuals ``d_n = e[n+1] - e[n]`` of two noises, mean over the clips and their residuals.

    Args:
        predicted: noise as the network predicts it.
        true: noise that was added.
        form: ``cos``, ``1 - cos(d_n, d'_n)``, every ``d_n`` flattened to one vector (paper, its choice); ``l2``,
            ``||d_n - d'_n||^2`` (paper); ``released``, one minus the cosine along the frames between absolute residuals, mean over
            channels and places (the authors' program).

    Raises:
        SettingError: another form, or fewer than two frames.
    """
    if form not in FORMS:
        raise SettingError(f"form is {form!r}; allowed are {', '.join(FORMS)}")
    if true.shape[2] < 2:
        raise SettingError(f"{true.shape[2]} frame has no residuals; give two or more")
    if form == "released":
        return (1 - functional.cosine_similarity(predicted.diff(dim=2).abs(), true.diff(dim=2).abs(), dim=2)).mean()
    residuals, wanted = (noise.diff(dim=2).transpose(1, 2).flatten(2) for noise in (predicted, true))
    if form == "cos":
        return (1 - functional.cosine_similarity(residuals, wanted, dim=2)).mean()
    return (residuals - wanted).square().sum(dim=2).mean()
