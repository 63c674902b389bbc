"""HunyuanVideo: joint attention, text last, over blocks of two kinds; guidance is distilled into the network."""

from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Row

EMBEDDED = 6.0
"""The guidance scale that the network is told (the published pipeline's default)."""

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
    placing=RotaryModule("rope"),
    defaults={"cfg": 1.0},
)
"""With a guidance scale above 1 the prompt is weighed against the negative prompt too, in passes of its own."""
