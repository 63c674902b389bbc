"""See and change the queries, keys and values of an attention module while a network runs.

The module's own call of ``scaled_dot_product_attention`` is caught, so what is seen is what the model uses, after
normalisation and rotary positions. The catch opens and closes with each call of that one module: under gradient checkpointing
the backward pass runs the module again, and a catch around the whole network would miss that.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as functional
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from motionlift.errors import ModelError

Attention = tuple[Tensor, Tensor, Tensor]
"""Query, key and value, each ``(batch, heads, tokens, d)``."""


class _Catch(TorchFunctionMode):
    def __init__(self, change: Callable[[Attention], Attention]):
        super().__init__()
        self.change = change
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            given = [kwargs.pop(name) if name in kwargs else None for name in ("query", "key", "value")]
            args = (*args, *[tensor for tensor in given if tensor is not None])
            self.calls += 1
            args = (*self.change(args[:3]), *args[3:])
        return func(*args, **kwargs)


@contextmanager
def catching(module: nn.Module, change: Callable[[Attention], Attention]) -> Iterator[None]:
    """Pass the attention of every call of a module through ``change`` until left.

    ``change`` may return what it was given, having looked at it. Gradients flow through what it returns; leave this
    context only after the backward pass. Of two catches of one module the inner one gets what the outer one returned.

    Raises:
        ModelError: the module did not call ``scaled_dot_product_attention``, so nothing was seen or changed.
    """
    opened: list[_Catch] = []

    def enter(*_: Any) -> None:
        catch = _Catch(change)
        catch.__enter__()
        opened.append(catch)

    def leave(_module: nn.Module, _arguments: Any, output: Any) -> None:
        catch = opened.pop()
        catch.__exit__(None, None, None)
        if output is not None and not catch.calls:
            raise ModelError(
                f"{type(module).__name__} does not use PyTorch's scaled_dot_product_attention, so its attention cannot be "
                "read; switch the model back to its default attention processors"
            )

    # The mode entered last gets the call first, so that an inner catch must enter before an outer one.
    handles = [
        module.register_forward_pre_hook(enter, prepend=True),
        module.register_forward_hook(leave, always_call=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        while opened:  # PyTorch skips its hooks on Ctrl-C
            opened.pop().__exit__(None, None, None)


@contextmanager
def only_first(parent: nn.Module, name: str, count: int) -> Iterator[None]:
    """Let a network run only the first ``count`` modules of one of its module lists, so that it stops early.

    What the network returns meanwhile is meaningless; what was recorded on the way is exact, with gradients.
    """
    whole = getattr(parent, name)
    setattr(parent, name, nn.ModuleList(list(whole)[:count]))
    try:
        yield
    finally:
        setattr(parent, name, whole)


class _StoppedError(Exception):
    """Leaves a network from within."""


@contextmanager
def stopping_after(module: nn.Module) -> Iterator[None]:
    """Let a network run until a module has returned, and end this context there.

    What was recorded on the way is exact, with gradients. The module must not lie within one whose activations are recomputed.
    """

    def stop(*_: Any) -> None:
        raise _StoppedError

    handle = module.register_forward_hook(stop)
    try:
        yield
    except _StoppedError:
        return
    finally:
        handle.remove()


@contextmanager
def stopping_at(module: nn.Module) -> Iterator[None]:
    """Let a network run until a module calls its attention, and end this context there.

    Enter it after what is to see that attention. As with :func:`stopping_after`, no activations may be recomputed.
    """

    def stop(attention: Attention) -> Attention:
        raise _StoppedError

    try:
        with catching(module, stop):
            yield
    except _StoppedError:
        return


def keeping(kept: dict[nn.Module, Attention], module: nn.Module) -> Callable[[Attention], Attention]:
    """Look at a module's attention and keep the first that is seen: a recomputation in backward must not replace it."""

    def look(attention: Attention) -> Attention:
        kept.setdefault(module, attention)
        return attention

    return look


@contextmanager
def outputs(module: nn.Module, kept: dict[nn.Module, Tensor]) -> Iterator[None]:
    """Keep the first output of a module until left; of a tuple, its first part."""

    def look(_module: nn.Module, _arguments: Any, output: Any) -> None:
        kept.setdefault(module, output[0] if isinstance(output, tuple) else output)

    handle = module.register_forward_hook(look)
    try:
        yield
    finally:
        handle.remove()
