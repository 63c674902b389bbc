"""Autoencoders: of whole videos, and of single frames."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from motionlift.core.lattice import Shape
from motionlift.core.tensors import Latents, Pixels
from motionlift.errors import SettingError
from motionlift.models.turns import switched
from motionlift.video.limits import FRAMES

FRAMEWISE = ("use_framewise_encoding", "use_framewise_decoding")
"""Switches of autoencoders that code a few frames at a time."""
PIECE = 16
"""Frames that are taken over at once, of a video that was decoded (ours)."""
DECODED_AT, DECODED_NOISE = 0.05, 0.025
"""Time and share of noise at which autoencoders that are told a time decode (LTX-Video's model cards)."""


TILES = (
    ("tile_latent_min_size", "tile_sample_min_size", "tile_overlap_factor"),
    ("tile_latent_min_height", "tile_sample_min_height", "tile_overlap_factor_height"),
    ("tile_latent_min_width", "tile_sample_min_width", "tile_overlap_factor_width"),
)
"""What diffusers calls the side of a tile in latents, that in pixels, and the share of both by which tiles overlap."""


def can_tile(vae: Any) -> bool:
    """Whether an autoencoder can work in tiles, which it cannot where they overlap by no whole number of latents.

    Then diffusers would give back a video of another size.
    """
    for names in TILES:
        if all(hasattr(vae, name) for name in names):
            latents, pixels, share = (getattr(vae, name) for name in names)
            side, kept = pixels // latents, latents - int(latents * share)
            strides = int(latents * (1 - share)) * side, pixels - int(pixels * share), int(pixels * (1 - share))
            if strides != (kept * side,) * 3:
                return False
    return hasattr(vae, "use_tiling")


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
    """Whether it works in tiles, which takes less memory."""
    tokens: int = 1
    """Rows and columns of latents that one token of the network stands for."""
    asked: int = 1
    """What the pipeline takes sides in multiples of, beside that."""

    @property
    def multiple(self) -> int:
        """What heights and widths are multiples of, pixels."""
        return math.lcm(self.side * self.tokens, self.asked)

    @contextmanager
    def _work(self, **switches: bool) -> Iterator[None]:
        """The autoencoder on the device, switched as it saves memory, and as asked for."""
        with self.using(self.vae), switched(self.vae, **self._saving, **switches):
            yield

    @property
    @abstractmethod
    def _saving(self) -> dict[str, bool]:
        """Switches of the autoencoder, as they are while it works."""

    @property
    @abstractmethod
    def fewest(self) -> int:
        """Fewest frames that autoencoder and network take."""

    @abstractmethod
    def encode(self, pixels: Pixels) -> Latents:
        """Mean latents, scaled."""

    @abstractmethod
    def decoded(self, latents: Latents) -> Pixels:
        """The video of latents as the autoencoder makes it: where it runs, in its own type, and not cut to -1..1."""

    def decode(self, latents: Latents) -> Pixels:
        """The video of latents, cut to -1..1; in single precision in main memory, whose copy is the only one of that size."""
        made = self.decoded(latents)
        if made.device.type == "meta":
            return made.float()
        pixels = made if made.device.type == "cpu" and made.dtype is torch.float32 else torch.empty(made.shape)
        for own, part in zip(pixels.split(PIECE), made.split(PIECE), strict=True):
            own.copy_(part).clamp_(-1, 1)
        return pixels

    @abstractmethod
    def latent_frames(self, frames: int) -> int:
        """Latent frames of so many frames."""

    @abstractmethod
    def _check_frames(self, count: int) -> None:
        """Refuse a length that it cannot give back."""

    def fitting(self, frames: int | None = None, height: int | None = None, width: int | None = None) -> Shape:
        """The size of a video of so many frames, rows and columns; by default the model's own.

        Raises:
            SettingError: the autoencoder cannot give back so many frames, or the network cannot take such sides.
        """
        own = self.shape
        shape = Shape(
            own.frames if frames is None else frames,
            own.height if height is None else height,
            own.width if width is None else width,
        )
        self._check_frames(shape.frames)
        multiple = self.multiple
        if (shape.height, shape.width) != (own.height, own.width) and (
            shape.height % multiple or shape.width % multiple
        ):
            near = "x".join(str(max(1, round(side / multiple)) * multiple) for side in (shape.width, shape.height))
            raise SettingError(
                f"{shape.width}x{shape.height} pixels do not fit {self.name}: allowed are multiples of {multiple}; the nearest "
                f"is {near}, and its own size {own.width}x{own.height}"
            )
        return shape

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
    def fewest(self) -> int:
        """Those of one lattice frame."""
        return self.pixel_frames(self.patch)

    @property
    def _saving(self) -> dict[str, bool]:
        """Tiles, where it works in parts; else as it is."""
        return {"use_tiling": True} if self.in_parts else {}

    @torch.no_grad()
    def encode(self, pixels: Pixels) -> Latents:
        """Mean latents, scaled."""
        with self._work(**self._bit_by_bit(self.latent_frames(len(pixels)))):
            video = pixels.transpose(0, 1)[None].to(self.device, self.vae.dtype)
            latents = self.vae.encode(video).latent_dist.mode().float()
            if self._moments is not None:
                mean, deviation = self._moments
                latents = (latents - mean) / deviation
            return latents * self._scale

    @torch.no_grad()
    def decoded(self, latents: Latents) -> Pixels:
        """The video of latents, not cut yet."""
        with self._work(**self._bit_by_bit(latents.shape[2])):
            kind = self.vae.dtype
            scaled = latents.to(self.device, torch.float32 if self._moments else kind) / self._scale
            if self._moments is not None:
                mean, deviation = self._moments
                scaled = (scaled * deviation + mean).to(kind)
            return self._video(self.vae.decode(*self._told(scaled)).sample)[0].transpose(0, 1)

    def _bit_by_bit(self, latent: int) -> dict[str, bool]:
        """Switches by which a video longer than the model's own is coded a few frames at a time, where there are such.

        Those of CogVideoX and Wan, which keep what they need of earlier frames, and of Allegro and HunyuanVideo, which are tiled,
        always code so. Mochi's decoder then keeps it too, and LTX-Video's is tiled. Mochi's encoder looks at all frames, and
        HunyuanVideo 1.5's has no such switch.
        """
        if latent <= self.latent_frames(self.shape.frames):
            return {}
        switches = FRAMEWISE if hasattr(self.vae, "tile_sample_min_num_frames") else FRAMEWISE[1:]
        return {name: True for name in switches if hasattr(self.vae, name)}

    def _video(self, decoded: Tensor) -> Tensor:
        """What the decoder gives, as ``(b, 3, frames, height, width)``."""
        return decoded

    @property
    def _scale(self) -> float:
        """What normalised latents are multiplied by."""
        return self.vae.config.get("scaling_factor") or 1.0

    @property
    def _moments(self) -> tuple[Tensor, Tensor] | None:
        """Mean and standard deviation of every channel, which some autoencoders bring; ``(1, c, 1, 1, 1)`` each."""
        found, buffers = [], dict(self.vae.named_buffers(recurse=False))
        for name in ("latents_mean", "latents_std"):
            held = buffers.get(name, self.vae.config.get(name))  # buffers of LTX-Video's, settings of the others'
            if held is None:
                return None
            found.append(torch.as_tensor(held, dtype=torch.float32, device=self.device).view(1, -1, 1, 1, 1))
        return found[0], found[1]

    def _told(self, latents: Latents) -> tuple[Tensor, ...]:
        """What the decoder is given: some are told a time, and are given a little noise, always the same."""
        if not self.vae.config.get("timestep_conditioning"):
            return (latents,)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        noised = (1 - DECODED_NOISE) * latents + DECODED_NOISE * noise
        return noised, torch.full((len(latents),), DECODED_AT, device=self.device, dtype=latents.dtype)

    def latent_frames(self, frames: int) -> int:
        """Latent frames of so many frames: groups, the last of them begun."""
        return (frames + self.group - 1) // self.group

    def pixel_frames(self, latent: int) -> int:
        """Frames that it makes of so many latent ones."""
        return self.group * (latent - 1) + 1

    def _check_frames(self, count: int) -> None:
        latent = self.latent_frames(count)
        if count >= 2 and self.pixel_frames(latent) == count and latent % self.patch == 0:
            return
        raise SettingError(
            f"{count} frames do not fit {self.name}: allowed are {self._allowed()}, so {self._neighbours(count)}; its own length "
            f"is {self.shape.frames}"
        )

    def next_whole(self, count: int) -> int:
        """The shortest length that fits and is no shorter than a number of frames."""
        latent = max(self.latent_frames(count), self.latent_frames(2))
        return self.pixel_frames(-(-latent // self.patch) * self.patch)

    def _neighbours(self, count: int) -> str:
        """The lengths that fit just below and above one that does not, in words."""
        most = self.latent_frames(max(count, 2)) + 2 * self.patch
        lengths = [self.pixel_frames(latent) for latent in range(self.patch, most + 1, self.patch)]
        fitting = [length for length in lengths if FRAMES[0] <= length <= FRAMES[1]]
        below, above = [length for length in fitting if length < count], [each for each in fitting if each > count]
        return " or ".join(str(length) for length in (*below[-1:], *above[:1]))

    def _allowed(self) -> str:
        """Numbers of frames that fit, in words."""
        return f"{self.group}n+1 ({self.group + 1}, {2 * self.group + 1}, {3 * self.group + 1}, ...)"

    def frame_times(self, frames: int) -> list[float]:
        """Middles of the pixel frames behind each lattice frame: the first frame by itself, then groups."""
        latent = self.latent_frames(frames)
        middles = [max(0.0, self.group * n - (self.group - 1) / 2) for n in range(latent)]
        return [sum(middles[n : n + self.patch]) / self.patch for n in range(0, latent, self.patch)]


@dataclass(frozen=True)
class GroupAutoencoder(VideoAutoencoder):
    """An autoencoder that joins frames in groups throughout."""

    def pixel_frames(self, latent: int) -> int:
        """A whole group of each."""
        return self.group * latent

    def _allowed(self) -> str:
        return f"{self.group}n ({self.group}, {2 * self.group}, {3 * self.group}, ...)"

    def frame_times(self, frames: int) -> list[float]:
        """Middles of the groups."""
        middles = [self.group * n + (self.group - 1) / 2 for n in range(self.latent_frames(frames))]
        return [sum(middles[n : n + self.patch]) / self.patch for n in range(0, len(middles), self.patch)]


@dataclass(frozen=True)
class FrameAutoencoder(Autoencoder):
    """An autoencoder of pictures: every latent frame stands for one frame."""

    most: int | None = None
    """Most frames that the network can see at once, where they are bounded; longer videos are made in windows."""

    @property
    def fewest(self) -> int:
        """A picture."""
        return 1

    @property
    def _saving(self) -> dict[str, bool]:
        """Frame by frame, and in tiles, where it works in parts."""
        return {"use_slicing": True, **({"use_tiling": True} if self.in_parts else {})}

    @torch.no_grad()
    def encode(self, pixels: Pixels) -> Latents:
        """Mean latents, scaled."""
        with self._work():
            latents = self.vae.encode(pixels.to(self.device, self.vae.dtype)).latent_dist.mode()
        return latents.float().transpose(0, 1)[None] * self.vae.config.scaling_factor

    @torch.no_grad()
    def decoded(self, latents: Latents) -> Pixels:
        """The video of latents, not cut yet."""
        with self._work():
            frames = latents[0].transpose(0, 1).to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
            return self.vae.decode(frames).sample

    def latent_frames(self, frames: int) -> int:
        """As many."""
        return frames

    def _check_frames(self, count: int) -> None:
        if count < 2:
            raise SettingError(f"{count} frames do not fit {self.name}: allowed are 2 and more")

    def frame_times(self, frames: int) -> list[float]:
        """Every latent frame stands for one frame."""
        return [float(number) for number in range(frames)]
