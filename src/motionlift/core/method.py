"""What a method is to the rest of the library, and what it is given."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from motionlift.core.condition import Condition
from motionlift.core.cost import Step
from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.method_settings import Guided, Sampled, Tuned
from motionlift.core.model import Model
from motionlift.core.presets import OURS, READING, Constant, Preset, check_published
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Record
from motionlift.core.tensors import Latents, Pixels, Positions, Tensors
from motionlift.errors import MotionError

AnySettings = TypeVar("AnySettings", bound=Sampled)
GuidedSettings = TypeVar("GuidedSettings", bound=Guided)
TunedSettings = TypeVar("TunedSettings", bound=Tuned)
SAMPLING = ("steps", "cfg", "second_cfg", "dynamic_cfg", "negative_prompt")
"""Of a model's defaults, those that say how it samples."""


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
    trajectory: Sequence[Latents] = ()
    """The reference inverted: its latents at every level of sampling, noisiest first, where settings ask for it; in main memory
    where it is a window of a video."""
    times: Sequence[float] = ()
    """For each lattice frame, its place among the frames of ``wide``, where that is not the codec's: in a window of a video."""


@dataclass(frozen=True)
class Needs:
    """What a method asks of the sampling loop in every guided step."""

    blocks: tuple[int, ...] = ()
    """Blocks whose attention the loss reads; gradients go through the network."""
    features: bool = False
    """The outputs of those blocks too."""
    words: tuple[str, ...] = ()
    """Words of the prompt whose places the loss needs."""
    output: bool = False
    """What the network predicts of the video, with guidance; no gradient goes through the network."""
    reference: bool = False
    """What it predicts of the reference at the same level, noised with the noise that the video began with, by the empty
    prompt."""
    inject: tuple[int, ...] = ()
    """Blocks whose keys and values are the reference's; those that are read keep their own."""
    positions: bool = False
    """The network's positional tensors, which :meth:`Guide.placed` changes before the first guided step."""
    backward: int = 1
    """Backward passes that the loss and its gradient take, to be counted."""


@dataclass(frozen=True)
class Prediction:
    """What the network predicts at one level: of the video being made, or of the reference."""

    latents: Latents
    """Noised latents there."""
    level: Level
    """The level."""
    output: Latents
    """The network's output."""
    clean: Latents
    """Clean latents that the output speaks of; a gradient reaches the noised ones."""
    noise: Latents
    """Noise that the output speaks of; likewise."""


@dataclass(frozen=True)
class Observed:
    """What the loop saw of the video being made in one inner step."""

    latents: Latents
    """Noised latents."""
    level: Level
    """Their level."""
    record: Record = field(default_factory=dict)
    """Blocks by number, those that were asked for."""
    prediction: Prediction | None = None
    """What the network predicts, where it was asked for."""


@dataclass(frozen=True)
class Aim:
    """What one guided step aims at."""

    motion: Tensors
    """Tensors of the motion."""
    lattices: Mapping[int, Lattice]
    """Lattice of every block that the method reads."""
    step: int
    """Number of the guided step, from zero."""
    places: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Places in the encoded prompt of the words that the method asks for."""
    reference: Prediction | None = None
    """What the network predicts of the reference here, where the method asks for it."""
    begun: Latents | None = None
    """The noise that the video began with."""


@dataclass(frozen=True)
class Plan:
    """What of a network a method tunes."""

    layers: Sequence[str]
    """Names of linear layers."""
    rank: int | None = None
    """Rank of the factors that are added to every layer's weights; none where the weights themselves are tuned."""
    dropout: float = 0.0
    """Share of the factors' inputs that is dropped in tuning."""
    looks: Sequence[str] = ()
    """Names of linear layers that have factors of their own for looks, of the same rank: they are tuned too, are no part of the
    motion, and are on only where a loss switches them on. A layer may have both kinds."""
    as_released: bool = False
    """Whether the factors are those of MotionMatcher's and MotionDirector's programs: the first begins as normal noise of deviation
    ``1 / rank``, in the place of peft's uniform one, and what is dropped is of their outputs."""


