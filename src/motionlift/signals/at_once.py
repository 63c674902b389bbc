"""A scalar whose gradient is taken as soon as it is known."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LOSS_SCALE = 2.0**10
"""Factor on a scalar whose gradient goes back through half precision, taken off again after (ours)."""


class _AtOnce(torch.autograd.Function):
    """A scalar whose gradient is taken as soon as it is known."""

    @staticmethod
    def forward(context: Any, function: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = given.detach().requires_grad_()
            value = function(leaf)
            with torch.autocast(given.device.type, enabled=False):  # as where a whole step goes backward
                (gradient,) = torch.autograd.grad(LOSS_SCALE * value, leaf)
        context.save_for_backward(gradient / LOSS_SCALE)
        return value.detach()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (gradient,) = context.saved_tensors
        return None, gradients[0] * gradient


def used_at_once(function: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
    """``function(given)``, a scalar, whose graph is used up before this returns; gradients reach ``given`` alone.

    So a network may be seen with its adapter off in the middle of a step with it on: activations that are recomputed in backward
    are recomputed with the adapter as it was. It also frees that graph before the rest of the step goes backward.
    """
    return _AtOnce.apply(function, given)  # pyright: ignore[reportReturnType]
