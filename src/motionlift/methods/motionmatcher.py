"""MotionMatcher (Wu et al., 2502.13234): tune low-rank factors until what the network predicts attends like the reference.

In every tuning step the network with its factors predicts noise, and one denoising step is taken twice: with that noise and with
the true one. The same network without its factors looks at both, and its attention to the text and over time must agree.

On models of flow the denoising step is one of Euler, ``x + (sigma' - sigma) v``, with the predicted flow and with the true one,
``eps - x0``. Levels are drawn among those of training as the pipeline's own scheduler sets them, whose shift leaves most of them
noisy; ``sigma'`` lies a step of sampling on in that same row, where the loop's own step ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

from motionlift.core.lattice import Lattice
from motionlift.core.method import Draw, Plan, Tuner, sampling
from motionlift.core.model import Model
from motionlift.core.presets import DIFFUSION, HALF_PRECISION, Preset, said
from motionlift.core.schedule import Level
from motionlift.core.seen import Projections, Recorded
from motionlift.core.tensors import Latents
from motionlift.motion.names import ADAPTER
from motionlift.settings.motionmatcher import MotionMatcherSettings
from motionlift.signals.at_once import used_at_once
from motionlift.signals.attention_maps import cross_probabilities, temporal_probabilities

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "zeroscope": {"cfg": 12.0},
    "tiny-unet": {"block": (1,), "tuning_steps": 50, "tuning_lr": 3e-3},
    "tiny-wan": {"block": (3,), "tuning_steps": 50, "tuning_lr": 5e-3},
    "tiny-dit": {"block": (3,), "tuning_steps": 50, "tuning_lr": 5e-3},
}
"""Defaults per model: the paper's own (released), and ours for the bundled ones: layers whose features find like motions, fewer and
longer steps."""

STRIDE = said("released, configs/config_bus.yaml: num_denoise_steps of 1", stride="timestep")
"""The denoising step before attention is compared, on models of diffusion alone: one timestep of a flow leaves so little of what is
predicted that half precision hardly tells it from what is true."""

EARLIER = "ours: an earlier layer, whose features take a shorter pass; motion is not told apart on 32 references"

PUBLISHED: Mapping[str, Preset] = {
    "fast": Preset(
        {},
        models={
            "tiny-dit": said(EARLIER, block=(1,)),
            "tiny-unet": said(EARLIER, block=(0,)),
            "tiny-wan": said("ours: an earlier layer knows too little of motion, 0.108 in place of 0.080", block=(3,)),
        },
    ),  # of other models the layer is the first already, or, of ZeroScope, in a small part of the network
    "paper": Preset(
        {**said("paper", clean_share=0.5, inversion=True)},
        models={"zeroscope": said("paper", frames=16, size=(384, 384), block=(4, 5))},
    ),
    "released": Preset(
        {
            **said(
                "released, configs/config_bus.yaml",
                rank=32,
                dropout=0.1,
                cross=2000.0,
                temporal=2000.0,
                clean_share=0.5,
                tuning_lr=5e-4,
                weight_decay=0.01,
                beta=0.3,
            ),
            **said("released: seven of eight configurations, 200 in the other", tuning_steps=400),
            **said("released, train.py", clip=0.0, accumulation=1, inversion=True, strength=1.0),
            **said("released, inference.py", inverted_with="empty"),
            **said("released, inference.py; the previews of train.py invert before tuning", inverted_by="tuned"),
            **said("released, utils/dataset.py", fit="stretch", every_frame=True),
            **said("released, utils/lora.py", factors="released"),
            **said(
                "inferred: utils/lora.py searches so where it is called for each kind of transformer", layers="blocks"
            ),
        },
        models={
            **dict.fromkeys(DIFFUSION, STRIDE),
            "zeroscope": {
                **said(
                    "released, configs/config_bus.yaml", steps=75, cfg=12.0, frames=16, size=(384, 384), block=(4, 5)
                ),
                **said("released, inference.py", sampler="ddim"),
            },
        },
        lacks=(
            HALF_PRECISION,
            "one timestep leaves so little of what CogVideoX or a flow predicts that bf16 rounds it away: flows keep a stride of "
            "sampling, and CogVideoX in bf16 needs stride=sampling too",
            "the program encodes the reference to a sample of the autoencoder's posterior; here it is the posterior's mode",
        ),
    ),
}
"""Ours that is fast, the paper, and its program b09902097/motionmatcher, read at dbff0c4."""


BLOCKS = ("spatial_blocks", "temporal_blocks")
"""Kinds of linear layers that the released program finds."""


def published_places(places: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the layers in the third down block, or in the last where there are fewer; the first layer where there are none."""
    blocks = [place.partition(".")[0] for place in places]
    downs = sorted({block for block in blocks if block.startswith("down")})[:3]
    return tuple(number for number, block in enumerate(blocks) if block in downs[-1:]) or (0,)


