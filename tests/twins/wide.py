"""Thin twins of true width: the published networks with two blocks, and text encoders that are small but for what they give.

Their weights are one short pattern of random numbers over and over, in half precision: to draw a billion numbers takes longer than
to run them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from torch import Tensor, nn
from transformers import CLIPTextModel, Gemma3ForConditionalGeneration, Qwen2_5_VLForConditionalGeneration
from transformers import Qwen2_5_VLTextModel as QwenTextModel

from motionlift.core.lattice import Lattice, Shape
from tests.twins import TRANSFORMERS
from tests.twins.twin import ready

KIND = torch.bfloat16
PATTERN = 2**16 + 1


@dataclass(frozen=True)
class Wide:
    """A published model."""

    twin: str
    """The tiny twin whose other parts it has."""
    network: Mapping[str, Any]
    """Settings of its network where they differ from the defaults of the class, which are those of a published one."""
    shape: Shape
    """Size of its videos."""
    latents: tuple[int, int, int, int, int]
    """Of such a video."""
    lattice: Lattice
    """Of such a video."""
    query: tuple[int, int]
    """Heads, and channels of each."""
    words: int
    """Tokens of text that its blocks attend to: of a prompt of six words and 23 letters, and what follows it in a template."""
    small: Shape
    """A size that a CPU can run."""
    published: Mapping[str, Any] = field(default_factory=dict)
    """What its whole network's configuration says, by which it is known."""
    variant: str | None = None
    """What it is known as."""


WIDE: Mapping[str, Wide] = {
    "wan-2.1-1.3b": Wide(
        "wan-2.1",
        {"num_attention_heads": 12, "ffn_dim": 8960},
        Shape(81, 480, 832),
        (1, 16, 21, 60, 104),
        Lattice(21, 30, 52),
        (12, 128),
        512,
        Shape(5, 240, 416),
        {"num_layers": 30},
        "wan2.1-t2v-1.3b",
    ),
    "wan-2.1-14b": Wide(
        "wan-2.1",
        {},
        Shape(81, 480, 832),
        (1, 16, 21, 60, 104),
        Lattice(21, 30, 52),
        (40, 128),
        512,
        Shape(5, 128, 128),
        {"num_layers": 40},
        "wan2.1-t2v-14b",
    ),
    "wan-2.2-ti2v-5b": Wide(
        "wan-2.2-ti2v",
        {"num_attention_heads": 24, "ffn_dim": 14336, "in_channels": 48, "out_channels": 48},
        Shape(121, 704, 1280),
        (1, 48, 31, 44, 80),
        Lattice(31, 22, 40),
        (24, 128),
        512,
        Shape(5, 256, 256),
        {"num_layers": 30},
        "wan2.2-ti2v-5b",
    ),
    "skyreels-v2-1.3b": Wide(
        "skyreels",
        {"num_attention_heads": 12, "ffn_dim": 8960},
        Shape(97, 544, 960),
        (1, 16, 25, 68, 120),
        Lattice(25, 34, 60),
        (12, 128),
        512,
        Shape(5, 240, 416),
        {"num_layers": 30},
    ),
    "hunyuan": Wide(
        "hunyuan",
        {"num_single_layers": 1},
        Shape(129, 720, 1280),
        (1, 16, 33, 90, 160),
        Lattice(33, 45, 80),
        (24, 128),
        33,
        Shape(5, 128, 128),
    ),
    "hunyuan-1.5": Wide(
        "hunyuan-1.5",
        {"target_size": 640, "task_type": "t2v"},
        Shape(121, 480, 848),
        (1, 32, 31, 30, 53),
        Lattice(31, 30, 53),
        (16, 128),
        36,
        Shape(5, 128, 128),
    ),
    "ltx-2b": Wide(
        "ltx",
        {},
        Shape(161, 512, 704),
        (1, 128, 21, 16, 22),
        Lattice(21, 16, 22),
        (32, 64),
        7,
        Shape(17, 256, 256),
    ),
    "ltx-2-19b": Wide(
        "ltx-2",
        {"rope_type": "split"},
        Shape(121, 512, 768),
        (1, 128, 16, 16, 24),
        Lattice(16, 16, 24),
        (32, 128),
        1024,
        Shape(17, 128, 128),
    ),
    "cogvideox-2b": Wide(
        "cogvideox-table",
        {},
        Shape(49, 480, 720),
        (1, 16, 13, 60, 90),
        Lattice(13, 30, 45),
        (30, 64),
        226,
        Shape(9, 128, 128),
        {"num_layers": 30},
        "cogvideox-2b",
    ),
    "cogvideox-5b": Wide(
        "cogvideox-rotary",
        {"num_attention_heads": 48, "use_rotary_positional_embeddings": True},
        Shape(49, 480, 720),
        (1, 16, 13, 60, 90),
        Lattice(13, 30, 45),
        (48, 64),
        226,
        Shape(9, 128, 128),
        {"num_layers": 42},
        "cogvideox-5b",
    ),
    "cogvideox-1.5-5b": Wide(
        "cogvideox-1.5",
        {
            **{"num_attention_heads": 48, "use_rotary_positional_embeddings": True, "patch_size_t": 2},
            **{"patch_bias": False, "sample_width": 300, "sample_height": 300, "sample_frames": 81},
        },
        Shape(88, 768, 1360),
        (1, 16, 22, 96, 170),
        Lattice(11, 48, 85),
        (48, 64),
        226,
        Shape(16, 128, 128),
        {"num_layers": 42},
        "cogvideox-1.5",
    ),
    "mochi": Wide(
        "mochi",
        {},
        Shape(19, 480, 848),
        (1, 12, 4, 60, 106),
        Lattice(4, 30, 53),
        (24, 128),
        7,
        Shape(7, 128, 128),
    ),
    "kandinsky5-lite": Wide(
        "kandinsky5",
        {"in_visual_dim": 16, "out_visual_dim": 16, "model_dim": 1792, "ff_dim": 7168, "time_dim": 512},
        Shape(121, 512, 768),
        (1, 16, 31, 64, 96),
        Lattice(31, 32, 48),
        (28, 64),
        24,
        Shape(5, 128, 128),
    ),
    "allegro": Wide(
        "allegro",
        {},
        Shape(88, 720, 1280),
        (1, 4, 22, 90, 160),
        Lattice(22, 45, 80),
        (24, 96),
        7,
        Shape(8, 128, 128),
    ),
}
"""Published models by names: sizes by the published pipelines, configurations by diffusers' classes and conversion scripts."""
LAYERS = {"kandinsky5": "num_visual_blocks", "hunyuan": "num_layers"}
"""What a family calls the number of its blocks, where that is not ``num_layers``; HunyuanVideo has one of each kind."""


