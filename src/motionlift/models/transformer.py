"""Diffusion transformers over whole videos: one class for all families, whose differences are rows of data.

The pipeline itself says what its network is given (:mod:`motionlift.models.asking`); a row says what cannot be asked of it.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import diffusers
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from motionlift.core.condition import Condition, Given
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.memory import Measures
from motionlift.core.model import Pictures
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Projections, Recorded
from motionlift.core.tensors import Latents, Pixels, Positions
from motionlift.errors import SettingError
from motionlift.models import probe
from motionlift.models.asking import Asking
from motionlift.models.codecs import VideoAutoencoder
from motionlift.models.identity import SCHEDULER_FIELDS
from motionlift.models.offloading import is_moved, recomputing
from motionlift.models.picturing import Picturing, remade, shown
from motionlift.models.positions import NoPositions, Placing
from motionlift.models.prompts import Laid, Prompts
from motionlift.models.recomputation import recomputed
from motionlift.models.schedules import TRAINED, asked_schedule, diffusion_schedule
from motionlift.models.shared import PipelineModel, weights_of
from motionlift.models.sources import Source, read_config
from motionlift.motion.original import Readers

CPU = torch.device("cpu")
HIDDEN, TIMES = "hidden_states", "timestep"
"""Arguments of diffusers' networks: the latents, and their timesteps."""
SPATIAL = ("vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_spatial_scale_factor")
TEMPORAL = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio", "vae_temporal_scale_factor")
"""What pipelines call the pixels and the frames that one latent stands for."""
ASKED_STEPS = 4
"""Steps of a run whose first call is looked at (ours: some pipelines take no fewer than two)."""
SAME_AREA = 0.2
"""Share by which the area of a size may differ from a model's own to take its place (ours: that of 720p is twice that of 480p)."""
UNGUIDED: Mapping[str, Any] = {"guidance_scale": 1.0}
"""With it a pipeline shows its network the prompt alone."""
NETWORK_FIELDS = (
    *("num_layers", "num_single_layers", "num_attention_heads", "attention_head_dim", "in_channels", "out_channels"),
    *("patch_size", "patch_size_t", "text_dim", "text_embed_dim", "text_embed_2_dim", "cross_attention_dim"),
    *("caption_channels", "ffn_dim", "mlp_ratio", "rope_axes_dim", "rope_max_seq_len", "rope_type", "guidance_embeds"),
    *("in_visual_dim", "out_visual_dim", "model_dim", "num_visual_blocks", "ff_dim", "axes_dims", "image_dim"),
)
"""The settings of networks by which a motion fits a model, in whichever family they are."""
DECISIVE: Mapping[str, tuple[str, ...]] = {
    "network": NETWORK_FIELDS,
    "autoencoder": ("z_dim", "latent_channels", "patch_size", "scaling_factor", "latents_mean", "latents_std"),
    "scheduler": (*SCHEDULER_FIELDS, "use_flow_sigmas", "invert_sigmas"),
}
"""The settings of all parts. How far a schedule is shifted is a matter of sampling."""


