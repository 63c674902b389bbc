"""See and change the queries, keys and values of an attention module while a network runs.

The module's own call of ``scaled_dot_product_attention`` is caught, so what is seen is what the model uses, after
normalisation and rotary positions. The catch opens and closes with each call of that one module: under gradient checkpointing
the backward pass runs the module again, and a catch around the whole network would miss that.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from motionlift.errors import ModelError

Attention = tuple[Tensor, Tensor, Tensor]
"""Query, key and value, each ``(batch, heads, tokens, d)``."""


class Seen(NamedTuple):
    """One call of ``scaled_dot_product_attention``."""

    query: Tensor
    """``(batch, heads, tokens, d)``."""
    key: Tensor
    """As many axes."""
    value: Tensor
    """As the keys."""
    mask: Tensor | None
    """True, or what is added to the logits, with the axes ``batch heads queries keys`` or ones in their place; none for all."""


class _Catch(TorchFunctionMode):
    def __init__(self, change: Callable[[Attention], Attention]):
        super().__init__()
        self.change = change
        self.last: Seen | None = None
        """The last call, as it was made."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            given = [kwargs.pop(name) if name in kwargs else None for name in ("query", "key", "value")]
            args = (*args, *[tensor for tensor in given if tensor is not None])
            query, key, value, *others = args
            mask = others[0] if others else kwargs.get("attn_mask")
            self.last = Seen(query, key, value, mask)
            args = (*self.change((query, key, value)), *others)
        return func(*args, **kwargs)


@contextmanager
def catching(
    module: nn.Module, change: Callable[[Attention], Attention], done: Callable[[Seen], None] | None = None
) -> Iterator[None]:
    """Pass the attention of every call of a module through ``change`` until left.

    ``change`` may return what it was given, having looked at it. Gradients flow through what it returns; leave this
    context only after the backward pass. Of two catches of one module the inner one gets what the outer one returned.

    Args:
        module: a module that attends, once or more in a call.
        change: gives what takes the place of query, key and value.
        done: is told the last attention of each call, when that ends.

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
        if output is not None and catch.last is None:
            raise ModelError(
                f"{type(module).__name__} does not use PyTorch's scaled_dot_product_attention, so its attention cannot be "
                "read; switch the model back to its default attention processors"
            )
        if catch.last is not None and done is not None:
            done(catch.last)

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
def only_first(parent: nn.Module, names: Sequence[str], count: int) -> Iterator[None]:
    """Let a network run only the first ``count`` modules of its module lists, so that it stops early.

    What the network returns meanwhile is meaningless; what was recorded on the way is exact, with gradients.

    Args:
        parent: the network.
        names: its module lists, in the order in which they run.
        count: modules of all of them together.
    """
    whole = {name: getattr(parent, name) for name in names}
    left = count
    try:
        for name, modules in whole.items():
            setattr(parent, name, nn.ModuleList(list(modules)[:left]))
            left = max(0, left - len(modules))
        yield
    finally:
        for name, modules in whole.items():
            setattr(parent, name, modules)


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


@contextmanager
def no_gradient_after(module: nn.Module) -> Iterator[None]:
    """Keep no gradient of what a network does after a module has returned, until left."""
    before = torch.is_grad_enabled()

    def cut(*_: Any) -> None:
        torch.set_grad_enabled(False)

    handle = module.register_forward_hook(cut)
    try:
        yield
    finally:
        handle.remove()
        torch.set_grad_enabled(before)


@contextmanager
def watching(module: nn.Module, kept: dict[nn.Module, Seen]) -> Iterator[None]:
    """Keep the attention of a module's first call until left: a recomputation in backward must not replace it.

    Of a module that attends twice in a call, first to a picture and then to the text, the last is kept.
    """
    with catching(module, lambda attention: attention, lambda seen: kept.setdefault(module, seen)):
        yield


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
