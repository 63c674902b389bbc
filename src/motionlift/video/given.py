"""Frames that come from memory in any of the forms that programs hold them in."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from motionlift.errors import InputError

FORMS = (
    "give (frames, height, width, 3) or (frames, 3, height, width) of uint8 from 0 to 255 or of floats from 0 to 1, or a list "
    "of pictures of one size"
)
"""What is allowed: what diffusers' pipelines give as ``np``, ``pt`` and ``pil``."""
ROUNDING = 1e-3
"""How far floats may lie beyond 0 and 1 (ours: half precision rounds so)."""

Frames = np.ndarray | Tensor | Sequence[Image.Image | np.ndarray | Tensor]
"""Frames in memory: an array, a tensor, or pictures one by one."""


def frames_of(given: Frames) -> UInt8[Tensor, "frames height width 3"]:
    """Frames as clips hold them, on the CPU.

    Args:
        given: an array or a tensor, RGB in the last axis or in the second, with or without a batch axis of one before the others;
            or a list of pictures of Pillow's, arrays or tensors of one size.

    Raises:
        InputError: another shape, type or range, no frames, or pictures of several sizes or with transparent parts.
    """
    if isinstance(given, np.ndarray | Tensor):
        return _colours(_ordered(_tensor(given)))
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"frames came as {type(given).__name__}; {FORMS}")
    pictures = [_picture(number, each) for number, each in enumerate(given)]
    shapes = list(dict.fromkeys((tuple(each.shape), each.dtype) for each in pictures))
    if not shapes:
        raise InputError(f"no pictures came; {FORMS}")
    if len(shapes) > 1:
        told = " and ".join(f"{shape} of {_named(kind)}" for shape, kind in shapes[:2])
        raise InputError(f"the pictures are not all alike: {told}; {FORMS}")
    return _colours(_ordered(torch.stack(pictures)))


def _tensor(given: np.ndarray | Tensor) -> Tensor:
    """On the CPU; of types that torch has."""
    if isinstance(given, Tensor):
        return given.detach().cpu()
    try:
        return torch.from_numpy(np.ascontiguousarray(given))
    except TypeError as error:
        raise InputError(f"frames are of {given.dtype}; {FORMS}") from error


def _picture(number: int, given: object) -> Tensor:
    """One picture of a list."""
    if isinstance(given, Image.Image):
        if given.has_transparency_data:
            raise InputError(
                f"picture {number} has transparent parts, of mode {given.mode}; put it on a ground, or give "
                "picture.convert('RGB'), which drops them"
            )
        return torch.from_numpy(np.array(given.convert("RGB")))
    if isinstance(given, np.ndarray | Tensor):
        return _tensor(given)
    raise InputError(f"picture {number} came as {type(given).__name__}; {FORMS}")


def _ordered(frames: Tensor) -> Tensor:
    """Colours last, without a batch of one."""
    own = frames[0] if frames.ndim == 5 and len(frames) == 1 else frames
    if own.ndim == 4 and own.shape[-1] != 3 and own.shape[1] == 3:
        own = own.movedim(1, -1)
    if own.ndim != 4 or own.shape[-1] != 3:
        alpha = "; of four channels the last is left out by frames[..., :3]" if own.shape[-1:] == (4,) else ""
        raise InputError(f"frames are {tuple(frames.shape)} of {_named(frames.dtype)}; {FORMS}{alpha}")
    return own


def _colours(frames: Tensor) -> Tensor:
    """From 0 to 255."""
    if frames.dtype == torch.uint8:
        return frames.contiguous()
    if not frames.dtype.is_floating_point:
        raise InputError(f"frames are of {_named(frames.dtype)}; {FORMS}")
    values = frames.to(torch.float32)
    low, high = (float(end) for end in values.aminmax()) if values.numel() else (0.0, 0.0)
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # also where one is not a number
        if -1 - ROUNDING <= low < 0 and high <= 1 + ROUNDING:
            advice = "scale them as (frames + 1) / 2"
        elif high > 1 and low >= 0 and high <= 255:
            advice = "turn them into uint8"
        else:
            advice = FORMS
        raise InputError(f"frames are floats from {low:.4g} to {high:.4g}; allowed are 0 to 1: {advice}")
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).contiguous()


def _named(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
