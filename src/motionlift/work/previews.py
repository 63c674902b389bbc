"""Pictures of latents while a video comes into being: a linear map from channels to colours.

It is fitted to the model's own autoencoder, by least squares over pictures of the world, so that it serves any model without
weights of its own. What it shows is coarse and somewhat off in its colours; it costs one product of matrices.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from motionlift.core.model import Model
from motionlift.core.tensors import Latents
from motionlift.world.named import sample_named
from motionlift.world.scenes import render, sample
from motionlift.world.things import THINGS

PICTURES = 64
"""Pictures that it is fitted to (ours: every ground and colour is among them several times)."""
STREAM = 98
"""Seed of their scenes."""
MOST_SIDE = 128
"""Longest side of those pictures, pixels (ours: the map is the same at every size)."""


@dataclass(frozen=True)
class Projection:
    """A linear map from latents to colours."""

    weights: Float[Tensor, "channels_and_one 3"]
    """Of every channel, and of one, on red, green and blue, 0..1."""

    def pictures(self, latents: Latents) -> UInt8[Tensor, "f h w 3"]:
        """Colours of the first video of the latents, a pixel for each place.

        Args:
            latents: ``(videos, channels, frames, height, width)``, noisy or not.
        """
        places = latents[0].float().cpu().permute(1, 2, 3, 0)
        colours = places @ self.weights[:-1] + self.weights[-1]
        return (colours.clamp(0, 1) * 255).round().to(torch.uint8)


@torch.no_grad()
def projection_of(model: Model) -> Projection:
    """The map of a model, fitted to pictures of the world at no more than :data:`MOST_SIDE` pixels.

    Raises:
        MotionliftError: one of its kinds, as of the model's autoencoder.
    """
    codec: Any = model.codec
    step = codec.side * codec.tokens
    side = max(step, min(MOST_SIDE, model.about.shape.height, model.about.shape.width) // step * step)
    known = set(model.text.known_words())
    # A model that learned patterns alone has latents of its own for what it never saw.
    kinds = (sample,) if known and not known.issuperset(THINGS) else (sample, sample_named)
    drawn = [kinds[index % len(kinds)](STREAM, index, codec.fewest) for index in range(PICTURES)]
    rows, colours = [], []
    for scene in drawn:
        pixels = render([scene], side, side).frames[0].permute(0, 3, 1, 2) / 127.5 - 1
        latents = codec.encode(pixels.to(model.about.device))[0].float().cpu()
        shown = functional.adaptive_avg_pool3d((pixels.movedim(1, 0) + 1) / 2, latents.shape[1:])
        rows.append(latents.flatten(1).T)
        colours.append(shown.flatten(1).T)
    latents = torch.cat(rows)
    latents = torch.cat([latents, torch.ones(len(latents), 1)], dim=1)
    return Projection(torch.linalg.lstsq(latents, torch.cat(colours)).solution)