@dataclass(frozen=True)
class Published:
    """A published model of a family: what its files do not say."""

    when: Mapping[str, Any]
    """Settings of pipeline and network by which it is known, or the last part of its ``name``."""
    size: tuple[int, int] | None = None
    """Height and width of its videos, where they differ from its family's."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Heights and widths that it was made for, where they differ."""
    frames: int | None = None
    """Their length, where it differs."""
    fps: float | None = None
    """Their rate, where it differs."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Sampling and guiding, where they differ."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Types of numbers that break it, by name, and what is known of that; beside those that break its family."""
    call: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the pipeline's call, where they differ from its family's."""


@dataclass(frozen=True)
class Row:
    """A family: what cannot be asked of its pipelines."""

    family: str
    """Its name."""
    pipelines: tuple[str, ...]
    """Pipelines of diffusers that it serves."""
    transformers: tuple[str, ...]
    """Classes of their networks."""
    fps: float
    """Rate of its videos."""
    multiple: int = 8
    """What its pipelines take heights and widths in multiples of, whatever the sizes of autoencoder and patches are."""
    blocks: tuple[str, ...] = ("transformer_blocks",)
    """Module lists of the network, in the order in which they run."""
    attention: str = "attn1"
    """In a block: attention of the video's tokens, joint with the text's where :attr:`cross` is none."""
    cross: str | None = "attn2"
    """In a block: attention to the text."""
    feed_forward: tuple[str, ...] = ("ff",)
    """In a block: what else has linear layers that are tuned."""
    text_first: bool = False
    """In joint attention: whether the text's tokens come before the video's."""
    axes: str = "bcfhw"
    """Axes of latents in the network's call; ``bnc``, tokens, as the pipeline packs them."""
    call: Mapping[str, Any] = field(default_factory=lambda: UNGUIDED)
    """Arguments of the pipeline's call beside prompt and size."""
    replaced: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """Parts that are others while the pipeline is asked, made anew."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the network that are always these."""
    joined: tuple[str, ...] = ()
    """Arguments of the network that can be put beside another prompt's in one batch; none, where guidance takes two passes."""
    diffusion: str | None = None
    """The scheduler of diffusers by which it samples, where it is no flow model."""
    scheduler: str = "Euler"
    """What its published pipelines sample by, in words."""
    codec: type[VideoAutoencoder] = VideoAutoencoder
    """How its autoencoder counts frames."""
    apart: bool = False
    """Whether a model is read part by part, without the pipeline's class."""
    single: tuple[str, ...] = ()
    """Parts that are kept in single precision, whatever the others are in."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Types of numbers that break its models, by name, and what is known of that."""
    tiled: bool = False
    """Whether its autoencoder works in tiles only."""
    context_parallel: bool = False
    """Whether several processes can share the tokens of a video; where diffusers has a plan for it that holds on a twin."""
    picturing: Picturing | None = None
    """How its videos begin with a picture, where they can."""
    placing: Placing = field(default_factory=NoPositions)
    """Where its positions are."""
    size: Callable[[Any], tuple[int, int]] | None = None
    """Height and width by a pipeline, where its call has no default."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Heights and widths that its models were made for, by their cards, where there are several."""
    frames: Callable[[Any], int] | None = None
    """Length by a pipeline, where its call has no default."""
    window: Callable[[Any], int] | None = None
    """Most tokens of a prompt by a pipeline, where its call has no default."""
    laid: Callable[[Any, str], Laid] | None = None
    """The text that a pipeline sets a prompt into, where it sets it into one."""
    readers: Readers = field(default_factory=Readers)
    """Who else loads adapters of it."""
    licence: str = ""
    """Of the published weights, by their cards."""
    finds_words: bool = True
    """Whether a word's tokens can be told among those that the network sees."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Sampling and guiding, where they differ from the common ones."""
    published: Mapping[str, Published] = field(default_factory=dict)
    """Published models by their names."""
    decisive: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: DECISIVE)
    """The settings of the parts' configurations by which a motion fits a model."""

    @property
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """Parts that a pipeline must have, and classes that they may be of."""
        return {"transformer": self.transformers}

    @property
    def networks(self) -> tuple[str, ...]:
        """Parts that predict, of which a pipeline may lack all but the first."""
        return Transformer.networks

    def __call__(
        self, pipeline: Any, name: str, device: torch.device, given: bool = False, measures: Measures | None = None
    ) -> "Transformer":
        """A model of a pipeline; arguments as of :class:`motionlift.models.shared.PipelineModel`."""
        return Transformer(self, pipeline, name, device, given, measures)

    def variant(self, pipeline: Mapping[str, Any], network: Mapping[str, Any], name: str) -> str:
        """Which published model one is by its name and the settings of pipeline and network; else the family."""
        last = name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
        facts = {"name": last, **pipeline, **network}
        known = [title for title, own in self.published.items() if own.when.items() <= facts.items()]
        return known[0] if known else self.family

    def breaking(self, source: Source) -> Mapping[str, str]:
        """Types of numbers that break a model, by name, and what is known of that; no weights are read."""
        if not any(own.broken for own in self.published.values()):
            return self.broken
        network = read_config(source, "transformer")
        known = self.published.get(self.variant(source.index, network, source.name), Published({}))
        return {**self.broken, **known.broken}


