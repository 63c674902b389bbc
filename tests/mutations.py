"""Ways to spoil a safetensors file: its tensors one by one, what its header says, and its bytes."""

import copy
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

Tensors = dict[str, Tensor]


SWAPPED = 4
"""With so many others a tensor is swapped."""


@dataclass(frozen=True)
class Mutation:
    """One spoilt tensor."""

    kind: str
    """What was done."""
    name: str
    """To which."""
    axis: int | None
    """Along which of its axes, where it was along one."""
    tensors: Tensors
    """All tensors afterwards."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + ("" if self.axis is None else f" axis {self.axis}")


def _filled(number: float) -> Callable[[Tensor], Tensor]:
    """Sets the last number of a tensor of floating point."""

    def fill(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[-1] = number
        return tensor

    return fill


def _of_other_numbers(tensor: Tensor) -> Tensor:
    return tensor.to(torch.int64 if tensor.is_floating_point() else torch.float32)


WHOLE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "scalar": lambda tensor: tensor.reshape(-1)[0],
    "flat": lambda tensor: tensor.reshape(-1),
    "one axis more": lambda tensor: tensor[None],
    "one axis less": lambda tensor: tensor[0],
    "other numbers": _of_other_numbers,
    "bool": lambda tensor: tensor != 0,
    "empty": lambda tensor: tensor[:0],
    "inf": _filled(math.inf),
    "nan": _filled(math.nan),
    "doubled precision": lambda tensor: tensor.double() if tensor.is_floating_point() else tensor.int(),
}
"""Changes of a whole tensor."""
ALONG: Mapping[str, Callable[[Tensor, int], Tensor]] = {
    "one short": lambda tensor, axis: tensor.narrow(axis, 0, tensor.shape[axis] - 1),
    "one long": lambda tensor, axis: torch.cat([tensor, tensor.narrow(axis, 0, 1)], dim=axis),
}
"""Changes along one axis."""


def mutations(tensors: Tensors, name: str) -> Iterator[Mutation]:
    """Every mutation of one tensor."""
    own, others = tensors[name], {other: tensor for other, tensor in tensors.items() if other != name}
    yield Mutation("dropped", name, None, others)
    yield Mutation("renamed", name, None, {**others, f"my_{name}": own})
    for kind, change in WHOLE.items():
        if (kind in ("inf", "nan") and not own.is_floating_point()) or (kind == "flat" and own.ndim == 1):
            continue
        if kind in ("scalar", "one axis less", "empty") and own.ndim == 0:
            continue
        yield Mutation(kind, name, None, {**others, name: change(own).clone()})
    for kind, along in ALONG.items():
        for axis in range(own.ndim):
            yield Mutation(kind, name, axis, {**others, name: along(own, axis).clone()})
    for other in list(others)[:SWAPPED]:
        yield Mutation(f"swapped with {other}", name, None, {**tensors, name: tensors[other], other: own.clone()})


def read(path: Path) -> tuple[Tensors, dict[str, str]]:
    """The tensors and metadata of a file."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})


def write(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> Path:
    """A file of these."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, dict(metadata))
    return path


def sparse(path: Path, name: str, sizes: tuple[int, ...], metadata: Mapping[str, str]) -> Path:
    """A file of single-precision zeros that takes no room on disk."""
    size = 4 * math.prod(sizes)
    header = {"__metadata__": dict(metadata), name: {"dtype": "F32", "shape": list(sizes), "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size)
    return path


WRONG: Sequence[Any] = (
    *(
        None,
        True,
        False,
        0,
        1,
        2,
        -1,
        7,
        10**9,
        -(2**63),
        10**400,
        0.5,
        -0.0,
        1e-300,
        1e300,
        math.nan,
        math.inf,
        -math.inf,
    ),
    *("", "0", "a", "saved", "a" * 10**6, "two\nlines", "\x1b[31m", "\ud800", "../..", "\x00", "²"),
    *(
        [],
        {},
        [1],
        [[1]],
        [None],
        ["a"],
        [-1],
        [0, 0],
        {"a": 1},
        {"a": {"a": [1]}},
        [[[[[[[[]]]]]]]],
        [10**9] * 10,
        ["ring", 1],
    ),
)
"""What a header does not say, or says of something else."""


def places(told: Any, start: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a JSON object holds something, by the keys that lead there."""
    for key, value in told.items():
        yield (*start, key)
        if isinstance(value, dict):
            yield from places(value, (*start, key))


def changed(told: Any, place: tuple[str, ...], value: Any, drop: bool) -> Any:
    """A JSON object with one entry dropped or replaced."""
    told = copy.deepcopy(told)
    inner = told
    for key in place[:-1]:
        inner = inner[key]
    if drop:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return told


def spoilt_bytes(random: Random, data: bytes) -> bytes:
    """A file cut short, with bytes flipped, more of them in its header than elsewhere, or with a header of another length."""
    header = 8 + struct.unpack("<Q", data[:8])[0]
    kind = random.choice(["cut", "flipped", "flipped", "header"])
    if kind == "cut":
        return data[: random.randrange(len(data))]
    if kind == "header":
        return struct.pack("<Q", random.randrange(2 ** random.randint(1, 64))) + data[8:]
    spoilt = bytearray(data)
    for _ in range(random.randint(1, 4)):
        spoilt[random.randrange(random.choice([header, len(data)]))] = random.randrange(256)
    return bytes(spoilt)
