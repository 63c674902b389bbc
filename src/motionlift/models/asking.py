"""What a pipeline gives its network: it is called as its users call it, and stopped there.

So prompts, pictures, positions and schedules are its own, whatever they are; nothing of it is changed.
"""

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from motionlift.errors import ModelError

REMEMBERED = 32
"""Encoded prompts that are remembered (ours: a few megabytes each at true size)."""
REGISTRY = "_diffusers_hook"
"""Where diffusers keeps the hooks of a network."""


class _CalledError(Exception):
    """Leaves a pipeline where it calls its network."""


@dataclass(frozen=True)
class Asked:
    """What a pipeline did up to the first call of its network."""

    arguments: Mapping[str, Any]
    """The network's arguments by name, without those that are None."""
    scheduler: Any
    """Its scheduler, with the timesteps of the run."""


class Asking:
    """Asks one pipeline."""

    def __init__(
        self,
        pipeline: Any,
        networks: Sequence[nn.Module],
        device: torch.device,
        encoding: Callable[[], AbstractContextManager[None]],
        **replaced: Any,
    ):
        """Nothing is asked yet.

        Args:
            pipeline: one of diffusers'.
            networks: its parts that predict.
            device: where its parts run.
            encoding: holds its text encoders on the device while they are used.
            replaced: parts of another kind for the asking, such as a guider that does nothing.
        """
        self._pipeline, self._networks, self._device = pipeline, tuple(networks), device
        self._encoding, self._replaced = encoding, replaced
        self._remembered: OrderedDict[str, Any] = OrderedDict()

    @torch.no_grad()
    def ask(self, **call: Any) -> Asked:
        """Call the pipeline up to its network.

        Args:
            call: the pipeline's arguments.

        Raises:
            ModelError: the pipeline refuses them, or never calls its network.
        """
        view, found = self._view(), {}

        def stop(network: nn.Module, positional: tuple[Any, ...], named: Mapping[str, Any]) -> None:
            names = list(inspect.signature(type(network).forward).parameters)[1:]
            found.update({**dict(zip(names, positional, strict=False)), **named})
            raise _CalledError

        with ExitStack() as stack:
            for network in self._networks:
                if REGISTRY not in vars(network):  # a pipeline makes one in which to tell its passes apart
                    stack.callback(vars(network).pop, REGISTRY, None)
                stack.callback(network.register_forward_pre_hook(stop, prepend=True, with_kwargs=True).remove)
            try:
                view(**call, generator=torch.Generator().manual_seed(0), output_type="latent")
            except _CalledError:
                given = {name: value for name, value in found.items() if value is not None}
                return Asked(given, view.scheduler)
            except (ValueError, TypeError, ArithmeticError) as error:
                reason = " ".join(str(error).split())[:200]
                raise ModelError(f"{type(self._pipeline).__name__} refuses what it was asked: {reason}") from error
        raise ModelError(f"{type(self._pipeline).__name__} never calls its network")

    def _view(self) -> Any:
        """A copy of the pipeline that shares its networks and encoders: what it sets and counts stays in the copy."""
        kind = type(self._pipeline)
        view = object.__new__(type(kind.__name__, (kind,), {"_execution_device": self._device}))
        view.__dict__ = {**vars(self._pipeline), "_progress_bar_config": {"disable": True}}
        view.scheduler = copy.deepcopy(self._pipeline.scheduler)
        for name, part in self._replaced.items():
            setattr(view, name, part)
        view.encode_prompt = self._encoded(view.encode_prompt)
        return view

    def _encoded(self, encode: Callable[..., Any]) -> Callable[..., Any]:
        """A pipeline's ``encode_prompt`` that remembers: text encoders are large, and what they give goes by the prompt alone."""

        def remembering(*given: Any, **named: Any) -> Any:
            key = repr((given, sorted(named.items())))
            if key not in self._remembered:
                with self._encoding():
                    self._remembered[key] = encode(*given, **named)
            self._remembered.move_to_end(key)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
            return self._remembered[key]

        return remembering