MOTION, LOOKS = "motion", "looks"
"""What of an adapter a loss may switch: the factors or weights of :attr:`Plan.layers`, and the factors of :attr:`Plan.looks`."""


@runtime_checkable
class Switching(Protocol):
    """A switch for what is tuned."""

    def __call__(self, on: Collection[str], /, fixed: Collection[str] = ()) -> AbstractContextManager[Any]:
        """Until left, have on what is named and nothing else; what of it is fixed gets no gradient."""
        ...


@dataclass(frozen=True)
class Stills:
    """The frames of a reference, each by itself: held for as few frames as the model takes, one where it takes pictures."""

    latents: Float[Tensor, "frames c held h w"]
    """Latents of each."""
    condition: Condition
    """The prompt of tuning, encoded for a video so short."""


@dataclass(frozen=True)
class Draw:
    """One draw of noise and level in tuning."""

    latents: Latents
    """The reference, clean."""
    noise: Latents
    """The noise."""
    index: int
    """Number of the level among those of training, from the clean end."""
    schedule: Schedule
    """The levels of a run with the settings' steps, and of training."""
    condition: Condition
    """What the reference shows, encoded."""
    shape: Shape
    """Size of the reference at the model."""
    only: Switching
    """Switches what is tuned, by :data:`MOTION` and :data:`LOOKS`, until left; a graph made within must be used up within."""
    stills: Stills | None = None
    """The reference's frames, where the plan has factors for looks."""

    @property
    def level(self) -> Level:
        """The level."""
        return self.schedule.trained[self.index]

    def unadapted(self) -> AbstractContextManager[Any]:
        """Switches what is tuned off until left; a graph made within must be used up within."""
        return self.only(())


class Method(ABC, Generic[AnySettings]):
    """A way to take motion and to give it; one file in ``methods``. It is a :class:`Guide` or a :class:`Tuner`."""

    name: ClassVar[str]
    """Its name in settings, files and records."""
    summary: ClassVar[str]
    """What it does, in one line."""
    Settings: type[AnySettings]
    """Its settings, with the defaults of paper or program."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Defaults per model, by the model's variant."""
    published: ClassVar[Mapping[str, Preset]] = {}
    """Constants of its paper and of its released program, as far as there are any."""
    holds: ClassVar[tuple[str, ...]] = ()
    """What its motions hold beside latents, by the first words of :mod:`motionlift.motion.names`; of what is of a block, that of
    every block that is read. A motion without it is refused."""

    @abstractmethod
    def settings(self, model: Model) -> AnySettings:
        """Defaults for a model."""

    def with_preset(self, name: str, model: Model, given: Mapping[str, Any] = MappingProxyType({})) -> AnySettings:
        """The settings of a preset for a model.

        Args:
            name: of the preset.
            model: the model.
            given: what is set beside it, and goes over the result; a method may have others that are good with it.

        Raises:
            SettingError: the method has no such preset.
        """
        check_published(name, self.name, self.published)
        ours = self.settings(model)
        if name == OURS:
            return ours
        values = {key: own.value for key, own in self.constants(name, model).items() if key not in READING}
        return replace(ours, preset=name, **values)

    def constants(self, name: str, model: Model) -> dict[str, Constant]:
        """The published constants that a preset has for a model; none of ours."""
        preset = self.published.get(name)
        return {} if preset is None else preset.of(model.about.family, model.about.variant)

    def check(self, model: Model, settings: AnySettings) -> None:
        """Refuse what lifting cannot work with, before the network runs.

        Raises:
            MotionliftError: one of its kinds.
        """

    def blocks(self, settings: AnySettings) -> Sequence[int]:
        """Blocks that lifting or the loss reads; those of the setting ``block``, where a method has it."""
        return getattr(settings, "block", ())

    def edited(self, motion: Tensors, edit: Edit, lattice: Lattice) -> Tensors:
        """The tensors of a motion after an edit; :func:`motionlift.motion.edits.moved` edits those whose axes are places.

        Args:
            motion: the tensors.
            edit: how places and vectors change.
            lattice: the finest of the model that lifted it.

        Raises:
            MotionError: the method cannot say what becomes of its motion.
        """
        raise MotionError(
            f"a motion of {self.name} cannot be edited: what it holds does not follow places, and {edit.name} changes those; "
            "change the reference and lift it again"
        )


