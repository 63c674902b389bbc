"""A lifted motion: the file that passes from ``lift`` to ``cast``, to be kept, shared and reused.

A motion file is safetensors; the entry ``motionlift`` of its metadata holds everything else as JSON.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import TypeCheckError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from motionlift.core import Grid, Shape, Source
from motionlift.errors import MotionError
from motionlift.media import replacing

FORMAT = 1
"""Version of the file's layout."""
MOST_BYTES = 8 * 2**30
"""Largest motion file that is opened (ours)."""
KEY = "motionlift"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Motion:
    """What ``lift`` returns and ``cast`` takes."""

    tensors: Mapping[str, Tensor]
    """The method's tensors; unknown displacements are NaN, everything else is finite."""
    method: str
    """Name of the method that lifted it."""
    settings: Mapping[str, Any]
    """The method's settings, by name."""
    model: str
    """Name of the model it was lifted with."""
    identity: str
    """That model's hash of configuration."""
    grid: Grid
    """Its lattice of tokens."""
    source: Source
    """Where the motion came from."""
    version: str
    """Version of this library that lifted it."""

    def digest(self) -> str:
        """Hash of the whole motion."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def _bytes(self) -> bytes:
        about = {key: value for key, value in asdict(self).items() if key != "tensors"} | {"format": FORMAT}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(self.tensors.items())}
        return save(tensors, {KEY: json.dumps(about, sort_keys=True)})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file whole or not at all.

        Raises:
            OutputError: it cannot be written there.
        """
        data = self._bytes()
        with replacing(Path(path), (SUFFIX,)) as partial:
            partial.write_bytes(data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Motion":
        """Read a motion file.

        Raises:
            MotionError: it is missing, damaged, too large, not a motion, or of a later format.
        """
        file = Path(path)
        if not file.is_file():
            raise MotionError(f"{file} is not a file; give a motion file made by motionlift lift")
        if file.stat().st_size > MOST_BYTES:
            raise MotionError(f"{file} has {file.stat().st_size} bytes; at most {MOST_BYTES} are read")
        try:
            with safe_open(file, framework="pt") as opened:
                about = (opened.metadata() or {}).get(KEY)
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise MotionError(f"{file} is damaged or not a safetensors file: {error}; lift the motion again") from error
        if about is None:
            raise MotionError(f"{file} is a safetensors file, but not a motion; give one made by motionlift lift")
        return _parsed(file, about, tensors)


def _parsed(file: Path, about: str, tensors: Mapping[str, Tensor]) -> Motion:
    """A motion from its metadata and tensors, checked."""
    try:
        told = json.loads(about)
        if told["format"] > FORMAT:
            raise MotionError(
                f"{file} was written by motionlift {told['version']}, whose format {told['format']} is later than {FORMAT}: "
                "update motionlift"
            )
        source = told["source"]
        motion = Motion(
            tensors=tensors,
            method=_text(told["method"]),
            settings=dict(told["settings"]),
            model=_text(told["model"]),
            identity=_text(told["identity"]),
            grid=Grid(**{name: _size(told["grid"][name]) for name in ("frames", "height", "width")}),
            source=Source(
                _text(source["sha256"]),
                float(source["fps"]),
                Shape(**{name: _size(source["shape"][name]) for name in ("frames", "height", "width")}),
            ),
            version=_text(told["version"]),
        )
    except (KeyError, TypeError, ValueError, TypeCheckError) as error:
        raise MotionError(f"{file} does not say what a motion must say ({error!r}); lift the motion again") from error
    for name, tensor in tensors.items():
        _check_tensor(file, name, tensor, motion.grid)
    return motion


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise ValueError(f"{str(value)[:40]!r} is not a short text")
    return value


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 16384:
        raise ValueError(f"{value!r} is not a size")
    return value


def _check_tensor(file: Path, name: str, tensor: Tensor, grid: Grid) -> None:
    """Refuse numbers that are not finite and displacements of another lattice."""
    is_field = name.split(".")[0] == "displacement"
    numbers = tensor[~tensor.isnan()] if is_field else tensor
    if tensor.is_floating_point() and not torch.isfinite(numbers).all():
        raise MotionError(f"{file} holds numbers that are not finite in {name}; lift the motion again")
    expected = (grid.frames, grid.frames, grid.area, 2)
    if is_field and tuple(tensor.shape) != expected:
        raise MotionError(f"{file} holds a displacement of {tuple(tensor.shape)}; its lattice {grid} needs {expected}")
