"""AnimateDiff: a picture model, such as Stable Diffusion 1.5, with motion modules between its layers.

The pipeline puts base and motion adapter together. They are had as one folder of a saved pipeline, or as two names and a plus:
``emilianJR/epiCRealism+guoyww/animatediff-motion-adapter-v1-5-2``.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from motionlift.core.lattice import Shape
from motionlift.core.memory import Measures
from motionlift.models.identity import SCHEDULER_FIELDS
from motionlift.models.unet import FramewiseUNet, stride_of
from motionlift.motion.original import Readers

FRAMES, FPS = 16, 8.0
"""Default length and rate: those of the published pipeline's default and examples."""


class AnimateDiff(FramewiseUNet):
    """A :class:`motionlift.core.model.Model` of an AnimateDiff pipeline."""

    family = "animatediff"
    licence = "Apache-2.0, and that of the picture model"
    pipelines = ("AnimateDiffPipeline",)
    parts: Mapping[str, tuple[str, ...]] = {
        "unet": ("UNetMotionModel",),
        "vae": ("AutoencoderKL",),
        "text_encoder": ("CLIPTextModel",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    }
    temporal_word = "motion_modules"
    linear: Mapping[str, re.Pattern[str]] = {
        "temporal": re.compile(r"\bmotion_modules\b.*\.attn[12]\.to_[qkv]$"),
        "spatial": re.compile(r"\battentions\b.*\.attn1\.to_[qkv]$"),
        "temporal_blocks": re.compile(r"\bmotion_modules\b.*\.(attn[12]|ff)\."),
        "spatial_blocks": re.compile(r"\battentions\b.*\.(attn1|ff)\."),
        "linear": re.compile(r"\battentions\b|\bmotion_modules\b.*\btransformer_blocks\b"),
    }
    """Both attentions of a motion module are over frames. Its layers before and behind its blocks are called in a way that no
    adapter of peft allows."""
    decisive: Mapping[str, tuple[str, ...]] = {
        "network": (
            *("sample_size", "in_channels", "out_channels", "down_block_types", "up_block_types", "block_out_channels"),
            *("layers_per_block", "cross_attention_dim", "num_attention_heads", "motion_num_attention_heads"),
            *("motion_max_seq_length", "use_motion_mid_block"),
        ),
        "autoencoder": ("latent_channels", "block_out_channels", "scaling_factor"),
        "scheduler": SCHEDULER_FIELDS,
    }
    readers = Readers("unet")
    """ComfyUI's core has no motion modules."""
    defaults: Mapping[str, Mapping[str, Any]] = {"animatediff": {"cfg": 7.5}}
    """Guidance by the published pipeline's default."""

    def __init__(
        self, pipeline: Any, name: str, device: torch.device, given: bool = False, measures: Measures | None = None
    ):
        super().__init__(pipeline, name, device, given, measures)
        config = self._network.config
        side = (config.sample_size or 64) * stride_of(pipeline.vae)
        most = config.motion_max_seq_length
        self._set_up(Shape(min(FRAMES, most), side, side), self.family, FPS, most)

    def _shown(self, text: Tensor, frames: int) -> Tensor:
        """The text once for each frame, as the pipeline repeats it."""
        return text.repeat_interleave(frames, dim=0)


MODEL = AnimateDiff
