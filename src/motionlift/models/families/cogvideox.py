"""CogVideoX: a diffusion transformer with joint attention over text and video tokens.

Serves :class:`diffusers.CogVideoXPipeline`: the published 2B (position table) and 5B (rotary positions), the bundled
``tiny-dit``, and anything saved in the same format.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler
from torch import Tensor, nn

from motionlift.core.condition import Condition
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Projections, Recorded
from motionlift.core.tensors import Latents, Positions
from motionlift.errors import SettingError
from motionlift.models import probe
from motionlift.models.codecs import VideoAutoencoder
from motionlift.models.identity import SCHEDULER_FIELDS
from motionlift.models.rotary import RotaryAttention
from motionlift.models.schedules import diffusion_schedule
from motionlift.models.shared import TEXT, PipelineModel, Seen

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "cogvideox-2b": {"cfg": 6.0},
    "cogvideox-5b": {"cfg": 7.0, "dynamic_cfg": True},
    "tiny-dit": {
        "steps": 30,
        "cfg": 4.0,
        "share": 0.34,
        "optimizer": "rms",
        "lr": 0.01,
        "lr_end": 0.01,
    },
}
"""Sampling and guiding per model: the published models' own (2B: model card; 5B: DiTFlow), the bundled one's by our sweep."""
ROTARY_BASE = 300
"""What CogVideoX 1.5 has as height and width of its configuration: the base of its positions, and no size of a video."""
LARGE, LARGE_FPS = (768, 1360), 16.0
"""Height and width in pixels, and frames a second, of that model (model card)."""
FPS = 8.0
"""Frames a second of the others (model cards)."""
DECISIVE: Mapping[str, tuple[str, ...]] = {
    "network": (
        *("num_layers", "num_attention_heads", "attention_head_dim", "in_channels", "out_channels", "text_embed_dim"),
        *("patch_size", "patch_size_t", "patch_bias", "max_text_seq_length", "use_rotary_positional_embeddings"),
        *("sample_width", "sample_height", "sample_frames", "temporal_compression_ratio"),
        *("spatial_interpolation_scale", "temporal_interpolation_scale", "use_learned_positional_embeddings"),
    ),
    "autoencoder": ("latent_channels", "block_out_channels", "temporal_compression_ratio", "scaling_factor"),
    "scheduler": SCHEDULER_FIELDS,
}
"""The settings of the parts' configurations by which a motion fits a model."""


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


