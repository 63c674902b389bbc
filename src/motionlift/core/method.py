"""What a method is to the rest of the library, and what it is given."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.method_settings import Sampled
from motionlift.core.model import Backbone
from motionlift.core.seen import Record
from motionlift.core.tensors import Latents, Pixels, Tensors, Text


@dataclass(frozen=True)
class Reference:
    """A reference as a method lifts it."""

    latents: Latents
    """Clean latents."""
    pixels: Pixels
    """Frames at the model's size."""
    wide: Float[Tensor, "frames 3 wide_height wide_width"]
    """The same frames at the reader's larger size, for readers that work on pixels."""
    shape: Shape
    """Size at the model."""
    trajectory: Mapping[int, Latents] = field(default_factory=dict)
    """The reference inverted: its latents at every timestep of sampling, where settings ask for it."""


@dataclass(frozen=True)
class Aim:
    """What one guided step aims at."""

    motion: Tensors
    """Tensors of the motion."""
    grids: Mapping[int, Lattice]
    """Lattice of every block that the method reads."""
    step: int
    """Number of the guided step, from zero."""
    places: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Places in the encoded prompt of the words that the method asks for."""


@runtime_checkable
class Method(Protocol):
    """A way to take motion and to give it; one file in ``methods``. It is a :class:`Guide` or a :class:`Tuner`."""

    name: ClassVar[str]
    summary: ClassVar[str]
    Settings: ClassVar[type[Sampled]]

    def settings(self, backbone: Backbone) -> Sampled:
        """Defaults for a model."""
        ...

    def check(self, backbone: Backbone, settings: Any) -> None:
        """Refuse what lifting cannot work with, before the network runs."""
        ...

    def blocks(self, settings: Any) -> Sequence[int]:
        """Blocks whose record the loss needs; none where it needs no record."""
        ...

    def words(self, settings: Any) -> Sequence[str]:
        """Words of the prompt whose places the loss needs."""
        ...


@runtime_checkable
class Guide(Method, Protocol):
    """A method that reads a motion and guides sampling by it."""

    def lift(self, reference: Reference, backbone: Backbone, settings: Any) -> Generator[Step, None, Tensors]:
        """Yield steps and return the tensors of the motion."""
        ...

    def loss(self, record: Record, aim: Aim, settings: Any) -> Float[Tensor, ""]:
        """How far the video being made is from the motion."""
        ...


@dataclass(frozen=True)
class Plan:
    """What of a network a method tunes."""

    layers: Sequence[str]
    """Names of linear layers."""
    rank: int | None = None
    """Rank of the factors that are added to every layer's weights; none where the weights themselves are tuned."""
    dropout: float = 0.0
    """Share of the factors' inputs that is dropped in tuning."""


@dataclass(frozen=True)
class Draw:
    """One draw of noise and timestep in tuning."""

    latents: Latents
    """The reference, clean."""
    noise: Latents
    """The noise."""
    timestep: int
    """The timestep."""
    text: Text
    """What the reference shows, encoded."""
    shape: Shape
    """Size of the reference at the model."""
    unadapted: Callable[[], AbstractContextManager[None]]
    """Switches what is tuned off until left; a graph made within must be used up within."""


@runtime_checkable
class Tuner(Method, Protocol):
    """A method that tunes weights to a reference."""

    def plan(self, backbone: Backbone, settings: Any) -> Plan:
        """What is tuned.

        Raises:
            SettingError: the settings ask for something that the model has not.
        """
        ...

    def caption(self, settings: Any) -> str:
        """The prompt of tuning.

        Raises:
            InputError: the source prompt leaves none.
        """
        ...

    def loss(self, draw: Draw, backbone: Backbone, settings: Any) -> Float[Tensor, ""]:
        """How far the network is from the reference's motion."""
        ...
