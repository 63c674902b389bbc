"""What loops, methods and backbones share, and nothing that computes.

Legend of axes: ``b`` batch, ``c`` latent channels, ``f`` latent frames, ``h w`` latent rows and columns, ``tokens`` the
video tokens of a backbone in frame-row-column order, ``heads`` attention heads, ``d`` the size of one head.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Latents = Float[Tensor, "b c f h w"]
Pixels = Float[Tensor, "frames 3 height width"]
"""Video frames, RGB in -1..1."""
Text = Float[Tensor, "b text width"]
"""An encoded prompt."""
Tensors = Mapping[str, Tensor]
"""The tensors of a motion by name."""
INVERTED = "inverted"
"""Name of the inverted noise among the tensors of a motion."""
Positions = Mapping[str, Tensor]
"""A backbone's positional tensors by name, every one of them open to optimisation."""


@dataclass(frozen=True)
class Grid:
    """The lattice of video tokens."""

    frames: int
    """Latent frames."""
    height: int
    """Token rows in a frame."""
    width: int
    """Token columns in a frame."""

    @property
    def area(self) -> int:
        """Tokens in one frame."""
        return self.height * self.width

    @property
    def tokens(self) -> int:
        """Tokens in the whole video."""
        return self.frames * self.area

    def __str__(self) -> str:
        return f"{self.frames}x{self.height}x{self.width}"


@dataclass(frozen=True)
class Shape:
    """Size of a video in pixels."""

    frames: int
    """Number of frames."""
    height: int
    """Rows of pixels."""
    width: int
    """Columns of pixels."""

    def __str__(self) -> str:
        return f"{self.frames} frames of {self.width}x{self.height}"


@dataclass(frozen=True)
class Projections:
    """Queries and keys of one kind of attention: to the text, to a token's own frame, or to its own place in other frames.

    The kinds are modules apart in a UNet, and slices of one map in a transformer with joint attention.
    """

    query: Float[Tensor, "b heads tokens d"]
    """Queries of the video tokens."""
    key: Float[Tensor, "b heads keys d"]
    """Keys: of the text tokens, or of all video tokens, of which each query meets only its frame's or its place's."""
    rivals: tuple[Float[Tensor, "b heads _ d"], ...] = ()
    """All keys that share one softmax with these in joint attention, these included; none where the kind is by itself."""


@dataclass(frozen=True)
class Recorded:
    """What a probe saw of one layer in one pass; video tokens are in frame-row-column order."""

    query: Float[Tensor, "b heads tokens d"]
    """Queries, after normalisation and rotary positions."""
    key: Float[Tensor, "b heads tokens d"]
    """Keys, after normalisation and rotary positions."""
    value: Float[Tensor, "b heads tokens d"]
    """Values."""
    features: Float[Tensor, "b tokens channels"]
    """Output of the layer's block; of no channels where it was not asked for."""
    cross: Projections
    """Attention to the text."""
    spatial: Projections
    """Attention to the token's own frame."""
    temporal: tuple[Projections, ...]
    """Attention to the token's own place in other frames: one, or more where the layer has more."""


Record = Mapping[int, Recorded]
"""Recorded layers by block number."""


@dataclass
class Passes:
    """How often a network ran, counted per video: a batch of two counts twice; a pass stopped early counts as one."""

    forward: int = 0
    """Forward passes."""
    backward: int = 0
    """Backward passes."""


@dataclass(frozen=True)
class Step:
    """One step of a loop, as it is yielded."""

    phase: str
    """What is being done: ``"invert"``, ``"lift"``, ``"tune"``, ``"guide"`` or ``"sample"``."""
    index: int
    """Number of this step in its phase, from zero."""
    total: int
    """Steps in this phase."""
    loss: float | None = None
    """Loss after this step, where there is one."""
    latents: Latents | None = None
    """Latents after this step, where there are any."""


