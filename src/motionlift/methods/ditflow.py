"""DiTFlow (Pondaven et al., 2412.07776): match the Attention Motion Flow of a diffusion transformer.

The motion is the displacement of every token from every frame to every other, read from the queries and keys of one block:
hard (arg-max) for the reference, soft (expected) for the video being made.

Nothing in it speaks of noise, so that on models of flow it is the same: the clean reference is seen at a sigma of 0, and is noised
for injection to ``(1 - sigma) x0 + sigma eps``. Where attention to the text is apart, the queries and keys are those of the video's
own attention.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice
from motionlift.core.method import Aim, Guide, Needs, Observed, Reference, injected
from motionlift.core.model import Model
from motionlift.core.presets import Preset, said
from motionlift.core.tensors import Positions, Tensors
from motionlift.errors import SettingError
from motionlift.methods.ditflow_constants import published
from motionlift.motion.edits import moved
from motionlift.motion.names import DISPLACEMENT, of_block
from motionlift.settings.ditflow import DiTFlowSettings
from motionlift.signals.displacement import confirmed, displacement, displacement_loss
from motionlift.signals.optical_flow import flow_displacement
from motionlift.signals.rotary_positions import can_be_moved, moved_positions

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cogvideox-2b": {"block": (15,)},
    "cogvideox-5b": {"block": (20,)},
    "tiny-wan": {"block": (3,), "temperature": 8.0, "lr": 0.03, "lr_end": 0.03},
    "tiny-dit": {"block": (4,)},
    "tiny-unet": {"block": (2,)},
}
"""Defaults per model: the paper's for the published ones, ours for the bundled ones (of tiny-wan docs/decisions/0077)."""
FLOW: Mapping[str, Mapping[str, Any]] = {"tiny-wan": {"block": (6,), "threshold": 0.25}}
"""Defaults per model where optical flow is read (ours, docs/decisions/0077): the block whose attention tells true displacements
best, and no target where the reference stands still, of which flow tells small displacements and attention none."""
FAST_RATE = 0.1
"""Learning rate of one inner step on the bundled models (ours: of 0.05 and 0.1 that with the lower error on eight references apart
from those of the results, on tiny-dit and tiny-unet; of 0.1 and 0.15 on twelve on tiny-wan)."""
FAST = Preset(
    {
        **said("ours, measured on the bundled models", inner=1, shared_pass=True, inject=False),
        **said(
            "ours: the five inner steps of the released rate in one; not measured on this model", lr=0.01, lr_end=0.005
        ),
    },
    models={
        **{
            name: said("ours, measured on the bundled models", lr=FAST_RATE, lr_end=FAST_RATE)
            for name in ("tiny-dit", "tiny-unet")
        },
        "tiny-wan": said(
            "ours: of 0.2 and 0.3 the share with the lower error on twelve references apart from those of the results, as a step "
            "costs little there",
            lr=FAST_RATE,
            lr_end=FAST_RATE,
            share=0.3,
        ),
    },
)
"""One look at the video in a guided step, by which the latents are moved far and the step is taken; nothing is injected."""
PUBLISHED: Mapping[str, Preset] = {
    "fast": FAST,
    **published(
        paper=said("paper", read="attention", reference="hard", mutual=False, warp=False),
        released={
            **said("released, configs/guidance_config.yaml", temperature=2.0, threshold=0.0, reference="hard"),
            **said("released", read="attention", mutual=False, warp=False),
        },
    ),
}
"""Faster ones of ours; the paper and its program, ditflow/ditflow."""