class Guide(Method[GuidedSettings]):
    """A method that reads a motion and guides sampling by it."""

    def settings(self, model: Model) -> GuidedSettings:
        """The row of the presets, or the published settings with the middle block; sampling and guiding as the model needs it."""
        preset: dict[str, Any] = dict(self.presets.get(model.about.variant, {}))
        if any(item.name == "block" for item in fields(self.Settings)):
            preset = {"block": (model.about.blocks // 2,), **preset}
        return replace(self.Settings(), **{**model.about.defaults, **preset})

    def needs(self, settings: GuidedSettings) -> Needs:
        """What a guided step is to give; by default nothing but what the settings say of injection."""
        return Needs(inject=injected(settings))

    @abstractmethod
    def lift(
        self, reference: Reference, model: Model, settings: GuidedSettings
    ) -> Generator[Step, None, dict[str, Tensor]]:
        """Yield steps and return the tensors of the motion."""

    def loss(self, observed: Observed, aim: Aim, settings: GuidedSettings) -> Float[Tensor, ""]:
        """How far the video being made is from the motion; only asked for where the method needs blocks or output."""
        raise NotImplementedError(f"{self.name} asks for something to look at and has no loss")

    def begin(self, noise: Latents, motion: Tensors, settings: GuidedSettings) -> Latents:
        """The noise that sampling starts from, shaped by the motion; by default as it is."""
        return noise

    def check_positions(self, positions: Positions, lattice: Lattice) -> None:
        """Refuse positions that cannot be changed, before anything is lifted; only asked for where the method needs them.

        Raises:
            SettingError: they cannot be.
        """

    def placed(self, positions: Positions, motion: Tensors, lattice: Lattice, settings: GuidedSettings) -> Positions:
        """The positions that guided steps begin with; only asked for where the method needs them.

        Args:
            positions: the network's own.
            motion: the motion.
            lattice: the finest of the model.
            settings: the settings.

        Raises:
            SettingError: as :meth:`check_positions` says.
        """
        return positions

    def steered(self, prediction: Prediction, aim: Aim, settings: GuidedSettings) -> tuple[Latents, Latents]:
        """Clean latents and noise that a guided step is taken with; by default those that the network's output speaks of.

        Args:
            prediction: with guidance, after the inner steps.
            aim: of this guided step.
            settings: the settings.
        """
        return prediction.clean, prediction.noise


class Tuner(Method[TunedSettings]):
    """A method that tunes weights to a reference."""

    def settings(self, model: Model) -> TunedSettings:
        """The row of the presets, or the published settings; sampling as the model needs it."""
        return replace(self.Settings(), **{**sampling(model), **self.presets.get(model.about.variant, {})})

    @abstractmethod
    def plan(self, model: Model, settings: TunedSettings) -> Plan:
        """What is tuned.

        Raises:
            SettingError: the settings ask for something that the model has not.
        """

    def caption(self, settings: TunedSettings) -> str:
        """The prompt of tuning; without one the source prompt.

        Raises:
            InputError: the source prompt leaves none.
        """
        return settings.tuning_prompt or settings.source_prompt

    @abstractmethod
    def loss(self, draw: Draw, model: Model, settings: TunedSettings) -> Float[Tensor, ""]:
        """How far the network is from the reference's motion."""

    def losses(self, draw: Draw, model: Model, settings: TunedSettings) -> Generator[Float[Tensor, ""], None, None]:
        """What a draw is tuned by: the loss alone, or others beside it.

        The gradient of each is taken before the next is asked for, so that what is switched around a ``yield`` is so in its
        backward pass too.
        """
        yield self.loss(draw, model, settings)


def sampling(model: Model) -> dict[str, Any]:
    """Of a model's defaults, those that say how it samples."""
    return {name: value for name, value in model.about.defaults.items() if name in SAMPLING}


def injected(settings: Guided) -> tuple[int, ...]:
    """The block whose keys and values are injected: the first, where the settings say so (DiTFlow, released)."""
    return (0,) if settings.inject else ()
