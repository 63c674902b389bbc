"""Twins of HunyuanVideo and HunyuanVideo 1.5."""

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    AutoencoderKLHunyuanVideo15,
    ClassifierFreeGuidance,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from transformers import Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

from tests.twins.text import (
    SMALL,
    WIDTH,
    byt5,
    byt5_tokenizer,
    clip_text,
    clip_tokenizer,
    in_tokens,
    llama,
    llama_tokenizer,
    qwen_tokenizer,
)
from tests.twins.twin import ready

MARKER = "MARKER"
"""Stands for a prompt in a template."""


def autoencoder() -> AutoencoderKLHunyuanVideo:
    """Four frames and 8x8 pixels a latent; Kandinsky 5 has the same."""
    return AutoencoderKLHunyuanVideo(
        latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=2,
        scaling_factor=0.476986,
    )


def hunyuan() -> HunyuanVideoPipeline:
    """HunyuanVideo: two blocks of each kind, and guidance that the network is told."""
    torch.manual_seed(0)
    network = HunyuanVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        num_single_layers=2,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        patch_size=2,
        patch_size_t=1,
        guidance_embeds=True,
        text_embed_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        rope_axes_dim=(4, 6, 6),
    )
    tokenizer = llama_tokenizer()
    opening, cut = DEFAULT_PROMPT_TEMPLATE["template"].partition("{}")[0], DEFAULT_PROMPT_TEMPLATE["crop_start"]
    in_tokens(tokenizer, opening, cut)
    parts = {"transformer": network, "vae": autoencoder(), "scheduler": FlowMatchEulerDiscreteScheduler(shift=7.0)}
    encoders = {"text_encoder": llama(len(tokenizer)), "text_encoder_2": clip_text()}
    return ready(HunyuanVideoPipeline(**parts, **encoders, tokenizer=tokenizer, tokenizer_2=clip_tokenizer()))


def hunyuan15() -> HunyuanVideo15Pipeline:
    """HunyuanVideo 1.5, which adds a picture's place and spelled words to the text."""
    torch.manual_seed(0)
    network = HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=3,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        patch_size=1,
        patch_size_t=1,
        text_embed_dim=WIDTH,
        text_embed_2_dim=WIDTH,
        image_embed_dim=WIDTH,
        rope_axes_dim=(4, 6, 6),
        target_size=64,
        task_type="t2v",
    )
    vae = AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(16, 16, 16, 16, 16),
        layers_per_block=1,
        spatial_compression_ratio=16,
        temporal_compression_ratio=4,
        scaling_factor=1.03682,
    )
    rotary = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6}
    sizes = {**SMALL, "vocab_size": 400, "num_hidden_layers": 3, "max_position_embeddings": 2048}
    sizes |= {"bos_token_id": 256, "eos_token_id": 258, "pad_token_id": 256}
    pipeline = HunyuanVideo15Pipeline(
        text_encoder=Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**sizes, rope_parameters=rotary)),
        tokenizer=qwen_tokenizer(),
        transformer=network,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        text_encoder_2=byt5(),
        tokenizer_2=byt5_tokenizer(),
        guider=ClassifierFreeGuidance(guidance_scale=6.0),
    )
    talk = [{"role": "system", "content": pipeline.system_message}, {"role": "user", "content": MARKER}]
    opening = pipeline.tokenizer.apply_chat_template(talk, tokenize=False).partition(MARKER)[0]
    in_tokens(pipeline.tokenizer, opening, pipeline.prompt_template_encode_start_idx)
    # Attributes, which are not saved: 1985 tokens of text, nearly all of them masked, cost half a second a pass.
    pipeline.tokenizer_max_length, pipeline.tokenizer_2_max_length, pipeline.vision_num_semantic_tokens = 64, 16, 9
    return ready(pipeline)
