"""Autoencoders: of whole videos, and of single frames."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from motionlift.core.lattice import Shape
from motionlift.core.tensors import Latents, Pixels
from motionlift.errors import SettingError
from motionlift.models.turns import switched


@dataclass(frozen=True)
class Autoencoder(ABC):
    """What the autoencoders share: scaled mean latents, videos cut to -1..1, and a part that is held while it is used."""

    vae: Any
    """One of diffusers'."""
    name: str
    """The model's, for messages."""
    shape: Shape
    """The model's own size of videos."""
    channels: int
    """Channels of the latents."""
    side: int
    """Rows and columns of pixels that one of the latents stands for."""
    device: torch.device
    """Where it runs."""
    using: Callable[[nn.Module], AbstractContextManager[None]]
    """Holds a part on the device."""
    in_parts: bool = False
    """Whether it works in tiles or slices, which takes less memory."""

    @contextmanager
    def _work(self) -> Iterator[None]:
        """The autoencoder on the device."""
        with self.using(self.vae), switched(self.vae, **self._saving):
            yield

    @property
    @abstractmethod
    def _saving(self) -> dict[str, bool]:
        """Switches of the autoencoder, as they are while it works."""

    @abstractmethod
    def encode(self, pixels: Pixels) -> Latents:
        """Mean latents, scaled."""

    @abstractmethod
    def decode(self, latents: Latents) -> Pixels:
        """The video of latents, cut to -1..1."""

    @abstractmethod
    def latent_frames(self, frames: int) -> int:
        """Latent frames of so many frames."""

    def latent_shape(self, shape: Shape) -> tuple[int, int, int, int, int]:
        """Latent sizes ``(1, c, f, h, w)``."""
        frames = self.latent_frames(shape.frames)
        return 1, self.channels, frames, shape.height // self.side, shape.width // self.side


@dataclass(frozen=True)
class VideoAutoencoder(Autoencoder):
    """An autoencoder that joins frames: the first one alone, and groups after it."""

    group: int = 4
    """Frames that one latent frame stands for."""
    patch: int = 1
    """Latent frames that one lattice frame stands for."""

    @property
    def _saving(self) -> dict[str, bool]:
        """Tiles, where it works in parts; else as it is."""
        return {"use_tiling": True} if self.in_parts else {}

    @torch.no_grad()
    def encode(self, pixels: Pixels) -> Latents:
        """Mean latents, scaled."""
        with self._work():
            video = pixels.transpose(0, 1)[None].to(self.device, self.vae.dtype)
            return self.vae.encode(video).latent_dist.mode().float() * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Latents) -> Pixels:
        """The video of latents, cut to -1..1."""
        with self._work():
            scaled = latents.to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
            return self.vae.decode(scaled).sample[0].transpose(0, 1).float().clamp(-1, 1).cpu()

    def latent_frames(self, frames: int) -> int:
        """Latent frames of so many frames: groups, the last of them begun."""
        return (frames + self.group - 1) // self.group

    def pixel_frames(self, latent: int) -> int:
        """Frames that it makes of so many latent ones."""
        return self.group * (latent - 1) + 1

    def fitting(self, frames: int | None) -> Shape:
        """The default size with so many frames.

        Raises:
            SettingError: the autoencoder cannot give back so many frames.
        """
        count = self.shape.frames if frames is None else frames
        latent = self.latent_frames(count)
        if count < 2 or self.pixel_frames(latent) != count or latent % self.patch:
            raise SettingError(
                f"{count} frames do not fit {self.name}: allowed are {self._allowed()}; "
                f"its own length is {self.shape.frames}"
            )
        return Shape(count, self.shape.height, self.shape.width)

    def _allowed(self) -> str:
        """Numbers of frames that fit, in words."""
        return f"{self.group}n+1 ({self.group + 1}, {2 * self.group + 1}, {3 * self.group + 1}, ...)"

    def frame_times(self, frames: int) -> list[float]:
        """Middles of the pixel frames behind each lattice frame: the first frame by itself, then groups."""
        latent = self.latent_frames(frames)
        middles = [max(0.0, self.group * n - (self.group - 1) / 2) for n in range(latent)]
        return [sum(middles[n : n + self.patch]) / self.patch for n in range(0, latent, self.patch)]


@dataclass(frozen=True)
class FrameAutoencoder(Autoencoder):
    """An autoencoder of pictures: every latent frame stands for one frame."""

    @property
    def _saving(self) -> dict[str, bool]:
        """Frame by frame."""
        return {"use_slicing": True}

    @torch.no_grad()
    def encode(self, pixels: Pixels) -> Latents:
        """Mean latents, scaled."""
        with self._work():
            latents = self.vae.encode(pixels.to(self.device, self.vae.dtype)).latent_dist.mode()
        return latents.float().transpose(0, 1)[None] * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Latents) -> Pixels:
        """The video of latents, cut to -1..1."""
        with self._work():
            frames = latents[0].transpose(0, 1).to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
            return self.vae.decode(frames).sample.float().clamp(-1, 1).cpu()

    def latent_frames(self, frames: int) -> int:
        """As many."""
        return frames

    def fitting(self, frames: int | None) -> Shape:
        """The default size with so many frames; any number from two is allowed.

        Raises:
            SettingError: fewer than two.
        """
        count = self.shape.frames if frames is None else frames
        if count < 2:
            raise SettingError(f"{count} frames do not fit {self.name}: allowed are 2 and more")
        return Shape(count, self.shape.height, self.shape.width)

    def frame_times(self, frames: int) -> list[float]:
        """Every latent frame stands for one frame."""
        return [float(number) for number in range(frames)]
