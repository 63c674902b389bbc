"""What ComfyUI loads of an adapter, told apart from ours: facts of its sources, as of November 2026.

``model_lora_keys_unet`` (comfy/lora.py, commit 17358c8) maps ``diffusion_model.`` and the name of a weight of its own network,
without ``.weight``, to that weight; for HunyuanVideo also the published names, in which an underscore stands for some dots.
``LoRAAdapter.load`` (comfy/weight_adapter/lora.py, commit 6f98b15) then takes ``.lora_A.weight`` and ``.lora_B.weight`` behind it,
of scale one where there is no ``.alpha``, and ``load_lora`` a ``.diff``. What is of the network's own name is added to it; what
has another shape is not.
"""

from collections.abc import Mapping

from torch import Tensor

START = "diffusion_model."
DOWN, UP, WHOLE = ".lora_A.weight", ".lora_B.weight", ".diff"
_HUNYUAN = (
    *(
        f"{stream}_{layer}"
        for stream in ("img", "txt")
        for layer in ("mod.lin", "attn.qkv", "attn.proj", "mlp.0", "mlp.2")
    ),
)
NATIVE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    # comfy/ldm/wan/model.py (01c4fa4): WanSelfAttention, WanT2VCrossAttention, WanAttentionBlock
    "wan": {
        "blocks": (
            *(f"{attention}.{layer}" for attention in ("self_attn", "cross_attn") for layer in "qkvo"),
            *("ffn.0", "ffn.2"),
        )
    },
    # comfy/ldm/hunyuan_video/model.py (040a324), comfy/ldm/flux/layers.py (0054510): DoubleStreamBlock, SingleStreamBlock
    "hunyuan": {"double_blocks": _HUNYUAN, "single_blocks": ("linear1", "linear2", "modulation.lin")},
    # comfy/ldm/hunyuan_video/model.py with byt5_in: the same blocks of two streams, and none of one
    "hunyuan15": {"double_blocks": _HUNYUAN},
    # comfy/ldm/lightricks/model.py (005d2d3): CrossAttention, FeedForward, BasicTransformerBlock
    "ltx": {
        "transformer_blocks": (
            *(
                f"{attention}.{layer}"
                for attention in ("attn1", "attn2")
                for layer in ("to_q", "to_k", "to_v", "to_out.0")
            ),
            *("ff.net.0.proj", "ff.net.2"),
        )
    },
    # comfy/ldm/lightricks/av_model.py (2fb2e75): BasicAVTransformerBlock
    "ltx2": {
        "transformer_blocks": (
            *(
                f"{attention}.{layer}"
                for attention in (
                    *("attn1", "attn2", "audio_attn1", "audio_attn2"),
                    *("audio_to_video_attn", "video_to_audio_attn"),
                )
                for layer in ("to_q", "to_k", "to_v", "to_out.0")
            ),
            *("ff.net.0.proj", "ff.net.2", "audio_ff.net.0.proj", "audio_ff.net.2"),
        )
    },
    # comfy/ldm/cogvideo/model.py (3e4d15a): CogVideoXBlock
    "cogvideox": {"blocks": ("norm1.linear", "q", "k", "v", "attn_out", "norm2.linear", "ff_proj", "ff_out")},
    # comfy/ldm/genmo/joint_model/asymm_models_joint.py (006dd0a), layers.py (82388d5): AsymmetricJointBlock, FeedForward
    "mochi": {
        "blocks": (
            *("mod_x", "mod_y", "attn.qkv_x", "attn.qkv_y", "attn.proj_x", "attn.proj_y"),
            *("mlp_x.w1", "mlp_x.w2", "mlp_y.w1", "mlp_y.w2"),
        )
    },
    # comfy/ldm/kandinsky5/model.py (0c84b76): TransformerDecoderBlock, SelfAttention, FeedForward
    "kandinsky5": {
        "visual_transformer_blocks": (
            "visual_modulation.out_layer",
            *(
                f"{attention}.{layer}"
                for attention in ("self_attention", "cross_attention")
                for layer in ("to_query", "to_key", "to_value", "out_layer")
            ),
            *("feed_forward.in_layer", "feed_forward.out_layer"),
        )
    },
}
"""By family, the linear layers of a block of each list of ComfyUI's own network, as its source names them. SkyReels V2 is loaded as
Wan, whose names its weights have."""
PUBLISHED_HUNYUAN = {
    "_mod.lin.": "_mod.linear.",
    "_attn.qkv.": "_attn_qkv.",
    "_attn.proj.": "_attn_proj.",
    "mlp.0.": "mlp.fc1.",
    "mlp.2.": "mlp.fc2.",
    ".modulation.lin.": ".modulation.linear.",
}
"""What ``model_lora_keys_unet`` writes in the place of parts of HunyuanVideo's names, beside leaving them."""


def keys(family: str, blocks: int) -> dict[str, str]:
    """What ComfyUI looks for in a file, and the weight of its own network that it is for."""
    found = {}
    for name, layers in NATIVE["wan" if family == "skyreels" else family].items():
        for layer in (f"{name}.{number}.{layer}" for number in range(blocks) for layer in layers):
            found[START + layer] = layer
            if family == "hunyuan":
                published = f"{layer}."
                for own, other in PUBLISHED_HUNYUAN.items():
                    published = published.replace(own, other)
                found[START + published.removesuffix(".")] = layer
    return found


def loaded(family: str, blocks: int, file: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], set[str]]:
    """What ComfyUI adds to the weights of its own network by a file, and the names in it that it does not load."""
    changes: dict[str, Tensor] = {}
    used: set[str] = set()
    for key, layer in keys(family, blocks).items():
        if key + UP in file:
            changes[layer] = file[key + UP] @ file[key + DOWN]
            used |= {key + UP, key + DOWN}
        if key + WHOLE in file:
            changes[layer] = file[key + WHOLE]
            used.add(key + WHOLE)
    return changes, set(file) - used
