"""MOFT: match features freed of what stays the same over time, in the few channels that carry motion.

The baseline of DiTFlow (2412.07776) after Xiao et al. (2405.14864): features minus their mean over time, the top 4 % of the
channels by the first principal component, cosine.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.method import Aim, Reference
from motionlift.core.method_settings import Guided
from motionlift.core.model import Backbone
from motionlift.core.seen import Record
from motionlift.core.settings import setting
from motionlift.core.tensors import Tensors
from motionlift.signals.features import moft_loss, motion_channels, motion_features


@dataclass(frozen=True)
class MOFTSettings(Guided):
    """Settings of MOFT; those of the loop are DiTFlow's."""

    block: tuple[int, ...] = setting((20,), low=0)
    """Blocks whose features are read (DiTFlow compares at the same block)."""
    channel_share: float = setting(0.04, low=0, high=1, lifted=True)
    """Share of the channels that are kept (paper)."""


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cogvideox-2b": {"block": (15,)},
    "cogvideox-5b": {"block": (20,)},
    "tiny-dit": {"block": (4,)},
    "tiny-unet": {"block": (2,)},
}
"""Defaults per model: DiTFlow's blocks."""


class MOFT:
    """The :class:`motionlift.core.method.Method` of MOFT."""

    name = "moft"
    summary = "match features minus their mean over time, in the channels that carry motion (baseline)"
    Settings = MOFTSettings

    def settings(self, backbone: Backbone) -> MOFTSettings:
        """The table's row for a known model; else the middle block."""
        preset = PRESETS.get(backbone.variant, {"block": (backbone.blocks // 2,)})
        return replace(MOFTSettings(), **backbone.defaults, **preset)

    def check(self, backbone: Backbone, settings: MOFTSettings) -> None:
        """Nothing to refuse."""

    def lift(self, reference: Reference, backbone: Backbone, settings: MOFTSettings) -> Generator[Step, None, Tensors]:
        """Motion features and their channels of each block (clean latents, timestep 0, empty prompt)."""
        with torch.no_grad():
            record = backbone.record(reference.latents, 0, backbone.text(""), settings.block)
        tensors = {"latents": reference.latents}
        for number in settings.block:
            grid = backbone.grid(reference.shape, number)
            features = motion_features(record[number].features[0], grid)
            channels = motion_channels(record[number].features[0], grid, settings.channel_share)
            tensors |= {f"features.{number}": features[..., channels], f"channels.{number}": channels}
        yield Step("lift", 0, 1)
        return tensors

    def blocks(self, settings: MOFTSettings) -> Sequence[int]:
        """The blocks whose features are read."""
        return settings.block

    def words(self, settings: MOFTSettings) -> Sequence[str]:
        """None: the loss asks for no word."""
        return ()

    def loss(self, record: Record, aim: Aim, settings: MOFTSettings) -> Float[Tensor, ""]:
        """Mean over the blocks of the MOFT loss."""
        losses = []
        for number in settings.block:
            features = motion_features(record[number].features[0], aim.grids[number])
            kept = features[..., aim.motion[f"channels.{number}"].to(features.device)]
            losses.append(moft_loss(kept, aim.motion[f"features.{number}"].to(features)))
        return torch.stack(losses).mean()


METHOD = MOFT()