@dataclass(frozen=True)
class Features:
    """Motion features of the layers that share a lattice, the mean over heads and layers."""

    cross: Float[Tensor, "tokens text"]
    """Attention to the text (CA): where things are."""
    temporal: Float[Tensor, "places frames frames"]
    """Attention over time (TSA): how they move."""


def motion_features(layers: Sequence[tuple[Recorded, Lattice]]) -> list[Features]:
    """Features of recorded layers, for every lattice among them."""
    found = []
    for lattice in dict.fromkeys(lattice for _, lattice in layers):
        seen = [recorded for recorded, own in layers if own == lattice]
        cross = [_probabilities(each.cross) for each in seen]
        temporal = [
            temporal_probabilities(own.query[0], own.key[0], lattice, [joint[0] for joint in own.joint_keys])
            for each in seen
            for own in each.temporal
        ]
        found.append(Features(torch.stack(cross).mean(dim=0), torch.stack(temporal).mean(dim=0)))
    return found


def _probabilities(cross: Projections) -> Float[Tensor, "tokens text"]:
    return cross_probabilities(cross.query[0], cross.key[0], [joint[0] for joint in cross.joint_keys])


def feature_loss(
    predicted: Sequence[Features], true: Sequence[Features], settings: MotionMatcherSettings
) -> Float[Tensor, ""]:
    """``w_ca mse(CA) + w_tsa mse(TSA)``, mean over the lattices (one, as published)."""
    parts = [
        settings.cross * functional.mse_loss(own.cross, wanted.cross)
        + settings.temporal * functional.mse_loss(own.temporal, wanted.temporal)
        for own, wanted in zip(predicted, true, strict=True)
    ]
    return torch.stack(parts).mean()


class MotionMatcher(Tuner[MotionMatcherSettings]):
    """The :class:`motionlift.core.method.Tuner` of MotionMatcher."""

    name = "motionmatcher"
    summary = "tune low-rank factors until what is predicted attends like the reference (inverts the reference)"
    Settings = MotionMatcherSettings
    presets = PRESETS
    published = PUBLISHED
    holds = (ADAPTER,)

    def settings(self, model: Model) -> MotionMatcherSettings:
        """The released settings at the released places, or the table's row; sampling as the model needs it."""
        preset = {"block": published_places(model.about.places), **self.presets.get(model.about.variant, {})}
        return replace(MotionMatcherSettings(), **{**sampling(model), **preset})

    def plan(self, model: Model, settings: MotionMatcherSettings) -> Plan:
        """Factors on every linear layer of the transformers, or on those that the released program finds; or their weights."""
        if settings.layers == "linear":
            layers = model.linear_layers("linear")
        else:  # of a transformer both are the same
            layers = [*dict.fromkeys(name for kind in BLOCKS for name in model.linear_layers(kind))]
        if settings.factors == "none":
            return Plan(layers)
        return Plan(layers, settings.rank, settings.dropout, as_released=settings.factors == "released")

    def loss(self, draw: Draw, model: Model, settings: MotionMatcherSettings) -> Float[Tensor, ""]:
        """Distance between the attention that the predicted and the true denoising step lead to.

        The step is one of sampling, ``levels // steps`` levels of training (ours), or one level (released: ``t - 1``).
        """
        schedule = draw.schedule
        stride = 1 if settings.stride == "timestep" else len(schedule.trained) // settings.steps
        noised = schedule.noised(draw.latents, draw.noise, draw.level)
        output = model.predict(noised, draw.level, draw.condition)
        later = schedule.trained[max(draw.index - stride, 0)]
        predicted = schedule.noised(*schedule.estimates(output, noised, draw.level), later)
        wanted = schedule.noised(draw.latents, draw.noise, later)
        with draw.unadapted(), torch.no_grad():
            true = self._features(wanted, later, draw, model, settings)

        def distance(latents: Latents) -> Float[Tensor, ""]:
            return feature_loss(self._features(latents, later, draw, model, settings), true, settings)

        model.passes.went_back(model.share(max(settings.block)))
        with draw.unadapted():  # the gradient too: what is recomputed for it must be without the factors
            return used_at_once(distance, predicted)

    @staticmethod
    def _features(
        latents: Latents, level: Level, draw: Draw, model: Model, settings: MotionMatcherSettings
    ) -> list[Features]:
        """Features of noised latents, up to the last of the layers."""
        record = model.record(latents, level, draw.condition, settings.block, features=False)
        return motion_features([(seen, model.lattice(draw.shape, number)) for number, seen in record.items()])


METHOD = MotionMatcher()
