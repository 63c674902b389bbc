"""The cascade of VMC (2312.00845): keyframes at a low rate, then the frames between them, then more pixels.

Every stage takes a clip and gives a clip, whatever its length, a window at a time; each may be left out or replaced.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.condition import Condition
from motionlift.core.cost import Passes, Step
from motionlift.core.lattice import Shape
from motionlift.core.model import Model
from motionlift.core.schedule import Schedule
from motionlift.core.tensors import Latents, Pixels
from motionlift.errors import DivergenceError, ModelError, SettingError
from motionlift.loops.sample import guided_output
from motionlift.video.clip import Clip
from motionlift.video.limits import FRAMES, RATES, check_bytes, check_side, is_whole

FACTORS = (2, 8)
"""Least and greatest number of frames that one becomes (ours; released: four)."""
STEPS = (1, 1000)
"""Least and greatest number of denoising steps of a stage (as of a cast)."""
STRENGTHS = (0.05, 1.0)
"""Least and greatest share of the noise that a stage begins with (ours)."""
WEIGHTS = (0.0, 100.0)
"""Least and greatest guidance scale of a stage (as of a cast)."""

Conditions = tuple[Condition, Condition]
"""The empty prompt and the prompt, encoded."""


@runtime_checkable
class Stage(Protocol):
    """One stage of a cascade."""

    @property
    def name(self) -> str:
        """What it is called in records."""
        ...

    @property
    def passes(self) -> Passes:
        """How often its network ran so far, for this view."""
        ...

    def counted(self) -> "Stage":
        """A view of the same stage that counts its passes from zero."""
        ...

    def shaped(self, shape: Shape, fps: float, prompt: str) -> tuple[Shape, float]:
        """Size and rate of what follows from a clip of a size and a rate; refuses, before any work, what it cannot take.

        Args:
            shape: frames, rows and columns of the clip.
            fps: its frames a second.
            prompt: what the video shows.

        Raises:
            MotionliftError: one of its kinds.
        """
        ...

    def run(self, clip: Clip, prompt: str, seed: int) -> Generator[Step, None, Clip]:
        """Yield steps and return the clip that follows from one."""
        ...


def checked_stage(given: object) -> Stage:
    """What was given, if it is a stage of a cascade.

    Raises:
        SettingError: it lacks some of a stage's words, which are named.
    """
    lacking = [word for word in ("name", "passes", "counted", "shaped", "run") if not hasattr(given, word)]
    if lacking:
        raise SettingError(
            f"{type(given).__name__} is no stage of a cascade: it lacks {', '.join(lacking)}; give one such as Interpolation"
        )
    assert isinstance(given, Stage)
    return given


def check_number(name: str, number: float, allowed: tuple[float, float]) -> None:
    """Refuse a stage's number that is out of range; between whole bounds it must be whole.

    Raises:
        SettingError: it is out of range, or no such number.
    """
    low, high = allowed
    whole = is_whole(low)
    known = is_whole(number) or (isinstance(number, float) and not whole)
    if not known or not low <= number <= high:
        kind = "whole number" if whole else "number"
        raise SettingError(f"the {name} is {number!r}; allowed is a {kind} from {low} to {high}")


def windows(count: int, length: int) -> list[tuple[int, int]]:
    """Windows ``(start, end)`` over so many frames, each sharing its first frame with the one before; the last may be shorter.

    Raises:
        SettingError: a window of fewer than two frames.
    """
    if length < 2:
        raise SettingError(f"a window has {length} frame; give two or more")
    starts = range(0, max(count - 1, 1), length - 1)
    return [(start, min(start + length, count)) for start in starts]


def blended(given: Pixels, factor: int) -> Float[Tensor, "more 3 height width"]:
    """Frames and, between each and the next, ``factor - 1`` weighted means of both."""
    weights = (torch.arange(factor) / factor).view(1, factor, 1, 1, 1).to(given)
    between = (given[:-1, None] * (1 - weights) + given[1:, None] * weights).flatten(0, 1)
    return torch.cat([between, given[-1:]])


def _at_size(clip: Clip, height: int, width: int) -> Clip:
    """The middle of a clip's frames, at a size in pixels; a notice tells where something was cut off."""
    return clip.cropped((height, width)).resized(height, width)


