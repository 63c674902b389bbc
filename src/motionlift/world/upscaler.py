"""The network of the bundled super-resolution stage, and what goes in and comes out."""

import torch
import torch.nn.functional as functional
from diffusers import DDIMScheduler, UNet3DConditionModel
from jaxtyping import Bool, Float
from torch import Tensor, nn

FACTOR, WINDOW = 2, 8
"""How much larger frames become, and frames of a window (VMC, released: eight)."""
PATCH = 2
"""Side of the squares of pixels that the network sees as channels of one place (ours: its convolutions are then cheap; squares of
4x4 were cheaper still, and hid the edges)."""
WIDTHS = (32, 48, 64)
"""Channels of the network's levels, each of half the rows and columns (ours)."""
CHANNELS = 3 * PATCH**2
"""Channels of a place: those of its pixels."""
SPREAD, DETAIL = 0.035, 0.055
"""Root mean squares in the world, in units of -1..1 (measured), of the residual, and of what enlarged frames hold beside the means
of such squares: the network sees both divided by these. Colours themselves would drown the little that an edge is told by."""
TEXT = (1, 8)
"""Tokens and width of the empty text that the network's attention is given."""

Window = Float[Tensor, "b 3 frames height width"]
"""Frames, RGB in -1..1."""
Large = Float[Tensor, "b 3 frames large_height large_width"]
"""The same, of the larger size."""


def network() -> UNet3DConditionModel:
    """The network: noisy residual, detail of the enlarged frames, the residual that is given, and where; as places of pixels."""
    return UNet3DConditionModel(
        in_channels=3 * CHANNELS + 1,
        out_channels=CHANNELS,
        down_block_types=("DownBlock3D",) * len(WIDTHS),
        up_block_types=("UpBlock3D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=TEXT[1],
        attention_head_dim=16,
    )


def scheduler() -> DDIMScheduler:
    """From pure noise, the network predicting the clean residual: it is hardly wide enough to tell noise."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        clip_sample=False,
    )


def enlarged(small: Window) -> Large:
    """Frames enlarged by the usual bicubic filter."""
    frames = small.transpose(1, 2).flatten(0, 1)
    large = functional.interpolate(frames, scale_factor=FACTOR, mode="bicubic", align_corners=False).clamp(-1, 1)
    return large.unflatten(0, (len(small), -1)).transpose(1, 2)


def folded(frames: Window) -> Float[Tensor, "b channels frames rows columns"]:
    """Squares of pixels as channels of one place."""
    places = functional.pixel_unshuffle(frames.transpose(1, 2), PATCH)
    return places.transpose(1, 2)


def unfolded(places: Float[Tensor, "b channels frames rows columns"]) -> Window:
    """Undoes :func:`folded`."""
    return functional.pixel_shuffle(places.transpose(1, 2), PATCH).transpose(1, 2)


def residual(
    unet: nn.Module,
    noisy: Float[Tensor, "b channels frames rows columns"],
    timestep: Tensor,
    base: Window,
    given: Window,
    mask: Bool[Tensor, "b frames"],
) -> Float[Tensor, "b channels frames rows columns"]:
    """The folded residual that the network sees in a noisy one.

    Args:
        unet: the network.
        noisy: the folded residual with noise, in units of :data:`SPREAD`.
        timestep: one for every window.
        base: enlarged frames.
        given: the residual where it is given, in the same units; what it holds elsewhere does not matter.
        mask: frames where it is given.
    """
    where = mask[:, None, :, None, None].to(noisy)
    told = folded(given) * where
    inputs = torch.cat([noisy, folded(detail(base)), told, where.expand(-1, -1, -1, *noisy.shape[3:])], dim=1)
    text = torch.zeros(len(noisy), *TEXT, device=noisy.device, dtype=noisy.dtype)
    return unet(inputs, timestep, text, return_dict=False)[0]


def detail(base: Large) -> Large:
    """What enlarged frames hold beside the means of their squares, in units of :data:`DETAIL`."""
    frames = base.transpose(1, 2).flatten(0, 1)
    means = functional.interpolate(
        functional.avg_pool2d(frames, PATCH), scale_factor=PATCH, mode="bilinear", align_corners=False
    )
    return ((frames - means) / DETAIL).unflatten(0, (len(base), -1)).transpose(1, 2)