class DiTFlow(Guide[DiTFlowSettings]):
    """The :class:`motionlift.core.method.Guide` of DiTFlow."""

    name = "ditflow"
    summary = "match where attention says each token goes (Attention Motion Flow)"
    Settings = DiTFlowSettings
    presets = PRESETS
    published = PUBLISHED
    holds = (DISPLACEMENT,)

    def with_preset(self, name: str, model: Model, given: Mapping[str, Any] = MappingProxyType({})) -> DiTFlowSettings:
        """The settings of a preset for a model, others of which are good where optical flow is read."""
        own = super().with_preset(name, model)
        return replace(own, **FLOW.get(model.about.variant, {})) if given.get("read") == "flow" else own

    def check(self, model: Model, settings: DiTFlowSettings) -> None:
        """Refuse a soft reference where no attention is read, or where it is to be confirmed from token to token.

        Raises:
            SettingError: so it is.
        """
        if settings.reference == "soft" and (settings.read == "flow" or settings.mutual):
            other = "read=flow" if settings.read == "flow" else "mutual=true"
            raise SettingError(f"reference is 'soft', which says nothing with {other}; allowed is reference=hard")

    def needs(self, settings: DiTFlowSettings) -> Needs:
        """The attention of the blocks."""
        return Needs(blocks=settings.block, inject=injected(settings), positions=settings.warp)

    def lift(
        self, reference: Reference, model: Model, settings: DiTFlowSettings
    ) -> Generator[Step, None, dict[str, Tensor]]:
        """Displacement of each block (clean latents, timestep 0, empty prompt), or that of the optical flow."""
        if settings.read == "flow":
            fields = _flow_fields(reference, model, settings)
        else:
            fields = _attention_fields(reference, model, settings)
        yield Step("lift", 0, 1)
        return {"latents": reference.latents, **fields}

    def edited(self, motion: Tensors, edit: Edit, lattice: Lattice) -> Tensors:
        """Displacements move with their tokens, and turn."""
        return moved(motion, edit, (DISPLACEMENT,), lattice)

    def check_positions(self, positions: Positions, lattice: Lattice) -> None:
        """Refuse positions that cannot be moved by parts of a token.

        Raises:
            SettingError: they are no cosines and sines, or turn by half a turn or more from token to token.
        """
        pairs = _pairs(positions)
        if not pairs or len(pairs) * 2 != len(positions):
            raise SettingError(
                "warp is true, but the model has no rotary positions of cosines and sines; allowed is warp=false"
            )
        if not all(can_be_moved(positions[f"{start}cos"], positions[f"{start}sin"], lattice) for start in pairs):
            raise SettingError(
                "warp is true, but the model's rotary positions turn too far or too unevenly from token to token to be moved by "
                "parts of a token; allowed is warp=false"
            )

    def placed(self, positions: Positions, motion: Tensors, lattice: Lattice, settings: DiTFlowSettings) -> Positions:
        """Positions moved by the displacement from every frame to the first; where it is unknown they stay.

        Raises:
            SettingError: as :meth:`check_positions` says.
        """
        self.check_positions(positions, lattice)
        field = of_block(motion, DISPLACEMENT, settings.block[0])[:, 0]
        shift = field.nan_to_num(0.0)
        found: dict[str, Tensor] = {}
        for start in _pairs(positions):
            moved_pair = moved_positions(positions[f"{start}cos"], positions[f"{start}sin"], lattice, shift)
            found |= {f"{start}cos": moved_pair[0], f"{start}sin": moved_pair[1]}
        return found

    def loss(self, observed: Observed, aim: Aim, settings: DiTFlowSettings) -> Float[Tensor, ""]:
        """Mean over the blocks of the displacement loss."""
        losses = []
        for number in settings.block:
            seen = observed.record[number]
            soft = displacement(seen.query[0], seen.key[0], aim.lattices[number], settings.temperature)
            name = f"displacement.{number}"
            reference = aim.motion[name if name in aim.motion else "displacement"].to(soft)
            losses.append(displacement_loss(soft, reference, settings.threshold))
        return torch.stack(losses).mean()


def _pairs(positions: Positions) -> list[str]:
    """How the names of cosines begin, each of which has a sine."""
    return [name.removesuffix("cos") for name in positions if name.endswith("cos")]


def _flow_fields(reference: Reference, model: Model, settings: DiTFlowSettings) -> Tensors:
    """One field for all blocks of a model that has one lattice, else one for each of the settings' blocks."""
    frames = ((reference.wide + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    times = reference.times or model.codec.frame_times(len(frames))
    lattices = {number: model.lattice(reference.shape, number) for number in range(model.about.blocks)}
    if len(set(lattices.values())) == 1:
        return {"displacement": flow_displacement(frames, times, lattices[0])}
    return {f"displacement.{number}": flow_displacement(frames, times, lattices[number]) for number in settings.block}


@torch.no_grad()
def _attention_fields(reference: Reference, model: Model, settings: DiTFlowSettings) -> Tensors:
    """Displacement in each of the settings' blocks."""
    clean = model.schedule(settings.steps, reference.shape).clean
    record = model.record(
        reference.latents, clean, model.text.encode("", reference.shape), settings.block, features=False
    )
    fields = {}
    for number, seen in record.items():
        lattice = model.lattice(reference.shape, number)
        field = displacement(
            seen.query[0], seen.key[0], lattice, settings.temperature, hard=settings.reference == "hard"
        )
        fields[f"displacement.{number}"] = confirmed(field, lattice) if settings.mutual else field
    return fields


METHOD = DiTFlow()
