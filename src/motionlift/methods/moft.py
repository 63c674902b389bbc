"""MOFT: match features freed of what stays the same over time, in the few channels that carry motion.

The baseline of DiTFlow (2412.07776) after Xiao et al. (2405.14864): features minus their mean over time, the top 4 % of the
channels by the first principal component, cosine. It reads features alone and knows no noise: on models of flow it is the same, and
the clean reference is seen at a sigma of 0.
"""

from collections.abc import Generator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.method import Aim, Guide, Needs, Observed, Reference, injected
from motionlift.core.model import Model
from motionlift.core.presets import Preset, said
from motionlift.core.seen import Record
from motionlift.methods.ditflow_constants import published
from motionlift.motion.names import CHANNELS, FEATURES
from motionlift.settings.moft import MOFTSettings
from motionlift.signals.features import moft_loss, motion_channels, motion_features

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cogvideox-2b": {"block": (15,)},
    "cogvideox-5b": {"block": (20,)},
    "tiny-wan": {"block": (3,), "lr": 0.03, "lr_end": 0.03},
    "tiny-dit": {"block": (4,)},
    "tiny-unet": {"block": (2,)},
}
"""Defaults per model: DiTFlow's blocks, and on tiny-wan its rate."""
PUBLISHED: Mapping[str, Preset] = published(
    paper=said("paper", channel_share=0.04),
    released=said("released, configs/guidance_config.yaml", channel_share=0.04),
    released_models=dict.fromkeys(
        ("cogvideox-2b", "cogvideox-5b"),
        said(
            "released: 0.04 of 1920 and 3072 channels cut to 76 and 122, to which this share rounds",
            channel_share=0.0397,
        ),
    ),
)
"""As DiTFlow runs it."""


class MOFT(Guide[MOFTSettings]):
    """The :class:`motionlift.core.method.Guide` of MOFT."""

    name = "moft"
    summary = "match features minus their mean over time, in the channels that carry motion (baseline)"
    Settings = MOFTSettings
    presets = PRESETS
    published = PUBLISHED
    holds = (FEATURES, CHANNELS)

    def needs(self, settings: MOFTSettings) -> Needs:
        """The features of the blocks."""
        return Needs(blocks=settings.block, features=True, inject=injected(settings))

    def lift(
        self, reference: Reference, model: Model, settings: MOFTSettings
    ) -> Generator[Step, None, dict[str, Tensor]]:
        """Motion features and their channels of each block (clean latents, timestep 0, empty prompt)."""
        record = _features(reference, model, settings)
        tensors = {"latents": reference.latents}
        for number in settings.block:
            lattice = model.lattice(reference.shape, number)
            features = motion_features(record[number].features[0], lattice)
            channels = motion_channels(record[number].features[0], lattice, settings.channel_share)
            tensors |= {f"features.{number}": features[..., channels], f"channels.{number}": channels}
        yield Step("lift", 0, 1)
        return tensors

    def loss(self, observed: Observed, aim: Aim, settings: MOFTSettings) -> Float[Tensor, ""]:
        """Mean over the blocks of the MOFT loss."""
        losses = []
        for number in settings.block:
            features = motion_features(observed.record[number].features[0], aim.lattices[number])
            kept = features[..., aim.motion[f"channels.{number}"].to(features.device)]
            losses.append(moft_loss(kept, aim.motion[f"features.{number}"].to(features)))
        return torch.stack(losses).mean()


@torch.no_grad()
def _features(reference: Reference, model: Model, settings: MOFTSettings) -> Record:
    """What the blocks give of the clean reference."""
    clean = model.schedule(settings.steps, reference.shape).clean
    return model.record(reference.latents, clean, model.text.encode("", reference.shape), settings.block)


METHOD = MOFT()
