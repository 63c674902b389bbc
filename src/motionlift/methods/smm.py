"""SMM: match how the spatial mean of a block's features changes from frame to frame.

The baseline of DiTFlow (2412.07776) after Yatim et al. (2311.17009). The released program takes the anchor of the video being
made from the reference, so that its gradient misses the anchor; here it is the video's own.
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
from motionlift.signals.features import smm_loss, spatial_mean_differences


@dataclass(frozen=True)
class SMMSettings(Guided):
    """Settings of SMM; those of the loop are DiTFlow's."""

    block: tuple[int, ...] = setting((20,), low=0)
    """Blocks whose features are read (DiTFlow compares at the same block)."""


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cogvideox-2b": {"block": (15,)},
    "cogvideox-5b": {"block": (20,)},
    "tiny-dit": {"block": (4,)},
    "tiny-unet": {"block": (2,)},
}
"""Defaults per model: DiTFlow's blocks."""


class SMM:
    """The :class:`motionlift.core.method.Method` of SMM."""

    name = "smm"
    summary = "match frame-to-frame changes of spatially averaged features (baseline)"
    Settings = SMMSettings

    def settings(self, backbone: Backbone) -> SMMSettings:
        """The table's row for a known model; else the middle block."""
        preset = PRESETS.get(backbone.variant, {"block": (backbone.blocks // 2,)})
        return replace(SMMSettings(), **backbone.defaults, **preset)

    def check(self, backbone: Backbone, settings: SMMSettings) -> None:
        """Nothing to refuse."""

    def lift(self, reference: Reference, backbone: Backbone, settings: SMMSettings) -> Generator[Step, None, Tensors]:
        """Differences of spatial means of each block (clean latents, timestep 0, empty prompt)."""
        with torch.no_grad():
            record = backbone.record(reference.latents, 0, backbone.text(""), settings.block)
        yield Step("lift", 0, 1)
        return {"latents": reference.latents} | {
            f"differences.{number}": spatial_mean_differences(
                record[number].features[0], backbone.grid(reference.shape, number)
            )
            for number in settings.block
        }

    def blocks(self, settings: SMMSettings) -> Sequence[int]:
        """The blocks whose features are read."""
        return settings.block

    def words(self, settings: SMMSettings) -> Sequence[str]:
        """None: the loss asks for no word."""
        return ()

    def loss(self, record: Record, aim: Aim, settings: SMMSettings) -> Float[Tensor, ""]:
        """Mean over the blocks of the SMM loss."""
        losses = []
        for number in settings.block:
            features = record[number].features[0]
            losses.append(smm_loss(features, aim.motion[f"differences.{number}"].to(features), aim.grids[number]))
        return torch.stack(losses).mean()


METHOD = SMM()
