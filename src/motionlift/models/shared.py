"""What all families of models share; a family's file is what differs."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from motionlift.core.condition import Condition
from motionlift.core.cost import Passes
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.model import About
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Record, Recorded
from motionlift.core.tensors import Latents, Positions
from motionlift.models import probe
from motionlift.models.codecs import Autoencoder
from motionlift.models.identity import digest, former_identity, identity_of, sample_of
from motionlift.models.prompts import Prompts
from motionlift.models.turns import Turns

CHECKPOINTED_PARAMETERS = 5e8
"""Above this many parameters activations are recomputed in backward, and the autoencoder works in parts (ours)."""

TEXT = "encoder_hidden_states"
"""The argument of diffusers' networks that holds the prompt."""

Seen = Mapping[nn.Module, probe.Attention]
"""Attention by its module."""


class PipelineModel(ABC):
    """The :class:`motionlift.core.model.Model` of a diffusers pipeline with one network.

    The pipeline is as it was whenever no turn is held: its scheduler is only read, and its parts are changed for a turn alone.
    """

    family: ClassVar[str]
    """Name of the family's file."""
    pipelines: ClassVar[tuple[str, ...]]
    """Pipelines of diffusers that it serves."""
    parts: ClassVar[Mapping[str, tuple[str, ...]]]
    """Parts that such a pipeline must have, and classes that they may be of; the network comes first."""
    linear: ClassVar[Mapping[str, re.Pattern[str]]]
    """Names of the linear layers of each kind, in the network."""
    decisive: ClassVar[Mapping[str, tuple[str, ...]]]
    """The settings of the configurations of ``network``, ``autoencoder`` and ``scheduler`` by which a motion fits a model."""
    defaults: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Sampling and guiding by variant, where they differ from the common ones."""
    about: About
    text: Prompts
    codec: Autoencoder

    def __init__(self, pipeline: Any, name: str, device: torch.device, given: bool = False):
        """Take a pipeline over.

        Args:
            pipeline: one of :attr:`pipelines`.
            name: what it is called in messages and records.
            device: where it runs.
            given: whether it is somebody else's, who gets its parts back where they were.
        """
        self._given = given
        self._pipeline = pipeline
        part = next(iter(self.parts))
        self._network = getattr(pipeline, part)
        self.network = nn.ModuleDict({part: self._network})
        self.passes = Passes()
        self._large = self._network.num_parameters() > CHECKPOINTED_PARAMETERS
        modules = [module for name in self.parts if isinstance(module := getattr(pipeline, name), nn.Module)]
        self._turns = Turns(self._network, modules, device, self._changed)
        self._device = device

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
        vae, text_encoder = self._pipeline.vae, self._pipeline.text_encoder
        configs = {"network": self._network.config, "autoencoder": vae.config, "scheduler": scheduling}
        former = former_identity(*configs.values())
        return About(
            name=name,
            family=self.family,
            variant=variant,
            identity=identity_of(self.decisive, configs),
            former_identity=former,
            fingerprint=digest(former, *[sample_of(part) for part in (self._network, vae, text_encoder)]),
            device=self._device,
            shape=self.codec.shape,
            fps=fps,
            places=tuple(widths),
            widths=tuple(widths.values()),
            batched=not self._large,
            defaults=self.defaults.get(variant, {}),
        )

    def _reading(self, window: int, unknown: Callable[[Any, str], bool]) -> Prompts:
        """How the pipeline reads prompts; arguments as of :class:`motionlift.models.prompts.Prompts`."""
        return Prompts(self._pipeline.tokenizer, window, self.about.name, self._encoded, unknown, self._turns.turn)

    def _encoded(self, prompt: str) -> Mapping[str, Tensor]:
        with self._turns.using(self._pipeline.text_encoder):
            return {TEXT: self._embedding(prompt).float()}

    def counted(self) -> "PipelineModel":
        """A view of the same model that counts its passes from zero."""
        view = object.__new__(type(self))
        view.__dict__ = {**self.__dict__, "passes": Passes()}
        return view

    def turn(self) -> AbstractContextManager[None]:
        """Hold the model, as it must be to run, until left."""
        return self._turns.turn()

    def rest(self) -> None:
        """Put the parts of a pipeline that was handed in back on the devices where they were."""
        if self._given:
            self._turns.rest()

    def linear_layers(self, kind: str) -> Sequence[str]:
        """Names of linear layers of :attr:`network`, of a kind."""
        (part,) = self.network
        return [
            f"{part}.{name}"
            for name, module in self._network.named_modules()
            if isinstance(module, nn.Linear) and self.linear[kind].search(name)
        ]

    def predict(
        self, latents: Latents, level: Level, condition: Condition, positions: Positions | None = None
    ) -> Latents:
        """The network's output, in its own parameterisation, in single precision."""
        with self._running(latents):
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
        seen: dict[nn.Module, probe.Attention] = {}
        outputs: dict[nn.Module, Tensor] = {}
        with self._running(latents), ExitStack() as stack:
            for number in blocks:
                for module in self._attentions(number):
                    stack.enter_context(probe.catching(module, probe.keeping(seen, module)))
                stack.enter_context(probe.outputs(self._featured(number), outputs))
            stack.enter_context(self._stopping(max(blocks), features))
            self._predicted(latents, level, condition, positions)
        return {
            number: self._recorded(
                number, seen, outputs.get(self._featured(number)) if features else None, len(latents), condition
            )
            for number in blocks
        }

    @contextmanager
    def injecting(self, recorded: Mapping[int, Recorded]) -> Iterator[None]:
        """Replace the video keys and values of blocks by recorded ones."""
        with self.turn(), ExitStack() as stack:
            for number, seen in recorded.items():
                change = self._injected(seen)
                stack.enter_context(probe.catching(self._attentions(number)[0], change))
            yield

    @contextmanager
    def _running(self, latents: Latents) -> Iterator[None]:
        """A turn with the network on the device, whose pass is counted."""
        with self._turns.using(self._network):
            self.passes.forward += len(latents)
            yield

    def _times(self, latents: Latents, level: Level) -> Tensor:
        """The timestep for every video of a batch."""
        return torch.full((len(latents),), level.timestep, device=self._device)

    def _embedding(self, prompt: str) -> Tensor:
        """A prompt by the text encoder, which is on the device; for families that read by :meth:`_reading`."""
        raise NotImplementedError

    @abstractmethod
    def schedule(self, steps: int) -> Schedule:
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
    def _attentions(self, number: int) -> Sequence[nn.Module]:
        """The attention modules of a block; of the first, keys and values can be injected."""

    @abstractmethod
    def _featured(self, number: int) -> nn.Module:
        """The module whose output is a block's features."""

    @abstractmethod
    def _stopping(self, last: int, features: bool) -> AbstractContextManager[None]:
        """Let the network run only as far as a block is seen, with its features or without."""

    @abstractmethod
    def _recorded(self, number: int, seen: Seen, features: Tensor | None, clips: int, condition: Condition) -> Recorded:
        """What was seen of a block, in the legend's axes."""

    @abstractmethod
    def _injected(self, seen: Recorded) -> Any:
        """A change of attention that puts recorded keys and values in the place of its own."""