@dataclass(frozen=True)
class Source:
    """Where a motion came from."""

    sha256: str
    """Hash of the reference file, or of its frames when it came from memory."""
    fps: float
    """Frames a second of the frames that were read."""
    shape: Shape
    """Size of the clip as the model saw it."""


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple = (),
    lifted: bool = False,
    cast: bool = False,
) -> Any:
    """A field of a settings dataclass with the values it allows; ``motionlift.settings`` enforces them.

    One that is ``lifted`` shapes what is read from the reference, so that a motion once lifted cannot be cast with another. One
    that is only of ``cast`` does not, so that a motion that was lifted with another serves.
    """
    about = {"low": low, "high": high, "choices": choices, "lifted": lifted, "cast": cast}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Sampled:
    """Settings shared by all methods: how videos are sampled, and what of the reference's noise they begin with."""

    steps: int = setting(50, low=1, high=1000)
    """Denoising steps (DiTFlow, released)."""
    cfg: float = setting(7.0, low=0, high=100, cast=True)
    """Weight of the prompt against the empty prompt (DiTFlow, paper)."""
    dynamic_cfg: bool = setting(False, cast=True)
    """Let the weight of the prompt grow over the steps, as published for CogVideoX-5B."""
    inversion: bool = setting(False, lifted=True)
    """Invert the reference by DDIM: the motion then holds the noise that its video came from."""
    source_prompt: str = setting("", lifted=True)
    """What the reference shows, for its inversion and for tuning; the empty prompt by default."""
    beta: float = setting(0.0, low=0, high=1, cast=True)
    """Share of the inverted noise in the noise that sampling starts from, ``sqrt(beta) inverted + sqrt(1 - beta) fresh``
    (MotionMatcher); over 0 it needs ``inversion``."""

    @property
    def inversion_prompt(self) -> str:
        """The prompt with which the reference is inverted."""
        return self.source_prompt


@dataclass(frozen=True)
class Guided(Sampled):
    """Settings shared by every method that guides sampling; each method adds its own."""

    share: float = setting(0.2, low=0, high=1)
    """Share of the steps that are guided, from the noisy end (DiTFlow, released)."""
    inner: int = setting(5, low=0, high=1000, cast=True)
    """Optimiser steps in each guided step (DiTFlow, released)."""
    optimizer: str = setting("adam", choices=("adam", "rms", "plain"), cast=True)
    """``adam`` (released); ``rms``, the gradient scaled to the learning rate as its root mean square (ours); or ``plain``, the
    gradient times the learning rate (MotionFlow)."""
    lr: float = setting(0.002, low=0, high=100, cast=True)
    """Learning rate in the first guided step, in units of the latents (DiTFlow, released)."""
    lr_end: float = setting(0.001, low=0, high=100, cast=True)
    """Learning rate in the last guided step (DiTFlow, released)."""
    target: str = setting("latents", choices=("latents", "positions", "saved"))
    """What is optimised: ``latents`` or ``positions`` (DiTFlow, paper); ``saved`` reuses the positions that an earlier run
    left in the motion and optimises nothing (DiTFlow's zero-shot)."""
    inject: bool = setting(True, cast=True)
    """Replace keys and values of the first block by the reference's in the guided steps (DiTFlow, released)."""


@dataclass(frozen=True)
class Tuned(Sampled):
    """Settings shared by every method that tunes weights to a reference; each method adds its own."""

    tuning_steps: int = setting(400, low=1, high=1_000_000, lifted=True)
    """Optimiser steps (VMC, released)."""
    tuning_lr: float = setting(1e-4, low=0, high=10, lifted=True)
    """Learning rate of AdamW, the same in every step (VMC, released)."""
    weight_decay: float = setting(0.01, low=0, high=1, lifted=True)
    """Weight decay of AdamW (VMC and MotionMatcher, released)."""
    clip: float = setting(1.0, low=0, high=1e6, lifted=True)
    """Norm to which all gradients together are clipped (VMC, released); 0 clips nothing."""
    accumulation: int = setting(1, low=1, high=1024, lifted=True)
    """Draws of noise and timestep whose gradients make one step (both released programs: one)."""
    precision: str = setting("auto", choices=("auto", "no", "bf16", "fp16"), lifted=True)
    """Autocast of the network's passes; ``auto`` is the type of its weights. What is tuned stays in single precision."""
    tuning_seed: int = setting(0, low=0, high=2**31 - 1, lifted=True)
    """Seed of the noise, the timesteps and the factors that tuning begins with."""
    clean_share: float = setting(0.0, low=0, high=0.99, lifted=True)
    """Share of the timesteps, from the clean end, that is left alone: none is drawn there, and casting does without the
    adapter (MotionMatcher: 0.5)."""
    strength: float = setting(1.0, low=0, high=1.5, cast=True)
    """How much of what was tuned is added when casting (ours)."""

    def lowest_timestep(self, levels: int) -> int:
        """The cleanest of a model's timesteps that is tuned, and cast with the adapter."""
        return round(self.clean_share * levels)


