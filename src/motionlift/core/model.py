"""What a text-to-video model is to the rest of the library: about a dozen words."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from motionlift.core.condition import Condition
from motionlift.core.cost import Passes
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.memory import Measures
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Record, Recorded
from motionlift.core.tensors import Latents, Pixels, Positions
from motionlift.errors import ModelError


@dataclass(frozen=True)
class Added:
    """An adapter that was made part of a model's weights when it was loaded."""

    file: str
    """Where it was read from."""
    sha256: str
    """Hash of the file."""
    weight: float
    """What it was multiplied by."""
    part: str
    """The pipeline's part that it was loaded into."""
    layers: int
    """How many layers it changed."""
    left_out: int
    """How many of its layers the model has not."""


class Pictures(StrEnum):
    """Whether the videos of a model begin with a picture."""

    NEVER = "never"
    """It reads text alone."""
    MAY = "may"
    """With one or without."""
    MUST = "must"
    """It makes none without."""


@dataclass(frozen=True)
class About:
    """Facts about a model."""

    name: str
    """Bundled name, hub name, or folder."""
    family: str
    """Name of the file in ``models/families`` that serves it."""
    variant: str
    """Which published model this is, as the tables of defaults name it; else the family."""
    identity: str
    """Hash of what decides sizes and meaning: a motion carries that of the model it was lifted with."""
    former_identity: str
    """The identity that version 0.1 gave it; files of that version carry it."""
    fingerprint: str
    """Hash of configuration and a sample of the weights, for caching."""
    device: torch.device
    """Where it runs."""
    shape: Shape
    """Size of the videos it makes by default."""
    fps: float
    """Frames a second of the videos it makes."""
    places: Sequence[str]
    """Where each block that can be recorded is in the network."""
    widths: Sequence[int]
    """Channels of each one's features."""
    measures: Measures = field(default_factory=Measures)
    """What is done so that it takes less memory."""
    dtype: str = "fp32"
    """What its network computes with: ``bf16``, ``fp16`` or ``fp32``."""
    compiled: bool = False
    """Whether passes for sampling run compiled."""
    processes: int = 1
    """How many processes share the video's tokens in passes for sampling."""
    second_below: float = 0.0
    """The timestep below which a second network predicts; 0 where there is one network for all."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings of sampling and guiding that go with this model, where they differ from the common ones."""

    added: tuple[Added, ...] = ()
    """Adapters that were made part of its weights. Its identity is that of the model without them: motions fit both."""
    pictures: Pictures = Pictures.NEVER
    """Whether its videos begin with a picture."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Heights and widths beside its own, and about as large, that it was made for too."""

    def __repr__(self) -> str:
        return (
            f"About({self.name}, {self.variant} of {self.family}, {self.shape}, {self.fps:.4g} a second, {self.dtype} on "
            f"{self.device}, {self.blocks} blocks, {len(self.added)} adapters)"
        )

    @property
    def blocks(self) -> int:
        """Number of blocks that can be recorded."""
        return len(self.places)


@runtime_checkable
class Text(Protocol):
    """How a model reads prompts."""

    def check(self, prompt: str) -> None:
        """Refuse a prompt without encoding it.

        Raises:
            InputError: it is longer than the model's text window.
        """
        ...

    def cut(self, prompt: str) -> str:
        """As many of a prompt's first words as the model's text window holds."""
        ...

    def encode(self, prompt: str, shape: Shape | None = None) -> Condition:
        """A prompt as the network takes it for a video of a size; an empty one is allowed. Those encoded last are remembered.

        Args:
            prompt: the prompt.
            shape: the video's size, by default the model's own: some networks are told it with the prompt.

        Raises:
            InputError: it is longer than the model's text window.
        """
        ...

    def places(self, prompt: str, word: str) -> tuple[int, ...]:
        """Places of a word's tokens in the encoded prompt, wherever it comes; none where it is not in it."""
        ...

    def unknown_words(self, prompt: str) -> list[str]:
        """Words that the model's vocabulary lacks."""
        ...

    def known_words(self) -> Sequence[str]:
        """Words of a vocabulary of the model's own, to offer in place of unknown ones; none where it reads language at large."""
        ...


@runtime_checkable
class Codec(Protocol):
    """A model's autoencoder, and the sizes that it allows."""

    @property
    def fewest(self) -> int:
        """Fewest frames that autoencoder and network take: of a still, which is shorter than the videos that are made."""
        ...

    def encode(self, pixels: Pixels) -> Latents:
        """Latents of a video."""
        ...

    def decode(self, latents: Latents) -> Pixels:
        """The video of latents."""
        ...

    def decoded(self, latents: Latents) -> Pixels:
        """The video of latents as the autoencoder makes it: where it runs, in its own type, and not cut to -1..1."""
        ...

    def fitting(self, frames: int | None = None, height: int | None = None, width: int | None = None) -> Shape:
        """The size of a video of so many frames, rows and columns of pixels; by default the model's own.

        Raises:
            SettingError: the model cannot make so many; the nearest that it can are named.
        """
        ...

    def latent_shape(self, shape: Shape) -> tuple[int, int, int, int, int]:
        """Latent sizes ``b c f h w`` of a video, with ``b`` one."""
        ...

    def frame_times(self, frames: int) -> list[float]:
        """For each lattice frame, the place of the pixel frames it stands for, as a fractional frame number."""
        ...


