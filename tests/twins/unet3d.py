"""A twin of ModelScope."""

import string
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, TextToVideoSDPipeline, UNet3DConditionModel

from tests.twins.text import WINDOW, clip_text, clip_tokenizer


def unet3d() -> Any:
    """A ModelScope pipeline of random weights: four frames of 32x32, lattices of 8x8 and 4x4, six layers."""
    torch.manual_seed(0)
    letters = string.ascii_lowercase
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        sample_size=32,
        scaling_factor=1.0,
    )
    network = UNet3DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock3D", "CrossAttnDownBlock3D"),
        up_block_types=("CrossAttnUpBlock3D", "CrossAttnUpBlock3D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=8,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    pipeline = TextToVideoSDPipeline(
        vae, clip_text(4 * WINDOW, letters), clip_tokenizer(4 * WINDOW, letters), network, scheduler
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
