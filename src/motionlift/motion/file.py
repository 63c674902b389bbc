"""What loops, methods and backbones share, and nothing that computes.

Legend of axes: ``b`` batch, ``c`` latent channels, ``f`` latent frames, ``h w`` latent rows and columns, ``tokens`` the
video tokens of a backbone in frame-row-column order, ``heads`` attention heads, ``d`` the size of one head.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from motionlift.core.lattice import Lattice, Shape, halved
from motionlift.errors import MotionError
from motionlift.video.limits import RATES
from motionlift.video.writing import replacing


@dataclass(frozen=True)
class Source:
    """Where a motion came from."""

    sha256: str
    """Hash of the reference file, or of its frames when it came from memory."""
    fps: float
    """Frames a second of the frames that were read."""
    shape: Shape
    """Size of the clip as the model saw it."""


FORMAT = 1
"""Version of the file's layout."""
MOST_BYTES = 8 * 2**30
"""Largest motion file that is opened (ours)."""
KEY = "motionlift"
SUFFIX = ".safetensors"
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32)
"""Types of numbers in a motion file: latents, fields and features, and the numbers of channels."""


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
    grid: Lattice
    """Its lattice of tokens."""
    source: Source
    """Where the motion came from."""
    version: str
    """Version of this library that lifted it."""
    fingerprint: str = ""
    """That model's hash of configuration and weights; empty in files of earlier versions."""

    def digest(self) -> str:
        """Hash of the whole motion."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def _bytes(self) -> bytes:
        about = {
            "format": FORMAT,
            "method": self.method,
            "settings": dict(self.settings),
            "model": self.model,
            "identity": self.identity,
            "grid": asdict(self.grid),
            "source": asdict(self.source),
            "version": self.version,
            "fingerprint": self.fingerprint,
        }
        # Copies, because safetensors refuses tensors that share their memory.
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(self.tensors.items())}
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
        try:
            size = file.stat().st_size if file.is_file() else None
        except OSError as error:
            raise MotionError(f"{str(path)!r} cannot be read ({error.strerror}); give a motion file") from error
        if size is None:
            what = "is a folder" if file.is_dir() else "does not exist"
            raise MotionError(f"{str(path)!r} {what}; give a motion file made by motionlift lift")
        if size > MOST_BYTES:
            raise MotionError(f"{file} has {size} bytes; at most {MOST_BYTES} are read")
        try:
            with safe_open(file, framework="pt") as opened:
                about = (opened.metadata() or {}).get(KEY)
                if about is None:
                    raise MotionError(f"{file} is a safetensors file but no motion; give one made by motionlift lift")
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MotionError(f"{file} is damaged or no motion file ({reason}); lift the motion again") from error
        return _parsed(file, about, tensors)


def _parsed(file: Path, about: str, tensors: Mapping[str, Tensor]) -> Motion:
    """A motion from its metadata and tensors, checked."""
    try:
        told = json.loads(about)
        _check_format(file, told)
        motion = Motion(
            tensors=tensors,
            method=_text(told["method"]),
            settings={_text(name): _setting(value) for name, value in told["settings"].items()},
            model=_text(told["model"]),
            identity=_text(told["identity"]),
            grid=Lattice(**_sizes(told["grid"], ("frames", "height", "width"))),
            source=_source(told["source"]),
            version=_text(told["version"]),
            fingerprint=_text(told.get("fingerprint", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MotionError(f"{file} does not say what a motion must say ({reason}); lift the motion again") from error
    for name, tensor in tensors.items():
        _check_tensor(file, name, tensor, motion.grid)
    return motion


def _check_format(file: Path, told: Mapping[str, Any]) -> None:
    number = told["format"]
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"format is {str(number)[:40]!r}")
    if number > FORMAT:
        raise MotionError(
            f"{file} was written by motionlift {_text(told['version'])}, whose format {number} is later than "
            f"{FORMAT}: update motionlift"
        )


def _source(told: Mapping[str, Any]) -> Source:
    fps = told["fps"]
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not RATES[0] <= fps <= RATES[1]:
        raise ValueError(f"{str(fps)[:40]!r} is not a number of frames a second")
    return Source(_text(told["sha256"]), float(fps), Shape(**_sizes(told["shape"], ("frames", "height", "width"))))


def _text(value: Any) -> str:
    # Only what can be printed: messages show these texts, and a file may come from anyone.
    if not isinstance(value, str) or len(value) > 4096 or not value.isprintable():
        raise ValueError(f"{str(value)[:40]!r} is not a short text")
    return value


def _setting(value: Any) -> Any:
    """A setting as its dataclass holds it: JSON knows no tuples."""
    if isinstance(value, list):
        return tuple(_setting(item) for item in value)
    finite = isinstance(value, bool | str | int) or (isinstance(value, float) and math.isfinite(value))
    if not finite or len(str(value)) > 4096:
        raise ValueError(f"{str(value)[:40]!r} is no value of a setting")
    return value


def _sizes(told: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, int]:
    return {name: _size(told[name]) for name in names}


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 16384:
        raise ValueError(f"{str(value)[:40]!r} is not a size")
    return value


def _check_tensor(file: Path, name: str, tensor: Tensor, grid: Lattice) -> None:
    """Refuse other types, numbers that are not finite, and displacements of another lattice."""
    if tensor.dtype not in DTYPES:
        raise MotionError(
            f"{file} holds {name[:40]!r} of type {tensor.dtype}, which no motion has; lift the motion again"
        )
    is_field = name.split(".")[0] == "displacement"
    expected = {(own.frames, own.frames, own.area, 2) for own in halved(grid)}
    if is_field and tuple(tensor.shape) not in expected:
        finest = (grid.frames, grid.frames, grid.area, 2)
        raise MotionError(f"{file} holds a displacement of {tuple(tensor.shape)}; its lattice {grid} needs {finest}")
    known = torch.isfinite(tensor) | tensor.isnan() if is_field else torch.isfinite(tensor)
    if not known.all():
        raise MotionError(f"{file} holds numbers that are not finite in {name[:40]!r}; lift the motion again")
