"""What all families of models share; a family's file is what differs."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from motionlift.core.condition import Condition
from motionlift.core.cost import Passes
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.memory import Measures, Weights
from motionlift.core.model import About
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Record, Recorded
from motionlift.core.tensors import Latents, Pixels, Positions
from motionlift.errors import SettingError
from motionlift.models import probe
from motionlift.models.codecs import Autoencoder, can_tile
from motionlift.models.compiling import Compiled, check_compiler
from motionlift.models.identity import digest, former_identity, identity_of, sample_of
from motionlift.models.offloading import cast, exact_gradients, held_as, is_offloaded, offload
from motionlift.models.parallel import Parallel, check_sharing
from motionlift.models.precision import named
from motionlift.models.prompts import Prompts
from motionlift.models.quantized import is_quantized, keep_held
from motionlift.models.sources import Source
from motionlift.models.turns import Turns
from motionlift.motion.original import Readers

CHECKPOINTED_PARAMETERS = 5e8
"""Above this many parameters a network is large: measures are taken that cost little time (ours)."""

TEXT = "encoder_hidden_states"
"""The argument of diffusers' networks that holds the prompt."""


class _Seeing(NamedTuple):
    """What is seen of some modules while a network runs."""

    attention: dict[nn.Module, probe.Seen]
    outputs: dict[nn.Module, Tensor]


def weights_of(*modules: nn.Module) -> int:
    """Number of weights of modules."""
    return sum(weight.numel() for module in modules for weight in module.parameters())


