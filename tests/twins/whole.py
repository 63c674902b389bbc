"""Whole twins of true size: published pipelines with every part as it is published, but for weights and tokenizers.

Networks are those of :mod:`tests.twins.wide`, with all their blocks; here are the text encoders and autoencoders. On PyTorch's meta
device they take no memory.
"""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from diffusers import AutoencoderKL, TextToVideoSDPipeline, UNet3DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from motionlift.core.lattice import Shape
from motionlift.models.families import serving
from tests.twins import TRANSFORMERS, unet3d
from tests.twins.text import clip_tokenizer
from tests.twins.twin import ready
from tests.twins.wide import KIND, WIDE, filled

T5_XXL = {
    **{"vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64},
    "feed_forward_proj": "gated-gelu",
}
"""T5 v1.1 XXL, whose encoder CogVideoX and LTX-Video have."""
UMT5_XXL = {**T5_XXL, "vocab_size": 256384}
"""Wan's."""
QWEN_7B = {
    **{"vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28},
    **{"num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 128000},
    "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6},
}
"""Qwen2.5-VL 7B's reader of text, HunyuanVideo 1.5's first."""
GLYPHS = {
    **{"vocab_size": 1510, "d_model": 1472, "d_kv": 64, "d_ff": 3584, "num_layers": 12, "num_heads": 6},
    "feed_forward_proj": "gated-gelu",
}
"""The encoder of ByT5 small, with words for colours and fonts: its second."""
CLIP_H = {
    **{"vocab_size": 49408, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23},
    **{"num_attention_heads": 16, "max_position_embeddings": 77, "hidden_act": "gelu"},
}
"""OpenCLIP's ViT-H as ModelScope and ZeroScope have it."""


def _t5() -> nn.Module:
    return T5EncoderModel(T5Config(**T5_XXL))


@dataclass(frozen=True)
class Whole:
    """What a published pipeline has beside its network, by the names of its parts."""

    encoders: Mapping[str, Callable[[], nn.Module]] = field(default_factory=lambda: {"text_encoder": _t5})
    """Text encoders."""
    vae: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its autoencoder where they differ from the defaults of the class, which are those of a published one."""


WHOLE: Mapping[str, Whole] = {
    "wan-2.1-1.3b": Whole({"text_encoder": lambda: UMT5EncoderModel(UMT5Config(**UMT5_XXL))}),
    "cogvideox-2b": Whole(),
    "cogvideox-5b": Whole(vae={"scaling_factor": 0.7}),
    "hunyuan-1.5": Whole(
        {
            "text_encoder": lambda: transformers.Qwen2_5_VLTextModel(transformers.Qwen2_5_VLTextConfig(**QWEN_7B)),
            "text_encoder_2": lambda: T5EncoderModel(T5Config(**GLYPHS)),
        }
    ),
    "ltx-2b": Whole(),
}
"""Published models of :data:`tests.twins.wide.WIDE` by their names there; sizes by their published configurations."""
ZEROSCOPE, ZEROSCOPE_SHAPE = "zeroscope", Shape(24, 320, 576)
"""ZeroScope, whose network is no transformer, and the size of its videos (model card)."""


def whole(name: str, device: str = "cpu") -> Any:
    """A published pipeline with weights made on a device: a pattern of random numbers, in half precision as a GPU has them.

    Args:
        name: of :data:`WHOLE`, or :data:`ZEROSCOPE`.
        device: where its parts are made, ``meta`` for none.
    """
    if name == ZEROSCOPE:
        return _zeroscope(device)
    own, told = WHOLE[name], WIDE[name]
    twin = TRANSFORMERS[told.twin].build()
    row = serving(type(twin).__name__)
    kind, coder = type(twin.transformer), type(twin.vae)
    blocks = {title: value for title, value in told.published.items() if title == "num_layers"}
    parts = {title: filled(make, device=device) for title, make in own.encoders.items()}
    parts["transformer"] = filled(lambda: kind(**{**blocks, **told.network}), device=device)
    precision = torch.float32 if "vae" in row.single else KIND
    parts["vae"] = filled(lambda: coder(**own.vae), precision, device)
    return ready(type(twin)(**{**twin.components, **parts}))


def _zeroscope(device: str) -> Any:
    letters = string.ascii_lowercase
    ends = {"bos_token_id": 2 * len(letters), "eos_token_id": 2 * len(letters) + 1}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    sizes = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4}
    pipeline = TextToVideoSDPipeline(
        filled(lambda: AutoencoderKL(**blocks, **sizes, sample_size=512, scaling_factor=0.18215), device=device),
        filled(lambda: CLIPTextModel(CLIPTextConfig(**CLIP_H, **ends)), device=device),
        clip_tokenizer(77, letters),
        filled(UNet3DConditionModel, device=device),
        unet3d().scheduler,
    )
    pipeline.register_to_config(_name_or_path="zeroscope_v2_576w")  # known by its name alone
    return ready(pipeline)


def weights(pipeline: Any) -> dict[str, int]:
    """Bytes of the weights of each part, by its name."""
    parts = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    return {
        name: sum(weight.numel() * weight.element_size() for weight in part.parameters())
        for name, part in parts.items()
    }
