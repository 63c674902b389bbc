"""A small classifier that says what a generated clip of the world shows, and where the object is in every frame.

It is the yardstick for looks: trained on single-object renderings of training captions, measured on held-out ones, and
hardened with blur, noise and colour shifts because generated frames are never as clean as rendered ones.
``python -m lab.training.judge`` trains and measures it; with ``--measure`` it measures the weights that are there. There are two
of the kind: one of shapes on patterns, and with ``--named`` one that also knows things and grounds that have names.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Bool, Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from motionlift.errors import InputError, ModelError
from motionlift.world import scenes
from motionlift.world.places import PLACES
from motionlift.world.shapes import SHAPES
from motionlift.world.things import THINGS

SIDE = 64
"""Side of the frames the judge looks at, pixels; other sizes are resized to it."""
CLASSES: dict[str, tuple[str, ...]] = {
    "shape": tuple(SHAPES),
    "colour": tuple(scenes.COLOURS),
    "pattern": scenes.PATTERNS,
    "ground": tuple(scenes.BACKGROUNDS),
}
"""What is told apart, by head, in the order of its logits."""
NAMED_CLASSES: dict[str, tuple[str, ...]] = {
    "shape": (*SHAPES, *THINGS),
    "colour": tuple(scenes.COLOURS),
    "pattern": (*scenes.PATTERNS, *PLACES),
    "ground": tuple(scenes.BACKGROUNDS),
}
"""The same of a judge that also knows things and grounds that have names."""
OBJECT_HEADS = ("shape", "colour")
"""Heads that mean nothing where no object is seen."""
MINIMUM_PIXELS = 8
"""An object covering fewer pixels of the 64x64 frame counts as unseen (ours: the world's smallest covers about 45)."""
WEIGHTS = Path(__file__).parent / "weights" / "judge" / "judge.safetensors"
"""The weights that come with the package."""
NAMED_WEIGHTS = WEIGHTS.with_name("named.safetensors")
"""The same of the judge that tells :data:`NAMED_CLASSES` apart."""
LARGEST_FILE = 4 * 2**20
"""Weights larger than this are refused unread, bytes (ours; the shipped files have about 0.6 megabytes)."""


@dataclass(frozen=True)
class Judgement:
    """Logits for a batch of frames."""

    mask: Float[Tensor, "b 64 64"]
    """Any object against background."""
    shape: Float[Tensor, "b shapes"]
    """In the order of ``CLASSES["shape"]``; likewise below."""
    colour: Float[Tensor, "b colours"]
    """Colour of the object."""
    pattern: Float[Tensor, "b patterns"]
    """Pattern of the background."""
    ground: Float[Tensor, "b grounds"]
    """Colour of the background."""


@dataclass(frozen=True)
class Verdict:
    """What a clip of one object shows."""

    shape: str | None
    """One of the judge's classes; None if no object is seen in any frame."""
    colour: str | None
    """A key of :data:`motionlift.world.scenes.COLOURS`; None if no object is seen in any frame."""
    pattern: str
    """One of the judge's classes."""
    ground: str
    """Background colour, a key of :data:`motionlift.world.scenes.BACKGROUNDS`."""
    centres: Float[Tensor, "frames 2"]
    """Centre of the object's mask, x then y, as shares of the frame; NaN where no object is seen."""
    masks: Float[Tensor, "frames 64 64"]
    """Probability, 0..1, that a pixel of the frame at the judge's size belongs to any object."""


def _convolution(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class _Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(_convolution(channels, channels), _convolution(channels, channels))

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return features + self.layers(features)


class Judge(nn.Module):
    """A convolutional encoder to an 8x8 lattice, a light decoder for the mask, and one linear head for each class.

    About 290 thousand parameters. Its sizes are ours.

    Args:
        classes: what it tells apart, as :data:`CLASSES` or :data:`NAMED_CLASSES` has it.
    """

    def __init__(self, classes: Mapping[str, tuple[str, ...]] = CLASSES) -> None:
        super().__init__()
        self.classes = classes
        self.fine = _convolution(3, 24, stride=2)
        self.middle = nn.Sequential(_convolution(24, 40, stride=2), _Residual(40))
        self.coarse = nn.Sequential(_convolution(40, 72, stride=2), _Residual(72), _Residual(72))
        self.to_middle = nn.Conv2d(72, 40, 1)
        self.at_middle = _convolution(40, 24)
        self.at_fine = _convolution(24, 16)
        self.to_mask = nn.Sequential(nn.Conv2d(16, 4, 1), nn.PixelShuffle(2))
        self.gist = nn.Sequential(nn.Linear(2 * 72, 128), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(128, len(names)) for name, names in classes.items()})

    def forward(self, frames: Float[Tensor, "b 3 64 64"]) -> Judgement:
        """Judge RGB frames in 0..1."""
        fine = self.fine(frames - 0.5)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        rising = self.at_middle(middle + functional.interpolate(self.to_middle(coarse), scale_factor=2.0))
        rising = self.at_fine(fine + functional.interpolate(rising, scale_factor=2.0))
        gist = self.gist(torch.cat([coarse.mean(dim=(2, 3)), coarse.amax(dim=(2, 3))], dim=1))
        classes = {name: head(gist) for name, head in self.heads.items()}
        return Judgement(mask=self.to_mask(rising)[:, 0], **classes)


def load_judge(path: Path = WEIGHTS, classes: Mapping[str, tuple[str, ...]] = CLASSES) -> Judge:
    """The trained judge, ready to use, on the CPU.

    Args:
        path: its weights.
        classes: what it was trained to tell apart.

    Raises:
        ModelError: the file is missing, too large, damaged, or does not hold a judge.
    """
    judge = Judge(classes)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelError(f"{path} has more than {LARGEST_FILE} bytes, too many for the judge; train it again")
        tensors = load_file(path)
        judge.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise ModelError(f"{path} does not hold the judge's weights ({first_line}); train it again") from error
    return judge.eval()


@functools.cache
def judge_of(named: bool = False) -> Judge:
    """A judge that comes with the package, loaded once in a process.

    Args:
        named: one that also knows things and grounds that have names.
    """
    return load_judge(NAMED_WEIGHTS, NAMED_CLASSES) if named else load_judge()


def mask_centres(
    masks: Float[Tensor, "frames height width"],
) -> tuple[Float[Tensor, "frames 2"], Bool[Tensor, " frames"]]:
    """Centre of mass of the pixels of probability above a half, weighted with it.

    Args:
        masks: probabilities, 0..1.

    Returns:
        Centres, x then y, as shares of the frame, NaN where fewer than :data:`MINIMUM_PIXELS` pixels are above a half;
        and whether the object is seen.
    """
    height, width = masks.shape[1:]
    weights = torch.where(masks > 0.5, masks, 0.0)
    seen = (masks > 0.5).sum(dim=(1, 2)) >= MINIMUM_PIXELS
    columns = (torch.arange(width, device=masks.device) + 0.5) / width
    rows = (torch.arange(height, device=masks.device) + 0.5) / height
    total = torch.where(seen, weights.sum(dim=(1, 2)), math.nan)
    x, y = (weights.sum(dim=1) * columns).sum(dim=1), (weights.sum(dim=2) * rows).sum(dim=1)
    return torch.stack([x, y], dim=-1) / total[:, None], seen


def _at_judges_size(frames: UInt8[Tensor, "frames height width 3"]) -> Float[Tensor, "frames 3 64 64"]:
    colours = frames.permute(0, 3, 1, 2).float() / 255
    if colours.shape[2:] != (SIDE, SIDE):
        colours = functional.interpolate(colours, size=(SIDE, SIDE), mode="bilinear", antialias=True).clamp(0, 1)
    return colours


@torch.inference_mode()
def judge_frames(judge: Judge, frames: UInt8[Tensor, "frames height width 3"]) -> Judgement:
    """Logits of every frame by itself.

    Args:
        judge: a trained judge in evaluation mode.
        frames: RGB, 0..255; any size, resized to 64x64.

    Raises:
        InputError: the clip has no frames.
    """
    if len(frames) == 0:
        raise InputError("the clip has 0 frames; the judge needs at least 1; give it another clip")
    pieces = [judge(piece) for piece in _at_judges_size(frames).split(64)]
    return Judgement(
        **{own.name: torch.cat([getattr(piece, own.name) for piece in pieces]) for own in fields(Judgement)}
    )


@torch.inference_mode()
def judge_video(judge: Judge, frames: UInt8[Tensor, "frames height width 3"]) -> Verdict:
    """What a clip shows: logits are averaged over its frames, for the object's over those in which one is seen.

    Args:
        judge: a trained judge in evaluation mode.
        frames: RGB, 0..255; any size, resized to 64x64. For two objects only ``masks``, ``pattern`` and ``ground`` have
            a meaning.

    Raises:
        InputError: the clip has no frames.
    """
    judgement = judge_frames(judge, frames)
    masks = judgement.mask.sigmoid()
    centres, seen = mask_centres(masks)
    named: dict[str, str | None] = {}
    for name, classes in judge.classes.items():
        logits = getattr(judgement, name)
        counted = logits[seen] if name in OBJECT_HEADS else logits
        named[name] = classes[int(counted.mean(dim=0).argmax())] if len(counted) else None
    return Verdict(**named, centres=centres, masks=masks)  # pyright: ignore[reportArgumentType]
