"""HunyuanVideo 1.5: joint attention, text last: a picture's place, spelled words, and the prompt."""

from typing import Any

from diffusers import ClassifierFreeGuidance

from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Row


def _size(pipeline: Any) -> tuple[int, int]:
    """Height and width that the pipeline chooses for its target size."""
    ratio = pipeline.default_aspect_ratio
    return pipeline.video_processor.calculate_default_height_width(ratio[1], ratio[0], pipeline.target_size)


MODEL = Row(
    family="hunyuan15",
    pipelines=("HunyuanVideo15Pipeline",),
    transformers=("HunyuanVideo15Transformer3DModel",),
    fps=24.0,
    attention="attn",
    cross=None,
    feed_forward=("ff", "ff_context"),
    call={},
    replaced={"guider": lambda: ClassifierFreeGuidance(guidance_scale=1.0)},
    placing=RotaryModule("rope"),
    size=_size,
    window=lambda pipeline: pipeline.tokenizer_max_length,
    defaults={"cfg": 6.0},
)
"""Guidance by the published pipeline's guider."""
