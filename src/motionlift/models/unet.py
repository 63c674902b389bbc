"""UNets that attend to the text, over the places of a frame, and over frames, each by itself.

Their blocks, as methods count them, are its spatial transformers, from the first down block through the middle to the
last up block; each comes with the temporal transformer that follows it. Families differ in how that is called.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from diffusers import DDIMScheduler
from torch import Tensor, nn

from motionlift.core.condition import Condition
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.memory import Measures
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Projections, Recorded
from motionlift.core.tensors import Latents, Positions
from motionlift.models import probe
from motionlift.models.codecs import FrameAutoencoder
from motionlift.models.offloading import RECOMPUTED, is_moved
from motionlift.models.recomputation import PLAIN, Recomputation, recomputing
from motionlift.models.schedules import diffusion_schedule
from motionlift.models.shared import TEXT, PipelineModel, weights_of
from motionlift.models.turns import switched
from motionlift.models.words import BEHIND, is_ones_own

SPATIAL = re.compile(r"(down_blocks|mid_block|up_blocks)(?:\.(\d+))?\.attentions\.(\d+)")
"""Names of the spatial transformers; the temporal one of each has another word in the place of ``attentions``."""


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
    width: int
    """Their channels."""
    number: int
    """Its number in :attr:`block`."""


def layers_of(network: nn.Module, temporal_word: str) -> list[Layer]:
    """The layers of a network in the order in which they run, found by name.

    Args:
        network: the UNet.
        temporal_word: what its lists of temporal transformers are called.
    """
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
        after = network.get_submodule(name.replace("attentions", temporal_word))
        temporal: Any = after.get_submodule("transformer_blocks.0")
        both = (temporal.attn1, temporal.attn2)
        width: Any = after.get_submodule("proj_out").out_features
        own = Layer(
            place, name.partition(".attentions")[0], level, spatial.attn1, spatial.attn2, both, after, width, int(layer)
        )
        found.append(((order, number, int(layer)), own))
    return [layer for _, layer in sorted(found, key=lambda each: each[0])]


class FramewiseUNet(PipelineModel):
    """A :class:`motionlift.core.model.Model` of a pipeline whose network is such a UNet.

    Whatever the pipeline's scheduler, it samples by the DDIM of the same noise schedule, without clipping.
    """

    networks = ("unet",)
    by_block = False
    temporal_word: ClassVar[str]
    """What the network's lists of temporal transformers are called."""

    def _set_up(self, shape: Shape, variant: str, fps: float, most_frames: int | None = None) -> None:
        """What a family's constructor ends with.

        Args:
            shape: the model's own size of videos.
            variant: which published model it is.
            fps: its rate.
            most_frames: the longest that its positions over time reach, where they end.
        """
        pipeline, vae = self._pipeline, self._pipeline.vae
        # Cutting estimates of clean latents would make a step that cannot be undone; no published model of the families does it.
        scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False, thresholding=False)
        self._scheduling = scheduler.config
        self._layers = layers_of(self._network, self.temporal_word)
        self._recomputation = Recomputation(False, RECOMPUTED if is_moved(self._network) else PLAIN)
        self.codec = FrameAutoencoder(
            vae=vae,
            name=self._named,
            shape=shape,
            channels=self._network.config.in_channels,
            side=stride_of(vae),
            device=self._device,
            using=self._turns.using,
            in_parts=self._measures.parts,
            most=most_frames,
        )
        widths = {layer.place: layer.width for layer in self._layers}
        self.about = self._introduced(self._named, variant, self._scheduling, fps, widths)
        self.text = self._reading(pipeline.tokenizer.model_max_length, _is_unknown)

    def _embedding(self, prompt: str) -> Tensor:
        """The text encoder's last states, of the whole window."""
        tokenizer, encoder = self._pipeline.tokenizer, self._pipeline.text_encoder
        tokens = tokenizer(
            prompt,
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).to(self._device)
        masked = getattr(encoder.config, "use_attention_mask", False)
        return encoder(tokens.input_ids, attention_mask=tokens.attention_mask if masked else None)[0]

    def schedule(self, steps: int, shape: Shape | None = None) -> Schedule:
        """The levels of a DDIM run, whatever the size.

        Raises:
            SettingError: more than half the timesteps of training: whole strides would begin far from the noisy end.
        """
        return diffusion_schedule(DDIMScheduler, self._scheduling, steps, self.about.name, whole_strides=True)

    def lattice(self, shape: Shape, block: int | None = None) -> Lattice:
        """The lattice of a block, or the finest of all."""
        level = min(layer.level for layer in self._layers) if block is None else self._layers[block].level
        _, _, frames, height, width = self.codec.latent_shape(shape)
        for _ in range(level):
            height, width = -(-height // 2), -(-width // 2)
        return Lattice(frames, height, width)

    def positions(self, shape: Shape) -> Positions:
        """None: the network knows places by its convolutions alone."""
        return {}

    def _usual(self) -> Measures:
        """As others do it; but the autoencoder, which sees a frame at a time, has each frame whole."""
        return replace(super()._usual(), parts=False)

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """Blocks that recompute their activations, where those are many."""
        blocks = (*self._network.down_blocks, self._network.mid_block, *self._network.up_blocks)
        with switched(self._recomputation, on=self._measures.recomputed), recomputing(blocks, self._recomputation):
            yield

    def _predicted(self, latents: Latents, level: Level, condition: Condition, positions: Positions | None) -> Latents:
        kind = self._network.dtype
        text = self._shown(condition.tensors[TEXT].to(self._device, kind), latents.shape[2])
        given = latents.to(self._device, kind), self._times(latents, level), text
        return self._network(*given, return_dict=False)[0]

    def _shown(self, text: Tensor, frames: int) -> Tensor:
        """The text as the network takes it: once for each video."""
        return text

    def _attentions(self, network: nn.Module, number: int) -> Sequence[nn.Module]:
        layer = self._layers[number]
        return (layer.spatial, layer.cross, *layer.temporal)

    def _featured(self, network: nn.Module, number: int) -> nn.Module:
        return self._layers[number].after

    def _ending(self, network: nn.Module, number: int) -> nn.Module:
        return network.get_submodule(self._layers[number].block)

    def share(self, block: int, features: bool = False) -> float:
        """By weights times places: a halved lattice has a quarter of them.

        The block of the network that holds the layer counts as far as the layer, without what changes the lattice behind it.
        """
        layer, done, found = self._layers[block], 0.0, 0.0
        for name, level in self._levels():
            module = self._network.get_submodule(name)
            if name == layer.block:
                found = done + _weights_to(module, layer.number) / 4**level
            done += weights_of(module) / 4**level
        return found / done

    def _levels(self) -> list[tuple[str, int]]:
        """Parts of the network in the order in which they run, and how many times the lattice of each is halved."""
        blocks = len(self._network.down_blocks)
        entrance = [(name, 0) for name in ("conv_in", "transformer_in") if hasattr(self._network, name)]
        downs = [(f"down_blocks.{number}", number) for number in range(blocks)]
        ups = [(f"up_blocks.{number}", blocks - 1 - number) for number in range(blocks)]
        return [*entrance, *downs, ("mid_block", blocks - 1), *ups, ("conv_out", 0)]

    @contextmanager
    def _stopping(self, network: nn.Module, last: int, features: bool) -> Iterator[None]:
        """Stop after the block of the network that holds a layer.

        A pass that ends within the down blocks keeps its activations: they are fewer than what the last up block holds while it
        is recomputed.
        """
        layer, before = self._layers[last], self._recomputation.on
        recomputes = before and not layer.block.startswith("down_blocks")
        with ExitStack() as stack:
            stack.enter_context(switched(self._recomputation, on=recomputes))
            if not features and not recomputes:
                stack.enter_context(probe.stopping_at(layer.temporal[-1]))
            stack.enter_context(probe.stopping_after(network.get_submodule(layer.block)))
            yield

    def _recorded(
        self, seen: Sequence[probe.Seen], features: Tensor | None, latents: Latents, condition: Condition
    ) -> Recorded:
        """What was seen in the legend's axes; the network folds frames, or places, into the batch."""
        (own, cross, *others), clips = seen, len(latents)
        query, key, value = (_frames_unfolded(tensor, clips) for tensor in own[:3])
        text_query, text_key = cross[:2]
        frames = len(text_query) // clips
        temporal = [[_places_unfolded(tensor, clips) for tensor in other[:2]] for other in others]
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

    def _injected(self, seen: Recorded) -> Callable[[probe.Attention], probe.Attention]:
        """Put recorded keys and values in the place of a frame's own."""

        def change(attention: probe.Attention) -> probe.Attention:
            query, key, _ = attention
            clips = key.shape[0] * key.shape[2] // seen.key.shape[2]
            swapped = [
                other.to(key.dtype)
                .expand(clips, -1, -1, -1)
                .unflatten(2, (-1, key.shape[2]))
                .transpose(1, 2)
                .flatten(0, 1)
                for other in (seen.key, seen.value)
            ]
            return query, swapped[0], swapped[1]

        return change


def _weights_to(block: nn.Module, number: int) -> int:
    """Weights of a block of the network up to one of its layers."""
    lists = [(name, list(part.children())) for name, part in block.named_children() if "samplers" not in name]
    return weights_of(*[module for _, modules in lists for module in modules[: number + 1]])


def last_part(name: str) -> str:
    """The last part of a folder's or the hub's name for a model, in small letters."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()


def stride_of(vae: Any) -> int:
    """Rows and columns of pixels that one of an autoencoder's latents stands for."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def _is_unknown(tokenizer: Any, word: str) -> bool:
    """Whether the tokenizer cannot spell a word, or knows it only as letters: half of its pieces or more.

    To a model with a vocabulary of its own every word is unknown that is none of its pieces: parts of words it never saw.
    """
    pieces = tokenizer.tokenize(word)
    if is_ones_own(tokenizer) and not all(piece.endswith(BEHIND) for piece in pieces):
        return True
    letters = sum(len(piece.removesuffix(BEHIND)) == 1 for piece in pieces)
    return tokenizer.unk_token in pieces or (len(pieces) > 1 and 2 * letters >= len(pieces))


def _frames_unfolded(tensor: Tensor, clips: int) -> Tensor:
    """``(clips frames) heads places d`` to ``clips heads (frames places) d``."""
    return tensor.unflatten(0, (clips, -1)).transpose(1, 2).flatten(2, 3)


def _places_unfolded(tensor: Tensor, clips: int) -> Tensor:
    """``(clips places) heads frames d`` to ``clips heads (frames places) d``."""
    return tensor.unflatten(0, (clips, -1)).permute(0, 2, 3, 1, 4).flatten(2, 3)