class CogVideoX(PipelineModel):
    """The :class:`motionlift.core.model.Model` of a CogVideoX pipeline.

    While it runs, its attention processors are equal ones that allow gradients to positions. Whatever its scheduler, it samples by
    the DDIM of the same noise schedule.
    """

    family = "cogvideox"
    pipelines = ("CogVideoXPipeline",)
    parts: Mapping[str, tuple[str, ...]] = {
        "transformer": ("CogVideoXTransformer3DModel",),
        "vae": ("AutoencoderKLCogVideoX",),
        "text_encoder": ("T5EncoderModel",),
        "tokenizer": ("T5Tokenizer", "T5TokenizerFast"),
    }
    linear: Mapping[str, re.Pattern[str]] = {
        "temporal": re.compile(r"\.attn1\.to_[qkv]$"),
        "linear": re.compile(r"^transformer_blocks\.\d+\.(attn1|ff)\."),
    }
    """The joint attention holds all kinds of attention."""
    decisive = DECISIVE
    defaults = DEFAULTS

    def __init__(self, pipeline: Any, name: str, device: torch.device, given: bool = False):
        super().__init__(pipeline, name, device, given)
        config, vae = self._network.config, pipeline.vae
        self._scheduling = {**pipeline.scheduler.config}
        scheduling = CogVideoXDDIMScheduler.from_config(self._scheduling).config
        has_base_for_size = config.sample_height == config.sample_width == ROTARY_BASE
        side = pipeline.vae_scale_factor_spatial
        size = LARGE if has_base_for_size else (config.sample_height * side, config.sample_width * side)
        self.codec = CogVideoXAutoencoder(
            vae=vae,
            name=name,
            shape=Shape(config.sample_frames, *size),
            channels=config.in_channels,
            side=side,
            device=device,
            using=self._turns.using,
            in_parts=self._large,
            group=pipeline.vae_scale_factor_temporal,
            patch=config.patch_size_t or 1,
        )
        self.codec = replace(self.codec, shape=_whole_patches(self.codec))
        width = config.num_attention_heads * config.attention_head_dim
        widths = {f"block {number}": width for number in range(len(self._network.transformer_blocks))}
        fps = LARGE_FPS if has_base_for_size else FPS
        self.about = self._introduced(name, _variant(name, config), scheduling, fps, widths)
        self.text = self._reading(config.max_text_seq_length, _is_unknown)

    def _embedding(self, prompt: str) -> Tensor:
        window = self._network.config.max_text_seq_length
        return self._pipeline.encode_prompt(
            prompt, do_classifier_free_guidance=False, max_sequence_length=window, device=self._device
        )[0]

    def schedule(self, steps: int) -> Schedule:
        """The levels of a DDIM run."""
        return diffusion_schedule(CogVideoXDDIMScheduler, self._scheduling, steps, self.about.name, whole_strides=False)

    def lattice(self, shape: Shape, block: int | None = None) -> Lattice:
        """The lattice of a video, the same in every block."""
        _, _, frames, height, width = self.codec.latent_shape(shape)
        patch = self._network.config.patch_size
        return Lattice(frames // self.codec.patch, height // patch, width // patch)

    def linear_layers(self, kind: str) -> Sequence[str]:
        """Names of linear layers: queries, keys and values of the joint attention, or all of the blocks' attention and MLP.

        Raises:
            SettingError: spatial attention is asked for.
        """
        if kind == "spatial":
            raise SettingError(
                f"{self.about.name} attends jointly to text, space and time; it has no spatial attention to tune apart: ask for "
                "temporal, which is all of it"
            )
        return super().linear_layers(kind)

    def positions(self, shape: Shape) -> Positions:
        """``query_cos``, ``query_sin``, ``key_cos``, ``key_sin`` (tokens, d); or ``table`` (1, tokens, width)."""
        if self._network.config.use_rotary_positional_embeddings:
            cosine, sine = self._rotary(self.codec.latent_shape(shape))
            return {"query_cos": cosine, "query_sin": sine, "key_cos": cosine.clone(), "key_sin": sine.clone()}
        return {"table": self._table(self.codec.latent_shape(shape))}

    def _rotary(self, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        height, width = sizes[-2] * self.codec.side, sizes[-1] * self.codec.side
        return self._pipeline._prepare_rotary_positional_embeddings(height, width, sizes[2], self._device)

    def _table(self, sizes: Sequence[int]) -> Tensor:
        """The position table of the video tokens, as the patch embedding adds it."""
        embed = self._network.patch_embed
        frames = (sizes[2] - 1) * embed.temporal_compression_ratio + 1
        configured = (embed.sample_frames, embed.sample_height, embed.sample_width) == (frames, *sizes[-2:])
        whole = (
            embed.pos_embedding
            if configured
            else embed._get_positional_embeddings(sizes[-2], sizes[-1], frames, device=self._device)
        )
        return whole[:, embed.max_text_seq_length :].to(self._device, torch.float32).clone()

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """Our attention processors; and activations are recomputed where they are many."""
        attentions = [block.attn1 for block in self._network.transformer_blocks]
        before, kept = [attention.processor for attention in attentions], self._network.is_gradient_checkpointing
        ours = RotaryAttention()
        for attention in attentions:
            attention.set_processor(ours)
        if self._large:
            self._network.enable_gradient_checkpointing()
        try:
            yield
        finally:
            for attention, processor in zip(attentions, before, strict=True):
                attention.set_processor(processor)
            if self._large and not kept:
                self._network.disable_gradient_checkpointing()

    def _predicted(self, latents: Latents, level: Level, condition: Condition, positions: Positions | None) -> Latents:
        kind, text = self._network.dtype, condition.tensors[TEXT]
        rotary = None
        with ExitStack() as stack:
            if self._network.config.use_rotary_positional_embeddings:
                rotary = self._rotary(latents.shape) if positions is None else _four(positions)
            elif positions is not None:
                shift = positions["table"].to(self._device) - self._table(latents.shape)
                stack.enter_context(_shifted_embedding(self._network.patch_embed, shift, text.shape[1]))
            output = self._network(
                hidden_states=latents.transpose(1, 2).to(self._device, kind),
                encoder_hidden_states=text.to(self._device, kind),
                timestep=self._times(latents, level),
                image_rotary_emb=rotary,
                return_dict=False,
            )[0]
        return output.transpose(1, 2)

    def _attentions(self, number: int) -> Sequence[nn.Module]:
        return [self._featured(number).get_submodule("attn1")]

    def _featured(self, number: int) -> nn.Module:
        return self._network.transformer_blocks[number]

    @contextmanager
    def _stopping(self, last: int, features: bool) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(probe.only_first(self._network, "transformer_blocks", last + 1))
            if not features and not self._network.is_gradient_checkpointing:
                stack.enter_context(probe.stopping_at(self._attentions(last)[0]))
            yield

    def _recorded(self, number: int, seen: Seen, features: Tensor | None, clips: int, condition: Condition) -> Recorded:
        """One joint attention, text tokens first, as the three kinds that are slices of it."""
        attention, text = seen[self._attentions(number)[0]], condition.tensors[TEXT].shape[1]
        query, key, value = (tensor[:, :, text:] for tensor in attention)
        features = query.new_empty(len(query), query.shape[2], 0) if features is None else features
        text_key = attention[1][:, :, :text]
        own = Projections(query, key, joint_keys=(text_key, key))
        return Recorded(query, key, value, features, replace(own, key=text_key), own, (own,))

    def _injected(self, seen: Recorded) -> Callable[[probe.Attention], probe.Attention]:
        """Put recorded keys and values in the place of those of the video tokens."""

        def change(attention: probe.Attention) -> probe.Attention:
            query, key, value = attention
            text = key.shape[2] - seen.key.shape[2]
            swapped = [
                torch.cat([own[:, :, :text], other.to(own.dtype).expand(len(own), -1, -1, -1)], dim=2)
                for own, other in ((key, seen.key), (value, seen.value))
            ]
            return query, swapped[0], swapped[1]

        return change


def _whole_patches(codec: CogVideoXAutoencoder) -> Shape:
    """The configured size, with the next number of frames that whole temporal patches can give."""
    latent = codec.latent_frames(codec.shape.frames)
    if latent % codec.patch == 0:
        return codec.shape
    return replace(codec.shape, frames=codec.pixel_frames(-(-latent // codec.patch) * codec.patch))


def _is_unknown(tokenizer: Any, word: str) -> bool:
    """Whether the vocabulary has no piece for a part of a word."""
    return tokenizer.unk_token_id in tokenizer(word).input_ids


def _four(positions: Positions) -> tuple[Tensor, ...]:
    return tuple(positions[name] for name in ("query_cos", "query_sin", "key_cos", "key_sin"))


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


def _variant(name: str, config: Mapping[str, Any]) -> str:
    """Which published model a configuration is."""
    published = {(30, False, None): "cogvideox-2b", (42, True, None): "cogvideox-5b"}
    names = ("num_layers", "use_rotary_positional_embeddings", "patch_size_t")
    found = published.get(tuple(config[name] for name in names))
    return found or (name if name == "tiny-dit" else CogVideoX.family)


MODEL = CogVideoX
