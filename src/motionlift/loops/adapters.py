"""Adapters on a network: fitted onto it and taken off again; its own weights are the same before and after.

What an adapter is, :mod:`motionlift.motion.adapter` says.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as functional
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from motionlift.core.method import LOOKS, MOTION, Plan
from motionlift.core.model import Model
from motionlift.core.schedule import Level
from motionlift.core.tensors import Tensors
from motionlift.errors import ModelError, MotionError
from motionlift.models.offloading import STORED, reading
from motionlift.models.quantized import is_quantized
from motionlift.motion.adapter import DIFFERENCE, DOWN, UP, check_adapter, with_end

_LOOKS_HEAD = f"{LOOKS}:"
"""How the names of what is tuned to looks begin, among the parameters of a tuning run."""


@runtime_checkable
class Switch(Protocol):
    """Adapters for a network."""

    def at(self, level: Level) -> AbstractContextManager[None]:
        """A context in which those that were tuned at a level are on the network; hold the model's turn around it."""
        ...


class Tunable:
    """A network's tuned parts while they are tuned. They are on the network only within :meth:`attached`."""

    def __init__(self, network: nn.Module, plan: Plan, seed: int, device: torch.device | None = None):
        """Make the layers of a plan tunable.

        Args:
            network: the network.
            plan: what is tuned.
            seed: seed of the factors, of which one begins at random and the other at zero.
            device: where the network runs, though it may rest elsewhere now; by default where it is.

        Raises:
            ModelError: the network has adapters already, or its weights are held by a quantizer.
        """
        _check_bare(network)
        _check_learnable(network)
        self._network = network
        self.parameters: dict[str, nn.Parameter] = {}
        """What the optimiser changes, in single precision, by name."""
        self._linear = {name: _linear(network, name) for name in plan.layers}
        self._factored: dict[str, Any] = {}
        self.switched_on: Collection[str] = (MOTION,)
        """What of it is on where it is on the network."""
        self._read = reading(network)
        if plan.rank is None:
            for name, layer in self._linear.items():
                own = self._read(layer.weight).to(device, torch.float32, copy=True)
                self.parameters[f"{name}.weight"] = nn.Parameter(own)
        else:
            self._make_factors(plan, plan.rank, seed, device)

    def _make_factors(self, plan: Plan, rank: int, seed: int, device: torch.device | None) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for kind, layers in ((MOTION, plan.layers), (LOOKS, plan.looks)):
                if layers:
                    _inject(self._network, kind, layers, rank, 0.0 if plan.as_released else plan.dropout)
            self._factored = _ejected(self._network)
            for layer in self._factored.values():
                _unrounded(layer)
            if plan.as_released:
                for layer in self._factored.values():
                    _as_released(layer, rank, plan.dropout)
        for name, layer in self._factored.items():
            layer.lora_dropout.train()
            for kind, head in ((MOTION, ""), (LOOKS, _LOOKS_HEAD)):
                for end, factors in ((DOWN, layer.lora_A), (UP, layer.lora_B)):
                    if kind in factors:
                        factors[kind].to(device, torch.float32)
                        self.parameters[head + name + end] = factors[kind].weight
        self._switch(self.switched_on)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """On the network until left; hold the model's turn around it."""
        with ExitStack() as stack:
            if self._factored:
                stack.enter_context(_placed(self._factored.values()))
            else:
                for name, layer in self._linear.items():
                    parameter = self.parameters[f"{name}.weight"]
                    stack.enter_context(_running(layer, partial(self._forward, layer, layer.forward, parameter)))
            yield

    def _forward(self, layer: nn.Linear, plain: Callable[[Tensor], Tensor], own: Tensor, input: Tensor) -> Tensor:
        """A layer's output by its tuned weights, which are kept in single precision whatever its own are."""
        if MOTION not in self.switched_on:
            return plain(input)
        bias = None if layer.bias is None else self._read(layer.bias).to(input)
        return functional.linear(input, own.to(input.dtype), bias)

    def state_dict(self) -> dict[str, Tensor]:
        """What the optimiser changes, for a checkpoint."""
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take over what a checkpoint holds.

        Raises:
            RuntimeError: other names or sizes.
        """
        if {name: value.shape for name, value in state_dict.items()} != {
            name: parameter.shape for name, parameter in self.parameters.items()
        }:
            raise RuntimeError("the tensors are not those of this adapter")
        for name, parameter in self.parameters.items():
            parameter.data.copy_(state_dict[name])

    def tensors(self) -> dict[str, Tensor]:
        """The adapter as it is now, without what was tuned to looks."""
        if self._factored:
            return {
                name: parameter.detach().clone()
                for name, parameter in self.parameters.items()
                if not name.startswith(_LOOKS_HEAD)
            }
        return {
            name + DIFFERENCE: own.detach() - self._read(self._linear[name].weight).to(own)
            for name in self._linear
            for own in [self.parameters[f"{name}.weight"]]
        }

    @contextmanager
    def only(self, on: Collection[str], /, fixed: Collection[str] = ()) -> Iterator[None]:
        """Switch what is tuned, where it is on the network: for motion, for looks, both or neither.

        Args:
            on: what is on until left, by :data:`motionlift.core.method.MOTION` and ``LOOKS``; motion alone by default.
            fixed: what of it gets no gradient.
        """
        self._switch(on, fixed)
        try:
            yield
        finally:
            self._switch((MOTION,))

    def _switch(self, on: Collection[str], fixed: Collection[str] = ()) -> None:
        self.switched_on = on
        for layer in self._factored.values():
            own = [kind for kind in on if kind in layer.lora_A]
            layer.enable_adapters(bool(own))
            if own:
                layer.set_adapter(own)
            for kind in own:
                for factors in (layer.lora_A, layer.lora_B):
                    factors[kind].requires_grad_(kind not in fixed)


def _unrounded(layer: Any) -> None:
    """Draw a layer's factors again where peft made them in the 8 bits in which its weights are held."""
    if layer.get_base_layer().weight.dtype is not STORED:
        return
    for kind in layer.lora_A:
        for factors in (layer.lora_A, layer.lora_B):
            factors[kind].float()
        layer.reset_lora_parameters(kind, True)


