"""Frames that come from memory in any of the forms that programs hold them in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from motionlift.errors import InputError
from motionlift.video.colour import TRANSPARENT
from motionlift.video.flattening import eight_bits
from motionlift.video.part import GREY, colour_of

FORMS = (
    "give (frames, height, width, 3) or (frames, 3, height, width) of uint8 from 0 to 255 or of floats from 0 to 1, or a list "
    "of pictures of one size"
)
"""What is allowed: what diffusers' pipelines give as ``np``, ``pt`` and ``pil``."""
CHANNELS = (3, 4)
"""RGB, and RGBA."""
ROUNDING = 1e-3
"""How far floats may lie beyond 0 and 1 (ours: half precision rounds so)."""

Frames = np.ndarray | Tensor | Sequence[Image.Image | np.ndarray | Tensor]
"""Frames in memory: an array, a tensor, or pictures one by one."""


@dataclass(frozen=True)
class Given:
    """Frames from memory as clips hold them."""

    frames: UInt8[Tensor, "frames height width 3"]
    """RGB on the CPU, in memory of their own."""
    notices: tuple[str, ...] = ()
    """What was done to them, each a plain sentence."""


def frames_of(given: Frames, background: str | tuple[int, int, int] = GREY) -> Given:
    """Frames as clips hold them.

    Args:
        given: an array or a tensor, RGB or RGBA in the last axis or in the second, with or without a batch axis of one before the
            others; or a list of pictures of Pillow's, arrays or tensors of one size.
        background: what lies behind what is transparent, as :func:`motionlift.video.part.colour_of` takes it.

    Raises:
        InputError: another shape, type or range, no frames, or pictures of several sizes.
        SettingError: the background is no colour.
    """
    colour, whole = colour_of(background), _whole(given)
    frames = _colours(_ordered(whole))
    if frames.shape[-1] == 3:
        lent = isinstance(given, np.ndarray | Tensor) and _memory(frames) == _memory(whole)
        return Given(frames.clone() if lent else frames)  # whoever fills a buffer again must not change a clip
    share = frames[..., 3:].float() / 255
    laid = frames[..., :3] * share + torch.tensor(colour) * (1 - share)
    told = (TRANSPARENT.format(background),) if share.min() < 1 else ()
    return Given(laid.round().to(torch.uint8), told)


def _whole(given: Frames) -> Tensor:
    """All frames in one tensor."""
    if isinstance(given, np.ndarray | Tensor):
        return _tensor(given)
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"frames came as {type(given).__name__}; {FORMS}")
    clear = any(isinstance(each, Image.Image) and each.has_transparency_data for each in given)
    pictures = [_picture(number, each, "RGBA" if clear else "RGB") for number, each in enumerate(given)]
    shapes = list(dict.fromkeys((tuple(each.shape), each.dtype) for each in pictures))
    if not shapes:
        raise InputError(f"no pictures came; {FORMS}")
    if len(shapes) > 1:
        told = " and ".join(f"{shape} of {_named(kind)}" for shape, kind in shapes[:2])
        raise InputError(f"the pictures are not all alike: {told}; {FORMS}")
    return torch.stack(pictures)


def _tensor(given: np.ndarray | Tensor) -> Tensor:
    """On the CPU; of types that torch has."""
    if isinstance(given, Tensor):
        return given.detach().cpu()
    try:
        native = given.astype(given.dtype.newbyteorder("="), copy=False)
        return torch.from_numpy(np.require(native, requirements=("C", "W")))  # torch warns of what it must not write to
    except (TypeError, ValueError) as error:
        raise InputError(f"frames are of {given.dtype}; {FORMS}") from error


def _memory(frames: Tensor) -> int:
    """Where the memory begins that frames lie in."""
    return frames.untyped_storage().data_ptr()


def _picture(number: int, given: object, mode: str) -> Tensor:
    """One picture of a list; of Pillow's in a mode."""
    if isinstance(given, Image.Image):
        return torch.from_numpy(np.array(eight_bits(given, f"picture {number}").convert(mode)))
    if isinstance(given, np.ndarray | Tensor):
        return _tensor(given)
    raise InputError(f"picture {number} came as {type(given).__name__}; {FORMS}")


def _ordered(frames: Tensor) -> Tensor:
    """Colours last, without a batch of one."""
    own = frames[0] if frames.ndim == 5 and len(frames) == 1 else frames
    if own.ndim == 4 and own.shape[-1] not in CHANNELS and own.shape[1] in CHANNELS:
        own = own.movedim(1, -1)
    if own.ndim != 4 or own.shape[-1] not in CHANNELS:
        raise InputError(f"frames are {tuple(frames.shape)} of {_named(frames.dtype)}; {FORMS}")
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
