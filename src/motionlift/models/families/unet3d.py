"""ModelScope and ZeroScope, the bundled ``tiny-unet``, and anything saved in the same format.

They are read part by part: diffusers has given up the class of their pipeline.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch

from motionlift.core.lattice import Shape
from motionlift.core.memory import Measures
from motionlift.models.identity import SCHEDULER_FIELDS
from motionlift.models.unet import FramewiseUNet, last_part, stride_of

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "modelscope": {"cfg": 9.0},
    "zeroscope": {"cfg": 9.0},
    "tiny-unet": {
        "steps": 20,
        "cfg": 4.0,
        "share": 0.34,
        "optimizer": "rms",
        "lr": 0.01,
        "lr_end": 0.01,
    },
}
"""Sampling per model: the published ones' by the published pipeline's default, the bundled one's are ours."""
FRAMES, FPS = 16, 8.0
"""Default length and rate: those of the published pipeline's default and examples."""
SIZES: Mapping[str, tuple[int, int]] = {"zeroscope_v2_576w": (320, 576), "zeroscope_v2_xl": (576, 1024)}
"""Height and width that a model was trained at, where its configuration tells another size (model cards)."""


def variant_of(name: str) -> str:
    """The row of the tables that a model's name asks for: the published models differ in nothing else that is saved."""
    last = last_part(name)
    known = {
        "zeroscope": "zeroscope",
        "text-to-video-ms": "modelscope",
        "modelscope": "modelscope",
        "tiny-unet": "tiny-unet",
    }
    return next((variant for start, variant in known.items() if last.startswith(start)), UNet3D.family)


class UNet3D(FramewiseUNet):
    """A :class:`motionlift.core.model.Model` of the parts of a TextToVideoSD pipeline."""

    family = "unet3d"
    licence = "CC-BY-NC-4.0"
    pipelines = ("TextToVideoSDPipeline",)
    parts: Mapping[str, tuple[str, ...]] = {
        "unet": ("UNet3DConditionModel",),
        "vae": ("AutoencoderKL",),
        "text_encoder": ("CLIPTextModel",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    }
    apart = True
    temporal_word = "temp_attentions"
    linear: Mapping[str, re.Pattern[str]] = {
        "temporal": re.compile(r"(temp_attentions|transformer_in)\b.*\.attn[12]\.to_[qkv]$"),
        "temp_attentions": re.compile(r"\btemp_attentions\b.*\.attn[12]\.to_[qkv]$"),
        "spatial": re.compile(r"\battentions\b.*\.attn1\.to_[qkv]$"),
        "temporal_blocks": re.compile(r"\b(temp_attentions|transformer_in)\b.*\.(attn[12]|ff)\."),
        "spatial_blocks": re.compile(r"\battentions\b.*\.(attn1|ff)\."),
        "linear": re.compile(r"\b(temp_)?attentions\b|\btransformer_in\b"),
    }
    """Both attentions of a temporal transformer are over frames; ``temp_attentions`` leaves out that at the network's entrance."""
    decisive: Mapping[str, tuple[str, ...]] = {
        "network": (
            *("sample_size", "in_channels", "out_channels", "down_block_types", "up_block_types", "block_out_channels"),
            *("layers_per_block", "cross_attention_dim", "attention_head_dim", "num_attention_heads"),
        ),
        "autoencoder": ("latent_channels", "block_out_channels", "scaling_factor"),
        "scheduler": SCHEDULER_FIELDS,
    }
    defaults = DEFAULTS

    def __init__(
        self, pipeline: Any, name: str, device: torch.device, given: bool = False, measures: Measures | None = None
    ):
        super().__init__(pipeline, name, device, given, measures)
        side, stride = self._network.config.sample_size or 32, stride_of(pipeline.vae)
        rows, columns = (side, side) if isinstance(side, int) else side
        size = SIZES.get(last_part(name), (rows * stride, columns * stride))
        self._set_up(Shape(FRAMES, *size), variant_of(name), FPS)


MODEL = UNet3D
