"""What a text-to-video model is to the rest of the library."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from motionlift.core.cost import Passes
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.seen import Record, Recorded
from motionlift.core.tensors import Latents, Pixels, Positions, Text


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

    def grid(self, shape: Shape, block: int | None = None) -> Lattice:
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
