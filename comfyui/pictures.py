"""Pictures as ComfyUI hands them on, and as the library has them."""

import torch
from torch import Tensor

from motionlift.errors import InputError
from motionlift.video.clip import Clip


def frames_of(images: Tensor) -> Tensor:
    """Frames from a batch of ComfyUI's.

    Args:
        images: ``(frames, height, width, 3 or 4)``, from 0 to 1; numbers a little beyond, as enlargers leave them, are clamped.

    Returns:
        The same, a tensor that may have to do with gradients.

    Raises:
        InputError: it is no such batch.
    """
    if not isinstance(images, Tensor) or images.ndim != 4:
        came = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise InputError(f"images came as {came}; connect an IMAGE: (frames, height, width, 3) from 0 to 1")
    return images.detach().cpu().clone().clamp(0, 1)


def clip_of(images: Tensor, fps: float) -> Clip:
    """A clip from a batch of ComfyUI's.

    Raises:
        InputError: it is none, or holds too few or too many frames.
        SettingError: the rate is out of range.
    """
    return Clip.of(frames_of(images), fps)


def images_of(clip: Clip) -> Tensor:
    """A batch of ComfyUI's, ``(frames, height, width, 3)`` of float32 from 0 to 1, from a clip."""
    return clip.frames.to(torch.float32) / 255
