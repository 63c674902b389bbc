"""Mochi: joint attention, text last; told its time from the clean end, and predicting the flow the other way round."""

from typing import Any

from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Row
from motionlift.motion.original import Blocks, Readers


def _size(pipeline: Any) -> tuple[int, int]:
    return pipeline.default_height, pipeline.default_width


MODEL = Row(
    family="mochi",
    licence="Apache-2.0",
    pipelines=("MochiPipeline",),
    transformers=("MochiTransformer3DModel",),
    fps=30.0,
    attention="attn1",
    cross=None,
    feed_forward=("ff", "ff_context"),
    placing=RotaryModule("rope"),
    readers=Readers(
        "transformer",
        (
            Blocks(
                own="transformer_blocks",
                original="blocks",
                layers={
                    "attn.qkv_x": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
                    "attn.qkv_y": ("attn1.add_q_proj", "attn1.add_k_proj", "attn1.add_v_proj"),
                    "attn.proj_x": ("attn1.to_out.0",),
                    "attn.proj_y": ("attn1.to_add_out",),
                    "mlp_x.w1": ("ff.net.0.proj",),
                    "mlp_x.w2": ("ff.net.2",),
                    "mlp_y.w1": ("ff_context.net.0.proj",),
                    "mlp_y.w2": ("ff_context.net.2",),
                },
                swapped=("mlp_x.w1", "mlp_y.w1"),
            ),
        ),
    ),
    size=_size,
    defaults={"cfg": 4.5, "steps": 64},
)
"""Size, length, steps and guidance by the published pipeline's defaults. It was published for 848x480 alone (model card: 480p)."""