def _as_released(layer: Any, rank: int, dropout: float) -> None:
    """Make a layer's factors those of the programs of MotionMatcher and MotionDirector."""

    def drop(_factor: nn.Module, _given: tuple[Tensor], output: Tensor) -> Tensor:
        return functional.dropout(output, dropout, layer.lora_dropout.training)

    for kind, factor in layer.lora_A.items():
        nn.init.normal_(factor.weight, std=1 / rank)
        layer.lora_B[kind].register_forward_hook(drop)


def _check_bare(network: nn.Module) -> None:
    if _factored(network):
        raise ModelError(
            "the model has low-rank adapters of its own, which would be mixed up with what is tuned; make them part of its weights "
            "first: pipeline.fuse_lora() and pipeline.unload_lora_weights()"
        )


def _check_learnable(network: nn.Module) -> None:
    if any(is_quantized(own) for own in network.children()):
        raise ModelError(
            "the model's weights are held by a quantizer, and nothing is tuned on such: load it with weights as they are, or in "
            "fp8, or offloaded; or take a method that guides"
        )


@dataclass(frozen=True)
class Addition:
    """An adapter to be added to a network."""

    tensors: Tensors
    """Its tensors."""
    strength: float = 1.0
    """What they are multiplied by."""
    lowest: float = 0.0
    """Share of noise of the cleanest level at which it is on."""


class _Added:
    """A forward hook that adds what the difference of the weights makes of a layer's input."""

    def __init__(self, difference: Tensor):
        self._difference = difference

    def __call__(self, _layer: nn.Module, given: tuple[Tensor], output: Tensor) -> Tensor:
        self._difference = self._difference.to(given[0].device)  # once: then it lies there
        return output + functional.linear(given[0].to(self._difference.dtype), self._difference).to(output.dtype)


class _Factored:
    """A forward hook that adds what a layer's factors make of its input, as peft adds it.

    So the factors stay beside the network: what moves its weights, or casts them, leaves them alone.
    """

    def __init__(self, layer: Any):
        self._layer = layer

    def __call__(self, _layer: nn.Module, given: tuple[Tensor], output: Tensor) -> Tensor:
        layer, added = self._layer, output
        if layer.disable_adapters:
            return output
        for title in layer.active_adapters:
            if title in layer.lora_A:
                down, up = layer.lora_A[title], layer.lora_B[title]
                if down.weight.device != given[0].device:  # once: then they lie there
                    for factor in (down, up):
                        factor.to(given[0].device)
                dropped = layer.lora_dropout[title](given[0].to(down.weight.dtype))
                added = added + up(down(dropped)) * layer.scaling[title]
        return added.to(output.dtype)


