"""Twins of LTX-Video and LTX-2."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTX2Pipeline,
    LTX2VideoTransformer3DModel,
    LTXPipeline,
    LTXVideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig

from tests.twins.text import SMALL, WIDTH, gemma_tokenizer, t5, t5_tokenizer
from tests.twins.twin import ready

CHANNELS = 8


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The published one: shifted by the number of tokens, and ended above the clean end."""
    return FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        shift_terminal=0.1,
    )


def autoencoder(**more: Any) -> AutoencoderKLLTXVideo:
    """Eight frames and 32x32 pixels a latent, of eight channels with a mean and a deviation each."""
    vae = AutoencoderKLLTXVideo(
        latent_channels=CHANNELS,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        patch_size=4,
        patch_size_t=1,
        **more,
    )
    vae.latents_mean.uniform_(-0.5, 0.5)
    vae.latents_std.uniform_(0.5, 1.5)
    return vae


def ltx() -> LTXPipeline:
    """LTX-Video."""
    torch.manual_seed(0)
    network = LTXVideoTransformer3DModel(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        num_layers=3,
        caption_channels=WIDTH,
    )
    text = {"text_encoder": t5(), "tokenizer": t5_tokenizer(128)}
    return ready(LTXPipeline(scheduler=scheduler(), vae=autoencoder(), transformer=network, **text))


def _gemma() -> Gemma3ForConditionalGeneration:
    """LTX-2's reader: of every layer, all of what it says."""
    text = Gemma3TextConfig(vocab_size=261, num_hidden_layers=2, head_dim=8, max_position_embeddings=1024, **SMALL)
    sight = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**sight, "image_size": 16, "patch_size": 8}
    return Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4))


def _connectors() -> LTX2TextConnectors:
    """What makes the video's text and the sound's of it."""
    sizes = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1, "num_learnable_registers": None}
    both = {f"{kind}_connector_{name}": value for kind in ("video", "audio") for name, value in sizes.items()}
    return LTX2TextConnectors(caption_channels=WIDTH, text_proj_in_factor=3, **both)


def _sound() -> dict[str, Any]:
    """Parts for sound."""
    audio = AutoencoderKLLTX2Audio(
        base_channels=4,
        ch_mult=(1,),
        num_res_blocks=1,
        resolution=32,
        latent_channels=2,
        mel_bins=8,
        causality_axis="height",
    )
    vocoder = LTX2Vocoder(
        in_channels=16,
        hidden_channels=16,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        output_sampling_rate=16000,
    )
    return {"audio_vae": audio, "vocoder": vocoder}


def ltx2() -> LTX2Pipeline:
    """LTX-2."""
    torch.manual_seed(0)
    network = LTX2VideoTransformer3DModel(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        audio_in_channels=4,
        audio_out_channels=4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=8,
        audio_cross_attention_dim=16,
        num_layers=3,
        caption_channels=WIDTH,
        rope_double_precision=False,
        rope_type="split",
    )
    vae = AutoencoderKLLTX2Video(
        latent_channels=CHANNELS,
        block_out_channels=(8, 16, 32, 64),
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        patch_size=4,
        decoder_causal=False,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    vae.latents_mean.uniform_(-0.5, 0.5)
    vae.latents_std.uniform_(0.5, 1.5)
    text = {"text_encoder": _gemma(), "tokenizer": gemma_tokenizer(), "connectors": _connectors()}
    return ready(LTX2Pipeline(scheduler=scheduler(), vae=vae, transformer=network, **text, **_sound()))
