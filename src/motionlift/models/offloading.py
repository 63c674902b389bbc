"""Weights that lie elsewhere, or in fewer bits, than where and how they compute, by hooks of diffusers; and exact gradients.

The graph of a pass keeps parameters, or views of them, whose memory these hooks then replace: gradients would be wrong, or not a
number, without an error, and whatever the graph keeps is not saved. So it keeps which parameter it needs, and gets it again in
backward.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.hooks import HookRegistry, apply_group_offloading
from diffusers.hooks._common import _GO_LC_SUPPORTED_PYTORCH_LAYERS
from diffusers.hooks.group_offloading import (
    _GROUP_OFFLOADING,
    _LAYER_EXECUTION_TRACKER,
    _LAZY_PREFETCH_GROUP_OFFLOADING,
)
from diffusers.hooks.layerwise_casting import _LAYERWISE_CASTING_HOOK, DEFAULT_SKIP_MODULES_PATTERN
from safetensors import safe_open
from torch import Tensor, nn

from motionlift.core.memory import Weights
from motionlift.models.quantized import quantizer_of
from motionlift.models.recomputation import checkpointed

STORED = torch.float8_e4m3fn
"""How weights of 8 bits are held: four bits of exponent and three of fraction (what diffusers stores by default)."""
REGISTRY = "_diffusers_hook"
"""Where diffusers keeps the hooks of a module."""


def offload(part: nn.Module, device: torch.device, by_block: bool) -> None:
    """Let a part wait in main memory; what runs of it is on the device while it runs.

    On a GPU the weights that wait are pinned, and come by a stream of their own. Nothing comes ahead of its turn: diffusers takes
    the order from the first pass and would bring the wrong blocks where a pass stops early, and in backward.

    Args:
        part: a network, or a text encoder.
        device: where it runs.
        by_block: block after block, or leaf after leaf, which takes the least memory.
    """
    streams = device.type == "cuda"
    if streams:
        pin(part)
    apply_group_offloading(
        part,
        onload_device=device,
        offload_type="block_level" if by_block else "leaf_level",
        num_blocks_per_group=1,
        use_stream=streams,
        record_stream=streams,
    )
    if streams:
        registry = HookRegistry.check_if_exists_or_initialize(part)
        registry.remove_hook(_LAZY_PREFETCH_GROUP_OFFLOADING, recurse=False)
        registry.remove_hook(_LAYER_EXECUTION_TRACKER)


def pin(part: nn.Module) -> None:
    """Put the weights of a part into pinned memory, one after the other.

    diffusers pins those that are not, and lets what it pins go only when it has pinned all: main memory would hold a part twice.
    """
    for tensor in (*part.parameters(), *part.buffers()):
        tensor.data = tensor.data.cpu().pin_memory()


def cast(network: Any) -> None:
    """Hold the weights of one of diffusers' networks in 8 bits; each layer's are as before while it runs.

    What the network's class names as delicate stays as it is.
    """
    network.enable_layerwise_casting(storage_dtype=STORED, compute_dtype=network.dtype)


def cast_layers(network: Any) -> Iterator[nn.Module]:
    """The layers of one of diffusers' networks whose weights :func:`cast` would hold in 8 bits, by diffusers' own rule.

    A layer is left as it is where its name, or that of a module that it is in, is one of those that diffusers, or the network's
    class, names as delicate.
    """
    named = (network._keep_in_fp32_modules, network._skip_layerwise_casting_patterns)
    delicate = [*DEFAULT_SKIP_MODULES_PATTERN, *(pattern for own in named for pattern in own or ())]
    for name, module in network.named_modules():
        words = name.split(".")
        above = [".".join(words[: count + 1]) for count in range(len(words))]
        is_delicate = any(re.search(pattern, own) for pattern in delicate for own in above)
        if isinstance(module, _GO_LC_SUPPORTED_PYTORCH_LAYERS) and not is_delicate:
            yield module


def is_offloaded(part: nn.Module) -> bool:
    """Whether a part, or some of it, waits in main memory until it runs."""
    return next(_hooks(part, _GROUP_OFFLOADING), None) is not None


def is_cast(part: nn.Module) -> bool:
    """Whether layers of a part are held in fewer bits than they compute in."""
    return next(_hooks(part, _LAYERWISE_CASTING_HOOK), None) is not None


def held_as(network: Any) -> Weights:
    """How the weights of one of diffusers' networks are held."""
    if is_cast(network):
        return Weights.FP8
    return quantizer_of(network)


