"""The UNet of ModelScope and ZeroScope: attention over text, over the places of a frame, and over frames, each by itself.

Serves :class:`diffusers.TextToVideoSDPipeline`: the published models, the bundled ``tiny-unet``, and anything saved in the
same format. Its blocks, as methods count them, are its spatial transformers, from the first down block through the middle to the
last up block; each comes with the temporal transformer that follows it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

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
    "modelscope": {"cfg": 9.0},
    "zeroscope": {"cfg": 9.0},
    "tiny-unet": {
        "steps": 20,
        "cfg": 4.0,
        "share": 0.34,
        "optimizer": "rms",
        "lr": 0.01,
        "lr_end": 0.01,
    },
}
"""Sampling per model: the published ones' by the published pipeline's default, the bundled one's are ours."""
FRAMES, FPS = 16, 8.0
"""Default length and rate: those of the published pipeline's default and examples."""
SIZES: Mapping[str, tuple[int, int]] = {"zeroscope_v2_576w": (320, 576), "zeroscope_v2_xl": (576, 1024)}
"""Height and width that a model was trained at, where its configuration tells another size (model cards)."""
CHECKPOINTED_PARAMETERS = 5e8
"""Above this many parameters activations are recomputed in backward (ours)."""
SPATIAL = re.compile(r"(down_blocks|mid_block|up_blocks)(?:\.(\d+))?\.attentions\.(\d+)")
"""Names of the spatial transformers; the temporal one of each has ``temp_attentions`` in the same place."""

LINEAR: Mapping[str, re.Pattern[str]] = {
    "temporal": re.compile(r"(temp_attentions|transformer_in)\b.*\.attn[12]\.to_[qkv]$"),
    "spatial": re.compile(r"\battentions\b.*\.attn1\.to_[qkv]$"),
    "linear": re.compile(r"\b(temp_)?attentions\b|\btransformer_in\b"),
}
"""Names of the linear layers of each kind; both attentions of a temporal transformer are over frames."""


@dataclass(frozen=True)
class Layer:
    """A spatial transformer and the temporal one that follows it."""

    place: str
    """Where it is: ``down 1.0``, ``mid 0``, ``up 0.1``: block, and layer in the block."""
    block: str
    """Name of the block of the network that holds it, after which a pass may stop."""
    level: int
    """How many times its lattice is halved from that of the latents."""
    spatial: nn.Module
    """Self-attention over the places of a frame."""
    cross: nn.Module
    """Attention to the text."""
    temporal: tuple[nn.Module, ...]
    """Self-attentions over frames, at one place."""
    after: nn.Module
    """The temporal transformer: what leaves it are the layer's features."""


def layers_of(network: nn.Module) -> list[Layer]:
    """The layers of a network in the order in which they run, found by name."""
    blocks = len(network.down_blocks)
    found = []
    for name, module in network.named_modules():
        match = SPATIAL.fullmatch(name)
        if match is None:
            continue
        kind, number, layer = match[1], int(match[2] or 0), match[3]
        side, level, order = {
            "down_blocks": ("down", number, 0),
            "mid_block": ("mid", blocks - 1, 1),
            "up_blocks": ("up", blocks - 1 - number, 2),
        }[kind]
        place = f"mid {layer}" if side == "mid" else f"{side} {number}.{layer}"
        spatial: Any = module.get_submodule("transformer_blocks.0")
        after = network.get_submodule(name.replace("attentions", "temp_attentions"))
        temporal: Any = after.get_submodule("transformer_blocks.0")
        both = (temporal.attn1, temporal.attn2)
        own = Layer(place, name.partition(".attentions")[0], level, spatial.attn1, spatial.attn2, both, after)
        found.append(((order, number, int(layer)), own))
    return [layer for _, layer in sorted(found, key=lambda each: each[0])]


def last_part(name: str) -> str:
    """The last part of a folder's or the hub's name for a model, in small letters."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()


def variant_of(name: str) -> str:
    """The row of the tables that a model's name asks for: the published models differ in nothing else that is saved."""
    last = last_part(name)
    known = {
        "zeroscope": "zeroscope",
        "text-to-video-ms": "modelscope",
        "modelscope": "modelscope",
        "tiny-unet": "tiny-unet",
    }
    return next((variant for start, variant in known.items() if last.startswith(start)), UNet3D.family)


