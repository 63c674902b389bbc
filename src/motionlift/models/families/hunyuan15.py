"""HunyuanVideo 1.5: joint attention, text last: a picture's place, spelled words, and the prompt."""

from typing import Any

from diffusers import ClassifierFreeGuidance
from diffusers.pipelines.hunyuan_video1_5.image_processor import generate_crop_size_list
from diffusers.pipelines.hunyuan_video1_5.pipeline_hunyuan_video1_5 import extract_glyph_texts

from motionlift.models.positions import RotaryModule
from motionlift.models.prompts import Laid
from motionlift.models.transformer import Row
from motionlift.motion.original import ADDED_QKV, QKV, Blocks, Readers

TARGETS = (640, 960)
"""What the models for 480p and for 720p have as ``target_size``: the side of a square of as many pixels as their videos have
(configurations of the published networks)."""
SIDES, STEEPEST = 16, 4.0
"""The multiple of both sides, and how many times longer one may be than the other: the defaults of the published program's
``generate_crop_size_list``, by whose sizes the model was trained (``hyvideo/utils/data_utils.py``, copied by diffusers)."""


def _buckets() -> tuple[tuple[int, int], ...]:
    """Heights and widths of all aspects of both targets."""
    return tuple(dict.fromkeys(size for own in TARGETS for size in generate_crop_size_list(own, SIDES, STEEPEST)))


def _size(pipeline: Any) -> tuple[int, int]:
    """Height and width that the pipeline chooses for its target size."""
    ratio = pipeline.default_aspect_ratio
    return pipeline.video_processor.calculate_default_height_width(ratio[1], ratio[0], pipeline.target_size)


def _laid(pipeline: Any, prompt: str) -> Laid:
    """The prompt in the pipeline's system message and the tokenizer's chat template.

    Words in quotation marks are spelled by an encoder of their own, whose tokens come first.
    """
    messages = [{"role": "system", "content": pipeline.system_message}, {"role": "user", "content": prompt or " "}]
    text = pipeline.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    spelled = extract_glyph_texts(prompt)
    before = 0 if spelled is None else int(pipeline.tokenizer_2(spelled, return_tensors="pt").attention_mask.sum())
    return Laid(text, pipeline.prompt_template_encode_start_idx - before, {"add_special_tokens": False})


BLOCKS = (
    Blocks(
        own="transformer_blocks",
        original="double_blocks",
        layers={
            "img_attn.qkv": QKV,
            "img_attn.proj": ("attn.to_out.0",),
            "img_mlp.0": ("ff.net.0.proj",),
            "img_mlp.2": ("ff.net.2",),
            "txt_attn.qkv": ADDED_QKV,
            "txt_attn.proj": ("attn.to_add_out",),
            "txt_mlp.0": ("ff_context.net.0.proj",),
            "txt_mlp.2": ("ff_context.net.2",),
        },
    ),
)
"""As ComfyUI takes them."""
APART = (
    Blocks(
        own="transformer_blocks",
        original="double_blocks",
        layers={
            **{f"img_attn_{name}": (f"attn.to_{name}",) for name in "qkv"},
            "img_attn_proj": ("attn.to_out.0",),
            "img_mlp.fc1": ("ff.net.0.proj",),
            "img_mlp.fc2": ("ff.net.2",),
            **{f"txt_attn_{name}": (f"attn.add_{name}_proj",) for name in "qkv"},
            "txt_attn_proj": ("attn.to_add_out",),
            "txt_mlp.fc1": ("ff_context.net.0.proj",),
            "txt_mlp.fc2": ("ff_context.net.2",),
        },
    ),
)
"""As published, and as kohya's programs take them."""

MODEL = Row(
    family="hunyuan15",
    licence="Tencent Hunyuan Community",
    pipelines=("HunyuanVideo15Pipeline",),
    transformers=("HunyuanVideo15Transformer3DModel",),
    fps=24.0,
    attention="attn",
    cross=None,
    feed_forward=("ff", "ff_context"),
    call={},
    replaced={"guider": lambda: ClassifierFreeGuidance(guidance_scale=1.0)},
    laid=_laid,
    placing=RotaryModule("rope"),
    readers=Readers("transformer", BLOCKS, APART),
    size=_size,
    sizes=_buckets(),
    window=lambda pipeline: pipeline.tokenizer_max_length,
    defaults={"cfg": 6.0},
)
"""Guidance by the published pipeline's guider; sizes are all of its target size."""
