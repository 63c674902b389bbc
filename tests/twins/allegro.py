"""A twin of Allegro."""

import torch
from diffusers import (
    AllegroPipeline,
    AllegroTransformer3DModel,
    AutoencoderKLAllegro,
    EulerAncestralDiscreteScheduler,
)

from tests.twins.text import WIDTH, t5, t5_tokenizer
from tests.twins.twin import ready


def allegro() -> AllegroPipeline:
    """Four frames and 8x8 pixels a latent; three blocks."""
    torch.manual_seed(0)
    vae = AutoencoderKLAllegro(
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        sample_size=32,
        scaling_factor=0.13,
    )
    network = AllegroTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        num_layers=3,
        cross_attention_dim=24,
        sample_width=8,
        sample_height=8,
        sample_frames=2,
        caption_channels=WIDTH,
    )
    scheduler = EulerAncestralDiscreteScheduler(beta_schedule="linear", prediction_type="epsilon")
    text = {"text_encoder": t5(), "tokenizer": t5_tokenizer(512)}
    return ready(AllegroPipeline(**text, vae=vae, transformer=network, scheduler=scheduler))
