"""HunyuanVideo: joint attention, text last, over blocks of two kinds; guidance is distilled into the network."""

from typing import Any

from motionlift.models.positions import RotaryModule
from motionlift.models.prompts import Laid
from motionlift.models.transformer import Published, Row, call_default
from motionlift.motion.original import ADDED_QKV, QKV, Blocks, Readers

EMBEDDED = 6.0
"""The guidance scale that the network is told (the published pipeline's default)."""
MLP_RATIO = 4
"""How many times wider the feed-forward layers are than the rest, in all that was published."""


def _laid(pipeline: Any, prompt: str) -> Laid:
    """The prompt in the template that the pipeline's call has by default."""
    template = call_default(pipeline, "prompt_template")
    return Laid(template["template"].format(prompt), template["crop_start"])


BLOCKS = (
    Blocks(
        own="transformer_blocks",
        original="double_blocks",
        layers={
            "img_attn_qkv": QKV,
            "img_attn_proj": ("attn.to_out.0",),
            "img_mlp.fc1": ("ff.net.0.proj",),
            "img_mlp.fc2": ("ff.net.2",),
            "txt_attn_qkv": ADDED_QKV,
            "txt_attn_proj": ("attn.to_add_out",),
            "txt_mlp.fc1": ("ff_context.net.0.proj",),
            "txt_mlp.fc2": ("ff_context.net.2",),
        },
    ),
    Blocks(
        own="single_transformer_blocks",
        original="single_blocks",
        layers={"linear1": (*QKV, "proj_mlp"), "linear2": ("proj_out",)},
        wider={"proj_mlp": MLP_RATIO},
    ),
)
"""As published; ComfyUI and kohya's programs take them."""


MODEL = Row(
    family="hunyuan",
    licence="Tencent Hunyuan Community",
    pipelines=("HunyuanVideoPipeline",),
    transformers=("HunyuanVideoTransformer3DModel",),
    fps=24.0,
    multiple=16,
    sizes=((720, 1280), (1280, 720), (1104, 832), (832, 1104), (960, 960)),
    blocks=("transformer_blocks", "single_transformer_blocks"),
    attention="attn",
    cross=None,
    feed_forward=("ff", "ff_context", "proj_mlp", "proj_out"),
    call={"guidance_scale": EMBEDDED},
    laid=_laid,
    placing=RotaryModule("rope"),
    readers=Readers("transformer", BLOCKS, BLOCKS),
    broken={"fp16": "it overflows and the video is black (Tencent-Hunyuan/HunyuanVideo, issue 60)"},
    defaults={"cfg": 1.0},
    published={
        "skyreels-v1": Published(
            {"name": "skyreels-v1-hunyuan-t2v"},
            size=(544, 960),
            sizes=((544, 960), (960, 544), (720, 720)),
            frames=97,
            defaults={"cfg": 6.0},
            call={"guidance_scale": 1.0},
        ),
    },
)
"""Sizes by the model cards; of SkyReels V1, which is HunyuanVideo trained further, length and both guidance scales too.
With a guidance scale above 1 the prompt is weighed against the negative prompt too, in passes of its own."""
