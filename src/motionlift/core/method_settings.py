"""Settings that methods share: sampling, guiding, tuning."""

from dataclasses import dataclass, fields
from typing import Any

from motionlift.core.presets import OURS, PRESETS
from motionlift.core.sampler_names import OWN, SAMPLERS
from motionlift.core.settings import setting

MOST_STRENGTH = 1.5
"""Greatest strength of what was tuned (ours)."""


@dataclass(frozen=True)
class Sampled:
    """Settings shared by all methods: how videos are sampled, and what of the reference's noise they begin with."""

    steps: int = setting(50, low=1, high=1000, help="Denoising steps.")
    """Denoising steps (DiTFlow, released)."""
    cfg: float = setting(7.0, low=0, high=100, when="cast", help="Guidance scale: how strongly the prompt is followed.")
    """Guidance scale: weight of the prompt against the negative prompt (DiTFlow, paper). At 1 the network sees the prompt alone."""
    second_cfg: float = setting(
        0.0,
        low=0,
        high=100,
        when="cast",
        help="Guidance scale of a second network, where a model has one for its cleaner levels; 0 for that of the first.",
        later=True,
    )
    """Guidance scale of the network that serves a model's cleaner levels, where it has one of its own for them, as Wan 2.2 A14B
    has (``guidance_scale_2`` of its pipeline); 0 for that of the first. Other models do not read it."""
    negative_prompt: str = setting("", when="cast", help="What the video is not to show.")
    """What the video is not to show: takes the place of the empty prompt that the prompt is weighed against."""
    dynamic_cfg: bool = setting(
        False, when="cast", help="Let the guidance scale vary from step to step, as published for CogVideoX-5B."
    )
    """The guidance scale of each step by the formula published for CogVideoX-5B. It puts the timestep where the number of the step
    is meant, so that the scale does not grow but jumps between 1 and ``1 + cfg``; kept as published."""
    sampler: str = setting(
        OWN,
        choices=SAMPLERS,
        when="cast",
        help="How a denoising step is taken; own is ddim, and euler of models that predict a flow.",
        later=True,
    )
    """How a denoising step is taken, between the levels of the model's own schedule: ``own``, the first order without fresh noise,
    which is ``ddim`` of diffusion and ``euler`` of flow models; ``ddpm``, with fresh noise (VMC, released); ``dpm``, DPM-Solver++
    of the second order; ``dpm-sde``, the same with fresh noise (DiTFlow on CogVideoX-5B, released); ``unipc``, of the second order.
    An inversion is always of the first order."""
    inversion: bool = setting(False, when="lift", help="Find the noise that the reference came from.")
    """Invert the reference by the sampling steps backwards: the motion then holds the noise that its video came from."""
    source_prompt: str = setting("", when="lift", help="What the reference shows.")
    """What the reference shows, for its inversion and for tuning; the empty prompt by default."""
    beta: float = setting(
        0.0, low=0, high=1, when="cast", help="Share of the reference's own noise that the video begins with."
    )
    """Share of the inverted noise in the noise that sampling starts from, ``sqrt(beta) inverted + sqrt(1 - beta) fresh``
    (MotionMatcher); over 0 it needs ``inversion``."""
    window: int = setting(
        0,
        low=0,
        high=10_000,
        when="lift",
        help="Frames that the network sees at once; a longer video is made in windows of so many; 0: the model's own length.",
        later=True,
    )
    """Frames that the network sees at once, 0 for the length that the model was made for: a longer video is lifted and made in
    overlapping windows of so many (:mod:`motionlift.loops.windows`)."""
    overlap: float = setting(
        0.5, low=0, high=0.9, when="lift", help="Share of a window that it has in common with the next.", later=True
    )
    """Share of a window that it has in common with the next: less costs less, and more holds them together (ours; FreeNoise: 0.75).
    """
    preset: str = setting(
        OURS,
        choices=PRESETS,
        when="lift",
        help="Which constants are taken where none are given: ours, faster ones, the paper's, or the released program's.",
        later=True,
    )
    """Which constants are taken where none are given: ours for the model; faster ones of ours; the paper's, or the released
    program's, as far as they are published (:mod:`motionlift.core.presets`)."""

    @property
    def inversion_prompt(self) -> str:
        """The prompt with which the reference is inverted."""
        return self.source_prompt

    def check_words(self) -> None:
        """Refuse words that lack, or do not go together, whatever the model is; by itself none are needed.

        Raises:
            SettingError: so it is.
        """

    def lifting_values(self) -> dict[str, Any]:
        """The settings that decide what is lifted. Without an inversion, steps do only where a method says so."""
        decisive = [item for item in fields(self) if item.metadata["when"] != "cast"]
        return {
            item.name: getattr(self, item.name)
            for item in decisive
            if item.name != "steps" or self.inversion or item.metadata["when"] == "lift"
        }