@dataclass(frozen=True)
class _Recomputed:
    """The forward of a block whose activations are recomputed while its backbone says so."""

    forward: Callable[..., Any]
    """The block's own."""
    backbone: "UNet3D"
    """The last one that was made of the network."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Run the block; named tensors go as an argument, since the state of dropout is kept for the devices of those alone."""
        if not self.backbone.recomputes:
            return self.forward(*arguments, **named)
        return checkpoint(self._run, named, *arguments, use_reentrant=False)

    def _run(self, named: Mapping[str, Any], *arguments: Any) -> Any:
        return self.forward(*arguments, **named)


class UNet3D:
    """A :class:`motionlift.core.model.Backbone` for TextToVideoSD pipelines.

    It takes the pipeline over: its parts are frozen and moved to the device as they are needed, and its scheduler is replaced by
    the DDIM one of the same noise schedule, without clipping.
    """

    family = "unet3d"
    pipelines = ("TextToVideoSDPipeline",)
    parts: Mapping[str, tuple[str, ...]] = {
        "unet": ("UNet3DConditionModel",),
        "vae": ("AutoencoderKL",),
        "text_encoder": ("CLIPTextModel",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    }
    adapter_prefix = "unet"
    fps = FPS

    def __init__(self, pipeline: Any, name: str, device: torch.device):
        self.name = name
        self.device = device
        self.pipeline = pipeline
        self.network = pipeline.unet
        self.vae = pipeline.vae
        self.passes = Passes()
        for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            part.requires_grad_(False).eval()
        self.vae.enable_slicing()
        self.recomputes = False
        if self.network.num_parameters() > CHECKPOINTED_PARAMETERS:
            self.checkpoint_activations()
        # Cutting estimates of clean latents would make a step that cannot be undone; no published model of the family does it.
        self.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False, thresholding=False)
        pipeline.scheduler = self.scheduler
        self.schedule = NoiseSchedule(self.scheduler.alphas_cumprod)
        self.levels = len(self.schedule.alphas)
        self.layers = layers_of(self.network)
        self.blocks = len(self.layers)
        self.places = tuple(layer.place for layer in self.layers)
        self.identity = digest(self.network.config, self.vae.config, self.scheduler.config)
        self.fingerprint = digest(
            self.identity, *[sample_of(part) for part in (self.network, self.vae, pipeline.text_encoder)]
        )
        self.variant = variant_of(name)
        self.defaults = DEFAULTS.get(self.variant, {})
        self.stride = 2 ** (len(self.vae.config.block_out_channels) - 1)
        side = self.network.config.sample_size or 32
        rows, columns = (side, side) if isinstance(side, int) else side
        height, width = SIZES.get(last_part(name), (rows * self.stride, columns * self.stride))
        self.shape = Shape(FRAMES, height, width)

    def checkpoint_activations(self) -> None:
        """Recompute what the network's blocks held when gradients need it; diffusers' own switch fails on this network."""
        for block in (*self.network.down_blocks, self.network.mid_block, *self.network.up_blocks):
            own = block.forward.forward if isinstance(block.forward, _Recomputed) else block.forward
            block.forward = _Recomputed(own, self)
        self.recomputes = True

    @contextmanager
    def _keeping_activations(self) -> Iterator[None]:
        before, self.recomputes = self.recomputes, False
        try:
            yield
        finally:
            self.recomputes = before

    def fitting(self, frames: int | None) -> Shape:
        """The default size with so many frames; any number from two is allowed."""
        count = self.shape.frames if frames is None else frames
        if count < 2:
            raise SettingError(f"{count} frames do not fit {self.name}: allowed are 2 and more")
        return Shape(count, self.shape.height, self.shape.width)

    def latent_shape(self, shape: Shape) -> tuple[int, int, int, int, int]:
        """Latent sizes ``(1, c, f, h, w)``."""
        height, width = shape.height // self.stride, shape.width // self.stride
        return 1, self.network.config.in_channels, shape.frames, height, width

    def grid(self, shape: Shape, block: int | None = None) -> Lattice:
        """The lattice of a block, or the finest of all."""
        level = min(layer.level for layer in self.layers) if block is None else self.layers[block].level
        _, _, frames, height, width = self.latent_shape(shape)
        for _ in range(level):
            height, width = -(-height // 2), -(-width // 2)
        return Lattice(frames, height, width)

    def frame_times(self, frames: int) -> list[float]:
        """Every latent frame stands for one frame."""
        return [float(number) for number in range(frames)]

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
            latents = self.vae.encode(pixels.to(self.device, self.vae.dtype)).latent_dist.mode()
        return latents.float().transpose(0, 1)[None] * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Latents) -> Pixels:
        """The video of latents, cut to -1..1."""
        with self._at_work(self.vae):
            frames = latents[0].transpose(0, 1).to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
            return self.vae.decode(frames).sample.float().clamp(-1, 1).cpu()

    @torch.no_grad()
    def text(self, prompt: str) -> Text:
        """Encode a prompt.

        Raises:
            InputError: it is longer than the model's text window.
        """
        window = self.pipeline.tokenizer.model_max_length
        tokens = len(self.pipeline.tokenizer(prompt, truncation=False).input_ids)
        if tokens > window:
            raise InputError(f"the prompt has {tokens} tokens; {self.name} reads {window}: shorten it")
        with self._at_work(self.pipeline.text_encoder):
            embedding, _ = self.pipeline.encode_prompt(prompt, self.device, 1, False)
        return embedding.float()

    def unknown_words(self, prompt: str) -> list[str]:
        """Words that the tokenizer cannot spell, or knows only as letters: half of their pieces or more."""
        tokenizer = self.pipeline.tokenizer
        unknown = []
        for word in prompt.split():
            pieces = [piece.removesuffix("</w>") for piece in tokenizer.tokenize(word)]
            letters = sum(len(piece) == 1 for piece in pieces)
            if tokenizer.unk_token in pieces or (len(pieces) > 1 and 2 * letters >= len(pieces)):
                unknown.append(word)
        return unknown

    def timesteps(self, steps: int) -> Sequence[int]:
        """Timesteps of a run, noisiest first.

        Raises:
            SettingError: more than half the timesteps of training: whole strides would begin far from the noisy end.
        """
        most = len(self.schedule.alphas) // 2
        if steps > most:
            raise SettingError(f"steps is {steps}; {self.name} allows 1 to {most}")
        self.scheduler.set_timesteps(steps)
        return self.scheduler.timesteps.tolist()

    def estimates(self, output: Latents, timestep: int, latents: Latents) -> tuple[Latents, Latents]:
        """Clean latents and noise that the network's output speaks of."""
        return self.schedule.estimates(latents, output, timestep, self.scheduler.config.prediction_type)

    def linear_layers(self, kind: str) -> Sequence[str]:
        """Names of linear layers: queries, keys and values of one attention, or all of the transformers."""
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
        """None: the network knows places by its convolutions alone."""
        return {}

    def _run(self, latents: Latents, timestep: int, text: Text) -> Tensor:
        self.network.to(self.device)
        self.passes.forward += len(latents)
        kind = self.network.dtype
        times = torch.full((len(latents),), timestep, device=self.device)
        given = latents.to(self.device, kind), times, text.to(self.device, kind)
        return self.network(*given, return_dict=False)[0]

    def predict(self, latents: Latents, timestep: int, text: Text, positions: Positions | None = None) -> Latents:
        """The predicted noise, in single precision."""
        return self._run(latents, timestep, text).float()

    def record(
        self,
        latents: Latents,
        timestep: int,
        text: Text,
        blocks: Sequence[int],
        positions: Positions | None = None,
        features: bool = True,
    ) -> Mapping[int, Recorded]:
        """Run up to the block of the network that holds the last of the layers; return what was seen there.

        A pass that ends within the down blocks keeps its activations: they are fewer than what the last up block holds while it
        is recomputed.
        """
        last = self.layers[max(blocks)]
        seen: dict[nn.Module, probe.Attention] = {}
        outputs: dict[int, Tensor] = {}
        with ExitStack() as stack:
            for number in blocks:
                layer = self.layers[number]
                for module in (layer.spatial, layer.cross, *layer.temporal):
                    stack.enter_context(probe.catching(module, _keeper(seen, module)))
                handle = layer.after.register_forward_hook(_feature_keeper(outputs, number))
                stack.callback(handle.remove)
            if last.block.startswith("down_blocks"):
                stack.enter_context(self._keeping_activations())
            if not features and not self.recomputes:
                stack.enter_context(probe.stopping_at(last.temporal[-1]))
            with probe.stopping_after(self.network.get_submodule(last.block)):
                self._run(latents, timestep, text)
        return {
            number: self._recorded(self.layers[number], seen, outputs.get(number) if features else None, len(latents))
            for number in blocks
        }

    def _recorded(
        self, layer: Layer, seen: Mapping[nn.Module, probe.Attention], features: Tensor | None, clips: int
    ) -> Recorded:
        """What was seen in the legend's axes; the network folds frames, or places, into the batch."""
        query, key, value = (_frames_unfolded(tensor, clips) for tensor in seen[layer.spatial])
        text_query, text_key, _ = seen[layer.cross]
        frames = len(text_query) // clips
        temporal = [[_places_unfolded(tensor, clips) for tensor in seen[module][:2]] for module in layer.temporal]
        if features is None:
            output = query.new_empty(clips, query.shape[2], 0)
        else:
            output = features.flatten(2).transpose(1, 2).unflatten(0, (clips, frames)).flatten(1, 2)
        return Recorded(
            query=query,
            key=key,
            value=value,
            features=output,
            cross=Projections(_frames_unfolded(text_query, clips), text_key[::frames]),
            spatial=Projections(query, key),
            temporal=tuple(Projections(*pair) for pair in temporal),
        )

    @contextmanager
    def injecting(self, recorded: Mapping[int, Recorded]) -> Iterator[None]:
        """Replace the keys and values of blocks' spatial attention by recorded ones."""
        with ExitStack() as stack:
            for number, seen in recorded.items():
                stack.enter_context(probe.catching(self.layers[number].spatial, _replacer(seen)))
            yield


