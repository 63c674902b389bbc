"""Weights that a quantizer of diffusers holds: which it is, what is in their tensors, and gradients through them.

Nothing of a quantizer's package is imported here: what it made is known by what diffusers keeps beside it.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from motionlift.core.memory import Weights


def is_quantized(network: object) -> bool:
    """Whether a quantizer holds the weights of one of diffusers' networks, be it one that has a name here or not."""
    return getattr(network, "hf_quantizer", None) is not None


def quantizer_of(network: Any) -> Weights:
    """How a quantizer holds the weights of a network; as they are, where there is none, or one that has no name here."""
    config = network.hf_quantizer.quantization_config if is_quantized(network) else None
    if getattr(config, "load_in_8bit", False):
        return Weights.INT8
    if getattr(config, "load_in_4bit", False):
        return Weights.NF4
    if type(getattr(config, "quant_type", None)).__name__ == "Int8WeightOnlyConfig":
        return Weights.TORCHAO_INT8
    by_quanto = f"quanto-{getattr(config, 'weights_dtype', '')}"
    return Weights(by_quanto) if by_quanto in tuple(Weights) else Weights.OWN


def within(tensor: Tensor) -> Iterator[Tensor]:
    """The tensors that one is made of: itself, or, of one that stands for others, those, such as whole numbers and factors."""
    if type(tensor) in (Tensor, nn.Parameter) or not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from within(getattr(tensor, name))


def bytes_of(tensor: Tensor) -> int:
    """Bytes that a tensor takes; of one that stands for others, theirs."""
    return sum(own.nbytes for own in within(tensor))


def plain_like(layer: nn.Module) -> nn.Linear | None:
    """A linear layer of the same sizes without values, in place of one that a quantizer made; none for other modules."""
    if not isinstance(layer, nn.Linear):
        return None
    if type(layer) is nn.Linear and next(within(layer.weight)) is layer.weight:
        return None
    kind = layer.weight.dtype if layer.weight.dtype.is_floating_point else getattr(layer, "compute_dtype", None)
    own = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta", dtype=kind)
    return own.requires_grad_(False)


def keep_held(network: nn.Module) -> None:
    """Let the graph of a pass keep quantized weights as they are held.

    torchao's linear layers compute with numbers of full size that they make of their weights, and the graph would keep all of these
    until backward: in guidance nothing would be saved. bitsandbytes' and optimum-quanto's have functions of their own for that.
    """
    for layer in network.modules():
        if (
            type(layer) is nn.Linear
            and hasattr(layer.weight, "dequantize")
            and next(within(layer.weight)) is not layer.weight
        ):
            layer.forward = partial(_linear, layer)


def _linear(layer: nn.Linear, given: Tensor) -> Tensor:
    """What a linear layer gives, whose weights need no gradient."""
    if torch.is_grad_enabled() and given.requires_grad:
        return _Held.apply(given, layer.weight, layer.bias)
    return functional.linear(given, layer.weight, layer.bias)


class _Held(torch.autograd.Function):
    """A linear layer of whose weights the graph keeps what is held."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """As of :func:`torch.nn.functional.linear`."""
        ctx.weight = weight
        return functional.linear(given, weight, bias)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        """The slope by what was given; weights are held, and have none."""
        return slopes[0] @ ctx.weight.dequantize().to(slopes[0].dtype), None, None
