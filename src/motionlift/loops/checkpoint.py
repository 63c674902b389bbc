"""Training state on disk: modules, optimiser moments and step, as safetensors, written whole or not at all."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from motionlift.motion.checking import FLOATS
from motionlift.motion.file import write_tensors
from motionlift.video.marks import CHECKPOINT, KEY
from motionlift.video.writing import replacing

STEP = "step"
"""What PyTorch's optimisers call the steps that they took; all else of their state has the size of what they change."""
SQUARES = "exp_avg_sq"
"""What AdamW calls its means of squares."""
MOST_STEPS = 10**9
"""Most steps that a checkpoint may tell (ours)."""

MOMENTS: Mapping[str, frozenset[str]] = {
    "AdamW": frozenset({STEP, "exp_avg", SQUARES}),
    "Muon": frozenset({"momentum_buffer"}),
}
"""What an optimiser of PyTorch, by the name of its class, keeps of each thing that it changes."""

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class _Stored:
    """A tensor of a checkpoint, by its header."""

    sizes: tuple[int, ...]
    floating: bool


@runtime_checkable
class Stateful(Protocol):
    """What is trained: a module, or whatever keeps its tensors as modules do."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Its tensors by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor], /) -> Any:
        """Take over tensors by name; raises RuntimeError where they do not fit."""
        ...


@runtime_checkable
class Optimizer(Protocol):
    """PyTorch's optimisers, and what accelerate puts around them."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """What they change, in groups."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Moments and groups, as PyTorch's optimisers give them."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take them over."""
        ...


def save_checkpoint(
    path: Path,
    step: int,
    modules: Mapping[str, Stateful],
    optimizers: Mapping[str, Optimizer],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write modules, optimisers and the step to one file; a reader sees the old file or the new one, never a part.

    Args:
        path: the file.
        step: steps that are done.
        modules: what is trained.
        optimizers: what trains it.
        about: what else to say, ready for JSON.

    Raises:
        OutputError: the file cannot be written, or would replace one that is no checkpoint.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"module.{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
    told = {"step": json.dumps(step), "about": json.dumps(dict(about or {})), KEY: CHECKPOINT.name}
    with replacing(path, CHECKPOINT) as partial:
        write_tensors(partial, tensors, told)


def about_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint says besides its tensors.

    Raises:
        OSError: it cannot be read.
        RuntimeError: the file is damaged, or no checkpoint.
    """
    return _told(path, "about", dict)


def load_checkpoint(path: Path, modules: Mapping[str, Stateful], optimizers: Mapping[str, Optimizer]) -> int:
    """Restore modules and optimisers in place; returns the number of steps already done.

    Everything is looked at before anything is taken over, types and sizes before numbers.

    Raises:
        OSError: it cannot be read.
        RuntimeError: the file is damaged, the tensors do not fit modules or optimisers, or they hold numbers that they cannot.
    """
    step = _told(path, "step", int)
    if not 0 <= step <= MOST_STEPS:
        raise RuntimeError("it tells a number of steps that no run has")
    expected = {
        f"module.{name}.{key}": _Stored(tuple(value.shape), value.is_floating_point())
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    sizes = {name: _sizes_by_number(optimizer) for name, optimizer in optimizers.items()}
    with _opened(path) as file:
        read = [key for key in file.keys() if key.split(".", 2)[:2] in _heads(modules, optimizers)]
        for key in read:
            told = file.get_slice(key)
            wanted = expected.get(key) if key.startswith("module.") else _moment(key, sizes)
            _check_stored(key, _Stored(tuple(told.get_shape()), str(told.get_dtype()) in FLOATS), wanted)
        lacking = sorted(expected.keys() - set(read))
        if lacking:
            raise RuntimeError(f"it lacks {lacking[0][:100]!r}")
        tensors = {key: file.get_tensor(key) for key in read}
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise RuntimeError(f"{key[:100]!r} holds numbers that are not finite")
        if key.startswith("optimizer.") and key.endswith(f".{SQUARES}") and (tensor < 0).any():
            raise RuntimeError(f"{key[:100]!r} holds negative numbers, where there are means of squares")
    states = {name: _state(tensors, name, step, _moments_of(optimizer)) for name, optimizer in optimizers.items()}
    for name, module in modules.items():
        prefix = f"module.{name}."
        module.load_state_dict({key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)})
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict({"state": states[name], "param_groups": optimizer.state_dict()["param_groups"]})
    return step


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A checkpoint's file.

    Raises:
        RuntimeError: it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise RuntimeError(str(error)) from error


def _told(path: Path, name: str, kind: type[Kind]) -> Kind:
    """An entry of a checkpoint's metadata, of a type."""
    with _opened(path) as file:
        text = (file.metadata() or {}).get(name)
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise RuntimeError(f"its {name} cannot be read") from error
    if type(found) is not kind:
        raise RuntimeError(f"its {name} is of another type")
    return found


def _heads(modules: Mapping[str, Stateful], optimizers: Mapping[str, Optimizer]) -> list[list[str]]:
    """How the names of their tensors begin; others are not read."""
    return [["module", name] for name in modules] + [["optimizer", name] for name in optimizers]


def _sizes_by_number(optimizer: Optimizer) -> list[tuple[int, ...]]:
    """Sizes of what an optimiser changes, by the numbers of its state."""
    return [tuple(parameter.shape) for group in optimizer.param_groups for parameter in group["params"]]


def _moments_of(optimizer: Optimizer) -> frozenset[str] | None:
    """What an optimiser keeps of each thing that it changes; None where that is not known."""
    return MOMENTS.get(type(getattr(optimizer, "optimizer", optimizer)).__name__)


def _moment(key: str, sizes: Mapping[str, list[tuple[int, ...]]]) -> _Stored | None:
    """A tensor of an optimiser's state: one number for its steps, else of the size of what it changes; None of a foreign name."""
    _, name, number, field = (*key.split(".", 3), "", "")[:4]
    if number not in map(str, range(len(sizes[name]))) or not field:
        return None
    return _Stored(() if field == STEP else sizes[name][int(number)], True)


def _check_stored(key: str, stored: _Stored, wanted: _Stored | None) -> None:
    """Refuse a tensor that is not one of what is trained.

    Raises:
        RuntimeError: another name, size or type.
    """
    if wanted is None:
        raise RuntimeError(f"it holds {key[:100]!r}, which is not of this run")
    if stored.sizes != wanted.sizes:
        raise RuntimeError(f"it holds {key[:100]!r} of {stored.sizes}, a size mismatch: {wanted.sizes} is needed")
    if stored.floating != wanted.floating:
        raise RuntimeError(f"it holds {key[:100]!r} of another type")


def _state(
    tensors: Mapping[str, Tensor], name: str, done: int, moments: frozenset[str] | None
) -> dict[int, dict[str, Tensor]]:
    """An optimiser's state by the numbers of what it changes.

    Raises:
        RuntimeError: it is there in part, or tells other steps than were done.
    """
    prefix, state = f"optimizer.{name}.", dict[int, dict[str, Tensor]]()
    for key, value in tensors.items():
        if key.startswith(prefix):
            number, field = key[len(prefix) :].split(".", 1)
            state.setdefault(int(number), {})[field] = value
    fields = moments or {field for own in state.values() for field in own}
    for number, own in state.items():
        if own.keys() != fields or not 0 <= float(own.get(STEP, 0.0)) <= done:
            raise RuntimeError(f"the state {number} of {name[:100]} is incomplete, or of other steps")
    return state
