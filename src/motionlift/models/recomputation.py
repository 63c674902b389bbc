"""Blocks of a network that recompute their activations in backward: by diffusers' own switch, and where that fails."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

PLAIN: Mapping[str, Any] = {"use_reentrant": False}
"""How PyTorch's ``checkpoint`` is called of blocks whose weights stay where they are."""


def checkpointed(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """PyTorch's ``checkpoint``, which ends with what it runs also where that fails.

    Before 2.13 it goes on until nobody holds the error any more, as notebooks do with the last one: whatever ran meanwhile would be
    recomputed as a part of what failed. So it is not told of errors in the forward pass.

    Args:
        function: what is run, and again in backward.
        arguments: what it is given.
        options: those of PyTorch's ``checkpoint``.
    """
    failed: list[BaseException] = []
    is_forward = True

    def run(*given: Any) -> Any:
        try:
            return function(*given)
        except BaseException as error:
            if not is_forward:  # PyTorch stops a recomputation by an error of its own
                raise
            failed.append(error)

    found = checkpoint(run, *arguments, **options)
    is_forward = False
    if failed:
        raise failed.pop()
    return found


def recomputed(module: nn.Module, *arguments: Any) -> Any:
    """What diffusers' networks call of each block whose weights stay where they are."""
    return checkpointed(module.__call__, *arguments, **PLAIN)


@dataclass
class Recomputation:
    """Whether the blocks of one network recompute their activations; changed only while a turn is held."""

    on: bool
    options: Mapping[str, Any]
    """How PyTorch's ``checkpoint`` is called."""


@dataclass(frozen=True)
class _Recomputed:
    """The forward of a block whose activations are recomputed."""

    forward: Callable[..., Any]
    """The block's own."""
    recomputation: Recomputation
    """Whether it does."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Run the block; named tensors go as an argument, since the state of dropout is kept for the devices of those alone."""
        if not self.recomputation.on:
            return self.forward(*arguments, **named)
        return checkpointed(self._run, named, *arguments, **self.recomputation.options)

    def _run(self, named: Mapping[str, Any], *arguments: Any) -> Any:
        return self.forward(*arguments, **named)


@contextmanager
def recomputing(blocks: Sequence[nn.Module], recomputation: Recomputation) -> Iterator[None]:
    """Let blocks recompute their activations until left, where that is on at first."""
    if not recomputation.on:
        yield
        return
    own = [vars(block).get("forward") for block in blocks]  # hooks of diffusers put one there
    for block in blocks:
        block.forward = _Recomputed(block.forward, recomputation)
    try:
        yield
    finally:
        for block, forward in zip(blocks, own, strict=True):
            del block.forward
            if forward is not None:
                block.forward = forward
