"""Bytes of tensors while a program runs: of real ones, or of such as have a size and no values, on PyTorch's meta device.

On the meta device a network of any size runs in a second or so, and every tensor that it makes and lets go is counted as it would
be on a real device. Fused attention is run as such: what its kernels keep is counted, and never a map of all tokens by all.
"""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar
from weakref import finalize

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

META = torch.device("meta")
VALUES = 4096
"""Most values that are made up where a tensor without any is asked for them (ours: times, masks and words; no video)."""
aten = torch.ops.aten
FLASH = aten._scaled_dot_product_flash_attention_for_cpu.default


@dataclass
class Count:
    """Bytes of tensors on one device."""

    live: int = 0
    """Held now."""
    peak: int = 0
    """Most that were held at once since :meth:`again`."""
    known: dict[int, int] = field(default_factory=dict, repr=False)
    """Bytes of every storage that lives, by its number."""

    def again(self) -> None:
        """Take the peak from here on."""
        self.peak = self.live

    def leave_out(self, tensors: Iterable[Tensor]) -> None:
        """Tensors that are counted elsewhere, such as weights, or lie elsewhere; they must live as long as this counts."""
        for tensor in tensors:
            key = tensor.untyped_storage()._cdata
            self.live -= self.known.get(key, 0)
            self.known[key] = 0

    def take(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once, until it goes."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.known:
            return
        self.known[key] = size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        finalize(storage, self._gone, key)

    def _gone(self, key: int) -> None:
        self.live -= self.known.pop(key, 0)


CONVOLUTIONS = frozenset({aten.convolution.default, aten.convolution_backward.default})


def _columns(func: Any, args: tuple[Any, ...]) -> int:
    """Bytes in which a convolution of a CPU lays out, for each place of its output, all that the kernel covers there.

    PyTorch does so for three axes in single precision, out of sight; they are many times what the convolution gives.
    """
    given, weight = args[:2] if func is aten.convolution.default else args[1:3]
    if weight.dim() != 5 or max(weight.shape[2:]) == 1 or given.dtype != torch.float32:
        return 0
    stride, padding, dilation, transposed, output_padding, groups = (
        args[3:9] if func is aten.convolution.default else args[4:10]
    )
    empty = torch.zeros(())
    shapes = (empty.expand(given.shape), empty.expand(weight.shape), None)
    chosen = torch._C._select_conv_backend(*shapes, stride, padding, dilation, transposed, output_padding, groups)
    if chosen != torch._C._ConvBackend.Slow3d:
        return 0
    sizes = zip(given.shape[2:], weight.shape[2:], stride, padding, strict=True)
    places = math.prod((size + 2 * pad - kernel) // step + 1 for size, kernel, step, pad in sizes)
    return given.shape[0] * math.prod(weight.shape[1:]) * places * given.element_size()


@dataclass(frozen=True)
class _Sizes:
    """What a tensor without values is."""

    shape: torch.Size
    stride: tuple[int, ...]
    kind: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> "_Sizes":
        return cls(tensor.shape, tensor.stride(), tensor.dtype)

    def empty(self) -> Tensor:
        return torch.empty_strided(self.shape, self.stride, dtype=self.kind, device=META)


def _told(given: Any) -> Any:
    """What of an operation's arguments decides the sizes of what it gives."""
    if isinstance(given, Tensor):
        return given.shape, given.stride(), given.dtype, given.device.type
    if isinstance(given, list | tuple):
        return tuple(_told(each) for each in given)
    return type(given), given


def _tensors(given: Iterable[Any]) -> Iterator[Tensor]:
    """Those among an operation's arguments, of which lists alone hold more."""
    for each in given:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def _without_any(tensor: Tensor) -> Tensor:
    """On the meta device: what has no values meets nothing that has."""
    return tensor if tensor.device == META else torch.empty_like(tensor, device=META)


def _emptied(known: Any) -> Any:
    """Tensors without values for what an operation gave before."""
    return known.empty() if isinstance(known, _Sizes) else tree_map_only(_Sizes, _Sizes.empty, known)


@cache
def _makes_anew(func: Any) -> bool:
    """Whether all that an operation gives are tensors of their own, which share nothing with its arguments."""
    schema = func._schema
    return not schema.is_mutable and all(own.alias_info is None and str(own.type) == "Tensor" for own in schema.returns)


class _Counting(TorchDispatchMode):
    """Counts what is on a device, and answers for tensors without values."""

    def __init__(self, count: Count, device: str, is_main: bool):
        super().__init__()
        self.count, self.device, self.is_main = count, device, is_main
        self.counted = (device, "cpu") if is_main else (device,)
        self.made: dict[Any, Any] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled within, so that no call need be kept from it: that takes longer than most operations."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        out = self._without_values(func, args, named) if self.device == "meta" else self._counted(func(*args, **named))
        if "cpu" in self.counted and func in CONVOLUTIONS:
            self.count.peak = max(self.count.peak, self.count.live + _columns(func, args))
        return out

    def _without_values(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """An operation on tensors without values: what another of the same sizes gave has the sizes of what this one gives."""
        answer = ANSWERS.get(func)
        made = NotImplemented if answer is None else answer(self, *args, **named)
        if made is not NotImplemented:
            return made
        if func in HALVED:
            args, named = _as_autocast(args, named)
        key = (func, _told(args), _told(tuple(named.items()))) if _makes_anew(func) else None
        try:
            known = self.made.get(key)
        except TypeError:  # of what has no hash
            key = known = None
        if known is not None:
            return self._counted(_emptied(known))
        devices = {each.device for each in _tensors((*args, *named.values()))}
        if len(devices) > 1 and func is not aten.index.Tensor:  # truths that have values choose by them
            args, named = tree_map_only(Tensor, _without_any, (args, named))
            devices = {META}
        if key is None or devices != {META}:
            return self._counted(func(*args, **named))
        # Twins of the arguments: PyTorch's own functions for sizes may leave circles behind, which would hold the arguments.
        twins = tree_map_only(Tensor, lambda each: _Sizes.of(each).empty(), (args, named))
        self.made[key] = tree_map_only(Tensor, _Sizes.of, func(*twins[0], **twins[1]))
        return self._counted(_emptied(self.made[key]))

    def _counted(self, out: Any) -> Any:
        for tensor in (out,) if isinstance(out, Tensor) else tree_iter(out):
            if isinstance(tensor, Tensor) and tensor.device.type in self.counted:
                self.count.take(tensor)
        return out

    def copied(self, source: Tensor, **named: Any) -> Any:
        """A copy to main memory of what has no values: one value over and over, which takes no memory.

        Where the meta device stands for main memory, what is more than a few values stays where it is.
        """
        target = named.get("device")
        if source.device != META or target is None or torch.device(target).type != "cpu":
            return NotImplemented
        kind = named.get("dtype") or source.dtype
        if not self.is_main or source.numel() <= VALUES:
            return torch.ones((), dtype=kind).expand(source.shape)
        if kind == source.dtype:
            return aten.alias.default(source)
        made = torch.empty(source.shape, dtype=kind, device=META)
        self.count.take(made)
        return made


def _number(_mode: _Counting, tensor: Tensor) -> Any:
    """One, of the tensor's type."""
    if tensor.device != META:
        return NotImplemented
    return True if tensor.dtype == torch.bool else 1.0 if tensor.is_floating_point() else 1


def _equal(_mode: _Counting, one: Tensor, other: Tensor) -> Any:
    return True if META in (one.device, other.device) else NotImplemented


def _all_nonzero(mode: _Counting, tensor: Tensor) -> Any:
    """As if all were something."""
    if tensor.device != META:
        return NotImplemented
    out = torch.empty(tensor.numel(), tensor.dim(), dtype=torch.long, device=META)
    mode.count.take(out)
    return out


def _indexed(mode: _Counting, tensor: Tensor, indices: Any) -> Any:
    """Truths without values choose everything."""
    if not any(isinstance(each, Tensor) and each.device == META and each.dtype == torch.bool for each in indices):
        return NotImplemented
    found: list[Tensor | None] = []
    for each in indices:
        is_truths = isinstance(each, Tensor) and each.dtype == torch.bool
        numbers = [torch.empty(each.numel(), dtype=torch.long, device=META)] * each.dim() if is_truths else [each]
        found += numbers
    out = aten.index.Tensor(tensor, found)
    mode.count.take(out)
    return out


ANSWERS: Mapping[Any, Callable[..., Any]] = {
    aten._local_scalar_dense.default: _number,
    aten.equal.default: _equal,
    aten.index.Tensor: _indexed,
    aten.nonzero.default: _all_nonzero,
    aten._to_copy.default: lambda mode, source, **named: mode.copied(source, **named),
}
"""What is asked of values, by the operation; each gives ``NotImplemented`` where there are some."""


def _attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention by a fused kernel, which keeps query, key, value, output and one figure a query."""
    if enable_gqa:
        key, value = (each.repeat_interleave(query.shape[-3] // each.shape[-3], -3) for each in (key, value))
    if query.dim() != 4 or query.shape[-1] != value.shape[-1]:
        out, _ = aten._scaled_dot_product_attention_math(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale
        )
        return out
    if attn_mask is not None:  # kernels take a bias of the queries' type
        attn_mask = torch.empty(attn_mask.shape, dtype=query.dtype, device=META)
    out, _ = FLASH(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)
    return out


@contextmanager
def _attention_fused() -> Iterator[None]:
    """On the meta device PyTorch would lay out all queries by all keys; until left, attention is that of fused kernels."""
    library = torch.library.Library("aten", "IMPL", "AutogradMeta")
    try:
        library.impl("scaled_dot_product_attention", _attended)
        yield
    finally:
        library._destroy()


HALVED = frozenset(
    {aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default, aten.convolution.default, FLASH}
)
"""What autocast runs in half precision, of what networks call; it knows no meta device."""


def _as_autocast(args: Any, named: Any) -> tuple[Any, Any]:
    """Matrices and kernels that meet in half precision: all of them under autocast, and whatever meets one that is."""
    kinds = {each.dtype for each in tree_iter((args, named)) if isinstance(each, Tensor)}
    on = _Autocast.entered.types[-1] if _Autocast.entered.types else None
    half = on or next((kind for kind in (torch.bfloat16, torch.float16) if kind in kinds), None)
    if half is None or kinds == {half}:
        return args, named
    return tree_map_only(Tensor, lambda each: each.to(half) if each.is_floating_point() else each, (args, named))


class _Entered(threading.local):
    """What one thread has entered: others may run models while this one counts."""

    def __init__(self) -> None:
        self.types: list[torch.dtype | None] = []
        """Of each, none where one switches autocast off."""


class _Autocast(torch.autocast):
    """PyTorch's, which on the meta device is off: what it would cast is cast otherwise.

    Within an operation PyTorch says that it is off everywhere, so that it is remembered here.
    """

    entered: ClassVar[_Entered] = _Entered()
    """Those that are entered."""

    def __init__(self, device_type: str, *given: Any, **named: Any):
        if device_type == "meta":
            super().__init__("cpu", enabled=False)
        else:
            super().__init__(device_type, *given, **named)

    def __enter__(self) -> Any:
        self.entered.types.append(self.fast_dtype if self._enabled else None)
        return super().__enter__()

    def __exit__(self, *raised: Any) -> Any:
        self.entered.types.pop()
        return super().__exit__(*raised)


@contextmanager
def _autocast_known() -> Iterator[None]:
    """Networks that switch autocast for the device of a tensor may name the meta device until left."""
    before = torch.autocast, torch.amp.autocast
    torch.autocast = torch.amp.autocast = _Autocast
    try:
        yield
    finally:
        torch.autocast, torch.amp.autocast = before
        _Autocast.entered.types.clear()


_ONE_COUNT = threading.RLock()
"""Held while the meta device is counted: what it changes of PyTorch is one for a whole process."""


@contextmanager
def counting(device: str = "meta", *, weights: Iterable[Tensor] = (), is_main: bool = False) -> Iterator[Count]:
    """Count the bytes of tensors that are made within.

    Args:
        device: the kind of device whose tensors are counted; ``meta`` for those without values, which then answer what they are
            asked for: numbers with one, truths with yes.
        weights: what is not counted.
        is_main: whether what runs on the meta device stands for what would run in main memory, so that what leaves it is still
            there.
    """
    count = Count()
    count.leave_out(weights)
    if device != "meta":
        with _Counting(count, device, is_main):
            yield count
        return
    with _ONE_COUNT, _autocast_known(), _attention_fused(), _Counting(count, device, is_main):
        yield count
