"""FlowMotion (Wang et al., 2603.06289): match what the network predicts of the clean video, and nothing within the network.

In every guided step the reference is noised to the video's level, and the latents being made are optimised so that the clean
latents predicted of them are those predicted of it: in themselves, and in how they differ from frame to frame. The velocity that
the prediction rests on counts as given, so that no gradient goes through the network, and the part of it that leaves the mean
course so far is damped.

The paper speaks of models that predict a flow, whose latents are ``(1 - t) x0 + t eps`` and whose velocity is ``eps - x0``. Here
that velocity is taken of every model, from the clean latents and noise that its output speaks of (ours). The velocity of diffusion
models, ``signal eps - noise x0``, would not do: it turns along the way even where neither ``x0`` nor ``eps`` changes, and damping
what is new in it leaves noise in the video. For models of flow the two are the same.

Of the released program (HKUST-LongGroup/FlowMotion) we could read what its page says, and not its code. The paper names weights,
rates and steps, the decomposition and the mean course; it damps the velocity that the clean latents are predicted with, and here
that of the step as well (ours). It weighs the empty prompt, with which it sees the reference, against the negative prompt by 1.5;
here the reference is seen with the empty prompt alone, which is the same where the negative prompt is empty, at half the passes.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice
from motionlift.core.method import Aim, Guide, Needs, Observed, Prediction, Reference, injected, sampling
from motionlift.core.model import Model
from motionlift.core.presets import Preset, said
from motionlift.core.tensors import Latents, Tensors
from motionlift.motion.edits import moved
from motionlift.motion.names import LATENTS
from motionlift.settings.flowmotion import FlowMotionSettings

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny-wan": {"share": 0.4, "lr": 0.1, "lr_end": 0.1},
    "tiny-dit": {"share": 0.4, "lr": 0.1, "lr_end": 0.1},
    "tiny-unet": {"share": 0.4, "lr": 0.1, "lr_end": 0.1},
}
"""Defaults per model (ours): the lowest aligned error of shares 0.2 and 0.4 with rates 0.003 to 0.1, on four references apart from
those of the comparison. There it is about DiTFlow's on tiny-dit and below it on tiny-unet, and comes with the reference's looks:
few videos have the background that the prompt asks for. The paper's rate keeps the looks of the prompt, and follows nothing.
"""

PUBLISHED: Mapping[str, Preset] = {
    "fast": Preset(
        {
            **said("ours, measured on the bundled models", inner=1, shared_pass=True),
            **said("ours: the three inner steps in one; not measured on this model", lr=0.009, lr_end=0.009),
        },
        models={
            **{
                name: said("ours: the three inner steps in one", lr=0.3, lr_end=0.3)
                for name in ("tiny-dit", "tiny-unet")
            },
            "tiny-wan": said(
                "ours: of 0.1, 0.2 and 0.3 the lowest error on four references; of 32 it loses a tenth of what is gained, and more "
                "than half where things have names",
                lr=0.2,
                lr_end=0.2,
            ),
        },
    ),
    "paper": Preset(
        said(
            "paper",
            share=0.2,
            inner=3,
            optimizer="adam",
            lr=0.003,
            lr_end=0.003,
            alignment=20.0,
            differences=5.0,
            orthogonal=0.1,
            read="prediction",
            inject=False,
        )
    ),
}
"""One prediction in a guided step, by which the latents are moved and the step is taken (ours); and the paper: the code of its
program could not be read."""


class FlowMotion(Guide[FlowMotionSettings]):
    """The :class:`motionlift.core.method.Guide` of FlowMotion."""

    name = "flowmotion"
    summary = "match the clean video that the network predicts, with no gradient through the network"
    Settings = FlowMotionSettings
    presets = PRESETS
    published = PUBLISHED

    def settings(self, model: Model) -> FlowMotionSettings:
        """The paper's settings, or the table's row; sampling as the model needs it."""
        return replace(FlowMotionSettings(), **{**sampling(model), **self.presets.get(model.about.variant, {})})

    def needs(self, settings: FlowMotionSettings) -> Needs:
        """What the network predicts, of the video and, where that is matched, of the reference."""
        return Needs(output=True, reference=settings.read == "prediction", inject=injected(settings))

    def lift(
        self, reference: Reference, model: Model, settings: FlowMotionSettings
    ) -> Generator[Step, None, dict[str, Tensor]]:
        """The clean latents: what is matched depends on the noise, and is seen when casting."""
        yield Step("lift", 0, 1)
        return {"latents": reference.latents}

    def edited(self, motion: Tensors, edit: Edit, lattice: Lattice) -> Tensors:
        """The latents follow places, nearly."""
        return moved(motion, edit, (), lattice)

    def loss(self, observed: Observed, aim: Aim, settings: FlowMotionSettings) -> Float[Tensor, ""]:
        """Weighted distance between what is predicted of the video and what is read of the reference."""
        assert observed.prediction is not None
        clean, _ = self.steered(observed.prediction, aim, settings)
        wanted = aim.motion[LATENTS].to(clean) if aim.reference is None else aim.reference.clean
        return guidance_loss(clean, wanted, settings)

    def steered(self, prediction: Prediction, aim: Aim, settings: FlowMotionSettings) -> tuple[Latents, Latents]:
        """Clean latents and noise by the damped velocity, which holds from the second guided step on.

        The noised latents are what they were: ``x0 = (x - noise v) / (signal + noise)`` and ``eps = x0 + v``, which for models of
        flow is the paper's ``x0 = x - t v``. The velocity counts as given, so that for every model the gradient of ``x0`` is one
        and the same number.
        """
        assert aim.begun is not None
        latents, signal, noise = prediction.latents, prediction.level.signal, prediction.level.noise
        velocity = (prediction.noise - prediction.clean).detach()
        if aim.step > 0:
            course = mean_course(latents.detach(), aim.begun, signal, noise)
            velocity = damped(velocity, course, settings.orthogonal)
        clean = (latents - noise * velocity) / (signal + noise)
        return clean, clean + velocity


def guidance_loss(
    clean: Float[Tensor, "b c f h w"], reference: Float[Tensor, "b c f h w"], settings: FlowMotionSettings
) -> Float[Tensor, ""]:
    """Weighted mean squared distances of clean latents, and of absolute differences of their frames.

    Frames are compared with the next one, and every two of them; the means of both are added (how they are joined is ours). Of a
    single frame there are none.
    """
    loss = settings.alignment * (clean - reference).square().mean()
    frames = clean.shape[2]
    if frames < 2:
        return loss
    earlier, later = torch.triu_indices(frames, frames, 1, device=clean.device)
    own, wanted = ((video[:, :, later] - video[:, :, earlier]).abs() for video in (clean, reference))
    apart = (own - wanted).square()
    return loss + settings.differences * (apart[:, :, later == earlier + 1].mean() + apart.mean())


def mean_course(
    latents: Float[Tensor, "b c f h w"], begun: Float[Tensor, "b c f h w"], signal: float, noise: float
) -> Float[Tensor, "b c f h w"]:
    """Where the mean velocity points that led from the noise that a video began with to its latents, of any length.

    That is the noise less the clean latents that the latents hold if their noise is still that one. For models of flow it lies
    along the paper's ``(x - eps) / (t - 1)``.
    """
    return (signal + noise) * begun - latents


def damped(
    velocity: Float[Tensor, "b c f h w"], course: Float[Tensor, "b c f h w"], kept: float
) -> Float[Tensor, "b c f h w"]:
    """A velocity, with that part of it which is orthogonal to a course scaled; each is one vector of the whole video (paper)."""
    along = (velocity * course).sum() / course.square().sum() * course
    return along + kept * (velocity - along)


METHOD = FlowMotion()
