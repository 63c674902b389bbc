"""A twin of Kandinsky 5."""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Kandinsky5T2VPipeline, Kandinsky5Transformer3DModel
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from tests.twins.hunyuan import autoencoder
from tests.twins.text import SMALL, WIDTH, clip_text, clip_tokenizer, in_tokens, qwen_tokenizer
from tests.twins.twin import ready


def _reader() -> Qwen2_5_VLForConditionalGeneration:
    rotary = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6}
    text = {**SMALL, "vocab_size": 400, "num_hidden_layers": 2, "max_position_embeddings": 4096}
    text |= {"bos_token_id": 256, "eos_token_id": 258, "pad_token_id": 256}
    vision = {"depth": 1, "hidden_size": WIDTH, "num_heads": 2, "out_hidden_size": WIDTH, "intermediate_size": 32}
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={**text, "rope_parameters": rotary},
            vision_config={**vision, "patch_size": 14, "window_size": 112},
        )
    )


def kandinsky5() -> Kandinsky5T2VPipeline:
    """Kandinsky 5 Lite: three blocks of the video."""
    torch.manual_seed(0)
    network = Kandinsky5Transformer3DModel(
        in_visual_dim=4,
        out_visual_dim=4,
        in_text_dim=WIDTH,
        in_text_dim2=WIDTH,
        time_dim=16,
        model_dim=32,
        ff_dim=32,
        num_text_blocks=1,
        num_visual_blocks=3,
        axes_dims=(4, 6, 6),
        patch_size=(1, 2, 2),
        visual_cond=False,
    )
    with torch.no_grad():  # made as zeros, which let every block do nothing
        for name, weight in network.named_parameters():
            if "modulation" in name:
                weight.normal_(0, 0.2)
    pipeline = Kandinsky5T2VPipeline(
        transformer=network,
        vae=autoencoder(),
        text_encoder=_reader(),
        tokenizer=qwen_tokenizer(),
        text_encoder_2=clip_text(),
        tokenizer_2=clip_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
    )
    opening = pipeline.prompt_template.partition("{}")[0]
    in_tokens(pipeline.tokenizer, opening, pipeline.prompt_template_encode_start_idx)
    return ready(pipeline)
