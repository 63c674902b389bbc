"""CogVideoX 1.0 and 1.5: a diffusion transformer with joint attention over text and video tokens.

The published 2B (position table), 5B and 1.5 (rotary positions), the bundled ``tiny-dit``, and anything saved in the same format.
Its positions are an argument of the network, or a table that it adds.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from motionlift.core.tensors import Positions
from motionlift.models.codecs import VideoAutoencoder
from motionlift.models.identity import SCHEDULER_FIELDS
from motionlift.models.offloading import reading
from motionlift.models.picturing import Picturing
from motionlift.models.rotary import RotaryAttention
from motionlift.models.shared import TEXT
from motionlift.models.transformer import HIDDEN, Published, Row
from motionlift.motion.original import Blocks, Readers

ROTARY_BASE = 300
"""What CogVideoX 1.5 has as height and width of its configuration: the base of its positions, and no size of a video."""
LARGE, LARGE_FPS = (768, 1360), 16.0
"""Height and width in pixels, and frames a second, of that model (model card)."""
FPS = 8.0
"""Frames a second of the others (model cards)."""
OVERFLOW = {"fp16": "it overflows and the video is black (zai-org/CogVideo, issues 559 and 637)"}
"""What is known of the models that were trained in bf16; the 2B was trained in fp16 (model cards)."""
ROTARY = ("query_cos", "query_sin", "key_cos", "key_sin")
"""Names of the rotary tensors, which the network takes for queries and keys apart."""


@dataclass(frozen=True)
class CogVideoXAutoencoder(VideoAutoencoder):
    """CogVideoX's: it codes groups of four, the first of an odd number of them as one frame alone."""

    def pixel_frames(self, latent: int) -> int:
        """An odd number of groups gives ``4 n - 3`` frames, and an even one ``4 n``."""
        return self.group * latent - (self.group - 1 if latent % 2 else 0)

    def _allowed(self) -> str:
        return (
            f"8n and 8n+1 (8, 9, 16, 17, 24, ...; with a temporal patch of {self.patch} only those whose latent frames it "
            "divides)"
        )

    def frame_times(self, frames: int) -> list[float]:
        """Middles of the pixel frames behind each lattice frame; an even number of frames is groups throughout."""
        if frames % 2:
            return super().frame_times(frames)
        middles = [self.group * n + (self.group - 1) / 2 for n in range(self.latent_frames(frames))]
        return [sum(middles[n : n + self.patch]) / self.patch for n in range(0, len(middles), self.patch)]


