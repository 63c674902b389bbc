"""A twin of Mochi."""

import torch
from diffusers import AutoencoderKLMochi, FlowMatchEulerDiscreteScheduler, MochiPipeline, MochiTransformer3DModel

from tests.twins.text import WIDTH, t5, t5_tokenizer
from tests.twins.twin import ready


def mochi() -> MochiPipeline:
    """Six frames and 8x8 pixels a latent; three blocks."""
    torch.manual_seed(0)
    vae = AutoencoderKLMochi(
        latent_channels=4,
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.0, 0.5, 1.5, 2.0],
    )
    network = MochiTransformer3DModel(
        patch_size=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=3,
        pooled_projection_dim=16,
        in_channels=4,
        text_embed_dim=WIDTH,
        time_embed_dim=4,
        max_sequence_length=256,
    )
    text = {"text_encoder": t5(), "tokenizer": t5_tokenizer(256)}
    parts = {"scheduler": FlowMatchEulerDiscreteScheduler(invert_sigmas=True), "vae": vae, "transformer": network}
    return ready(MochiPipeline(**text, **parts))