def _frames_unfolded(tensor: Tensor, clips: int) -> Tensor:
    """``(clips frames) heads places d`` to ``clips heads (frames places) d``."""
    return tensor.unflatten(0, (clips, -1)).transpose(1, 2).flatten(2, 3)


def _places_unfolded(tensor: Tensor, clips: int) -> Tensor:
    """``(clips places) heads frames d`` to ``clips heads (frames places) d``."""
    return tensor.unflatten(0, (clips, -1)).permute(0, 2, 3, 1, 4).flatten(2, 3)


def _keeper(kept: dict[nn.Module, probe.Attention], module: nn.Module) -> Callable[[probe.Attention], probe.Attention]:
    """Keep the first attention seen: a recomputation in backward must not replace it."""

    def look(attention: probe.Attention) -> probe.Attention:
        kept.setdefault(module, attention)
        return attention

    return look


def _feature_keeper(kept: dict[int, Tensor], number: int) -> Callable[[nn.Module, Any, tuple[Tensor]], None]:
    """Keep the first output of a temporal transformer."""

    def look(_module: nn.Module, _arguments: Any, output: tuple[Tensor]) -> None:
        kept.setdefault(number, output[0])

    return look


def _replacer(seen: Recorded) -> Callable[[probe.Attention], probe.Attention]:
    """Put recorded keys and values in the place of a frame's own."""

    def change(attention: probe.Attention) -> probe.Attention:
        query, key, _ = attention
        clips = key.shape[0] * key.shape[2] // seen.key.shape[2]
        swapped = [
            other.to(key.dtype).expand(clips, -1, -1, -1).unflatten(2, (-1, key.shape[2])).transpose(1, 2).flatten(0, 1)
            for other in (seen.key, seen.value)
        ]
        return query, swapped[0], swapped[1]

    return change


BACKBONE = UNet3D