def is_moved(part: nn.Module) -> bool:
    """Whether the memory of a part's weights is another after it ran."""
    return is_offloaded(part) or is_cast(part)


def reading(part: nn.Module) -> Callable[[Tensor], Tensor]:
    """What gives the values of a parameter or buffer of a part, also where it waits in a file: its own memory is empty then."""
    files = {
        tensor: (group.safetensors_file_path, key)
        for hook in _hooks(part, _GROUP_OFFLOADING)
        for group in [hook.group]
        if group.offload_to_disk_path is not None
        for tensor, key in group.tensor_to_key.items()
    }

    def read(tensor: Tensor) -> Tensor:
        if tensor not in files:
            return tensor.detach()
        path, key = files[tensor]
        with safe_open(path, "pt") as file:
            return file.get_tensor(key)

    return read


def copied_plainly(part: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A copy of a part that runs as if none of it were ever moved or cast; layers that are cast have the type they compute in.

    Hooks cannot be copied: those that move weights hold streams and modules of Python, and what diffusers puts in the place of
    a module's ``forward`` calls the module that it was copied from.

    Args:
        part: what is copied.
        memo: copies by the identity of what they are copies of, as of :func:`copy.deepcopy`.
    """
    hooked = {
        name: registry
        for name, module in part.named_modules(remove_duplicate=False)
        if (registry := vars(module).get(REGISTRY)) is not None and registry.hooks
    }
    memo |= {id(registry): HookRegistry(nn.Identity()) for registry in hooked.values()}
    twin = copy.deepcopy(part, memo)
    for name, registry in hooked.items():
        module = twin.get_submodule(name)
        for own in (REGISTRY, "forward"):
            vars(module).pop(own, None)
        cast_by = registry.get_hook(_LAYERWISE_CASTING_HOOK)
        if cast_by is not None:
            module.to(cast_by.compute_dtype)
    return twin


@dataclass(frozen=True)
class _Needed:
    """A view of a parameter, as a graph needs it."""

    owner: nn.Parameter
    size: Sequence[int]
    stride: Sequence[int]
    offset: int
    kind: torch.dtype
    device: torch.device


@contextmanager
def exact_gradients(network: nn.Module) -> Iterator[None]:
    """Let what runs until left keep of a network's frozen weights which they are, and not their memory.

    Blocks whose activations are recomputed keep nothing meanwhile; of them see :data:`RECOMPUTED`.
    """
    if not torch.is_grad_enabled() or not is_moved(network):
        yield
        return
    read = reading(network)

    def pack(tensor: Tensor) -> Tensor | _Needed:
        owner = tensor._base if tensor._is_view() else tensor
        if not isinstance(owner, nn.Parameter) or owner.requires_grad:
            return tensor.detach()  # whose memory stays, also where that of a buffer is replaced
        return _Needed(owner, tensor.size(), tensor.stride(), tensor.storage_offset(), tensor.dtype, tensor.device)

    def unpack(held: Tensor | _Needed) -> Tensor:
        if isinstance(held, Tensor):
            return held
        return read(held.owner).to(held.device, held.kind).as_strided(held.size, held.stride, held.offset)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield


@contextmanager
def _as_they_are() -> Iterator[None]:
    """Let what is recomputed until left keep the memory of weights as it is now, for the one block whose backward follows.

    Of several such contexts PyTorch asks the innermost alone, and the one around is the recomputation's own.
    """
    found = torch._C._autograd._top_saved_tensors_default_hooks(True)
    assert found is not None
    pack, unpack = found
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: pack(tensor.detach()), unpack):
        yield


RECOMPUTED: Mapping[str, Any] = {
    "use_reentrant": False,
    "early_stop": False,
    "context_fn": lambda: (nullcontext(), _as_they_are()),
}
"""How PyTorch's ``checkpoint`` is called of blocks with moved weights. They run to their ends: left in the middle, they would stay
on the device."""


def recomputing(module: nn.Module, *arguments: Any) -> Any:
    """What diffusers' networks call of each block with moved weights where activations are recomputed."""
    return checkpointed(module.__call__, *arguments, **RECOMPUTED)


def _hooks(part: nn.Module, name: str) -> Iterator[Any]:
    """The hooks of diffusers, of one kind, of a part's modules."""
    for module in part.modules():
        registry = vars(module).get(REGISTRY)
        hook = registry.get_hook(name) if registry is not None else None
        if hook is not None:
            yield hook
