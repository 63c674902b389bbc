"""Rotary positions as something that can be optimised, for networks that make them in a module of their own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from motionlift.core.tensors import Positions


class _MadeError(Exception):
    """Leaves a network where its positions are made."""


@runtime_checkable
class Placing(Protocol):
    """Where a family's networks have their positions."""

    def found(self, network: nn.Module, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
        """The positional tensors that the network would use, in single precision; none where there are none.

        Args:
            network: the network, on its device.
            arguments: of its call.
        """
        ...

    def placed(
        self, network: nn.Module, arguments: dict[str, Any], positions: Positions
    ) -> AbstractContextManager[None]:
        """Let the network use others until left; the arguments may be changed."""
        ...

    def ready(self, networks: Sequence[nn.Module]) -> AbstractContextManager[None]:
        """What must be changed of the networks so that gradients reach positions."""
        ...


@dataclass(frozen=True)
class NoPositions:
    """No tensors that can be moved."""

    def found(self, network: nn.Module, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
        """None."""
        return {}

    def placed(
        self, network: nn.Module, arguments: dict[str, Any], positions: Positions
    ) -> AbstractContextManager[None]:
        """Nothing to do."""
        return nullcontext()

    def ready(self, networks: Sequence[nn.Module]) -> AbstractContextManager[None]:
        """Nothing to change."""
        return nullcontext()


@dataclass(frozen=True)
class RotaryModule(NoPositions):
    """A module that makes the rotary tensors: cosine and sine, or rotations; queries and keys share them."""

    name: str = "rope"
    """The module in the network."""

    def found(self, network: nn.Module, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
        """``cos`` and ``sin``, or ``rotations``, with the module's own axes."""
        made: list[Any] = []

        def stop(_module: nn.Module, _arguments: Any, output: Any) -> None:
            made.append(output)
            raise _MadeError

        handle = network.get_submodule(self.name).register_forward_hook(stop)
        try:
            with torch.no_grad():
                network(**arguments)
        except _MadeError:
            pass
        finally:
            handle.remove()
        (output,) = made
        if isinstance(output, Tensor):
            return {"rotations": output.float().clone()}
        cosine, sine = output
        return {"cos": cosine.float().clone(), "sin": sine.float().clone()}

    @contextmanager
    def placed(self, network: nn.Module, arguments: dict[str, Any], positions: Positions) -> Iterator[None]:
        """The module gives the others."""

        def give(_module: nn.Module, _arguments: Any, output: Any) -> Any:
            if isinstance(output, Tensor):
                return positions["rotations"].to(output)
            return tuple(positions[name].to(own) for name, own in zip(("cos", "sin"), output, strict=True))

        handle = network.get_submodule(self.name).register_forward_hook(give)
        try:
            yield
        finally:
            handle.remove()
