"""What a twin is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from motionlift.core.lattice import Shape
from motionlift.models.families import serving
from motionlift.models.transformer import Row, Transformer


@dataclass(frozen=True)
class Twin:
    """A tiny pipeline of random weights, of a real class, and how small its videos are."""

    build: Callable[[], Any]
    """Makes the pipeline, the same each time; as it is loaded, nothing drops out."""
    shape: Shape
    """A size of videos of two or three latent frames and few tokens: the pipelines' own is hundreds of pixels."""
    guided: Mapping[str, Any] = field(default_factory=lambda: {"guidance_scale": GUIDED})
    """Arguments of the pipeline's own call with which it weighs a prompt by :data:`GUIDED`."""

    @property
    def row(self) -> Row:
        """Its family's row, with the twin's size of videos as the model's own."""
        return small(serving(type(self.build()).__name__), self.shape)

    def model(self, pipeline: Any = None, name: str = "twin", given: bool = False) -> Transformer:
        """A model of it, or of a pipeline of its kind."""
        pipeline = self.build() if pipeline is None else pipeline
        return small(serving(type(pipeline).__name__), self.shape)(pipeline, name, torch.device("cpu"), given)


GUIDED = 3.0
"""A guidance scale."""


def small(row: Row, shape: Shape) -> Row:
    """A row whose models' own size of videos is another."""
    return replace(row, size=lambda _: (shape.height, shape.width), frames=lambda _: shape.frames)


def ready(pipeline: Any) -> Any:
    """A pipeline without dropout and without a bar of progress, as it is loaded."""
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def as_kind(pipeline: Any, kind: torch.dtype) -> Any:
    """A pipeline with weights of a kind but for what its network keeps in single precision, as one is loaded."""
    pipeline.to(kind)
    for part in pipeline.components.values():
        kept = getattr(part, "_keep_in_fp32_modules", None) or ()
        for name, weight in part.named_parameters() if kept else ():
            if any(own in name.split(".") for own in kept):
                weight.data = weight.data.float()
    return pipeline