class CogVideoXPositions:
    """Rotary tensors that are an argument, for queries and keys apart; or a table that the patch embedding adds.

    The networks attend by :class:`motionlift.models.rotary.RotaryAttention` meanwhile.
    """

    def found(self, network: nn.Module, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
        """``query_cos``, ``query_sin``, ``key_cos``, ``key_sin`` (tokens, d); or ``table`` (1, tokens, width)."""
        rotary = arguments.get("image_rotary_emb")
        if rotary is not None:
            return {name: tensor.clone() for name, tensor in zip(ROTARY, (*rotary, *rotary), strict=True)}
        return {"table": _table(network, arguments[HIDDEN])}

    @contextmanager
    def placed(self, network: nn.Module, arguments: dict[str, Any], positions: Positions) -> Iterator[None]:
        """Another argument, or a shift of what the patch embedding gives."""
        if "table" not in positions:
            arguments["image_rotary_emb"] = tuple(positions[name] for name in ROTARY)
            yield
            return
        own, text = _table(network, arguments[HIDDEN]), arguments[TEXT].shape[1]
        with _shifted_embedding(network.patch_embed, positions["table"].to(own) - own, text):
            yield

    @contextmanager
    def ready(self, networks: Sequence[nn.Module]) -> Iterator[None]:
        """Our attention processors, which give the same and write nothing in place."""
        ours = RotaryAttention()
        blocks = [block for own in networks for block in own.get_submodule("transformer_blocks").children()]
        with ExitStack() as stack:
            for block in blocks:
                attention: Any = block.get_submodule("attn1")
                stack.callback(attention.set_processor, attention.processor)
                attention.set_processor(ours)
            yield


def _table(network: nn.Module, hidden: Tensor) -> Tensor:
    """The position table of the video tokens, as the patch embedding adds it to latents ``b f c h w``."""
    embed: Any = network.patch_embed
    frames, height, width = hidden.shape[1], *hidden.shape[3:]
    frames = (frames - 1) * embed.temporal_compression_ratio + 1
    configured = (embed.sample_frames, embed.sample_height, embed.sample_width) == (frames, height, width)
    whole = (
        reading(network)(embed.pos_embedding)
        if configured
        else embed._get_positional_embeddings(height, width, frames, device=hidden.device)
    )
    return whole[:, embed.max_text_seq_length :].to(hidden.device, torch.float32).clone()


@contextmanager
def _shifted_embedding(embed: nn.Module, shift: Tensor, text: int) -> Iterator[None]:
    """Add a shift to the video tokens that a patch embedding gives."""

    def add(_module: nn.Module, _arguments: Any, output: Tensor) -> Tensor:
        return torch.cat([output[:, :text], output[:, text:] + shift.to(output.dtype)], dim=1)

    handle = embed.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _size(pipeline: Any) -> tuple[int, int]:
    """Height and width by the configuration."""
    config, side = pipeline.transformer.config, pipeline.vae_scale_factor_spatial
    return config.sample_height * side, config.sample_width * side


MODEL = Row(
    family="cogvideox",
    licence="Apache-2.0 (2B), CogVideoX (5B, 1.5)",
    pipelines=("CogVideoXPipeline", "CogVideoXImageToVideoPipeline"),
    transformers=("CogVideoXTransformer3DModel",),
    fps=FPS,
    scheduler="DDIM, or DPM of the second order",
    cross=None,
    text_first=True,
    axes="bfchw",
    joined=(TEXT,),
    diffusion="CogVideoXDDIMScheduler",
    codec=CogVideoXAutoencoder,
    picturing=Picturing("CogVideoXImageToVideoPipeline", lambda pipeline: False),
    placing=CogVideoXPositions(),
    readers=Readers(
        "transformer",
        (
            Blocks(
                own="transformer_blocks",
                original="blocks",
                layers={
                    **{name: (f"attn1.to_{name}",) for name in "qkv"},
                    "attn_out": ("attn1.to_out.0",),
                    "ff_proj": ("ff.net.0.proj",),
                    "ff_out": ("ff.net.2",),
                },
            ),
        ),
    ),
    size=_size,
    frames=lambda pipeline: pipeline.transformer.config.sample_frames,
    window=lambda pipeline: pipeline.transformer.config.max_text_seq_length,
    published={
        "cogvideox-2b": Published(
            {"num_layers": 30, "use_rotary_positional_embeddings": False, "patch_size_t": None}, defaults={"cfg": 6.0}
        ),
        "cogvideox-5b": Published(
            {"num_layers": 42, "use_rotary_positional_embeddings": True, "patch_size_t": None},
            defaults={"cfg": 7.0, "dynamic_cfg": True},
            broken=OVERFLOW,
        ),
        "cogvideox-1.5": Published(
            {"sample_height": ROTARY_BASE, "sample_width": ROTARY_BASE},
            size=LARGE,
            sizes=(LARGE, LARGE[::-1]),
            fps=LARGE_FPS,
            broken=OVERFLOW,
        ),
        "tiny-dit": Published(
            {"name": "tiny-dit"},
            defaults={"steps": 30, "cfg": 4.0, "share": 0.34, "optimizer": "rms", "lr": 0.01, "lr_end": 0.01},
        ),
    },
    decisive={
        "network": (
            *(
                "num_layers",
                "num_attention_heads",
                "attention_head_dim",
                "in_channels",
                "out_channels",
                "text_embed_dim",
            ),
            *("patch_size", "patch_size_t", "patch_bias", "max_text_seq_length", "use_rotary_positional_embeddings"),
            *("sample_width", "sample_height", "sample_frames", "temporal_compression_ratio"),
            *("spatial_interpolation_scale", "temporal_interpolation_scale", "use_learned_positional_embeddings"),
        ),
        "autoencoder": ("latent_channels", "block_out_channels", "temporal_compression_ratio", "scaling_factor"),
        "scheduler": SCHEDULER_FIELDS,
    },
)
"""Sampling of the published models by their papers and cards (2B: model card; 5B: DiTFlow), of the bundled one by our sweep.
Whatever a pipeline's scheduler, it samples by the DDIM of the same noise schedule."""
