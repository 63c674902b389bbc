"""Twins of Wan, and of SkyReels V2, which is Wan's network."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    SkyReelsV2Pipeline,
    SkyReelsV2Transformer3DModel,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import CLIPVisionConfig, CLIPVisionModel

from tests.twins.pictures import CLIPImageProcessorPil
from tests.twins.text import WIDTH, t5_tokenizer, umt5
from tests.twins.twin import ready

CHANNELS = 4
NETWORK = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "text_dim": WIDTH,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 3,
    "cross_attn_norm": True,
    "rope_max_seq_len": 32,
}
"""Settings of the networks."""


def autoencoder() -> AutoencoderKLWan:
    """Four frames and 8x8 pixels a latent, of four channels with a mean and a deviation each."""
    return AutoencoderKLWan(
        base_dim=8,
        z_dim=CHANNELS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.1 * number for number in range(CHANNELS)],
        latents_std=[1.0 + 0.5 * number for number in range(CHANNELS)],
    )


def residual_autoencoder() -> AutoencoderKLWan:
    """TI2V's: four frames and 16x16 pixels a latent."""
    return AutoencoderKLWan(
        base_dim=8,
        decoder_base_dim=8,
        z_dim=CHANNELS,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=2,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * CHANNELS,
        latents_std=[1.0] * CHANNELS,
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
    )


def scheduler(shift: float) -> UniPCMultistepScheduler:
    """The published kind."""
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)


def network(**more: Any) -> WanTransformer3DModel:
    """Three blocks."""
    return WanTransformer3DModel(qk_norm="rms_norm_across_heads", **{**NETWORK, **more})


def text() -> dict[str, Any]:
    """Tokenizer and encoder, which reads 512 tokens."""
    return {"tokenizer": t5_tokenizer(512), "text_encoder": umt5()}


def wan() -> WanPipeline:
    """Wan 2.1."""
    torch.manual_seed(0)
    return ready(WanPipeline(**text(), vae=autoencoder(), transformer=network(), scheduler=scheduler(3.0)))


def wan_of_two() -> WanPipeline:
    """Wan 2.2 A14B: the second network serves the levels below 0.875."""
    torch.manual_seed(0)
    networks = {"transformer": network(), "transformer_2": network(), "boundary_ratio": 0.875}
    return ready(WanPipeline(**text(), vae=autoencoder(), scheduler=scheduler(12.0), **networks))


def wan_of_times() -> WanPipeline:
    """Wan 2.2 TI2V-5B: a timestep for every token."""
    torch.manual_seed(0)
    parts = {"vae": residual_autoencoder(), "transformer": network(), "expand_timesteps": True}
    return ready(WanPipeline(**text(), scheduler=scheduler(5.0), **parts))


def wan_of_picture() -> WanImageToVideoPipeline:
    """Wan 2.1 I2V: mask and picture beside the latents, and tokens of the picture in attention."""
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    seeing = CLIPVisionModel(CLIPVisionConfig(projection_dim=WIDTH, image_size=16, patch_size=8, **sizes))
    processor = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    own = network(in_channels=2 * CHANNELS + 4, image_dim=WIDTH, added_kv_proj_dim=24)
    parts = {"vae": autoencoder(), "transformer": own, "image_encoder": seeing, "image_processor": processor}
    return ready(WanImageToVideoPipeline(**text(), scheduler=scheduler(3.0), **parts))


def wan_of_picture_and_two() -> WanImageToVideoPipeline:
    """Wan 2.2 I2V-A14B: mask and picture beside the latents, two networks."""
    torch.manual_seed(0)
    networks = {name: network(in_channels=2 * CHANNELS + 4) for name in ("transformer", "transformer_2")}
    return ready(
        WanImageToVideoPipeline(**text(), vae=autoencoder(), scheduler=scheduler(5.0), boundary_ratio=0.9, **networks)
    )


def skyreels() -> SkyReelsV2Pipeline:
    """SkyReels V2."""
    torch.manual_seed(0)
    parts = {"vae": autoencoder(), "transformer": SkyReelsV2Transformer3DModel(**NETWORK)}
    return ready(SkyReelsV2Pipeline(**text(), scheduler=scheduler(8.0), **parts))