@dataclass(frozen=True)
class Guided(Sampled):
    """Settings shared by every method that guides sampling; each method adds its own."""

    share: float = setting(
        0.2, low=0, high=1, when="cast", help="Share of the steps that are guided, from the noisy end."
    )
    """Share of the steps that are guided, from the noisy end (DiTFlow, released)."""
    inner: int = setting(5, low=0, high=1000, when="cast", help="Optimiser steps in each guided step.")
    """Optimiser steps in each guided step (DiTFlow, released)."""
    optimizer: str = setting(
        "adam", choices=("adam", "rms", "plain"), when="cast", help="How a gradient becomes a step."
    )
    """``adam`` (released); ``rms``, the gradient scaled to the learning rate as its root mean square (ours); or ``plain``, the
    gradient times the learning rate (MotionFlow)."""
    lr: float = setting(0.002, low=0, high=100, when="cast", help="Learning rate in the first guided step.")
    """Learning rate in the first guided step, in units of the latents (DiTFlow, released)."""
    lr_end: float = setting(0.001, low=0, high=100, when="cast", help="Learning rate in the last guided step.")
    """Learning rate in the last guided step (DiTFlow, paper; its program ends at 0.0011)."""
    target: str = setting(
        "latents",
        choices=("latents", "positions", "saved"),
        when="cast",
        help="What is optimised: latents or positions; or saved positions of an earlier run.",
    )
    """What is optimised: ``latents`` or ``positions`` (DiTFlow, paper); ``saved`` reuses the positions that an earlier run
    left in the motion and optimises nothing (DiTFlow's zero-shot)."""
    shared_pass: bool = setting(
        False,
        when="cast",
        help="Take a guided step by the pass that its last gradient came from, which saves a pass.",
        later=True,
    )
    """Take the denoising step of a guided step by what the network said of the video in the last inner step, before the latents
    were moved for the last time (ours): the moved latents are not looked at again, which saves a pass in every guided step, or both
    passes where the method matches what the network predicts."""
    inject: bool = setting(True, when="cast", help="Use the reference's keys and values in the first block.")
    """Replace keys and values of the first block by the reference's in the guided steps, except where that block's attention is
    read (DiTFlow, released)."""


@dataclass(frozen=True)
class Tuned(Sampled):
    """Settings shared by every method that tunes weights to a reference; each method adds its own."""

    tuning_prompt: str = setting("", when="lift", help="The prompt of tuning, as it is to be read.")
    """The prompt of tuning, as it is to be read. Without it the source prompt, which a method may reduce; a motion once lifted
    holds what was read."""
    tuning_steps: int = setting(400, low=1, high=1_000_000, when="lift", help="Optimiser steps of tuning.")
    """Optimiser steps (VMC, released)."""
    tuning_lr: float = setting(1e-4, low=0, high=10, when="lift", help="Learning rate of tuning.")
    """Learning rate of AdamW, the same in every step (VMC, released)."""
    weight_decay: float = setting(0.01, low=0, high=1, when="lift", help="How much tuned weights are pulled to zero.")
    """Weight decay of AdamW (VMC and MotionMatcher, released)."""
    clip: float = setting(1.0, low=0, high=1e6, when="lift", help="Largest norm of a gradient; 0 for any.")
    """Norm to which all gradients together are clipped (VMC, released); 0 clips nothing."""
    accumulation: int = setting(1, low=1, high=1024, when="lift", help="Draws of noise whose gradients make one step.")
    """Draws of noise and timestep whose gradients make one step (both released programs: one)."""
    precision: str = setting(
        "auto",
        choices=("auto", "no", "bf16", "fp16"),
        when="lift",
        help="Number format of tuning; auto is that of the weights.",
    )
    """Autocast of the network's passes; ``auto`` is the type of its weights. What is tuned stays in single precision."""
    tuning_seed: int = setting(0, low=0, high=2**31 - 1, when="lift", help="Seed of tuning.")
    """Seed of the noise, the timesteps and the factors that tuning begins with."""
    clean_share: float = setting(
        0.0,
        low=0,
        high=0.99,
        when="lift",
        help="Share of the levels, from the clean end, that is neither tuned nor cast with the adapter.",
    )
    """Share of the timesteps, from the clean end, that is left alone: none is drawn there, and casting does without the
    adapter (MotionMatcher: 0.5)."""
    inverted_by: str = setting(
        "model",
        choices=("model", "tuned"),
        when="lift",
        help="What inverts the reference: the model as it was, or as it is tuned.",
        later=True,
    )
    """What inverts the reference, where it is inverted: ``model``, the network as it was (VMC, paper), or ``tuned``, with what was
    tuned at its full strength and at every level (VMC and MotionMatcher, released). Then each preview inverts anew."""
    strength: float = setting(1.0, low=0, high=MOST_STRENGTH, when="cast", help="How much of what was tuned is added.")
    """How much of what was tuned is added when casting (ours)."""

    @property
    def inverts_when_tuned(self) -> bool:
        """Whether the reference is inverted, and by the tuned network."""
        return self.inversion and self.inverted_by == "tuned"

    def lowest(self, trained: int) -> int:
        """Number of the cleanest of a model's levels of training that is tuned, and cast with the adapter."""
        return round(self.clean_share * trained)
