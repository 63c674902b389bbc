"""A prompt, encoded, and a picture where a video begins with one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from motionlift.core.schedule import Level, Schedule
from motionlift.core.tensors import Latents


@dataclass(frozen=True)
class Given:
    """The first latent frames of a video, known from a picture.

    The network sees them clean, whatever the latents hold there, and what it says of them is put right: that they are clean
    latents and noise of which the former are known. So every step carries them to what they are, and no loop needs to know.
    """

    latents: Latents
    """Clean, of the first frames alone; their batch is one."""
    schedule: Schedule
    """Any of the model's: it tells what the network predicts."""

    @property
    def frames(self) -> int:
        """How many there are."""
        return self.latents.shape[2]

    def within(self, latents: Latents) -> Latents:
        """Latents as the network is to see them."""
        own = self.latents.to(latents).expand(len(latents), -1, -1, -1, -1)
        return torch.cat([own, latents[:, :, self.frames :]], dim=2)

    def told(self, output: Latents, latents: Latents, level: Level) -> Latents:
        """The network's output with what a perfect network would say of the given frames, ``eps = (x - signal x0) / noise``."""
        clean, held = self.latents.to(latents), latents[:, :, : self.frames]
        noise = (held - level.signal * clean) / level.noise if level.noise else torch.zeros_like(held)
        perfect = self.schedule.output(clean.expand_as(held), noise, level)
        return torch.cat([perfect.to(output), output[:, :, self.frames :]], dim=2)

    def known(self, clean: Latents, noise: Latents, latents: Latents, level: Level) -> tuple[Latents, Latents]:
        """Clean latents and noise of a whole video with those of the given frames as they are, whatever a method made of them."""
        own, held = self.latents.to(latents).expand(len(latents), -1, -1, -1, -1), latents[:, :, : self.frames]
        left = (held - level.signal * own) / level.noise if level.noise else torch.zeros_like(held)
        return tuple(  # pyright: ignore[reportReturnType]
            torch.cat([first.to(whole), whole[:, :, self.frames :]], dim=2)
            for first, whole in ((own, clean), (left, noise))
        )


@dataclass(frozen=True)
class Condition:
    """A prompt as one model's network takes it. What is within, only the model that made it knows."""

    tensors: Mapping[str, Tensor]
    """Tensors by the names of the network's arguments; their first axis is the batch."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """Other arguments, by the size of the video alone: the same for every video of a batch."""
    given: Given | None = None
    """What is known of the video from a picture, where it is not among the arguments."""

    def fits(self, other: "Condition") -> bool:
        """Whether both prompts go into one batch: all tensors are of one size."""
        return {name: tensor.shape for name, tensor in self.tensors.items()} == {
            name: tensor.shape for name, tensor in other.tensors.items()
        }

    def joined(self, other: "Condition") -> "Condition":
        """Both prompts as one batch, this one first."""
        tensors = {name: torch.cat([tensor, other.tensors[name]]) for name, tensor in self.tensors.items()}
        return Condition(tensors, self.others, self.given)
