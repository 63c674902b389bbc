"""DiTFlow (Pondaven et al., 2412.07776): match the Attention Motion Flow of a diffusion transformer.

The motion is the displacement of every token from every frame to every other, read from the queries and keys of one block:
hard (arg-max) for the reference, soft (expected) for the video being made.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core import Backbone, Grid, Guided, Record, Reference, Step, Tensors, setting
from motionlift.signals.displacement import confirmed, displacement, displacement_loss
from motionlift.signals.optical_flow import flow_displacement


@dataclass(frozen=True)
class DiTFlowSettings(Guided):
    """Settings of DiTFlow; the defaults are the released ones."""

    block: tuple[int, ...] = setting((20,), low=0)
    """Blocks whose attention is read, from zero (paper: 15 for 2B, 20 for 5B; 20+15+10 gains a little)."""
    temperature: float = setting(2.0, low=1e-3, high=1e3)
    """Factor on the attention logits of the video being made (released)."""
    threshold: float = setting(0.0, low=-1, high=1e4)
    """Reference displacements of at most this many tokens are left out of the loss (released); negative keeps all."""
    mutual: bool = setting(False, lifted=True)
    """Leave out what attention tells of the reference where the way there and back does not end within one token of its beginning
    (ours; the paper keeps all). Optical flow is always checked so."""
    read: str = setting("attention", choices=("attention", "flow"), lifted=True)
    """Where the reference's displacement is read: ``attention`` (paper) or ``flow``, dense optical flow of its pixels (ours)."""


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cogvideox-2b": {"block": (15,)},
    "cogvideox-5b": {"block": (20,)},
    "tiny-dit": {"block": (4,)},
}
"""Defaults per model: the paper's for the published ones, our sweep's for the bundled one."""


class DiTFlow:
    """The :class:`motionlift.core.Method` of DiTFlow."""

    name = "ditflow"
    summary = "match where attention says each token goes (Attention Motion Flow)"
    Settings = DiTFlowSettings

    def settings(self, backbone: Backbone) -> DiTFlowSettings:
        """The table's row for a known model; else the released settings with the middle block."""
        preset = PRESETS.get(backbone.variant, {"block": (backbone.blocks // 2,)})
        return replace(DiTFlowSettings(), **backbone.defaults, **preset)

    def lift(
        self, reference: Reference, backbone: Backbone, settings: DiTFlowSettings
    ) -> Generator[Step, None, Tensors]:
        """Hard displacement of each block (clean latents, timestep 0, empty prompt), or that of the optical flow."""
        grid = backbone.grid(reference.shape)
        tensors = {"latents": reference.latents}
        if settings.read == "flow":
            frames = ((reference.wide + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
            tensors["displacement"] = flow_displacement(frames, backbone.frame_times(len(frames)), grid)
        else:
            with torch.no_grad():
                record = backbone.record(reference.latents, 0, backbone.text(""), settings.block)
                fields = [
                    displacement(record[number].query[0], record[number].key[0], grid, settings.temperature, hard=True)
                    for number in settings.block
                ]
            if settings.mutual:
                fields = [confirmed(field, grid) for field in fields]
            tensors |= {f"displacement.{number}": field for number, field in zip(settings.block, fields, strict=True)}
        yield Step("lift", 0, 1)
        return tensors

    def blocks(self, settings: DiTFlowSettings) -> Sequence[int]:
        """The blocks whose attention is read."""
        return settings.block

    def loss(self, record: Record, motion: Tensors, grid: Grid, settings: DiTFlowSettings) -> Float[Tensor, ""]:
        """Mean over the blocks of the displacement loss."""
        losses = []
        for number in settings.block:
            seen = record[number]
            soft = displacement(seen.query[0], seen.key[0], grid, settings.temperature)
            name = f"displacement.{number}"
            reference = motion[name if name in motion else "displacement"].to(soft)
            losses.append(displacement_loss(soft, reference, settings.threshold))
        return torch.stack(losses).mean()


METHOD = DiTFlow()