def call_default(pipeline: Any, name: str) -> Any:
    """The default of an argument of a pipeline's call; none where there is none."""
    parameter = inspect.signature(type(pipeline).__call__).parameters.get(name)
    return None if parameter is None or parameter.default is inspect.Parameter.empty else parameter.default


class Transformer(PipelineModel):
    """The :class:`motionlift.core.model.Model` of a pipeline whose network is a diffusion transformer.

    It samples by the levels that the pipeline's own scheduler sets, whatever the order of its steps: that is the sampling loop's
    matter (:mod:`motionlift.loops.samplers`), and is the first where nothing else is asked for.
    """

    networks = ("transformer", "transformer_2")

    def __init__(
        self,
        row: Row,
        pipeline: Any,
        name: str,
        device: torch.device,
        given: bool = False,
        measures: Measures | None = None,
    ):
        self._row = row
        self.family, self.defaults, self.decisive = row.family, {}, row.decisive
        self.context_parallel = row.context_parallel
        super().__init__(pipeline, name, device, given, measures)
        self.linear = _patterns(row)
        self._schedules: dict[tuple[int, Shape], Schedule] = {}
        self._picture: Pixels | None = None
        self._pictures = row.picturing.of(pipeline) if row.picturing else Pictures.NEVER
        self._asking = self._asked_through(
            remade(pipeline, row.pipelines[0]) if self._pictures is Pictures.MAY else pipeline
        )
        variant = row.variant(pipeline.config, pipeline.transformer.config, name)
        known = row.published.get(variant, Published({}))
        self.defaults = {variant: {**row.defaults, **known.defaults}}
        self._said = {**row.call, **known.call}
        self.codec = self._coding(known)
        widths = {f"block {number}": self._width for number in range(len(self._numbered(self._network)))}
        self.about = replace(
            self._introduced(name, variant, self._scheduling(), known.fps or row.fps, widths),
            pictures=self._pictures,
            sizes=_as_large(known.sizes or row.sizes, self.codec.shape),
            second_below=(pipeline.config.get("boundary_ratio") or 0) * TRAINED if len(self._networks) > 1 else 0.0,
        )
        self.text = self._prompts()

    def like(self, changed: Callable[[Any], Any], device: torch.device) -> "Transformer":
        """A model of another pipeline of the same kind, by the same row."""
        return Transformer(self._row, changed(self._pipeline), self._named, device)

    def _possible(self, measures: Measures) -> Measures:
        """In two passes where prompts cannot stand in one batch, and in tiles where the autoencoder works in those alone."""
        own = measures.one_by_one or not self._row.joined, measures.parts or self._row.tiled
        return super()._possible(replace(measures, one_by_one=own[0], parts=own[1]))

    def pictured(self, picture: Pixels) -> "Transformer":
        """A view of the same model whose videos begin with a picture.

        Args:
            picture: one frame, of the size of the videos that are to be made.

        Raises:
            SettingError: its videos begin with none.
        """
        if self._row.picturing is None or self._pictures is Pictures.NEVER:
            super().pictured(picture)
        assert self._row.picturing is not None
        view = object.__new__(type(self))
        view.__dict__ = {**self.__dict__, "_picture": picture}
        view._asking = view._asked_through(remade(self._pipeline, self._row.picturing.pipeline))
        view.text = view._prompts()
        return view

    # What is made once

    def _asked_through(self, pipeline: Any) -> Asking:
        """What asks a pipeline of these parts."""
        encoders = [
            part for title, part in self._pipeline.components.items() if "encoder" in title and part in self._parts
        ]
        beside = self._beside
        return Asking(
            pipeline,
            self._networks,
            CPU if self._device.type == "meta" else self._device,  # times are to have values
            lambda: self._turns.using(*encoders, *beside),
            **{title: make() for title, make in self._row.replaced.items()},
        )

    @property
    def _beside(self) -> list[nn.Module]:
        """Parts that the pipeline uses itself before it calls its network."""
        own = [
            part for title, part in self._pipeline.components.items() if part in self._parts and "encoder" not in title
        ]
        left = [part for part in own if part not in (*self._networks, self._pipeline.vae)]
        if self._picture is None and self._pictures is not Pictures.MUST:
            return left
        seeing = getattr(self._pipeline, "image_encoder", None)
        return [*left, self._pipeline.vae, *([] if seeing is None else [seeing])]

    def _coding(self, known: Published) -> VideoAutoencoder:
        """The autoencoder, with the model's own size of videos."""
        pipeline, row = self._pipeline, self._row
        height, width = known.size or (row.size(pipeline) if row.size else (0, 0))
        frames = known.frames or (row.frames(pipeline) if row.frames else 0)
        shape = Shape(
            frames or call_default(pipeline, "num_frames"),
            height or call_default(pipeline, "height"),
            width or call_default(pipeline, "width"),
        )
        time, rows, _ = self._patch
        codec = row.codec(
            vae=pipeline.vae,
            name=self._named,
            shape=shape,
            channels=_first(pipeline.vae.config, "z_dim", "latent_channels"),
            side=_first(vars(pipeline), *SPATIAL),
            device=self._device,
            using=self._turns.using,
            in_parts=self._measures.parts,
            tokens=rows,
            asked=row.multiple,
            group=_first(vars(pipeline), *TEMPORAL),
            patch=time,
        )
        # A configuration that counts no whole patches means the next number that does.
        fits = codec.latent_frames(shape.frames) % time == 0
        return codec if fits else replace(codec, shape=replace(shape, frames=codec.next_whole(shape.frames)))

    def _scheduling(self) -> Mapping[str, Any]:
        """The configuration of the scheduler that it samples by."""
        config = self._pipeline.scheduler.config
        if self._row.diffusion is None:
            return config
        # Of a scheduler that was never saved diffusers remembers which settings were left at its defaults, and would put the other
        # class's in their place.
        own = {name: value for name, value in config.items() if not name.startswith("_")}
        return getattr(diffusers, self._row.diffusion).from_config(own).config

    def _prompts(self) -> Prompts:
        pipeline, row = self._pipeline, self._row
        return Prompts(
            getattr(pipeline.tokenizer, "tokenizer", pipeline.tokenizer),  # a processor has one within
            self._window,
            self.about.name,
            self._asked_condition,
            _is_unknown,
            self._turns.turn,
            self.codec.shape,
            None if row.laid is None else partial(row.laid, pipeline),
            row.finds_words,
        )

    @property
    def _window(self) -> int:
        """Most tokens of a prompt."""
        row = self._row
        return row.window(self._pipeline) if row.window else call_default(self._pipeline, "max_sequence_length")

    @property
    def _patch(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns that one token stands for."""
        config = self._network.config
        own, time = config.patch_size, config.get("patch_size_t") or 1
        return tuple(own) if isinstance(own, (tuple, list)) else (time, own, own)

    @property
    def _width(self) -> int:
        """Channels of a token."""
        config = self._network.config
        return config.get("model_dim") or config.num_attention_heads * config.attention_head_dim

    # What the pipeline is asked

    def _call(self, prompt: str, shape: Shape, steps: int) -> Any:
        call = {"num_frames": shape.frames, "height": shape.height, "width": shape.width}
        if call_default(self._pipeline, "max_sequence_length"):
            call["max_sequence_length"] = self._window
        if self._picture is not None or self._pictures is Pictures.MUST:
            call["image"] = shown(self._picture, shape)
        with self._turns.using(*self._beside):
            return self._asking.ask(prompt=prompt, num_inference_steps=steps, **{**call, **self._said})

    def _asked_condition(self, prompt: str, shape: Shape | None) -> Condition:
        """What the network is given of a prompt; of its latents only the channels that stand beside those of the video.

        Raises:
            SettingError: the model begins with a picture, and there is none.
        """
        assert shape is not None
        if self._pictures is Pictures.MUST and self._picture is None:
            raise SettingError(f"{self.about.name} makes videos that begin with a picture: give one")
        return self._conditioned(prompt, shape)

    def _conditioned(self, prompt: str, shape: Shape) -> Condition:
        """What the network is given of a prompt, with a picture of no matter what where it needs one and has none."""
        arguments = dict(self._call(prompt, shape, ASKED_STEPS).arguments)
        given = self._first_frames(arguments, shape)
        if self._row.axes != "bnc":
            axis = self._row.axes.index("c")
            hidden, own = arguments[HIDDEN], self.codec.channels
            arguments[HIDDEN] = hidden.narrow(axis, own, hidden.shape[axis] - own)
        tensors = {name: arguments.pop(name).float() for name in self._row.joined}
        return Condition(tensors, arguments, given)

    def _first_frames(self, arguments: Mapping[str, Any], shape: Shape) -> Given | None:
        """The latent frames whose tokens' time is zero from the start: those of a picture."""
        times, lattice = arguments[TIMES], self.lattice(shape)
        if self._picture is None or times.ndim != 2 or times.shape[1] != lattice.tokens:
            return None
        clean = (times[0].view(lattice.frames, -1) == 0).all(dim=1)
        frames = int(clean.sum()) * self._patch[0]
        if not frames:
            return None
        latents = self._left(arguments[HIDDEN].float(), self.codec.latent_shape(shape))
        return Given(latents[:1, : self.codec.channels, :frames], self.schedule(ASKED_STEPS, shape))

    def schedule(self, steps: int, shape: Shape | None = None) -> Schedule:
        """The levels that the pipeline sets for a run, or those of a DDIM run."""
        size, row = shape or self.codec.shape, self._row
        if row.diffusion is not None:
            kind = getattr(diffusers, row.diffusion)
            return diffusion_schedule(kind, self._scheduling(), steps, self.about.name, whole_strides=False)
        with self.turn():
            if (steps, size) not in self._schedules:
                asked, trained = (self._call("", size, number).scheduler for number in (steps, TRAINED))
                self._schedules[steps, size] = asked_schedule(asked, trained)
            return self._schedules[steps, size]

    # The network

    def lattice(self, shape: Shape, block: int | None = None) -> Lattice:
        """The lattice of a video, the same in every block."""
        _, _, frames, height, width = self.codec.latent_shape(shape)
        time, rows, columns = self._patch
        return Lattice(frames // time, height // rows, width // columns)

    def linear_layers(self, kind: str) -> Sequence[str]:
        """Names of linear layers: queries, keys and values of the attention over the video, or all of attentions and MLP.

        Raises:
            SettingError: queries, keys and values of spatial attention are asked for.
        """
        if kind == "spatial":
            raise SettingError(
                f"{self.about.name} attends jointly to space and time; it has no spatial attention to tune apart: ask for "
                "temporal, which is all of it"
            )
        return super().linear_layers(kind)

    def positions(self, shape: Shape) -> Positions:
        """The network's positional tensors, by the names that the family's :attr:`Row.placing` gives."""
        is_bare = self._pictures is Pictures.MUST and self._picture is None
        with torch.no_grad(), self.turn():
            level = self.schedule(ASKED_STEPS, shape).levels[0]
            condition = self._conditioned("", shape) if is_bare else self.text.encode("", shape)
        latents = torch.zeros(self.codec.latent_shape(shape), device=self._device)
        network = self._network_at(level)
        with self._turns.using(network):
            return self._row.placing.found(network, self._arguments(network, latents, level, condition))

    def _network_at(self, level: Level) -> nn.Module:
        """The network that predicts at a level: where there are two, the second serves those below a boundary."""
        return self._networks[1] if level.timestep < self.about.second_below else self._network

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """What positions need; and activations are recomputed where they are many."""
        with ExitStack() as stack:
            stack.enter_context(self._row.placing.ready(self._networks))
            for network in self._networks:
                already, moved = network.is_gradient_checkpointing, is_moved(network)
                if (self._measures.recomputed and not already) or (already and moved):
                    network.enable_gradient_checkpointing(recomputing if moved else recomputed)
                    stack.callback(
                        network.enable_gradient_checkpointing if already else network.disable_gradient_checkpointing
                    )
            yield

    def _arguments(self, network: nn.Module, latents: Latents, level: Level, condition: Condition) -> dict[str, Any]:
        """All that the network is given of one video, or of a batch."""
        kind, others = network.dtype, tree_map_only(Tensor, lambda each: each.to(self._device), condition.others)
        tensors = {name: tensor.to(self._device, kind) for name, tensor in condition.tensors.items()}
        time = others[TIMES]
        times = torch.full((len(latents), *time.shape[1:]), level.timestep, dtype=time.dtype, device=self._device)
        arguments = {**others, **tensors, **self._row.fixed, HIDDEN: self._entered(latents, others[HIDDEN], kind)}
        arguments |= {TIMES: times, "return_dict": False}
        if "sigma" in arguments:  # LTX-2 is told the time twice
            arguments["sigma"] = times[:, 0] if others["sigma"].ndim < times.ndim else times
        if condition.given is not None:  # a time for every token, zero for those of the picture
            arguments[TIMES] = times * (time != 0).to(times)
        return arguments

    def _entered(self, latents: Latents, beside: Tensor, kind: torch.dtype) -> Tensor:
        """Latents as the network takes them, with what stands beside them in channels of its own."""
        latents = latents.to(self._device, kind)
        if self._row.axes == "bnc":
            return self._pipeline._pack_latents(latents, self._patch[1], self._patch[0])
        turned = latents.permute(*["bcfhw".index(axis) for axis in self._row.axes])
        given = beside.to(self._device, kind).expand(len(latents), *beside.shape[1:])
        return torch.cat([turned, given], dim=self._row.axes.index("c"))

    def _left(self, output: Tensor, sizes: Sequence[int]) -> Tensor:
        """The network's output in the legend's axes."""
        if self._row.axes == "bnc":
            return self._pipeline._unpack_latents(output, *sizes[2:], self._patch[1], self._patch[0])
        return output.permute(*[self._row.axes.index(axis) for axis in "bcfhw"])

    def _predicted(self, latents: Latents, level: Level, condition: Condition, positions: Positions | None) -> Latents:
        network, given = self._network_at(level), condition.given
        entered = latents if given is None else given.within(latents)
        arguments = self._arguments(network, entered, level, condition)
        with ExitStack() as stack:
            if positions is not None:
                stack.enter_context(self._row.placing.placed(network, arguments, positions))
            output = network(**arguments)
        left = self._left(output if isinstance(output, Tensor) else output[0], latents.shape)
        return left if given is None else given.told(left, latents, level)

    # What is seen

    def share(self, block: int, features: bool = False) -> float:
        """By the weights of the blocks, all of which see all tokens; of a block without its features those of attention."""
        blocks = self._numbered(self._network)
        last = [blocks[block]] if features else self._attentions(self._network, block)
        return weights_of(*blocks[:block], *last) / weights_of(*blocks)

    def _numbered(self, network: nn.Module) -> list[nn.Module]:
        """The blocks, counted through all lists."""
        return [block for name in self._row.blocks for block in network.get_submodule(name).children()]

    def _attentions(self, network: nn.Module, number: int) -> Sequence[nn.Module]:
        block, own = self._numbered(network)[number], self._row
        return [block.get_submodule(name) for name in (own.attention, own.cross) if name is not None]

    def _featured(self, network: nn.Module, number: int) -> nn.Module:
        return self._numbered(network)[number]

    def _repeated(self, network: nn.Module) -> Sequence[nn.Module]:
        """Its blocks: they are alike, so that one is compiled for all."""
        return self._numbered(network)

    @contextmanager
    def _stopping(self, network: nn.Module, last: int, features: bool) -> Iterator[None]:
        final = self._attentions(network, last)[-1]
        with ExitStack() as stack:
            stack.enter_context(probe.only_first(network, self._row.blocks, last + 1))
            if not features and not network.is_gradient_checkpointing:
                stops = probe.stopping_at if self._row.cross is None else probe.stopping_after
                stack.enter_context(stops(final))
            yield

    def _recorded(
        self, seen: Sequence[probe.Seen], features: Tensor | None, latents: Latents, condition: Condition
    ) -> Recorded:
        """Attention over all video tokens as the kinds that are slices of it; attention to the text by itself, or a slice too."""
        query, key, value, mask = seen[0]
        if features is None:
            features = query.new_empty(len(query), self._tokens(latents), 0)
        if self._row.cross is not None:
            own, (words_query, words_key, _, words_mask) = Projections(query, key, joint_keys=(key,)), seen[1]
            cross = Projections(words_query, words_key[:, :, _known(words_mask, words_key.shape[2])])
            return Recorded(query, key, value, features, cross, own, (own,))
        video, words = self._sides(query.shape[2], latents)
        known = key[:, :, words][:, :, _known(mask, key.shape[2], video.start)[words]]
        own = Projections(query[:, :, video], key[:, :, video], joint_keys=(known, key[:, :, video]))
        return Recorded(own.query, own.key, value[:, :, video], features, replace(own, key=known), own, (own,))

    def _sides(self, tokens: int, latents: Latents) -> tuple[slice, slice]:
        """Where the video's tokens, and the text's, stand in joint attention."""
        video = self._tokens(latents)
        if self._row.text_first:
            return slice(tokens - video, None), slice(0, tokens - video)
        return slice(0, video), slice(video, None)

    def _tokens(self, latents: Latents) -> int:
        """The video's tokens."""
        time, rows, columns = self._patch
        _, _, frames, height, width = latents.shape
        return frames // time * (height // rows) * (width // columns)

    def _given_tokens(self) -> int:
        """Tokens of the lattice frame that a picture gives, where it is one of the video's own; those come first."""
        if self._picture is None or self._pictures is Pictures.MUST:
            return 0
        height, width = self._picture.shape[-2:]
        return self.lattice(self.codec.fitting(None, height, width)).area

    def _injected(self, seen: Recorded) -> Callable[[probe.Attention], probe.Attention]:
        """Put recorded keys and values in the place of those of the video tokens, but for those of a picture that is given."""
        video, is_last, kept = seen.key.shape[2], self._row.text_first, self._given_tokens()

        def change(attention: probe.Attention) -> probe.Attention:
            query, key, value = attention
            swapped = []
            for own, other in ((key, seen.key), (value, seen.value)):
                begin = own.shape[2] - video if is_last else 0
                new = other[:, :, kept:].to(own.dtype).expand(len(own), -1, -1, -1)
                swapped.append(torch.cat([own[:, :, : begin + kept], new, own[:, :, begin + video :]], dim=2))
            return query, swapped[0], swapped[1]

        return change


def _as_large(sizes: Sequence[tuple[int, int]], own: Shape) -> tuple[tuple[int, int], ...]:
    """Those of some sizes that are about as large as a model's own, without it."""
    area = own.height * own.width
    near = [(height, width) for height, width in sizes if abs(height * width / area - 1) <= SAME_AREA]
    return tuple(size for size in near if size != (own.height, own.width))


def _patterns(row: Row) -> dict[str, re.Pattern[str]]:
    """Names of linear layers by their kinds."""
    lists = "|".join(row.blocks)
    blocks = re.compile(rf"^({lists})\.\d+\.({'|'.join((row.attention, *row.feed_forward))})(\.|$)")
    tuned = "|".join(name for name in (row.attention, row.cross, *row.feed_forward) if name)
    return {
        "temporal": re.compile(rf"^({lists})\.\d+\.{row.attention}\.to_(q|k|v|query|key|value)$"),
        "temporal_blocks": blocks,
        "spatial_blocks": blocks,
        "linear": re.compile(rf"^({lists})\.\d+\.({tuned})(\.|$)"),
    }


def _first(settings: Mapping[str, Any], *names: str) -> Any:
    """The first of some settings that is there."""
    return next(settings[name] for name in names if settings.get(name) is not None)


def _known(mask: Tensor | None, keys: int, query: int = 0) -> Tensor:
    """Which keys a query attends to, as truths."""
    if mask is None:
        return torch.ones(keys, dtype=torch.bool)
    row = mask.expand(*mask.shape[:3], keys)[0, 0, query % mask.shape[2]].detach()
    return row.cpu() if row.dtype == torch.bool else row.cpu() > -1


def _is_unknown(tokenizer: Any, word: str) -> bool:
    """Whether the vocabulary has no piece for a part of a word."""
    return tokenizer.unk_token_id is not None and tokenizer.unk_token_id in tokenizer(word).input_ids
