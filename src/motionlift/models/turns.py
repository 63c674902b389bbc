"""Turns: a pipeline's parts as they must be to run here, one caller at a time, and as they were afterwards."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
    """Gives turns at the parts of one pipeline, and keeps on the device what is used together.

    A part that lay on the device when the pipeline came stays there: all that came so fit together.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        parts: Sequence[nn.Module],
        device: torch.device,
        changed: Callable[[], AbstractContextManager[None]],
        waiting: bool = True,
        fixed: Collection[nn.Module] = (),
    ):
        """Remember how things are.

        Args:
            networks: those that predict; callers wait for each other by the first.
            parts: they and the others.
            device: where they run.
            changed: what else to change while a turn lasts.
            waiting: whether parts leave the device when others are used.
            fixed: parts that are moved by hooks of their own, and by nothing else.
        """
        self._held = _held(networks[0])
        self._networks = tuple(networks)
        self._device = device
        self._changed = changed
        self._homes = {part: _device_of(part) for part in parts if part not in fixed}
        self.waiting = waiting and any(home != device for home in self._homes.values())
        """Whether parts leave the device when others are used."""

    def changing(self, changed: Callable[[], AbstractContextManager[None]]) -> "Turns":
        """Turns at the same parts, in which something else is changed."""
        view = object.__new__(type(self))
        view.__dict__ = {**self.__dict__, "_changed": changed}
        return view

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the parts until left; networks without dropout and gradients of their own, and changed as the family needs it.

        Within a turn of the same thread nothing more happens.
        """
        with self._held.lock:
            if self._held.depth:
                yield
                return
            self._held.depth += 1
            try:
                with ExitStack() as stack:
                    for network in self._networks:
                        stack.enter_context(_at_rest(network))
                    stack.enter_context(self._changed())
                    yield
            finally:
                self._held.depth -= 1

    @contextmanager
    def using(self, *parts: nn.Module) -> Iterator[None]:
        """A turn with some parts on the device, without dropout and gradients; they stay there until others are used."""
        with self.turn(), ExitStack() as stack:
            for other, home in self._homes.items():
                if self.waiting and other not in parts and _device_of(other) == self._device != home:
                    other.to(home)
            for part in parts:
                if part in self._homes and _device_of(part) != self._device:
                    part.to(self._device)
                if part not in self._networks:
                    stack.enter_context(_at_rest(part))
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
