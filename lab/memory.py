"""Memory of passes at true size, counted on PyTorch's meta device, where tensors have sizes and no numbers.

Attention is taken to be fused: of it queries, keys, values, the output and one figure a query are kept.
"""

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from lab.evidence import PROMPT, noise_of
from motionlift.models.families import serving
from motionlift.models.probe import only_first
from motionlift.models.transformer import HIDDEN
from tests.twins.wide import WIDE, wide

GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """What a network takes, in GiB."""

    weights: float
    """Its weights."""
    sampled: float
    """A pass without gradients, beside them."""
    guided: float
    """A pass to the middle block's queries and keys and back to the latents, activations recomputed, beside them."""


class _Fused(torch.autograd.Function):
    """Attention by what a fused kernel keeps."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])


class _Counted(TorchDispatchMode):
    """Counts the bytes that live beside some tensors, and the most of them."""

    def __init__(self, apart: nn.Module):
        super().__init__()
        self.live = self.most = 0
        self.known = {tensor.untyped_storage()._cdata: 0 for tensor in (*apart.parameters(), *apart.buffers())}

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in tree_iter(output):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in self.known:
                self._add(tensor.untyped_storage())
        return output

    def _add(self, storage: Any) -> None:
        key = storage._cdata
        self.known[key] = storage.nbytes()
        self.live += storage.nbytes()
        self.most = max(self.most, self.live)
        weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        self.live -= self.known.pop(key, 0)


def memory(network: nn.Module, arguments: Mapping[str, Any], lists: tuple[str, ...], attention: str) -> Memory:
    """What a network on the meta device takes.

    Args:
        network: the whole network.
        arguments: of its call, from any device.
        lists: its module lists.
        attention: in a block, its attention over the video.
    """
    moved = {name: tree_map(_as_meta, value) for name, value in arguments.items()}
    own = [block for name in lists for block in network.get_submodule(name).children()]
    middle = len(own) // 2
    with torch.no_grad(), _fused([]), _Counted(network) as sampling:
        network(**moved)
    seen: list[Tensor] = []
    recomputed: Any = network
    recomputed.enable_gradient_checkpointing()
    leaf = moved[HIDDEN].detach().requires_grad_()
    # Whatever attends before it, the middle block's attention is the last that begins with an empty list.
    handle = own[middle].get_submodule(attention).register_forward_pre_hook(lambda *_: seen.clear())
    with _fused(seen), only_first(network, lists, middle + 1), _Counted(network) as guiding:
        network(**{**moved, HIDDEN: leaf})
        loss = torch.stack([tensor.float().sum() for tensor in seen]).sum()
        seen.clear()
        torch.autograd.grad(loss, leaf)
    handle.remove()
    weights = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    return Memory(weights / GIB, sampling.most / GIB, guiding.most / GIB)


def _as_meta(value: Any) -> Any:
    return torch.empty(value.shape, dtype=value.dtype, device="meta") if isinstance(value, Tensor) else value


@contextmanager
def _fused(seen: list[Tensor]) -> Iterator[None]:
    """Let every attention be a fused one; the first finds an empty list, and leaves its queries and keys in it."""
    own = functional.scaled_dot_product_attention

    def attend(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Any:
        if not seen:
            seen.extend((query, key))
        return _Fused.apply(query, key, value)

    functional.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = own


def of_published(name: str) -> Memory | None:
    """What a published model takes at its own size, asked of its thin twin; none where a mask's values decide about sizes."""
    own, pipeline = WIDE[name], wide(name)
    row = serving(type(pipeline).__name__)
    model = row(pipeline, name, torch.device("cpu"))
    condition, level = model.text.encode(PROMPT, own.shape), model.schedule(4, own.shape).levels[1]
    arguments = model._arguments(pipeline.transformer, noise_of(model, own.shape), level, condition)
    settings = {key: value for key, value in {**own.network, **own.published}.items() if key != "num_single_layers"}
    with torch.device("meta"):
        network = type(pipeline.transformer)(**settings)
    try:
        return memory(network.to(torch.bfloat16).requires_grad_(False), arguments, row.blocks, row.attention)
    except RuntimeError:
        return None