@runtime_checkable
class Model(Protocol):
    """A text-to-video model, its parts behind one set of words.

    Nothing that two callers could meet holds state: whoever runs the network takes a :meth:`turn`.
    """

    about: About
    """Facts about it."""
    text: Text
    """How it reads prompts."""
    codec: Codec
    """Its autoencoder."""
    network: nn.ModuleDict
    """What predicts, by the names of the pipeline's parts: one network, or two for levels of their own. Adapters are fitted
    onto it."""
    passes: Passes
    """How often the network ran for this view."""

    def counted(self) -> "Model":
        """A view of the same model that counts its passes from zero."""
        ...

    def pictured(self, picture: Pixels) -> "Model":
        """A view of the same model whose videos begin with a picture; it counts its passes with this one's.

        Args:
            picture: one frame, of the size of the videos that are to be made.

        Raises:
            SettingError: its videos begin with none.
        """
        ...

    def saving(self, measures: Measures) -> "Model":
        """A view of the same model that takes less memory, or less time; it counts its passes with this one's.

        What the model cannot do otherwise stays as it is: :attr:`about` says what is so.

        Args:
            measures: those that a view can choose, and the others as the model was loaded.

        Raises:
            SettingError: the others differ, or the model cannot do what is asked for.
        """
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Hold the model, as it must be to run, until left: other threads wait, and what was changed is changed back."""
        ...

    def rest(self) -> None:
        """Put the parts of a pipeline that was handed in back on the devices where they were."""
        ...

    def schedule(self, steps: int, shape: Shape | None = None) -> Schedule:
        """The levels of a run, for a video of a size, by default the model's own: some models take larger ones more noisily.

        Raises:
            SettingError: the model cannot take so many steps.
        """
        ...

    def lattice(self, shape: Shape, block: int | None = None) -> Lattice:
        """The lattice of a video in a block, or the finest that it has."""
        ...

    def positions(self, shape: Shape) -> Positions:
        """The positional tensors for a video, as leaves that can be optimised; none where the network has none."""
        ...

    def linear_layers(self, kind: str) -> Sequence[str]:
        """Names of linear layers of the network.

        Args:
            kind: ``temporal`` or ``spatial``, queries, keys and values of that attention, or of the joint one where it is a
                slice of it; ``temporal_blocks`` or ``spatial_blocks``, every linear layer of that attention and of the
                feed-forward network behind it, of joint attention the same for both; ``linear``, every linear layer of the
                transformers.

        Raises:
            SettingError: the network has no such attention apart.
        """
        ...

    def predict(
        self, latents: Latents, level: Level, condition: Condition, positions: Positions | None = None
    ) -> Latents:
        """The network's output, in its own parameterisation, in single precision."""
        ...

    def record(
        self,
        latents: Latents,
        level: Level,
        condition: Condition,
        blocks: Sequence[int],
        positions: Positions | None = None,
        features: bool = True,
    ) -> Record:
        """Run the network up to the last of the given blocks and return what it saw there.

        Without features it stops where the last attention has been seen, and there are none in what it returns.
        """
        ...

    def watch(
        self,
        latents: Latents,
        level: Level,
        condition: Condition,
        blocks: Sequence[int],
        positions: Positions | None = None,
        features: bool = True,
    ) -> tuple[Latents, Record]:
        """The network's output, as :meth:`predict` gives it, and what was seen on the way, as :meth:`record` does.

        No gradient reaches the output: what comes after the last of the blocks keeps none.
        """
        ...

    def share(self, block: int, features: bool = False) -> float:
        """What share of a pass's work is done when a block has been seen, with its features or without.

        Work is that of the weights, each counted for every place that it is multiplied with.
        """
        ...

    def injecting(self, recorded: Mapping[int, Recorded]) -> AbstractContextManager[None]:
        """Replace the video keys and values of blocks, in every pass until left (backward passes too)."""
        ...


WORDS = (*Model.__annotations__, *(name for name in vars(Model) if not name.startswith("_")))
"""All that a model must have."""


def checked_model(given: object) -> Model:
    """What was given, if it is a model.

    Raises:
        ModelError: it lacks some of a model's words, which are named.
    """
    lacking = [word for word in dict.fromkeys(WORDS) if not hasattr(given, word)]
    if lacking:
        raise ModelError(f"{type(given).__name__} is no model: it lacks {', '.join(lacking)}")
    assert isinstance(given, Model)
    return given
