"""Mochi: joint attention, text last; told its time from the clean end, and predicting the flow the other way round."""

from typing import Any

from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Row


def _size(pipeline: Any) -> tuple[int, int]:
    return pipeline.default_height, pipeline.default_width


MODEL = Row(
    family="mochi",
    pipelines=("MochiPipeline",),
    transformers=("MochiTransformer3DModel",),
    fps=30.0,
    attention="attn1",
    cross=None,
    feed_forward=("ff", "ff_context"),
    placing=RotaryModule("rope"),
    size=_size,
    defaults={"cfg": 4.5, "steps": 64},
)
"""Length, steps and guidance by the published pipeline's defaults."""
