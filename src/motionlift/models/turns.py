"""Turns: a pipeline's parts as they must be to run here, one caller at a time, and as they were afterwards."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import nn


@dataclass
class _Held:
    """Who may run a network now; one for each network, whatever models were made of it."""

    lock: threading.RLock = field(default_factory=threading.RLock)  # pyright: ignore[reportInvalidTypeForm]
    depth: int = 0


_HELD: "WeakKeyDictionary[nn.Module, _Held]" = WeakKeyDictionary()
_REGISTERING = threading.Lock()


def _held(network: nn.Module) -> _Held:
    with _REGISTERING:
        return _HELD.setdefault(network, _Held())


class Turns:
    """Gives turns at the parts of one pipeline, and keeps one part at a time on the device.

    A part that lay on the device when the pipeline came stays there: all that came so fit together.
    """

    def __init__(
        self,
        network: nn.Module,
        parts: Sequence[nn.Module],
        device: torch.device,
        changed: Callable[[], AbstractContextManager[None]],
    ):
        """Remember how things are.

        Args:
            network: the one that predicts, by which callers wait for each other.
            parts: it and the others.
            device: where they run.
            changed: what else to change while a turn lasts.
        """
        self._held = _held(network)
        self._network = network
        self._parts = tuple(parts)
        self._device = device
        self._changed = changed
        self._homes = {part: _device_of(part) for part in parts}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the parts until left; the network without dropout and gradients of its own, and changed as the family needs it.

        Within a turn of the same thread nothing more happens.
        """
        with self._held.lock:
            if self._held.depth:
                yield
                return
            self._held.depth += 1
            try:
                with _at_rest(self._network), self._changed():
                    yield
            finally:
                self._held.depth -= 1

    @contextmanager
    def using(self, part: nn.Module) -> Iterator[None]:
        """A turn with one part on the device, without dropout and gradients; it stays there until another one is used."""
        with self.turn():
            for other in self._parts:
                if other is not part and _device_of(other) == self._device != self._homes[other]:
                    other.to(self._homes[other])
            if _device_of(part) != self._device:
                part.to(self._device)
            with nullcontext() if part is self._network else _at_rest(part):
                yield

    def rest(self) -> None:
        """Put every part where it was when the pipeline came."""
        with self._held.lock:
            for part, home in self._homes.items():
                if _device_of(part) != home:
                    part.to(home)


def _device_of(part: nn.Module) -> torch.device:
    return next((parameter.device for parameter in part.parameters()), torch.device("cpu"))


@contextmanager
def _at_rest(part: nn.Module) -> Iterator[None]:
    """Evaluation mode, and parameters that need no gradient, until left."""
    learning = [parameter for parameter in part.parameters() if parameter.requires_grad]
    training = [module for module in part.modules() if module.training]
    for parameter in learning:
        parameter.requires_grad_(False)
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True


@contextmanager
def switched(part: object, **attributes: object) -> Iterator[None]:
    """Other values for some attributes of an object until left; those that it lacks are left out."""
    before = {name: getattr(part, name) for name in attributes if hasattr(part, name)}
    for name in before:
        setattr(part, name, attributes[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(part, name, value)