class PipelineModel(ABC):
    """The :class:`motionlift.core.model.Model` of a diffusers pipeline.

    The pipeline is as it was whenever no turn is held: its scheduler is only read, and its parts are changed for a turn alone.
    """

    family: str
    """Name of the family."""
    pipelines: ClassVar[tuple[str, ...]]
    """Pipelines of diffusers that it serves."""
    parts: ClassVar[Mapping[str, tuple[str, ...]]]
    """Parts that such a pipeline must have, and classes that they may be of; the network comes first."""
    apart: ClassVar[bool] = False
    """Whether a model is read part by part, without the pipeline's class."""
    single: ClassVar[tuple[str, ...]] = ()
    """Parts that are kept in single precision, whatever the others are in."""
    networks: ClassVar[tuple[str, ...]]
    """The parts that predict, of which a pipeline may lack all but the first."""
    by_block: ClassVar[bool] = True
    """Whether a network that is offloaded waits block after block, or leaf after leaf: where its blocks are few and large."""
    context_parallel: ClassVar[bool] = False
    """Whether several processes can share the tokens of a video."""
    readers: ClassVar[Readers] = Readers()
    """Who else loads adapters of it."""
    licence: ClassVar[str] = ""
    """Of the published weights, by their cards."""
    linear: Mapping[str, re.Pattern[str]]
    """Names of the linear layers of each kind, in a network."""
    decisive: Mapping[str, tuple[str, ...]]
    """The settings of the configurations of ``network``, ``autoencoder`` and ``scheduler`` by which a motion fits a model."""
    defaults: Mapping[str, Mapping[str, Any]]
    """Sampling and guiding by variant, where they differ from the common ones."""
    anew: int | None = None
    """Of a model without weights, bytes of those that are made anew as it is read, since its files hold them in another type; None
    where that is not known."""
    about: About
    text: Prompts
    codec: Autoencoder

    def __init__(
        self, pipeline: Any, name: str, device: torch.device, given: bool = False, measures: Measures | None = None
    ):
        """Take a pipeline over.

        Args:
            pipeline: one of :attr:`pipelines`.
            name: what it is called in messages and records.
            device: where it runs.
            given: whether it is somebody else's, who gets its parts back where they were.
            measures: what is done so that it takes less memory; by default what goes with its size.
        """
        self._given, self._named, self._device = given, name, device
        self._pipeline = pipeline
        own = {name: network for name in self.networks if (network := getattr(pipeline, name, None)) is not None}
        self._networks = tuple(own.values())
        self._network = self._networks[0]
        self.network = nn.ModuleDict(own)
        self.passes = Passes()
        asked = measures or self._usual()
        for network in self._networks:
            if asked.weights is Weights.FP8:
                cast(network)
            elif not given and is_quantized(network):
                keep_held(network)
        self._parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
        if asked.offloaded:
            self._offload()
        fixed = [part for part in self._parts if is_offloaded(part)]
        self._turns = Turns(self._networks, self._parts, device, self._changed, asked.waiting, fixed)
        so = {
            "waiting": self._turns.waiting,
            "offloaded": is_offloaded(self._network),
            "weights": held_as(self._network),
        }
        self._measures = self._possible(replace(asked, **so))
        self._compiled: Mapping[nn.Module, Compiled] = {}
        self._parallel: Parallel | None = None

    def __repr__(self) -> str:
        about = self.about
        return f"{type(self).__name__}({about.name!r}, {about.shape}, {about.fps:.4g} a second, {about.dtype} on {about.device})"

    def _offload(self) -> None:
        """Let networks wait block after block, and text encoders leaf after leaf."""
        for title, part in self._pipeline.components.items():
            if part in self._networks:
                offload(part, self._device, self.by_block)
            elif part in self._parts and "text_encoder" in title:
                offload(part, self._device, by_block=False)

    def _usual(self) -> Measures:
        """What is done so that it takes less memory, where nothing is asked for: by the size of its network."""
        large = self._network.num_parameters() > CHECKPOINTED_PARAMETERS
        parts = large and can_tile(self._pipeline.vae)
        return Measures(one_by_one=large, parts=parts, recomputed=large, waiting=True)

    def _possible(self, measures: Measures) -> Measures:
        """Some measures, with those that it cannot do without.

        Raises:
            SettingError: its autoencoder cannot work in tiles, and is to.
        """
        if measures.parts and not can_tile(self._pipeline.vae):
            raise SettingError(
                f"the autoencoder of {self._named} cannot work in parts: leave that measure out, and make the video smaller if it "
                "does not fit"
            )
        return measures

    def _introduced(
        self, name: str, variant: str, scheduling: Mapping[str, Any], fps: float, widths: Mapping[str, int]
    ) -> About:
        """Facts about the model, whose codec is there by then; fields as :class:`motionlift.core.model.About` has them.

        Args:
            name: what it is called.
            variant: which published model it is.
            scheduling: the configuration of the scheduler that it samples by.
            fps: its rate.
            widths: channels of the features of its blocks, by their places.
        """
        vae = self._pipeline.vae
        configs = {"network": self._network.config, "autoencoder": vae.config, "scheduler": scheduling}
        former = former_identity(*configs.values())
        first = [*self._networks, vae]
        others = [part for part in self._parts if part not in first]
        return About(
            name=name,
            family=self.family,
            variant=variant,
            identity=identity_of(self.decisive, configs),
            former_identity=former,
            fingerprint=digest(former, *[sample_of(part) for part in (*first, *others)]),
            device=self._device,
            shape=self.codec.shape,
            fps=fps,
            places=tuple(widths),
            widths=tuple(widths.values()),
            measures=self._measures,
            dtype=named(self._network.dtype),
            defaults=self.defaults.get(variant, {}),
        )

    def _reading(self, window: int, unknown: Callable[[Any, str], bool]) -> Prompts:
        """How the pipeline reads prompts; arguments as of :class:`motionlift.models.prompts.Prompts`."""
        return Prompts(self._pipeline.tokenizer, window, self.about.name, self._encoded, unknown, self._turns.turn)

    def _encoded(self, prompt: str, _shape: Shape | None) -> Condition:
        with self._turns.using(self._pipeline.text_encoder):
            return Condition({TEXT: self._embedding(prompt).float()})

    def counted(self) -> "PipelineModel":
        """A view of the same model that counts its passes from zero."""
        view = object.__new__(type(self))
        view.__dict__ = {**self.__dict__, "passes": Passes()}
        return view

    def pictured(self, picture: Pixels) -> "PipelineModel":
        """A view of the same model whose videos begin with a picture.

        Raises:
            SettingError: its videos begin with none.
        """
        raise SettingError(
            f"{self.about.name} makes videos from text alone: leave the picture out, or take a model that begins with one, such "
            "as Wan 2.2 TI2V or LTX-Video"
        )

    def saving(self, measures: Measures) -> "PipelineModel":
        """A view of the same model that takes less memory, or less time.

        Args:
            measures: those that a view can choose, and the others as the model was loaded.

        Raises:
            SettingError: the others differ, or the autoencoder cannot work in parts and is to.
        """
        own = self._measures
        if (measures.waiting, measures.offloaded, measures.weights) != (own.waiting, own.offloaded, own.weights):
            raise SettingError(
                f"{self.about.name} was loaded with {', '.join(own.taken) or 'no measures'}: waiting, offloaded and weights are "
                "settled then; load it again with others"
            )
        view = object.__new__(type(self))
        view.__dict__ = {**self.__dict__, "_measures": self._possible(measures)}
        view._turns = self._turns.changing(view._changed)
        view.about = replace(self.about, measures=view._measures)
        view.codec = replace(self.codec, in_parts=view._measures.parts)
        return view

    def compiling(self) -> "PipelineModel":
        """A view of the same model whose passes for sampling run compiled: those that nothing looks into, without gradients.

        Raises:
            SettingError: its weights are moved or held otherwise while it runs, or nothing can be compiled here.
        """
        taken = [name for name in self._measures.taken if name == "offloaded" or name in tuple(Weights)]
        if taken:
            raise SettingError(
                f"{self.about.name} runs with {' and '.join(taken)}, whose weights change while a pass runs: leave compiling out, "
                "or let it use more memory"
            )
        check_compiler(self._device)
        view = object.__new__(type(self))
        compiled = {network: Compiled(self._repeated(network)) for network in self._networks}
        view.__dict__ = {**self.__dict__, "_compiled": compiled}
        view._turns = self._turns.changing(view._changed)
        view.about = replace(self.about, compiled=True)
        return view

    def sharing(self, processes: int) -> "PipelineModel":
        """A view of the same model whose passes for sampling several processes share: those that nothing looks into.

        Args:
            processes: how many.

        Raises:
            SettingError: other processes were started, they cannot speak to each other, its heads cannot be shared, or its weights
                are moved while it runs.
            ModelError: something other than diffusers' own attends.
        """
        others = {"a compiled network": self.about.compiled, "a network that is offloaded": self._measures.offloaded}
        check_sharing(processes, self, self.about.name, self._device, others)
        view = object.__new__(type(self))
        view.__dict__ = {**self.__dict__, "_parallel": Parallel(self._networks, processes, self._device)}
        view._turns = self._turns.changing(view._changed)
        view.about = replace(self.about, processes=processes)
        return view

    @classmethod
    def breaking(cls, source: Source) -> Mapping[str, str]:
        """Types of numbers that break a model, by name, and what is known of that: none is known."""
        return {}

    def like(self, changed: Callable[[Any], Any], device: torch.device) -> "PipelineModel":
        """A model of another pipeline of the same kind.

        Args:
            changed: gives that pipeline of this one's.
            device: where it runs.
        """
        return type(self)(changed(self._pipeline), self._named, device)

    @property
    def held(self) -> Mapping[str, Sequence[nn.Module]]:
        """Its parts by what they are used for.

        The ``network``, or several for levels of their own; the ``autoencoder``; ``text``, the encoders and what else a pipeline
        uses before its network.
        """
        own = [getattr(self._pipeline, "vae", None)]  # a pipeline on pixels has none
        autoencoder = [part for part in own if part is not None]
        others = [part for part in self._parts if part not in (*self._networks, *autoencoder)]
        return {"network": self._networks, "autoencoder": autoencoder, "text": others}

    def turn(self) -> AbstractContextManager[None]:
        """Hold the model, as it must be to run, until left."""
        return self._turns.turn()

    def rest(self) -> None:
        """Put the parts of a pipeline that was handed in back on the devices where they were."""
        if self._given:
            self._turns.rest()

    def linear_layers(self, kind: str) -> Sequence[str]:
        """Names of linear layers of :attr:`network`, of a kind.

        Raises:
            SettingError: the family does not tell such layers apart.
        """
        if kind not in self.linear:
            allowed = ", ".join(self.linear)
            raise SettingError(f"{self.about.name} has no layers that are {kind} and no others; allowed are {allowed}")
        return [
            f"{part}.{name}"
            for part, network in self.network.items()
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear) and self.linear[kind].search(name)
        ]

    def predict(
        self, latents: Latents, level: Level, condition: Condition, positions: Positions | None = None
    ) -> Latents:
        """The network's output, in its own parameterisation, in single precision."""
        network = self._network_at(level)
        with self._running(latents, level), ExitStack() as stack:
            if network in self._compiled and not torch.is_grad_enabled():
                stack.enter_context(self._compiled[network].running())
            if self._parallel is not None and positions is None and not torch.is_grad_enabled():
                stack.enter_context(self._parallel.sharing(network))
            return self._predicted(latents, level, condition, positions).float()

    def record(
        self,
        latents: Latents,
        level: Level,
        condition: Condition,
        blocks: Sequence[int],
        positions: Positions | None = None,
        features: bool = True,
    ) -> Record:
        """Run up to the last of the blocks and return what was seen there, video tokens only."""
        network, last = self._network_at(level), max(blocks)
        seeing = _Seeing({}, {})
        with self._running(latents, level, self.share(last, features)), ExitStack() as stack:
            stack.enter_context(self._looking(network, blocks, seeing))
            stack.enter_context(self._stopping(network, last, features))
            self._predicted(latents, level, condition, positions)
        return self._found(network, blocks, seeing, latents, condition, features)

    def share(self, block: int, features: bool = False) -> float:
        """What share of a pass's work is done when a block has been seen; by the number of blocks, where a family says nothing."""
        return (block + 1) / self.about.blocks

    def watch(
        self,
        latents: Latents,
        level: Level,
        condition: Condition,
        blocks: Sequence[int],
        positions: Positions | None = None,
        features: bool = True,
    ) -> tuple[Latents, Record]:
        """The network's output, to which no gradient reaches, and what was seen on the way."""
        network = self._network_at(level)
        seeing = _Seeing({}, {})
        with self._running(latents, level), ExitStack() as stack:
            stack.enter_context(self._looking(network, blocks, seeing))
            stack.enter_context(probe.no_gradient_after(self._ending(network, max(blocks))))
            output = self._predicted(latents, level, condition, positions).float().detach()
        return output, self._found(network, blocks, seeing, latents, condition, features)

    @contextmanager
    def _looking(self, network: nn.Module, blocks: Sequence[int], seeing: "_Seeing") -> Iterator[None]:
        """Look at blocks while the network runs."""
        with ExitStack() as stack:
            for number in blocks:
                for module in self._attentions(network, number):
                    stack.enter_context(probe.watching(module, seeing.attention))
                stack.enter_context(probe.outputs(self._featured(network, number), seeing.outputs))
            yield

    def _found(
        self,
        network: nn.Module,
        blocks: Sequence[int],
        seeing: "_Seeing",
        latents: Latents,
        condition: Condition,
        features: bool,
    ) -> Record:
        """What was seen, in the legend's axes."""
        found: dict[int, Recorded] = {}
        for number in blocks:
            output = seeing.outputs.get(self._featured(network, number)) if features else None
            own = [seeing.attention[module] for module in self._attentions(network, number)]
            found[number] = self._recorded(own, output, latents, condition)
        return found

    @contextmanager
    def injecting(self, recorded: Mapping[int, Recorded]) -> Iterator[None]:
        """Replace the video keys and values of blocks by recorded ones."""
        with self.turn(), ExitStack() as stack:
            for number, seen in recorded.items():
                change = self._injected(seen)
                for network in self._networks:
                    stack.enter_context(probe.catching(self._attentions(network, number)[0], change))
            for compiled in self._compiled.values():
                stack.enter_context(compiled.plain())
            if self._parallel is not None:
                stack.enter_context(self._parallel.plain())
            yield

    @contextmanager
    def _running(self, latents: Latents, level: Level, share: float = 1.0) -> Iterator[None]:
        """A turn with the network of a level on the device, whose pass is counted by its share of the work."""
        network = self._network_at(level)
        with self._turns.using(network), exact_gradients(network):
            self.passes.ran(len(latents), share)
            yield

    def _network_at(self, _level: Level) -> nn.Module:
        """The network that predicts at a level."""
        return self._network

    def _times(self, latents: Latents, level: Level) -> Tensor:
        """The timestep for every video of a batch."""
        return torch.full((len(latents),), level.timestep, device=self._device)

    def _embedding(self, prompt: str) -> Tensor:
        """A prompt by the text encoder, which is on the device; for families that read by :meth:`_reading`."""
        raise NotImplementedError

    @abstractmethod
    def schedule(self, steps: int, shape: Shape | None = None) -> Schedule:
        """The levels of a run."""

    @abstractmethod
    def lattice(self, shape: Shape, block: int | None = None) -> Lattice:
        """The lattice of a video in a block, or the finest that it has."""

    @abstractmethod
    def positions(self, shape: Shape) -> Positions:
        """The positional tensors for a video."""

    @abstractmethod
    def _changed(self) -> AbstractContextManager[None]:
        """What to change of the network while a turn lasts."""

    @abstractmethod
    def _predicted(self, latents: Latents, level: Level, condition: Condition, positions: Positions | None) -> Latents:
        """One pass of the network, which is on the device, in its own type."""

    @abstractmethod
    def _attentions(self, network: nn.Module, number: int) -> Sequence[nn.Module]:
        """The attention modules of a block; of the first, keys and values can be injected."""

    def _repeated(self, network: nn.Module) -> Sequence[nn.Module]:
        """The modules of a network that are compiled each by itself: where its blocks are unlike, the whole."""
        return [network]

    @abstractmethod
    def _featured(self, network: nn.Module, number: int) -> nn.Module:
        """The module whose output is a block's features."""

    def _ending(self, network: nn.Module, number: int) -> nn.Module:
        """The module with which a block ends, where activations are recomputed."""
        return self._featured(network, number)

    @abstractmethod
    def _stopping(self, network: nn.Module, last: int, features: bool) -> AbstractContextManager[None]:
        """Let the network run only as far as a block is seen, with its features or without."""

    @abstractmethod
    def _recorded(
        self, seen: Sequence[probe.Seen], features: Tensor | None, latents: Latents, condition: Condition
    ) -> Recorded:
        """What was seen of a block, by its attentions, in the legend's axes."""

    @abstractmethod
    def _injected(self, seen: Recorded) -> Any:
        """A change of attention that puts recorded keys and values in the place of its own."""
