"""VMC (Jeong, Park and Ye, 2312.00845): tune the attention over time until predicted noise changes over the frames as it should.

Only the queries, keys and values of temporal attention are tuned, on one video, with a prompt that says nothing of its looks.
Videos then begin with the noise of the inverted reference. On a transformer over whole videos, whose attention over time is a
slice of one map, the projections of that map are tuned, and the residuals are those of latent frames: a departure of ours.
Of a model of flow the residuals are those of its output, the flow: see :meth:`VMC.loss`.
"""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

from motionlift.core.method import Draw, Plan, Tuner
from motionlift.core.model import Model
from motionlift.core.presets import DIFFUSION, HALF_PRECISION, Preset, said
from motionlift.methods.captions import subject_and_action
from motionlift.motion.names import ADAPTER
from motionlift.settings.vmc import CLEAN, NOISE, VMCSettings
from motionlift.signals.residuals import residual_loss

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny-wan": {"tuning_steps": 50, "tuning_lr": 3e-3},
    "tiny-unet": {"tuning_steps": 50, "tuning_lr": 1e-3},
    "tiny-dit": {"tuning_steps": 50, "tuning_lr": 3e-3, "clean_share": 0.5, "reduced": False},
}
"""Defaults per model (ours): fewer and longer steps, and on tiny-dit only the noisier half, since its joint attention paints looks
too, and the whole caption, since its encoder has learned no other."""

SAMPLER = said("released, pipeline_t2v_base_pixel.py: DDPM's scheduler", sampler="ddpm")
"""How it samples, which a model of flow cannot."""

PUBLISHED: Mapping[str, Preset] = {
    "paper": Preset(
        {
            **said("paper", form="cos", reduced=True, attention="temporal", inversion=True, tuning_steps=400),
            **said("paper: it inverts, then tunes", inverted_by="model"),
        }
    ),
    "released": Preset(
        {
            **said("released, configs/car_forest.yml", tuning_steps=400, tuning_lr=1e-4),
            **said("released: its captions are written so", reduced=True),
            **said(
                "released, train_inference.py",
                form="released",
                weight_decay=0.01,
                clip=1.0,
                accumulation=1,
                clean_share=0.0,
                inversion=True,
                inverted_with="empty",
                inverted_by="tuned",
                beta=1.0,
                strength=1.0,
            ),
            **said("released, data/dataset.py: pictures of a folder", fit="stretch", every_frame=True),
        },
        models={
            **dict.fromkeys(DIFFUSION, SAMPLER),
            "unet3d": {**SAMPLER, **said("released, train_inference.py", attention="temp_attentions")},
            **dict.fromkeys(
                ("modelscope", "zeroscope"),
                said("released, configs/car_forest.yml, for Show-1's keyframes", steps=75, cfg=9.0),
            ),
        },
        lacks=(
            HALF_PRECISION,
            "the program's keyframe model, Show-1, works on 8 frames of 64x40 pixels at 2 frames a second; no such model is served",
            "its interpolation and super-resolution are networks of their own",
        ),
    ),
}
"""The paper, and its program HyeonHo99/Video-Motion-Customization, read at c9ba195 and 99429cf."""


class VMC(Tuner[VMCSettings]):
    """The :class:`motionlift.core.method.Tuner` of VMC."""

    name = "vmc"
    summary = "tune the attention over time to the reference's changes of noise (inverts the reference)"
    Settings = VMCSettings
    presets = PRESETS
    published = PUBLISHED
    holds = (ADAPTER,)

    def check(self, model: Model, settings: VMCSettings) -> None:
        """Refuse a prompt that says nothing but looks.

        Raises:
            InputError: the source prompt reduces to nothing.
            SettingError: textblob, which reduces it, is not installed.
        """
        self.caption(settings)

    def plan(self, model: Model, settings: VMCSettings) -> Plan:
        """The projections themselves.

        Raises:
            SettingError: the model's attention is joint, and the spatial one is asked for.
        """
        return Plan(model.linear_layers(settings.attention))

    def caption(self, settings: VMCSettings) -> str:
        """The tuning prompt; without one the source prompt, reduced where the settings say so.

        Raises:
            InputError: it reduces to nothing.
            SettingError: textblob, which reduces it, is not installed.
        """
        if settings.tuning_prompt or not settings.reduced:
            return settings.tuning_prompt or settings.source_prompt
        return subject_and_action(settings.source_prompt)

    def loss(self, draw: Draw, model: Model, settings: VMCSettings) -> Float[Tensor, ""]:
        """Distance between the residuals of the predicted noise and those of the true one; of flows, where a network predicts them.

        Or, for comparison, between the residuals of denoised frames, or between the noises themselves.

        Of a flow, ``eps = x + (1 - sigma) v``: an error of the network is ``1 - sigma`` of itself in the noise that it speaks of,
        a tenth at a sigma of 0.9 and nothing at 1, and most levels of a shifted schedule are there. So what is compared is the
        network's own output, ``v = eps - x0`` (ours; the paper knows networks that predict noise, for which both are one).
        """
        schedule = draw.schedule
        noised = schedule.noised(draw.latents, draw.noise, draw.level)
        output = model.predict(noised, draw.level, draw.condition)
        clean, predicted = schedule.estimates(output, noised, draw.level)
        if settings.form == CLEAN:
            return residual_loss(clean, draw.latents)
        true = draw.noise
        if schedule.is_flow:
            predicted, true = output, schedule.output(draw.latents, draw.noise, draw.level)
        if settings.form == NOISE:
            return functional.mse_loss(predicted, true)
        return residual_loss(predicted, true, settings.form)


METHOD = VMC()
