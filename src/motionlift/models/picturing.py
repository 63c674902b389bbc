"""Pipelines that begin a video with a picture, made of the parts of those that do not."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
from PIL import Image

from motionlift.core.lattice import Shape
from motionlift.core.model import Pictures
from motionlift.core.tensors import Pixels

GREY = 128
"""What is shown to a pipeline that wants a picture when it is asked for what goes by the size alone."""


@dataclass(frozen=True)
class Picturing:
    """How a family begins a video with a picture."""

    pipeline: str
    """Pipeline of diffusers that takes one; all others of the family take text alone."""
    may: Callable[[Any], bool] = lambda pipeline: True
    """Whether one set of parts serves both, with a picture and without."""

    def of(self, pipeline: Any) -> Pictures:
        """Whether the videos of a pipeline begin with a picture."""
        if self.may(pipeline):
            return Pictures.MAY
        return Pictures.MUST if type(pipeline).__name__ == self.pipeline else Pictures.NEVER


def remade(pipeline: Any, kind: str) -> Any:
    """A pipeline of another class around the same parts and settings; itself where it is of that class."""
    if type(pipeline).__name__ == kind:
        return pipeline
    maker, own = getattr(diffusers, kind), {**pipeline.config, **pipeline.components}
    return maker(**{name: own[name] for name in inspect.signature(maker.__init__).parameters if name in own})


def shown(picture: Pixels | None, shape: Shape) -> Image.Image:
    """A picture as pipelines take it; a grey one where there is none."""
    if picture is None:
        return Image.new("RGB", (shape.width, shape.height), (GREY, GREY, GREY))
    pixels = ((picture[0].clamp(-1, 1) + 1) * 127.5).round().permute(1, 2, 0)
    return Image.fromarray(pixels.to("cpu").numpy().astype(np.uint8))
