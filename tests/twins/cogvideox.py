"""A twin of CogVideoX 1.0 and 1.5."""

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)

from tests.twins.text import WINDOW, t5, t5_tokenizer


def cogvideox(
    rotary: bool = True, temporal_patch: int | None = None, window: int = WINDOW, pictured: bool = False
) -> CogVideoXPipeline | CogVideoXImageToVideoPipeline:
    """A CogVideoX pipeline of random weights: nine frames of 32x32, a lattice of 3x4x4; rotary or with a position table.

    With a temporal patch of two it is a CogVideoX 1.5: sixteen frames, a lattice of 2x4x4. Of a picture it has positions of both
    kinds (5B-I2V), or is told an offset (1.5).
    """
    torch.manual_seed(0)
    tokenizer = t5_tokenizer(window)
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 3,
        up_block_types=("CogVideoXUpBlock3D",) * 3,
        block_out_channels=(8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
        sample_height=32,
        sample_width=32,
        scaling_factor=1.0,
    )
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8 if pictured else 4,
        out_channels=4,
        time_embed_dim=16,
        text_embed_dim=16,
        num_layers=3,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        patch_size=2,
        patch_size_t=temporal_patch,
        max_text_seq_length=window,
        use_rotary_positional_embeddings=rotary,
        use_learned_positional_embeddings=pictured and temporal_patch is None,
        ofs_embed_dim=16 if pictured and temporal_patch else None,
        spatial_interpolation_scale=1.0,
    )
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        snr_shift_scale=1.0,
        clip_sample=False,
    )
    kind = CogVideoXImageToVideoPipeline if pictured else CogVideoXPipeline
    pipeline = kind(tokenizer, t5(), vae, transformer, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
