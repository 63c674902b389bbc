"""Training the bundled autoencoders on the world: absolute and squared error of the pixels, and a light KL term."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKL, AutoencoderKLWan
from jaxtyping import Bool, Float
from torch import Tensor

from lab.training.worlds import SHAPES_WORLD, World, faster
from motionlift.world import scenes

KL_WEIGHT = 1e-4
"""Ours: keeps latents smooth; reconstructions stay sharp because nothing in the world is finer than a pixel."""


@dataclass(frozen=True)
class AutoencoderStage:
    """A stretch of training on clips of one length."""

    steps: int
    """Optimiser steps."""
    clips: int
    """Clips a step."""
    frames: int
    """Frames a clip."""
    crop: int
    """Side of the square taken from each clip, pixels."""
    speeds: tuple[int, ...] = (1,)
    """How many times as fast as drawn things move, clip by clip in turns."""
    objects: float = 0.0
    """Extra weight of the errors of pixels on and near objects."""


LEARNING_RATE = 1.5e-3
"""Peak of AdamW's learning rate (ours)."""


def stage_of(stages: Sequence[AutoencoderStage], step: int) -> AutoencoderStage:
    """The stage that a step lies in."""
    for stage in stages:
        if step < stage.steps:
            return stage
        step -= stage.steps
    return stages[-1]


def batch(
    seed: int, step: int, stage: AutoencoderStage, size: int, world: World = SHAPES_WORLD
) -> tuple[Float[Tensor, "b 3 f h w"], Float[Tensor, "b 1 f h w"]]:
    """Videos in -1..1 for one step, the same for the same seed and step, and the weights of their pixels' errors."""
    drawn = [
        faster(world.draw(seed, number, stage.frames), stage.speeds[number % len(stage.speeds)])
        for number in range(step * stage.clips, (step + 1) * stage.clips)
    ]
    rendering = scenes.render(drawn, size, size)
    pixels = rendering.frames.permute(0, 4, 1, 2, 3) / 127.5 - 1
    both = torch.cat([pixels, object_weight(rendering.masks, stage.objects)], dim=1)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    crops = []
    for clip in both:
        top, left = torch.randint(0, size - stage.crop + 1, (2,), generator=generator).tolist()
        crops.append(clip[:, :, top : top + stage.crop, left : left + stage.crop])
    return torch.stack(crops).split([3, 1], dim=1)  # pyright: ignore[reportReturnType]


def object_weight(masks: Bool[Tensor, "b objects f h w"], extra: float) -> Float[Tensor, "b 1 f h w"]:
    """Weights of pixels' errors: one, and so much more on objects and within two pixels of them."""
    objects = masks.any(dim=1).float()
    return 1 + extra * functional.max_pool3d(objects, (1, 5, 5), 1, (0, 2, 2))[:, None]


def autoencoder_loss(
    vae: Any, pixels: Float[Tensor, "b 3 f h w"], weight: Float[Tensor, "b 1 f h w"], generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Reconstruction and KL terms of one batch; an autoencoder of pictures sees each frame alone.

    Args:
        vae: the autoencoder.
        pixels: videos in -1..1.
        weight: of each pixel's error.
        generator: of the noise on latents.

    Returns:
        The loss, and its parts for the log (``psnr`` in dB of a peak of two).
    """
    if isinstance(vae, AutoencoderKL):
        pixels, weight = (each.transpose(1, 2).flatten(0, 1) for each in (pixels, weight))
    posterior = vae.encode(pixels).latent_dist
    mean, deviation = posterior.mean.float(), posterior.std.float()
    latents = mean + deviation * torch.randn(mean.shape, generator=generator)
    error = decode(vae, latents.to(pixels.dtype)).float() - pixels
    kl = 0.5 * (mean.square() + deviation.square() - 1 - 2 * deviation.log()).mean()
    loss = _weighted(error, weight) + KL_WEIGHT * kl
    return loss, {"psnr": _psnr(error), "kl": float(kl.detach())}


def _weighted(error: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of absolute and twice the squared errors of all colours."""
    return (weight * (error.abs() + 2 * error.square())).sum() / (weight.sum() * error.shape[1])


def _psnr(error: Tensor) -> float:
    """In dB of a peak of two."""
    return float(10 * torch.log10(4 / error.detach().square().mean()))


def decode(vae: Any, latents: Float[Tensor, "b c f h w"]) -> Tensor:
    """Pixels of unscaled latents, in the autoencoder's own layout and not cut to -1..1.

    ``AutoencoderKLWan.decode`` cuts them, and where it cuts no gradient comes back: a pixel too bright would stay so.
    """
    if not isinstance(vae, AutoencoderKLWan):
        return vae.decode(latents).sample
    vae.clear_cache()
    hidden = vae.post_quant_conv(latents)
    pieces = []
    for number, piece in enumerate(hidden.split(1, dim=2)):
        vae._conv_idx = [0]
        pieces.append(vae.decoder(piece, feat_cache=vae._feat_map, feat_idx=vae._conv_idx, first_chunk=number == 0))
    vae.clear_cache()
    return torch.cat(pieces, dim=2)


DECODER_STEPS, DECODER_CLIPS = 3000, 2
"""Steps, and clips a step, of the decoder's own training after the latents are fixed (ours)."""
LATENT_NOISE = 0.05
"""Deviation of the noise on latents of unit variance that the decoder learns to bear: drawn latents are never exact (ours)."""
OBJECT_WEIGHT = 4.0
"""Extra weight of pixels on and near objects, which are a tenth of the picture and all of the interest (ours)."""


def decoder_loss(
    vae: Any,
    latents: Float[Tensor, "b c f h w"],
    drawn: Sequence[scenes.Scene],
    size: int,
) -> tuple[Tensor, dict[str, float]]:
    """Reconstruction of known scenes from their unscaled latents, errors on objects counting more.

    Returns:
        The loss, and its parts for the log (``psnr`` in dB of a peak of two).
    """
    rendering = scenes.render(drawn, size, size, latents.device)
    pixels = rendering.frames.permute(0, 4, 1, 2, 3) / 127.5 - 1
    error = decode(vae, latents).float() - pixels
    return _weighted(error, object_weight(rendering.masks, OBJECT_WEIGHT)), {"psnr": _psnr(error)}