def wide(name: str) -> Any:
    """The pipeline of a published model, thin."""
    own = WIDE[name]
    pipeline = TRANSFORMERS[own.twin].build()
    kind = type(pipeline.transformer)
    count = 1 if own.twin == "hunyuan" else 2
    network = filled(lambda: kind(**{LAYERS.get(own.twin, "num_layers"): count, **own.network}))
    network.register_to_config(**own.published)
    parts = {"transformer": network, **_encoders(pipeline)}
    pipeline.register_modules(**parts)
    channels = own.latents[1]
    pipeline.vae.register_to_config(
        **{name: channels for name in ("z_dim", "latent_channels") if name in pipeline.vae.config}
    )
    if isinstance(pipeline, diffusers.CogVideoXPipeline):
        pipeline.vae_scale_factor_spatial = 8
    if isinstance(pipeline, diffusers.HunyuanVideo15Pipeline):
        pipeline.num_channels_latents, pipeline.vision_states_dim, pipeline.target_size = channels, 1152, 640
    if isinstance(pipeline, diffusers.LTX2Pipeline):
        pipeline.audio_vae.register_to_config(latent_channels=8, mel_bins=64)
    if isinstance(pipeline, diffusers.MochiPipeline):
        pipeline.vae.register_to_config(latents_mean=None, latents_std=None)
    return ready(pipeline)


def _encoders(pipeline: Any) -> dict[str, Any]:
    """The twin's text encoders, as wide as the published ones."""
    found: dict[str, Any] = {}
    for part in ("text_encoder", "text_encoder_2"):
        encoder = getattr(pipeline, part, None)
        if encoder is None:
            continue
        config = encoder.config
        if isinstance(encoder, CLIPTextModel):
            config.hidden_size = 768
        elif isinstance(encoder, QwenTextModel):
            config.hidden_size, config.num_attention_heads = (
                3584,
                448,
            )  # eight channels a head, as its rotary positions say
        elif isinstance(encoder, Qwen2_5_VLForConditionalGeneration):
            text = config.text_config
            text.hidden_size, text.num_attention_heads, config.vision_config.out_hidden_size = 3584, 448, 3584
        elif isinstance(encoder, Gemma3ForConditionalGeneration):
            config.text_config.hidden_size = 3840
        elif part == "text_encoder_2":
            config.d_model = 1472
        elif hasattr(config, "d_model"):
            config.d_model = 4096
        else:
            config.hidden_size, config.head_dim = 4096, 8
        found[part] = filled(lambda encoder=encoder, config=config: type(encoder)(config))
    if "connectors" in pipeline.components:
        shallow = {f"{kind}_connector_num_layers": 1 for kind in ("video", "audio")}
        found["connectors"] = filled(lambda: LTX2TextConnectors(text_proj_in_factor=3, rope_type="split", **shallow))
    return found


def filled(make: Callable[[], nn.Module], kind: torch.dtype = KIND, device: str = "cpu") -> Any:
    """A module with weights of the pattern, made on a device, and norms that scale by one."""
    with init_empty_weights():
        module = make()
    # What transformers' classes keep in single precision, they keep beside fp16 alone.
    kept = (getattr(module, "_keep_in_fp32_modules", None) or ()) if hasattr(module, "load_config") else ()
    for name, owner in list(module.named_modules()):
        for leaf, weight in list(owner.named_parameters(recurse=False)):
            path = f"{name}.{leaf}".split(".")
            own = torch.float32 if any(part in path for part in kept) else kind
            owner._parameters[leaf] = nn.Parameter(_pattern(weight, own, leaf, device), requires_grad=False)
    if hasattr(module, "tie_weights"):
        module.tie_weights()
    return module.eval() if device == "cpu" else module.eval().to(device)


def _pattern(weight: Tensor, kind: torch.dtype, leaf: str, device: str) -> Tensor:
    """Numbers of a deviation of a fiftieth; of a norm's weight ones."""
    if device == "meta":
        return torch.empty(weight.shape, dtype=kind, device=device)
    if weight.ndim == 1 and leaf == "weight":
        return torch.ones(weight.shape, dtype=kind, device=device)
    numbers = (torch.randn(PATTERN, generator=torch.Generator().manual_seed(0)) / 50).to(device, kind)
    whole = torch.empty(weight.numel(), dtype=kind, device=device)
    for start in range(0, len(whole), PATTERN):
        part = whole[start : start + PATTERN]
        part.copy_(numbers[: len(part)])
    return whole.view(weight.shape)
