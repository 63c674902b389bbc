"""Kandinsky 5: latents with channels last; rotations for every place."""

from typing import Any

from motionlift.models.positions import RotaryModule
from motionlift.models.prompts import Laid
from motionlift.models.transformer import Row
from motionlift.motion.original import Readers, same


def _laid(pipeline: Any, prompt: str) -> Laid:
    """The prompt in the pipeline's template."""
    return Laid(pipeline.prompt_template.format(prompt), pipeline.prompt_template_encode_start_idx)


BLOCKS = (
    same(
        "visual_transformer_blocks",
        *(f"self_attention.{layer}" for layer in ("to_query", "to_key", "to_value", "out_layer")),
        *(f"cross_attention.{layer}" for layer in ("to_query", "to_key", "to_value", "out_layer")),
        *("feed_forward.in_layer", "feed_forward.out_layer"),
    ),
)
"""As published; ComfyUI and kohya's programs take them."""


MODEL = Row(
    family="kandinsky5",
    licence="MIT",
    pipelines=("Kandinsky5T2VPipeline",),
    transformers=("Kandinsky5Transformer3DModel",),
    fps=24.0,
    multiple=16,
    sizes=((512, 768), (768, 512)),
    blocks=("visual_transformer_blocks",),
    attention="self_attention",
    cross="cross_attention",
    feed_forward=("feed_forward",),
    axes="bfhwc",
    laid=_laid,
    placing=RotaryModule("visual_rope_embeddings"),
    readers=Readers("transformer", BLOCKS, BLOCKS),
    defaults={"cfg": 5.0},
)
"""Size and guidance by the published pipeline's defaults."""