class _Fitted:
    """Adapters that were fitted to a network and lie beside it."""

    def __init__(self, network: nn.Module, additions: Sequence[Addition]):
        self._network = network
        self._additions = additions
        self._hooks: list[dict[str, _Added]] = []
        try:
            for number, addition in enumerate(additions):
                check_fit(network, addition.tensors)
                differences = with_end(addition.tensors, DIFFERENCE)
                self._hooks.append({name: _Added(addition.strength * value) for name, value in differences.items()})
                _add(network, str(number), addition)
        finally:
            self._factored = _ejected(network)

    @contextmanager
    def at(self, level: Level) -> Iterator[None]:
        """Those that were tuned at a level are on the network until left; of strength 0 none is, so that nothing is rounded."""
        numbers = [number for number, own in enumerate(self._additions) if own.strength and level.noise >= own.lowest]
        on: dict[str, Any] = {}
        for name, layer in self._factored.items():
            titles = [str(number) for number in numbers if str(number) in layer.lora_A]
            if titles:
                layer.set_adapter(titles, inference_mode=True)
                on[name] = layer
        with _placed(on.values()), ExitStack() as stack:
            for number in numbers:
                for name, hook in self._hooks[number].items():
                    stack.callback(_linear(self._network, name).register_forward_hook(hook).remove)
            yield


def fitted(model: Model, additions: Sequence[Addition]) -> Switch | None:
    """Adapters as a switch for a model's network, which stays as it is; none of none.

    Raises:
        ModelError: the network has adapters already.
        MotionError: one does not fit the network.
    """
    if not additions:
        return None
    with model.turn():
        _check_bare(model.network)
        return _Fitted(model.network, additions)


def _add(network: nn.Module, title: str, addition: Addition) -> None:
    """Add the factors of one adapter."""
    downs, ups = with_end(addition.tensors, DOWN), with_end(addition.tensors, UP)
    if not downs:
        return
    _inject(network, title, list(downs), len(next(iter(downs.values()))), 0.0)
    for name, layer in _factored(network).items():
        if name in downs:
            layer.set_scale(title, addition.strength)
            for factors, value in ((layer.lora_A, downs[name]), (layer.lora_B, ups[name])):
                factors[title].weight = nn.Parameter(value.float().to(layer.weight.device), requires_grad=False)


def check_fit(network: nn.Module, adapter: Tensors) -> None:
    """Refuse an adapter that is not for this network.

    Raises:
        MotionError: it holds nothing, is no adapter, or has a layer that the network lacks or has in another size.
    """
    if not adapter:
        raise MotionError("the adapter holds no layers; lift it again")
    check_adapter({name: tuple(tensor.shape) for name, tensor in adapter.items()})
    expected: dict[str, tuple[int, ...]] = {}
    downs, differences = (with_end(adapter, end) for end in (DOWN, DIFFERENCE))
    rank = len(next(iter(downs.values()))) if downs else 0
    for name in (*downs, *differences):
        layer = _linear(network, name)
        rows, columns = layer.out_features, layer.in_features
        expected |= {name + DOWN: (rank, columns), name + UP: (rows, rank), name + DIFFERENCE: (rows, columns)}
    for name, tensor in adapter.items():
        if tuple(tensor.shape) != expected[name]:
            raise MotionError(
                f"the adapter's {name[:200]!r} has the size {tuple(tensor.shape)} and the model needs {expected[name]}: it was "
                "tuned on another model; lift it again with this one"
            )


def _linear(network: nn.Module, name: str) -> nn.Linear:
    """A linear layer by its name, within what peft put around it."""
    try:
        found = network.get_submodule(name)
    except AttributeError:
        found = None
    found = found.get_base_layer() if isinstance(found, LoraLayer) else found
    if not isinstance(found, nn.Linear):
        raise MotionError(
            f"the adapter is for a layer {name[:200]!r}, which the model lacks: it was tuned on another model"
        )
    return found


def _inject(network: nn.Module, title: str, layers: Sequence[str], rank: int, dropout: float) -> None:
    _forget(network)  # peft warns where it finds what it wrote for an earlier adapter
    config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=dropout, target_modules=list(layers))
    inject_adapter_in_model(config, network, title)


def _forget(network: nn.Module) -> None:
    """Remove what peft writes onto a network."""
    if hasattr(network, "peft_config"):
        del network.peft_config


def _factored(network: nn.Module) -> dict[str, Any]:
    """The layers that have factors, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, LoraLayer)}


def _ejected(network: nn.Module) -> dict[str, Any]:
    """Put the network's own layers back in their places; gives those with factors, by name."""
    layers = _factored(network)
    for name, layer in layers.items():
        network.set_submodule(name, layer.get_base_layer())
    _forget(network)
    return layers


@contextmanager
def _placed(layers: Collection[Any]) -> Iterator[None]:
    """Layers with factors on the network's own until left."""
    with ExitStack() as stack:
        for layer in layers:
            stack.callback(layer.get_base_layer().register_forward_hook(_Factored(layer)).remove)
        yield


@contextmanager
def _running(layer: nn.Module, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Another forward of a layer until left; its own may be one that hooks of diffusers put there."""
    own = vars(layer).get("forward")
    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward
        if own is not None:
            layer.forward = own