@runtime_checkable
class Backbone(Protocol):
    """A text-to-video model, its parts behind one set of words."""

    name: str
    """Bundled name, hub name, or folder."""
    identity: str
    """Hash of the configuration: a motion carries that of the model it was lifted with."""
    fingerprint: str
    """Hash of configuration and a sample of the weights, for caching."""
    variant: str
    """Which published model this is, as the tables of defaults name it; else the family."""
    family: str
    """Name of the file in ``backbones`` that serves it."""
    shape: Shape
    """Size of the videos it makes by default."""
    fps: float
    """Frames a second of the videos it makes."""
    blocks: int
    """Number of blocks that can be recorded."""
    places: Sequence[str]
    """Where each block is in the network."""
    defaults: Mapping[str, Any]
    """Settings of sampling and guiding that go with this model, where they differ from the common ones."""
    levels: int
    """Timesteps of its training."""
    passes: Passes
    """How often the network ran so far."""
    device: torch.device
    """Where it runs."""
    network: nn.Module
    """What predicts; adapters are fitted onto it."""
    adapter_prefix: str
    """The part of the pipeline that it is, as diffusers' loaders of adapters name it."""

    def fitting(self, frames: int | None) -> Shape:
        """The size of a video of so many frames, checked."""
        ...

    def grid(self, shape: Shape, block: int | None = None) -> Grid:
        """The lattice of a video in a block, or the finest that it has."""
        ...

    def latent_shape(self, shape: Shape) -> tuple[int, int, int, int, int]:
        """Latent sizes ``b c f h w`` of a video, with ``b`` one."""
        ...

    def frame_times(self, frames: int) -> list[float]:
        """For each latent frame, the place of the pixel frames it stands for, as a fractional frame number."""
        ...

    def encode(self, pixels: Pixels) -> Latents:
        """Latents of a video."""
        ...

    def decode(self, latents: Latents) -> Pixels:
        """The video of latents."""
        ...

    def text(self, prompt: str) -> Text:
        """Encode a prompt; an empty one is allowed."""
        ...

    def timesteps(self, steps: int) -> Sequence[int]:
        """Timesteps of a run, noisiest first."""
        ...

    def predict(self, latents: Latents, timestep: int, text: Text, positions: Positions | None = None) -> Latents:
        """The network's output, in its own parameterisation."""
        ...

    def estimates(self, output: Latents, timestep: int, latents: Latents) -> tuple[Latents, Latents]:
        """Clean latents and noise that the network's output speaks of."""
        ...

    def linear_layers(self, kind: str) -> Sequence[str]:
        """Names of linear layers of the network.

        Args:
            kind: ``temporal`` or ``spatial``, queries, keys and values of that attention, or of the joint one where it is a
                slice of it; ``linear``, every linear layer of the transformers.

        Raises:
            SettingError: the network has no such attention apart.
        """
        ...

    def step(self, output: Latents, timestep: int, latents: Latents) -> Latents:
        """Latents one denoising step on, from the network's output."""
        ...

    def step_back(self, output: Latents, timestep: int, latents: Latents) -> Latents:
        """Latents one step noisier, at ``timestep``, from the network's output there: undoes :meth:`step`."""
        ...

    def word_places(self, prompt: str, word: str) -> tuple[int, ...]:
        """Places of a word's tokens in the encoded prompt; none where it is not in it."""
        ...

    def add_noise(self, latents: Latents, noise: Latents, timestep: int) -> Latents:
        """Latents noised to a timestep."""
        ...

    def positions(self, shape: Shape) -> Positions:
        """The positional tensors for a video, as leaves that can be optimised."""
        ...

    def record(
        self,
        latents: Latents,
        timestep: int,
        text: Text,
        blocks: Sequence[int],
        positions: Positions | None = None,
        features: bool = True,
    ) -> Record:
        """Run the network up to the last of the given blocks and return what it saw there.

        Without features it stops where the last attention has been seen, and there are none in what it returns.
        """
        ...

    def injecting(self, recorded: Mapping[int, Recorded]) -> AbstractContextManager[None]:
        """Replace the video keys and values of blocks, in every pass until left (backward passes too)."""
        ...


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
    grids: Mapping[int, Grid]
    """Lattice of every block that the method reads."""
    step: int
    """Number of the guided step, from zero."""
    places: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Places in the encoded prompt of the words that the method asks for."""


Advance = Callable[[Step], None]


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


@dataclass
class Phase:
    """Seconds and passes of a phase, for the closing table."""

    name: str
    """Name of the phase."""
    seconds: float = 0.0
    """Wall-clock seconds."""
    passes: Passes = field(default_factory=Passes)
    """Passes of the network."""
