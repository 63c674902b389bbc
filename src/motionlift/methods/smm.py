"""SMM: match how the spatial mean of a block's features changes from frame to frame.

The baseline of DiTFlow (2412.07776) after Yatim et al. (2311.17009). The released program takes the anchor of the video being
made from the reference, so that its gradient misses the anchor; here it is the video's own, but for ``form=released``. It reads
features alone and knows no noise: on models of flow it is the same, and the clean reference is seen at a sigma of 0.
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
from motionlift.motion.names import DIFFERENCES, MEANS, of_block
from motionlift.settings.smm import SMMSettings
from motionlift.signals.features import released_smm_loss, smm_loss, spatial_mean_differences, spatial_means

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cogvideox-2b": {"block": (15,)},
    "cogvideox-5b": {"block": (20,)},
    "tiny-wan": {"block": (3,), "lr": 0.03, "lr_end": 0.03},
    "tiny-dit": {"block": (4,)},
    "tiny-unet": {"block": (2,)},
}
"""Defaults per model: DiTFlow's blocks, and on tiny-wan its rate."""
PUBLISHED: Mapping[str, Preset] = published(released=said("released, motion_guidance.py", form="released"))
"""As DiTFlow runs it."""


class SMM(Guide[SMMSettings]):
    """The :class:`motionlift.core.method.Guide` of SMM."""

    name = "smm"
    summary = "match frame-to-frame changes of spatially averaged features (baseline)"
    Settings = SMMSettings
    presets = PRESETS
    published = PUBLISHED
    holds = (DIFFERENCES,)

    def needs(self, settings: SMMSettings) -> Needs:
        """The features of the blocks."""
        return Needs(blocks=settings.block, features=True, inject=injected(settings))

    def lift(
        self, reference: Reference, model: Model, settings: SMMSettings
    ) -> Generator[Step, None, dict[str, Tensor]]:
        """Differences of spatial means of each block (clean latents, timestep 0, empty prompt)."""
        record = _features(reference, model, settings)
        yield Step("lift", 0, 1)
        tensors = {"latents": reference.latents}
        for number in settings.block:
            features, lattice = record[number].features[0], model.lattice(reference.shape, number)
            tensors[f"{DIFFERENCES}.{number}"] = spatial_mean_differences(features, lattice)
            if settings.form == "released":
                tensors[f"{MEANS}.{number}"] = spatial_means(features, lattice)
        return tensors

    def loss(self, observed: Observed, aim: Aim, settings: SMMSettings) -> Float[Tensor, ""]:
        """Mean over the blocks of the SMM loss."""
        losses = []
        for number in settings.block:
            features = observed.record[number].features[0]
            if settings.form == "released":
                means = spatial_means(features, aim.lattices[number])
                losses.append(released_smm_loss(means, of_block(aim.motion, MEANS, number)))
                continue
            losses.append(smm_loss(features, aim.motion[f"differences.{number}"].to(features), aim.lattices[number]))
        return torch.stack(losses).mean()


@torch.no_grad()
def _features(reference: Reference, model: Model, settings: SMMSettings) -> Record:
    """What the blocks give of the clean reference."""
    clean = model.schedule(settings.steps, reference.shape).clean
    return model.record(reference.latents, clean, model.text.encode("", reference.shape), settings.block)


METHOD = SMM()
