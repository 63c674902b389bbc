"""Tiny random twins of the models: the real classes with sizes that run in milliseconds."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DDIMScheduler,
    TextToVideoSDPipeline,
    UNet3DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

WORDS = ("a", "red", "star", "blue", "on", "field", "the", "dog", "ring")
WINDOW = 8


def cogvideox(rotary: bool = True, temporal_patch: int | None = None) -> CogVideoXPipeline:
    """A CogVideoX pipeline of random weights: nine frames of 32x32, a lattice of 3x4x4; rotary or with a position table.

    With a temporal patch of two it is a CogVideoX 1.5: sixteen frames, a lattice of 2x4x4.
    """
    torch.manual_seed(0)
    tokenizer = T5Tokenizer(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), *[(f"▁{word}", -2.0) for word in WORDS]],
        extra_ids=0,
        model_max_length=WINDOW,
    )
    text = T5Config(vocab_size=len(WORDS) + 3, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
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
        in_channels=4,
        out_channels=4,
        time_embed_dim=16,
        text_embed_dim=16,
        num_layers=3,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        patch_size=2,
        patch_size_t=temporal_patch,
        max_text_seq_length=WINDOW,
        use_rotary_positional_embeddings=rotary,
        spatial_interpolation_scale=1.0,
    )
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        snr_shift_scale=1.0,
        clip_sample=False,
    )
    pipeline = CogVideoXPipeline(tokenizer, T5EncoderModel(text), vae, transformer, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def unet3d() -> Any:
    """A ModelScope pipeline of random weights: four frames of 32x32, lattices of 8x8 and 4x4, six layers."""
    torch.manual_seed(0)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [*letters, *[f"{letter}</w>" for letter in letters], "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[], model_max_length=4 * WINDOW
    )
    text = CLIPTextConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4 * WINDOW,
        bos_token_id=len(pieces) - 2,
        eos_token_id=len(pieces) - 1,
        pad_token_id=len(pieces) - 1,
    )
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
    pipeline = TextToVideoSDPipeline(vae, CLIPTextModel(text), tokenizer, network, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


TWINS = {"cogvideox-rotary": lambda: cogvideox(True), "cogvideox-table": lambda: cogvideox(False)}
"""Every kind of positions by name, at one size."""
EVERY_TWIN = {**TWINS, "unet3d": unet3d, "cogvideox-1.5": lambda: cogvideox(True, temporal_patch=2)}
"""Every twin by name."""
