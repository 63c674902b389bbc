"""Windows over the frames of a video that is longer than a network sees at once: data alone, which every room may read.

They count in frames of the lattice, so that a token never lies in two halves, and overlap, so that neighbours agree. Where they
overlap, what is said in each is weighed by how far a frame is from the window's ends, ``min(i + 1, length - i)`` (FreeNoise,
2310.15169, released), and the weights of a frame sum to one. There is one window where a video is no longer than that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.lattice import Shape
from motionlift.core.tensors import Latents
from motionlift.errors import SettingError

Pieces = Float[Tensor, "b c window h w"]
"""Latents in a window."""


@dataclass(frozen=True)
class Windows:
    """Windows of one length over a video."""

    shape: Shape
    """Size of the video that a window is to the network."""
    frames: int
    """Lattice frames of the whole video."""
    length: int
    """Lattice frames of a window."""
    starts: tuple[int, ...]
    """First lattice frame of each window; the last one ends where the video does."""

    def __repr__(self) -> str:
        return f"Windows({len(self.starts)} of {self.length} of {self.frames} lattice frames, each {self.shape})"

    @classmethod
    def over(cls, frames: int, length: int, overlap: float, shape: Shape) -> "Windows":
        """Windows over a video; the last one overlaps more where they do not come out even.

        Args:
            frames: lattice frames of the video.
            length: those of a window.
            overlap: share of a window that it shares with the next, rounded to lattice frames.
            shape: size of the video that a window is.

        Raises:
            SettingError: windows so short overlap wholly.
        """
        if frames <= length:
            return cls.whole(frames, shape)
        stride = length - round(overlap * length)
        if stride < 1:
            raise SettingError(
                f"overlap is {overlap:g}, and a window of {length} latent frames then never moves on; allowed is a share of at "
                f"most {(length - 1) / length:.2g}, or a longer window"
            )
        starts = [*range(0, frames - length, stride), frames - length]
        return cls(shape, frames, length, tuple(starts))

    @classmethod
    def whole(cls, frames: int, shape: Shape) -> "Windows":
        """One window: a video of a size that the network sees whole, of so many lattice frames."""
        return cls(shape, frames, frames, (0,))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.starts)

    @property
    def several(self) -> bool:
        """Whether the video is longer than one."""
        return len(self.starts) > 1

    @property
    def stride(self) -> int:
        """Lattice frames from one window to the next, but for the last."""
        return self.starts[1] if self.several else self.length

    def weights(self) -> Float[Tensor, "windows frames"]:
        """Weight of each lattice frame of the video in each window: zero outside of it, and one in all of them together."""
        place = torch.arange(self.length, dtype=torch.float64)
        own = torch.minimum(place + 1, self.length - place)
        found = torch.zeros(len(self), self.frames, dtype=torch.float64)
        for number, start in enumerate(self.starts):
            found[number, start : start + self.length] = own
        return (found / found.sum(dim=0)).float()

    def owners(self) -> list[tuple[int, int]]:
        """For each lattice frame of the video, the window that weighs most there, and the frame's number in it."""
        numbers = self.weights().argmax(dim=0).tolist()
        return [(number, frame - self.starts[number]) for frame, number in enumerate(numbers)]

    def cut(self, tensor: Tensor, number: int, axis: int = 2) -> Tensor:
        """What of a tensor lies in a window, along an axis of latent frames; of one window all of it."""
        if not self.several:
            return tensor
        patch = self._patch(tensor, axis)
        return tensor.narrow(axis, self.starts[number] * patch, self.length * patch)

    def blended(self, latents: Latents, of: Callable[[Pieces, int], Pieces]) -> Latents:
        """What is said of each window, weighed together; of one window it is what is said of it.

        That is the mean of all windows at every step (MultiDiffusion, 2302.08113, equation 5), with the weights of FreeNoise.

        Args:
            latents: of the whole video.
            of: what is said of the latents in a window, by its number.
        """
        if not self.several:
            return of(latents, 0)
        return self.joined([of(self.cut(latents, number), number) for number in range(len(self))])

    def joined(self, pieces: Sequence[Pieces]) -> Latents:
        """Latents of each window weighed together, as :meth:`blended` says."""
        if not self.several:
            return pieces[0]
        patch = pieces[0].shape[2] // self.length
        sizes = list(pieces[0].shape)
        sizes[2] = self.frames * patch
        whole, weights = pieces[0].new_zeros(sizes), self.weights().to(pieces[0])
        for number, piece in enumerate(pieces):
            weight = self.cut(weights[number].repeat_interleave(patch), number, 0)
            self.cut(whole, number).add_(piece * weight.view(-1, 1, 1))
        return whole

    def told(self) -> dict[str, Any]:
        """For records and files: frames of a window, its lattice frames, and where each begins; nothing of one window."""
        if not self.several:
            return {}
        return {"windows": {"frames": self.shape.frames, "length": self.length, "starts": list(self.starts)}}

    def _patch(self, tensor: Tensor, axis: int) -> int:
        """Latent frames that a lattice frame stands for."""
        return tensor.shape[axis] // self.frames
