"""CogVideoX: a diffusion transformer with joint attention over text and video tokens.

Serves :class:`diffusers.CogVideoXPipeline`: the published 2B (position table) and 5B (rotary positions), the bundled
``tiny-dit``, and anything saved in the same format.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as functional
from diffusers import CogVideoXDDIMScheduler, CogVideoXPipeline
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor, nn

from motionlift.core.cost import Passes
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.seen import Projections, Recorded
from motionlift.core.tensors import Latents, Pixels, Positions, Text
from motionlift.errors import InputError, SettingError
from motionlift.models import probe
from motionlift.models.identity import digest, sample_of
from motionlift.models.schedules import NoiseSchedule, signals_of_step, undone_step
from motionlift.models.words import tokens_within

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
CHECKPOINTED_PARAMETERS = 5e8
"""Above this many parameters activations are recomputed in backward (ours)."""
ROTARY_BASE = 300
"""What CogVideoX 1.5 has as height and width of its configuration: the base of its positions, and no size of a video."""
LARGE, LARGE_FPS = (768, 1360), 16.0
"""Height and width in pixels, and frames a second, of that model (model card)."""
FPS = 8.0
"""Frames a second of the others (model cards)."""

LINEAR: Mapping[str, re.Pattern[str]] = {
    "temporal": re.compile(r"\.attn1\.to_[qkv]$"),
    "linear": re.compile(r"^transformer_blocks\.\d+\.(attn1|ff)\."),
}
"""Names of the linear layers of each kind; the joint attention holds all kinds of attention."""


class RotaryAttention:
    """CogVideoX attention with rotary positions for queries and keys apart, applied out of place.

    The stock processor writes them in place, which breaks gradients with respect to the positions. Takes the stock pair
    ``(cos, sin)`` or the four tensors of :meth:`CogVideoX.positions`; outputs equal the stock processor's.
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, ...] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attend over text tokens, then video tokens; returns video and text."""
        text = encoder_hidden_states.size(1)
        joint = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        query, key, value = (
            layer(joint).unflatten(-1, (attn.heads, -1)).transpose(1, 2) for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        if attn.norm_q is not None:
            query = attn.norm_q(query)
        if attn.norm_k is not None:
            key = attn.norm_k(key)
        if image_rotary_emb is not None:
            query = self._turn(query, image_rotary_emb[:2], text)
            key = self._turn(key, image_rotary_emb[-2:], text)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        mixed = attn.to_out[1](attn.to_out[0](mixed.transpose(1, 2).flatten(2)))
        return mixed[:, text:], mixed[:, :text]

    @staticmethod
    def _turn(tensor: Tensor, rotary: tuple[Tensor, ...], text: int) -> Tensor:
        turned = apply_rotary_emb(tensor[:, :, text:], rotary)
        return torch.cat([tensor[:, :, :text], turned.to(tensor.dtype)], dim=2)


class CogVideoX:
    """The :class:`motionlift.core.model.Backbone` of a CogVideoX pipeline.

    The pipeline's weights are frozen, its attention processors replaced by equal ones that allow gradients to positions,
    and any other scheduler by the DDIM one of the same noise schedule.
    """

    family = "cogvideox"
    pipelines = ("CogVideoXPipeline",)
    parts: Mapping[str, tuple[str, ...]] = {
        "transformer": ("CogVideoXTransformer3DModel",),
        "vae": ("AutoencoderKLCogVideoX",),
        "text_encoder": ("T5EncoderModel",),
        "tokenizer": ("T5Tokenizer", "T5TokenizerFast"),
    }
    adapter_prefix = "transformer"

    def __init__(self, pipeline: CogVideoXPipeline, name: str, device: torch.device):
        self.name = name
        self.device = device
        self.pipeline = pipeline
        self.network = pipeline.transformer
        self.vae = pipeline.vae
        self.passes = Passes()
        for part in (pipeline.transformer, pipeline.vae, pipeline.text_encoder):
            part.requires_grad_(False).eval()
        self.network.set_attn_processor(RotaryAttention())
        if self.network.num_parameters() > CHECKPOINTED_PARAMETERS:
            self.network.enable_gradient_checkpointing()
            self.vae.enable_tiling()
        if not isinstance(pipeline.scheduler, CogVideoXDDIMScheduler):
            pipeline.scheduler = CogVideoXDDIMScheduler.from_config(pipeline.scheduler.config)
        self.scheduler = pipeline.scheduler
        self.schedule = NoiseSchedule(self.scheduler.alphas_cumprod)
        self.levels = len(self.schedule.alphas)
        self.blocks = len(self.network.transformer_blocks)
        self.places = tuple(f"block {number}" for number in range(self.blocks))
        self.identity = digest(self.network.config, self.vae.config, self.scheduler.config)
        self.fingerprint = digest(
            self.identity, *[sample_of(part) for part in (self.network, self.vae, pipeline.text_encoder)]
        )
        self.variant = _variant(name, self.network.config)
        self.defaults = DEFAULTS.get(self.variant, {})
        self.shape = self._default_shape()
        self.fps = LARGE_FPS if self._has_base_for_size else FPS

    def _default_shape(self) -> Shape:
        """The configured size, with the next frame count that whole temporal patches can give."""
        config, stride = self.network.config, self.pipeline.vae_scale_factor_spatial
        frames, patch = config.sample_frames, config.patch_size_t or 1
        if self._latent_frames(frames) % patch:
            latent = -(-self._latent_frames(frames) // patch) * patch
            frames = self._pixel_frames(latent)
        return Shape(
            frames,
            *(LARGE if self._has_base_for_size else (config.sample_height * stride, config.sample_width * stride)),
        )

    @property
    def _has_base_for_size(self) -> bool:
        """Whether the configured size is none."""
        return self.network.config.sample_height == self.network.config.sample_width == ROTARY_BASE

    def fitting(self, frames: int | None) -> Shape:
        """The default size with so many frames.

        Raises:
            SettingError: the autoencoder cannot give back so many frames. It codes groups of four; an odd number of
                groups gives ``4 n - 3`` frames and an even one ``4 n``.
        """
        count = self.shape.frames if frames is None else frames
        patch = self.network.config.patch_size_t or 1
        latent = self._latent_frames(count)
        if count < 2 or self._pixel_frames(latent) != count or latent % patch:
            raise SettingError(
                f"{count} frames do not fit {self.name}: allowed are 8n and 8n+1 (8, 9, 16, 17, 24, ...; "
                f"with a temporal patch of {patch} only those whose latent frames it divides); "
                f"its own length is {self.shape.frames}"
            )
        return Shape(count, self.shape.height, self.shape.width)

    def _latent_frames(self, frames: int) -> int:
        stride = self.pipeline.vae_scale_factor_temporal
        return (frames + stride - 1) // stride

    def _pixel_frames(self, latent: int) -> int:
        """Frames that the autoencoder makes of so many latent ones."""
        stride = self.pipeline.vae_scale_factor_temporal
        return stride * latent - (stride - 1 if latent % 2 else 0)

    def latent_shape(self, shape: Shape) -> tuple[int, int, int, int, int]:
        """Latent sizes ``(1, c, f, h, w)``."""
        stride = self.pipeline.vae_scale_factor_spatial
        frames = self._latent_frames(shape.frames)
        return 1, self.network.config.in_channels, frames, shape.height // stride, shape.width // stride

    def grid(self, shape: Shape, block: int | None = None) -> Lattice:
        """The lattice of a video, the same in every block."""
        _, _, frames, height, width = self.latent_shape(shape)
        patch, patch_time = self.network.config.patch_size, self.network.config.patch_size_t or 1
        return Lattice(frames // patch_time, height // patch, width // patch)

    def frame_times(self, frames: int) -> list[float]:
        """Middles of the pixel frames behind each lattice frame.

        The autoencoder keeps the first of an odd number of frames alone and averages groups of four after it; an even
        number is groups of four throughout.
        """
        stride, patch = self.pipeline.vae_scale_factor_temporal, self.network.config.patch_size_t or 1
        latent = self._latent_frames(frames)
        lone = frames % 2
        middles = [stride * n + (stride - 1) / 2 - lone * (stride - 1) for n in range(latent)]
        if lone:
            middles[0] = 0.0
        return [sum(middles[n : n + patch]) / patch for n in range(0, latent, patch)]

    @contextmanager
    def _at_work(self, part: nn.Module) -> Iterator[None]:
        """Hold a part on the device only while it is used, so that the parts never need to fit together."""
        part.to(self.device)
        try:
            yield
        finally:
            if self.device.type != "cpu":
                part.to("cpu")

    @torch.no_grad()
    def encode(self, pixels: Pixels) -> Latents:
        """Mean latents, scaled."""
        with self._at_work(self.vae):
            video = pixels.transpose(0, 1)[None].to(self.device, self.vae.dtype)
            return self.vae.encode(video).latent_dist.mode().float() * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Latents) -> Pixels:
        """The video of latents, cut to -1..1."""
        with self._at_work(self.vae):
            scaled = latents.to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
            return self.vae.decode(scaled).sample[0].transpose(0, 1).float().clamp(-1, 1).cpu()

    @torch.no_grad()
    def text(self, prompt: str) -> Text:
        """Encode a prompt.

        Raises:
            InputError: it is longer than the model's text window.
        """
        window = self.network.config.max_text_seq_length
        tokens = len(self.pipeline.tokenizer(prompt, truncation=False).input_ids)
        if tokens > window:
            raise InputError(f"the prompt has {tokens} tokens; {self.name} reads {window}: shorten it")
        with self._at_work(self.pipeline.text_encoder):
            embedding, _ = self.pipeline.encode_prompt(
                prompt, do_classifier_free_guidance=False, max_sequence_length=window, device=self.device
            )
        return embedding.float()  # pyright: ignore[reportOptionalMemberAccess]

    def unknown_words(self, prompt: str) -> list[str]:
        """Words that the tokenizer has no piece for."""
        tokenizer = self.pipeline.tokenizer
        return [word for word in prompt.split() if tokenizer.unk_token_id in tokenizer(word).input_ids]

    def timesteps(self, steps: int) -> Sequence[int]:
        """Timesteps of a run, noisiest first."""
        self.scheduler.set_timesteps(steps)
        # For some counts, 61 among them, diffusers' rounding gives a timestep too many, below zero.
        return [timestep for timestep in self.scheduler.timesteps.tolist() if timestep >= 0][:steps]

    def estimates(self, output: Latents, timestep: int, latents: Latents) -> tuple[Latents, Latents]:
        """Clean latents and noise that the network's output speaks of."""
        return self.schedule.estimates(latents, output, timestep, self.scheduler.config.prediction_type)

    def linear_layers(self, kind: str) -> Sequence[str]:
        """Names of linear layers: queries, keys and values of the joint attention, or all of the blocks' attention and MLP.

        Raises:
            SettingError: spatial attention is asked for.
        """
        if kind == "spatial":
            raise SettingError(
                f"{self.name} attends jointly to text, space and time; it has no spatial attention to tune apart: ask for "
                "temporal, which is all of it"
            )
        return [
            name
            for name, module in self.network.named_modules()
            if isinstance(module, nn.Linear) and LINEAR[kind].search(name)
        ]

    def step(self, output: Latents, timestep: int, latents: Latents) -> Latents:
        """One DDIM step."""
        return self.scheduler.step(output, timestep, latents, return_dict=False)[0]

    def step_back(self, output: Latents, timestep: int, latents: Latents) -> Latents:
        """The DDIM step to the next timestep undone: latents at this one."""
        return undone_step(
            latents, output, signals_of_step(self.scheduler, timestep), self.scheduler.config.prediction_type
        )

    def word_places(self, prompt: str, word: str) -> tuple[int, ...]:
        """Places of a word's tokens in the encoded prompt, wherever it comes."""
        return tokens_within(self.pipeline.tokenizer, prompt, word)

    def add_noise(self, latents: Latents, noise: Latents, timestep: int) -> Latents:
        """Latents noised to a timestep."""
        return self.schedule.add_noise(latents, noise, timestep)

    def positions(self, shape: Shape) -> Positions:
        """``query_cos``, ``query_sin``, ``key_cos``, ``key_sin`` (tokens, d); or ``table`` (1, tokens, width)."""
        if self.network.config.use_rotary_positional_embeddings:
            cosine, sine = self._rotary(self.latent_shape(shape))
            return {"query_cos": cosine, "query_sin": sine, "key_cos": cosine.clone(), "key_sin": sine.clone()}
        return {"table": self._table(self.latent_shape(shape))}

    def _rotary(self, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        stride = self.pipeline.vae_scale_factor_spatial
        height, width = sizes[-2] * stride, sizes[-1] * stride
        return self.pipeline._prepare_rotary_positional_embeddings(height, width, sizes[2], self.device)

    def _table(self, sizes: Sequence[int]) -> Tensor:
        """The position table of the video tokens, as the patch embedding adds it."""
        embed = self.network.patch_embed
        frames = (sizes[2] - 1) * embed.temporal_compression_ratio + 1
        configured = (embed.sample_frames, embed.sample_height, embed.sample_width) == (frames, *sizes[-2:])
        whole = (
            embed.pos_embedding
            if configured
            else embed._get_positional_embeddings(sizes[-2], sizes[-1], frames, device=self.device)
        )
        return whole[:, embed.max_text_seq_length :].to(self.device, torch.float32).clone()

    def _run(self, latents: Latents, timestep: int, text: Text, positions: Positions | None) -> Tensor:
        """One pass of the transformer, in its own axes and type."""
        self.network.to(self.device)
        self.passes.forward += len(latents)
        kind = self.network.dtype
        rotary = None
        with ExitStack() as stack:
            if self.network.config.use_rotary_positional_embeddings:
                rotary = self._rotary(latents.shape) if positions is None else _four(positions)
            elif positions is not None:
                shift = positions["table"].to(self.device) - self._table(latents.shape)
                stack.enter_context(_shifted_embedding(self.network.patch_embed, shift, text.shape[1]))
            return self.network(
                hidden_states=latents.transpose(1, 2).to(self.device, kind),
                encoder_hidden_states=text.to(self.device, kind),
                timestep=torch.full((len(latents),), timestep, device=self.device),
                image_rotary_emb=rotary,
                return_dict=False,
            )[0]

    def predict(self, latents: Latents, timestep: int, text: Text, positions: Positions | None = None) -> Latents:
        """The predicted velocity (or noise), in single precision."""
        return self._run(latents, timestep, text, positions).transpose(1, 2).float()

    def record(
        self,
        latents: Latents,
        timestep: int,
        text: Text,
        blocks: Sequence[int],
        positions: Positions | None = None,
        features: bool = True,
    ) -> Mapping[int, Recorded]:
        """Run up to the last of the blocks and return queries, keys, values and outputs there, video tokens only."""
        attention: dict[int, probe.Attention] = {}
        outputs: dict[int, Tensor] = {}
        with ExitStack() as stack:
            for number in blocks:
                block = self.network.transformer_blocks[number]
                stack.enter_context(probe.catching(block.attn1, _keeper(attention, number)))
                handle = block.register_forward_hook(_feature_keeper(outputs, number))
                stack.callback(handle.remove)
            stack.enter_context(probe.only_first(self.network, "transformer_blocks", max(blocks) + 1))
            if not features and not self.network.is_gradient_checkpointing:
                stack.enter_context(probe.stopping_at(self.network.transformer_blocks[max(blocks)].attn1))
            self._run(latents, timestep, text, positions)
        return {
            number: _recorded(attention[number], outputs.get(number) if features else None, text.shape[1])
            for number in blocks
        }

    @contextmanager
    def injecting(self, recorded: Mapping[int, Recorded]) -> Iterator[None]:
        """Replace the video keys and values of blocks by recorded ones."""
        with ExitStack() as stack:
            for number, seen in recorded.items():
                attention = self.network.transformer_blocks[number].attn1
                stack.enter_context(probe.catching(attention, _replacer(seen)))
            yield


def _recorded(attention: probe.Attention, features: Tensor | None, text: int) -> Recorded:
    """One joint attention, text tokens first, as the three kinds that are slices of it."""
    query, key, value = (tensor[:, :, text:] for tensor in attention)
    features = query.new_empty(len(query), query.shape[2], 0) if features is None else features
    text_key = attention[1][:, :, :text]
    own = Projections(query, key, rivals=(text_key, key))
    return Recorded(query, key, value, features, replace(own, key=text_key), own, (own,))


def _keeper(kept: dict[int, probe.Attention], number: int) -> Callable[[probe.Attention], probe.Attention]:
    """Keep the first attention seen: a recomputation in backward must not replace it."""

    def look(attention: probe.Attention) -> probe.Attention:
        kept.setdefault(number, attention)
        return attention

    return look


def _feature_keeper(kept: dict[int, Tensor], number: int) -> Callable[[nn.Module, Any, tuple[Tensor, Tensor]], None]:
    """Keep the first output of a block: video tokens come first."""

    def look(_module: nn.Module, _arguments: Any, output: tuple[Tensor, Tensor]) -> None:
        kept.setdefault(number, output[0])

    return look


def _replacer(seen: Recorded) -> Callable[[probe.Attention], probe.Attention]:
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


BACKBONE = CogVideoX
