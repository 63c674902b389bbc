"""VMC (Jeong, Park and Ye, 2312.00845): tune the attention over time until predicted noise changes over the frames as it should.

Only the queries, keys and values of temporal attention are tuned, on one video, with a prompt that says nothing of its looks.
Videos then begin with the noise of the inverted reference. On a transformer with joint attention, whose attention over time is a
slice of one map, the projections of that map are tuned, and the residuals are those of latent frames: a departure of ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from motionlift.core.method import Draw, Plan
from motionlift.core.method_settings import Tuned
from motionlift.core.model import Backbone
from motionlift.core.settings import setting
from motionlift.methods.captions import subject_and_action
from motionlift.signals.residuals import FORMS, residual_loss


@dataclass(frozen=True)
class VMCSettings(Tuned):
    """Settings of VMC; those that it names itself are the released program's."""

    steps: int = setting(75, low=1, high=1000, lifted=True)
    """Denoising steps, those of the inversion too (released)."""
    cfg: float = setting(9.0, low=0, high=100, cast=True)
    """Weight of the prompt against the empty prompt (released)."""
    inversion: bool = setting(True, lifted=True)
    """Invert the reference (released)."""
    inverted_with: str = setting("empty", choices=("source", "empty"), lifted=True)
    """The prompt of the inversion: the empty one (released), or the source prompt."""
    beta: float = setting(1.0, low=0, high=1, cast=True)
    """Share of the inverted noise in the starting noise: all of it (released), so that a seed changes nothing."""
    form: str = setting("cos", choices=FORMS, lifted=True)
    """Form of the loss: ``cos`` (paper's choice), ``l2`` (paper) or ``released`` (what the authors' program computes)."""
    reduced: bool = setting(True, lifted=True)
    """Reduce the source prompt to its subject and action, so that it says nothing of looks (paper; by rules of ours), where no
    ``tuning_prompt`` is given."""
    attention: str = setting("temporal", choices=("temporal", "spatial"), lifted=True)
    """The attention that is tuned: over time (paper), or within frames, for comparison."""

    @property
    def inversion_prompt(self) -> str:
        """The empty prompt, or the source prompt."""
        return "" if self.inverted_with == "empty" else self.source_prompt


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny-unet": {"tuning_steps": 50, "tuning_lr": 1e-3},
    "tiny-dit": {"tuning_steps": 50, "tuning_lr": 3e-3, "clean_share": 0.5, "reduced": False},
}
"""Defaults per model (ours): fewer and longer steps, and on tiny-dit only the noisier half, since its joint attention paints looks
too, and the whole caption, since its encoder has learned no other."""


class VMC:
    """The :class:`motionlift.core.method.Tuner` of VMC."""

    name = "vmc"
    summary = "tune the attention over time to the reference's changes of noise (inverts the reference)"
    Settings = VMCSettings

    def settings(self, backbone: Backbone) -> VMCSettings:
        """The released settings, or the table's row; sampling as the model needs it."""
        sampling = {name: value for name, value in backbone.defaults.items() if name in ("steps", "cfg", "dynamic_cfg")}
        return replace(VMCSettings(), **{**sampling, **PRESETS.get(backbone.variant, {})})

    def check(self, backbone: Backbone, settings: VMCSettings) -> None:
        """Refuse a prompt that says nothing but looks.

        Raises:
            InputError: the source prompt reduces to nothing.
            SettingError: textblob, which reduces it, is not installed.
        """
        self.caption(settings)

    def blocks(self, settings: VMCSettings) -> Sequence[int]:
        """None: the loss is of the network's output."""
        return ()

    def words(self, settings: VMCSettings) -> Sequence[str]:
        """None: the loss asks for no word."""
        return ()

    def plan(self, backbone: Backbone, settings: VMCSettings) -> Plan:
        """The projections themselves.

        Raises:
            SettingError: the model's attention is joint, and the spatial one is asked for.
        """
        return Plan(backbone.linear_layers(settings.attention))

    def caption(self, settings: VMCSettings) -> str:
        """The tuning prompt; without one the source prompt, reduced where the settings say so.

        Raises:
            InputError: it reduces to nothing.
            SettingError: textblob, which reduces it, is not installed.
        """
        if settings.tuning_prompt or not settings.reduced:
            return settings.tuning_prompt or settings.source_prompt
        return subject_and_action(settings.source_prompt)

    def loss(self, draw: Draw, backbone: Backbone, settings: VMCSettings) -> Float[Tensor, ""]:
        """Distance between the residuals of the predicted noise and those of the true one."""
        noised = backbone.add_noise(draw.latents, draw.noise, draw.timestep)
        output = backbone.predict(noised, draw.timestep, draw.text)
        _, predicted = backbone.estimates(output, draw.timestep, noised)
        return residual_loss(predicted, draw.noise, settings.form)


METHOD = VMC()
