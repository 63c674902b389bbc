"""Pictures of latents while a video comes into being: a linear map from channels to colours.

It is fitted to the model's own autoencoder, by least squares over pictures of the world, so that it serves any model without
weights of its own. What it shows is coarse and somewhat off in its colours; it costs one product of matrices.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from motionlift.core.model import Model
from motionlift.core.tensors import Latents
from motionlift.errors import MotionliftError
from motionlift.world.named import sample_named
from motionlift.world.scenes import render, sample
from motionlift.world.things import THINGS

PICTURES = 64
"""Pictures that it is fitted to (ours: every ground and colour is among them several times)."""
STREAM = 98
"""Seed of their scenes."""
MOST_FRAMES = 9
"""Longest of them, in frames (ours: two latent frames beside the first where four frames are one, and not much to encode)."""
MOST_SIDE = 128
"""Longest side of those pictures, pixels (ours: the map is the same at every size)."""


@dataclass(frozen=True)
class Projection:
    """A linear map from latents to colours."""

    first: Float[Tensor, "channels_and_one 3"]
    """Of every channel, and of one, on red, green and blue, 0..1, in the first latent frame."""
    later: Float[Tensor, "channels_and_one 3"]
    """In all others: an autoencoder that is causal codes the first by itself, and otherwise."""

    def pictures(self, latents: Latents) -> UInt8[Tensor, "f h w 3"]:
        """Colours of the first video of the latents, a pixel for each place.

        Args:
            latents: ``(videos, channels, frames, height, width)``, noisy or not.
        """
        places = latents[0].float().cpu().permute(1, 2, 3, 0)
        maps = (self.first, *[self.later] * (len(places) - 1))
        colours = torch.stack([one @ own[:-1] + own[-1] for one, own in zip(places, maps, strict=True)])
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
    frames = _length(model)
    drawn = [kinds[index % len(kinds)](STREAM, index, frames) for index in range(PICTURES)]
    rows: list[list[Tensor]] = [[], []]
    colours: list[list[Tensor]] = [[], []]
    for scene in drawn:
        pixels = render([scene], side, side).frames[0].permute(0, 3, 1, 2) / 127.5 - 1
        latents = codec.encode(pixels.to(model.about.device))[0].float().cpu()
        shown = functional.adaptive_avg_pool3d((pixels.movedim(1, 0) + 1) / 2, latents.shape[1:])
        for of, own in ((rows, latents), (colours, shown)):
            for place, part in enumerate((own[:, :1], own[:, 1:])):
                of[place].append(part.flatten(1).T)
    first, *later = [_fitted(*own) for own in zip(rows, colours, strict=True) if own[0][0].numel()]
    return Projection(first, later[0] if later else first)


def _fitted(rows: list[Tensor], colours: list[Tensor]) -> Float[Tensor, "channels_and_one 3"]:
    """The best linear map, with a constant, from rows of channels to rows of colours."""
    latents = torch.cat(rows)
    latents = torch.cat([latents, torch.ones(len(latents), 1)], dim=1)
    return torch.linalg.lstsq(latents, torch.cat(colours)).solution


def _length(model: Model) -> int:
    """The longest length up to :data:`MOST_FRAMES` that a model's autoencoder takes, or its shortest."""
    for frames in range(min(model.about.shape.frames, MOST_FRAMES), model.codec.fewest, -1):
        with suppress(MotionliftError):
            return model.codec.fitting(frames).frames
    return model.codec.fewest
