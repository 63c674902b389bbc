"""HunyuanVideo: joint attention, text last, over blocks of two kinds; guidance is distilled into the network."""

from typing import Any

from motionlift.models.positions import RotaryModule
from motionlift.models.prompts import Laid
from motionlift.models.transformer import Row, call_default

EMBEDDED = 6.0
"""The guidance scale that the network is told (the published pipeline's default)."""


def _laid(pipeline: Any, prompt: str) -> Laid:
    """The prompt in the template that the pipeline's call has by default."""
    template = call_default(pipeline, "prompt_template")
    return Laid(template["template"].format(prompt), template["crop_start"])


MODEL = Row(
    family="hunyuan",
    pipelines=("HunyuanVideoPipeline",),
    transformers=("HunyuanVideoTransformer3DModel",),
    fps=24.0,
    blocks=("transformer_blocks", "single_transformer_blocks"),
    attention="attn",
    cross=None,
    feed_forward=("ff", "ff_context", "proj_mlp", "proj_out"),
    call={"guidance_scale": EMBEDDED},
    laid=_laid,
    placing=RotaryModule("rope"),
    defaults={"cfg": 1.0},
)
"""With a guidance scale above 1 the prompt is weighed against the negative prompt too, in passes of its own."""
