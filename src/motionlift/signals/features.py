"""Motion signals of a block's features: SMM and MOFT, the baselines that DiTFlow (arXiv 2412.07776) compares with.

*SMM* (Yatim et al., arXiv 2311.17009): spatial means of the features; motion is how they differ between frames. *MOFT* (Xiao et
al., arXiv 2405.14864): features less their mean over time; motion is what remains in a few channels.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity

from motionlift.core.lattice import Lattice
from motionlift.errors import SettingError


def spatial_mean_differences(
    features: Float[Tensor, "tokens channels"], lattice: Lattice
) -> Float[Tensor, "pairs channels"]:
    """Differences between the spatial means of every two frames, the earlier one subtracted.

    Every frame serves as anchor of all others. A pair is taken once: the other way round only the sign changes, and the
    released pairs of a frame with itself are zero. Pairs run (0, 1), (0, 2), ..., (1, 2), ...; one frame has none.

    Raises:
        SettingError: the features do not fill the lattice.
    """
    means = spatial_means(features, lattice)
    earlier, later = torch.triu_indices(lattice.frames, lattice.frames, offset=1, device=features.device)
    return means[later] - means[earlier]


def smm_loss(
    generated_features: Float[Tensor, "tokens channels"],
    reference_differences: Float[Tensor, "pairs channels"],
    lattice: Lattice,
) -> Float[Tensor, ""]:
    """One less the cosine between generated and reference differences, averaged over the pairs of frames.

    The generated differences are taken from the generated anchor, so that the gradient passes through both frames of a pair;
    the released program subtracts the reference's anchor. A difference of zero has cosine zero with everything. Zero for one frame.

    Args:
        generated_features: features of the video being made.
        reference_differences: :func:`spatial_mean_differences` of the reference, on the same lattice.
        lattice: the lattice of both.

    Raises:
        SettingError: the features do not fill the lattice.
    """
    differences = spatial_mean_differences(generated_features, lattice)
    distances = 1 - cosine_similarity(differences, reference_differences.detach().to(differences), dim=-1)
    return distances.sum() / max(1, len(distances))


def spatial_means(features: Float[Tensor, "tokens channels"], lattice: Lattice) -> Float[Tensor, "frames channels"]:
    """Spatial means of every frame.

    Raises:
        SettingError: the features do not fill the lattice.
    """
    return _frames(features, lattice).mean(dim=1)


def released_smm_loss(
    generated: Float[Tensor, "frames channels"], reference: Float[Tensor, "frames channels"]
) -> Float[Tensor, ""]:
    """SMM as DiTFlow's program computes it, from spatial means (:func:`spatial_means`).

    Each frame of the reference serves as anchor of both videos. ``1 - cos`` between what is left of both, along the frames and for
    each channel by itself, is averaged over channels and anchors. So the gradient passes through one frame of a pair alone, and the
    means themselves count, not only how they change.

    Args:
        generated: of the video being made.
        reference: of the reference.
    """
    reference = reference.detach().to(generated)
    own, wanted = (means[None] - reference[:, None] for means in (generated, reference))
    return (1 - cosine_similarity(own, wanted, dim=1)).mean()


def motion_features(features: Float[Tensor, "tokens channels"], lattice: Lattice) -> Float[Tensor, "tokens channels"]:
    """Features less their mean over time at each place of the lattice.

    Raises:
        SettingError: the features do not fill the lattice.
    """
    frames = _frames(features, lattice)
    return (frames - frames.mean(dim=0, keepdim=True)).flatten(0, 1)


def motion_channels(
    features: Float[Tensor, "tokens channels"], lattice: Lattice, share: float = 0.04
) -> Int[Tensor, " chosen"]:
    """Numbers of the channels of largest absolute weight in the first principal component of the motion features, ascending.

    Args:
        features: features of a block; their mean over time is taken out here (once more does no harm).
        lattice: the lattice.
        share: share of the channels to choose, rounded, at least one; 4 % as DiTFlow runs MOFT.

    Raises:
        SettingError: the share is not over 0 and at most 1, or the features do not fill the lattice.
    """
    if not 0 < share <= 1:
        raise SettingError(f"share of channels is {share}; give a number over 0, at most 1, such as 0.04")
    moving = motion_features(features.detach().float(), lattice)
    # Their mean over all tokens is zero, so this is the covariance but for a factor; eigh sorts upwards.
    component = torch.linalg.eigh(moving.T @ moving).eigenvectors[:, -1]
    return component.abs().topk(max(1, round(share * len(component)))).indices.sort().values


def moft_loss(
    generated: Float[Tensor, "tokens chosen"], reference: Float[Tensor, "tokens chosen"]
) -> Float[Tensor, ""]:
    """One less the cosine between generated and reference motion features, averaged over tokens.

    Tokens whose reference is zero have no direction and are left out; where none is left the loss is zero.

    Args:
        generated: :func:`motion_features` of the video being made, in the :func:`motion_channels` of the reference.
        reference: those of the reference, in the same channels.
    """
    reference = reference.detach().to(generated)
    moving = reference.norm(dim=-1) > 0
    distances = 1 - cosine_similarity(generated, reference, dim=-1)
    return torch.where(moving, distances, 0).sum() / moving.sum().clamp(min=1)


def _frames(features: Tensor, lattice: Lattice) -> Float[Tensor, "frames area channels"]:
    """Features by frame, in single precision: means of half-precision ones, subtracted, would be mostly rounding."""
    sizes = (lattice.frames, lattice.height, lattice.width)
    if len(features) != math.prod(sizes):
        raise SettingError(
            f"features of {len(features)} tokens do not fill a lattice of {lattice}; give its video tokens alone"
        )
    return features.float().unflatten(0, (lattice.frames, lattice.height * lattice.width))
