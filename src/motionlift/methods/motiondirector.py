"""MotionDirector (Zhao et al., 2310.08465): low-rank factors for looks and others for motion, of which the second alone are kept.

The factors for looks lie on attention within frames and are tuned on single frames of the reference. Those for motion lie on
attention over time and are tuned on the whole of it while the first are on and fixed, so that looks are explained already and only
motion is left to learn. Their loss is the network's own, and once more with a frame of the clip taken away from all of them, which
takes away what the frames share. Videos are made with the factors for motion alone.

On a transformer over whole videos one attention does both. There two sets of factors lie on the same layers and only what they are
tuned to tells them apart: stills, or the video beside them (ours; the paper knows networks with layers of each kind). A frame is
shown by itself as the model's autoencoder makes it: held for the fewest frames that it takes, one where it takes pictures.
"""

from collections.abc import Generator, Mapping
from typing import Any

import torch
import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

from motionlift.core.method import LOOKS, MOTION, Draw, Plan, Tuner
from motionlift.core.model import Model, Pictures
from motionlift.core.presets import HALF_PRECISION, Preset, said
from motionlift.core.tensors import Latents
from motionlift.motion.names import ADAPTER
from motionlift.settings.motiondirector import MotionDirectorSettings

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "zeroscope": {"cfg": 12.0},
    "tiny-unet": {"tuning_steps": 50, "tuning_lr": 3e-3},
    "tiny-wan": {"tuning_steps": 50, "tuning_lr": 5e-3},
    "tiny-dit": {"tuning_steps": 50, "tuning_lr": 5e-3},
}
"""Defaults per model: the program's own (released), and ours for the bundled ones, the fewer and longer steps that MotionMatcher
takes there."""

PUBLISHED: Mapping[str, Preset] = {
    "released": Preset(
        {
            **said(
                "released, configs/config_single_video.yaml",
                rank=32,
                dropout=0.1,
                tuning_steps=150,
                tuning_lr=5e-4,
                weight_decay=0.01,
                beta=0.5,
            ),
            **said("released, utils/lora.py", factors="released"),
            **said("released, utils/dataset.py", fit="stretch", every_frame=True),
            **said(
                "released, MotionDirector_train.py",
                debias=1.0,
                without_looks=0.2,
                clip=0.0,
                accumulation=1,
                clean_share=0.0,
                inversion=True,
                inverted_by="model",
                strength=1.0,
            ),
        },
        models={
            "zeroscope": {
                **said("released, configs/config_single_video.yaml", steps=30, cfg=12.0, frames=16, size=(384, 384)),
                **said("released, MotionDirector_inference.py", sampler="ddim"),
            }
        },
        lacks=(
            HALF_PRECISION,
            "the program inverts the reference in 50 steps and samples in 30; here both take the steps of sampling",
            "its single frame is given the noise that the frame has in the video; here it has noise of its own",
            "the program encodes the reference to a sample of the autoencoder's posterior; here it is the posterior's mode",
        ),
    ),
}
"""The program showlab/MotionDirector, read at 0a4398e, d46076b and 21d0bd3. Of the paper only the formulas could be read."""


def debiased(
    noise: Float[Tensor, "batch channels frames height width"], anchor: int, strength: float
) -> Float[Tensor, "batch channels frames height width"]:
    """``sqrt(s^2 + 1) eps - s eps_anchor``: noise without what its frames share with one of them, the same for a whole clip.

    Args:
        noise: predicted, or true.
        anchor: number of the frame that is taken away.
        strength: how much of it; the paper's beta.
    """
    return (strength**2 + 1) ** 0.5 * noise - strength * noise[:, :, anchor : anchor + 1]


def motion_loss(predicted: Latents, true: Latents, anchor: int, strength: float) -> Float[Tensor, ""]:
    """Mean squared error of what the network predicts, and of the same without an anchor frame; the sum of both (paper)."""
    apart = functional.mse_loss(debiased(predicted, anchor, strength), debiased(true, anchor, strength))
    return functional.mse_loss(predicted, true) + apart


class MotionDirector(Tuner[MotionDirectorSettings]):
    """The :class:`motionlift.core.method.Tuner` of MotionDirector."""

    name = "motiondirector"
    summary = "tune low-rank factors to motion beside others that take the looks (inverts the reference)"
    Settings = MotionDirectorSettings
    presets = PRESETS
    published = PUBLISHED
    holds = (ADAPTER,)

    def plan(self, model: Model, settings: MotionDirectorSettings) -> Plan:
        """Factors on attention and feed-forward layers over time for motion, and on those within frames for looks (released).

        A model whose videos begin with a picture has its looks from there, and gets none for them (ours).
        """
        motion, looks = model.linear_layers("temporal_blocks"), model.linear_layers("spatial_blocks")
        is_shown = model.about.pictures is Pictures.MUST
        return Plan(
            motion,
            settings.rank,
            settings.dropout,
            looks=() if is_shown else looks,
            as_released=settings.factors == "released",
        )

    def losses(
        self, draw: Draw, model: Model, settings: MotionDirectorSettings
    ) -> Generator[Float[Tensor, ""], None, None]:
        """The loss of looks on one frame, then that of motion on all, with the looks as they were before either step."""
        if draw.stills is None or float(torch.rand(())) < settings.without_looks:
            yield self.loss(draw, model, settings)
            return
        with draw.only((LOOKS,)):
            yield self.loss_of_looks(draw, model)
        with draw.only((MOTION, LOOKS), fixed=(LOOKS,)):
            yield self.loss(draw, model, settings)

    def loss(self, draw: Draw, model: Model, settings: MotionDirectorSettings) -> Float[Tensor, ""]:
        """:func:`motion_loss` of the network's own output, noise, velocity or flow (released, of the first two)."""
        schedule = draw.schedule
        noised = schedule.noised(draw.latents, draw.noise, draw.level)
        output = model.predict(noised, draw.level, draw.condition)
        true = schedule.output(draw.latents, draw.noise, draw.level)
        return motion_loss(output, true, _any_of(true.shape[2]), settings.debias)

    @staticmethod
    def loss_of_looks(draw: Draw, model: Model) -> Float[Tensor, ""]:
        """Mean squared error of what the network predicts of one frame by itself, at the same level (released)."""
        assert draw.stills is not None, "the plan has factors for looks"
        clean = draw.stills.latents[_any_of(len(draw.stills.latents))][None]
        noise = torch.randn(clean.shape).to(clean)
        noised = draw.schedule.noised(clean, noise, draw.level)
        output = model.predict(noised, draw.level, draw.stills.condition)
        return functional.mse_loss(output, draw.schedule.output(clean, noise, draw.level))


def _any_of(count: int) -> int:
    """A number below a count, by PyTorch's own generator."""
    return int(torch.randint(count, ()))


METHOD = MotionDirector()