@dataclass(frozen=True)
class Interpolation:
    """Frames between those of a clip, by a text-to-video model that is held to the given ones at every step.

    At every noise level the given frames' latents are the true ones with the noise that they began with, so that the model fills
    in what lies between (the replacement of Song et al., 2011.13456; the paper trains a network for it). The others begin as noised
    weighted means of their neighbours (as in 2108.01073): from noise alone they take a way of their own.
    """

    model: Model
    """A model whose latent frames are frames."""
    factor: int = 4
    """How many frames one becomes (released: 3 new ones between each pair)."""
    steps: int = 20
    """Denoising steps (released: 75, for its own network)."""
    cfg: float = 4.0
    """Weight of the prompt against the empty prompt (released)."""
    strength: float = 0.7
    """How far into the noise the weighted means go, as a share of the steps (ours)."""
    name: str = "interpolation"

    def run(self, clip: Clip, prompt: str, seed: int) -> Generator[Step, None, Clip]:
        """The clip with new frames between its own, which stay as they are; of frames of another shape the middle is taken.

        Raises:
            ModelError: the model's autoencoder joins frames.
            SettingError: a factor out of range, too many frames in all or a second, or a window too short for one interval.
        """
        self.shaped(Shape(*clip.frames.shape[:3]), clip.fps, prompt)
        length = self.model.about.shape.frames
        conditions = self.model.text.encode(""), self.model.text.encode(prompt)
        spans = windows(len(clip.frames), (length - 1) // self.factor + 1)
        shape = self.model.about.shape
        fitted = _at_size(clip, shape.height, shape.width)
        parts: list[Tensor] = []
        for number, (start, end) in enumerate(spans):
            given = fitted.pixels()[start:end]
            made = yield from self._window(given, conditions, seed + number, (number, len(spans)))
            parts.append(made if not parts else made[1:])
        return replace(Clip.from_pixels(torch.cat(parts), clip.fps * self.factor), notices=fitted.notices)

    def check(self) -> None:
        """Refuse a model and a factor that do not go together, and numbers that are not allowed.

        Raises:
            ModelError: the model's autoencoder joins frames.
            SettingError: the factor is out of range, or as long as what the model makes; steps, cfg or strength out of range.
        """
        length = self.model.about.shape.frames
        if list(self.model.codec.frame_times(length)) != [float(number) for number in range(length)]:
            raise ModelError(
                f"the autoencoder of {self.model.about.name} joins frames, so that single ones cannot be held; interpolate with a "
                "UNet model, such as tiny-unet"
            )
        check_number("factor", self.factor, (FACTORS[0], min(FACTORS[1], length - 1)))
        check_number("number of steps", self.steps, STEPS)
        check_number("cfg", self.cfg, WEIGHTS)
        check_number("strength", self.strength, STRENGTHS)
        self.model.schedule(self.steps)

    @property
    def passes(self) -> Passes:
        """Those of the model."""
        return self.model.passes

    def counted(self) -> "Interpolation":
        """A view of the same stage that counts its passes from zero."""
        return replace(self, model=self.model.counted())

    def shaped(self, shape: Shape, fps: float, prompt: str) -> tuple[Shape, float]:
        """The model's size, and as many frames, in all and a second, as come of it.

        Raises:
            InputError: the prompt is longer than the model's text window.
            ModelError: as :meth:`check`.
            SettingError: as :meth:`check`; or one frame, or too many in all, a second, or for memory.
        """
        self.check()
        self.model.text.check(prompt)
        if shape.frames < 2:
            raise SettingError("one frame has none between; give two or more")
        total = (shape.frames - 1) * self.factor + 1
        if total > FRAMES[1]:
            raise SettingError(f"{total} frames would come of it; at most {FRAMES[1]} are made: give a smaller factor")
        if fps * self.factor > RATES[1]:
            raise SettingError(
                f"{fps:.4g} frames a second would become {fps * self.factor:.4g}; at most {RATES[1]:g} are made: "
                "give a smaller factor"
            )
        made = Shape(total, self.model.about.shape.height, self.model.about.shape.width)
        check_bytes(made.frames, made.height, made.width)
        return made, fps * self.factor

    def _window(
        self, given: Pixels, conditions: Conditions, seed: int, place: tuple[int, int]
    ) -> Generator[Step, None, Pixels]:
        """One window: its first and last frame are given, and every so many between."""
        model, own = self.model, self.model.about.shape
        frames = (len(given) - 1) * self.factor + 1
        known = torch.arange(0, frames, self.factor)
        clean, draft = model.codec.encode(given), model.codec.encode(blended(given, self.factor))
        sizes = model.codec.latent_shape(Shape(frames, own.height, own.width))
        noise = torch.randn(sizes, generator=torch.Generator().manual_seed(seed)).to(clean)
        schedule = model.schedule(self.steps)
        count = max(1, round(self.strength * self.steps))
        first = len(schedule) - count
        latents = schedule.noised(draft, noise, schedule.levels[first])
        for index in range(first, len(schedule)):
            latents[:, :, known] = schedule.noised(clean, noise[:, :, known], schedule.levels[index])
            latents = self._denoised(latents, schedule, index, conditions)
            yield Step(self.name, place[0] * count + index - first, place[1] * count, latents=latents)
        latents[:, :, known] = clean
        pixels = model.codec.decode(latents)
        pixels[known] = given
        return pixels

    @torch.no_grad()
    def _denoised(self, latents: Latents, schedule: Schedule, index: int, conditions: Conditions) -> Latents:
        output = guided_output(self.model, latents, schedule.levels[index], conditions, self.cfg)
        made = schedule.step(index, output, latents)
        if not made.isfinite().all():
            raise DivergenceError("the latents between frames are no longer finite: lower cfg")
        return made


@dataclass(frozen=True)
class VideoToVideo:
    """Any video-to-video pipeline of diffusers over an enlarged clip: the paper's last stage at full size.

    It keeps the motion and paints detail. Windows share a frame, which is the earlier window's.
    """

    pipeline: Any = field(repr=False)
    """A pipeline called with ``prompt``, ``video`` (frames), ``strength`` and ``num_inference_steps``."""
    height: int
    """Rows of the frames that it works on (released: 320)."""
    width: int
    """Columns (released: 576)."""
    frames: int = 16
    """Frames that it works on at once."""
    strength: float = 0.8
    """How far into the noise each frame goes (released)."""
    steps: int = 50
    """Denoising steps of a whole run (released)."""
    passes: Passes = field(default_factory=Passes)
    """Not counted: the pipeline is its own."""
    name: str = "video-to-video"

    def run(self, clip: Clip, prompt: str, seed: int) -> Generator[Step, None, Clip]:
        """The clip painted anew at the stage's size; of frames of another shape the middle is taken.

        Raises:
            ModelError: the pipeline gives fewer frames than it is given.
            SettingError: as :meth:`shaped`.
        """
        self.shaped(Shape(*clip.frames.shape[:3]), clip.fps, prompt)
        fitted = _at_size(clip, self.height, self.width)
        large = fitted.frames
        spans = windows(len(large), self.frames)
        parts: list[Tensor] = []
        for number, (start, end) in enumerate(spans):
            made = self._painted(large[start:end], prompt, seed + number)
            parts.append(made if not parts else made[1:])
            yield Step(self.name, number, len(spans))
        return replace(Clip.of(torch.cat(parts), clip.fps), notices=fitted.notices)

    def counted(self) -> "VideoToVideo":
        """A view of the same stage with a count of its own."""
        return replace(self, passes=Passes())

    def shaped(self, shape: Shape, fps: float, prompt: str) -> tuple[Shape, float]:
        """As many frames, of the stage's size.

        Raises:
            SettingError: a size, frames, strength or steps out of range, or frames too large for memory.
        """
        check_side("height", self.height)
        check_side("width", self.width)
        check_number("number of frames at once", self.frames, FRAMES)
        check_number("number of steps", self.steps, STEPS)
        check_number("strength", self.strength, STRENGTHS)
        check_bytes(shape.frames, self.height, self.width)
        return Shape(shape.frames, self.height, self.width), fps

    def _painted(self, frames: Tensor, prompt: str, seed: int) -> Tensor:
        """A window painted anew; a short one is made whole by its last frame, since a pipeline may take some lengths only."""
        from PIL import Image

        count = len(frames)
        frames = torch.cat([frames, frames[-1:].expand(self.frames - count, -1, -1, -1)])
        result = self.pipeline(
            prompt=prompt,
            video=[Image.fromarray(frame.numpy()) for frame in frames],
            strength=self.strength,
            num_inference_steps=self.steps,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
        ).frames[0]
        if len(result) < count:
            raise ModelError(
                f"{type(self.pipeline).__name__} makes {len(result)} frames of {len(frames)}; give the stage a number of frames "
                "that it keeps, such as 17 for CogVideoX"
            )
        return torch.from_numpy(np.asarray(result) * 255).round().clamp(0, 255).to(torch.uint8)[:count]
