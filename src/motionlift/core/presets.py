"""Presets: whose constants a method runs with, each constant with its source.

``ours`` are a method's defaults for a model, which no preset touches. ``fast`` is what we measured to move as well at a fraction of
the cost, put over them; ``paper`` is what the paper states, and ``released`` what its program does. What is a matter of the
method holds on every model. What is a matter of the model that paper or program ran on (blocks, sampling, sizes) holds on that one
alone; any other keeps its own, and is said to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from motionlift.errors import SettingError

OURS, FAST, PAPER, RELEASED = "ours", "fast", "paper", "released"
PRESETS = (OURS, FAST, PAPER, RELEASED)
"""Their names."""
DIFFUSION = ("allegro", "animatediff", "cogvideox", "unet3d")
"""Families of diffusion models, for constants that mean nothing on a model of flow."""
HALF_PRECISION = (
    "the program tunes in fp16, over weights held in single precision; here the passes are in the type of the model's weights, "
    "and in fp16 by precision=fp16, which needs a GPU"
)
"""What programs that tune do and a preset cannot ask of every machine."""
READING = ("frames", "size", "fit", "every_frame")
"""Constants that are no settings of a method: how many frames are read, their width and height, how they are brought to that shape,
and whether they are taken as they come."""


@dataclass(frozen=True)
class Constant:
    """A constant of a paper or a program."""

    value: Any
    """Its value."""
    source: str
    """Who says so: the paper, the released program, or whoever else, and where where that is not plain."""


Constants = Mapping[str, Constant]
"""Constants by the names of settings, and of :data:`READING`."""


def said(source: str, **values: Any) -> dict[str, Constant]:
    """Constants of one source."""
    return {name: Constant(value, source) for name, value in values.items()}


@dataclass(frozen=True)
class Preset:
    """The constants of one paper or program."""

    constants: Constants
    """Those that hold on every model."""
    models: Mapping[str, Constants] = field(default_factory=dict)
    """By family or variant, those that go with a model."""
    lacks: tuple[str, ...] = ()
    """What paper or program do that no constant here says, since no setting does or not on every machine; plain sentences."""

    def of(self, family: str, variant: str) -> dict[str, Constant]:
        """All that hold on a model."""
        return {**self.constants, **self.models.get(family, {}), **self.models.get(variant, {})}

    def unpublished(self, family: str, variant: str) -> tuple[str, ...]:
        """Names of those that are published of other models only."""
        everywhere = {name for constants in self.models.values() for name in constants}
        return tuple(sorted(everywhere - self.of(family, variant).keys()))


def check_published(name: str, method: str, published: Mapping[str, Preset]) -> None:
    """Refuse a preset that a method has not.

    Raises:
        SettingError: there is none of that name.
    """
    if name != OURS and name not in published:
        lacking = {
            FAST: "no cheaper settings are known that move as well",
            PAPER: "no paper gives its constants",
            RELEASED: "no released program of it could be read",
        }
        allowed = " or ".join([own for own in PRESETS if own == OURS or own in published])
        raise SettingError(f"preset is {name!r}, but of {method} {lacking[name]}; allowed is {allowed}")
