"""A lifted motion, and its file: safetensors with a description in its header."""

import dataclasses
import hashlib
import json
import logging
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from motionlift.core.lattice import Lattice, Shape
from motionlift.core.tensors import Tensors
from motionlift.core.windows import Windows
from motionlift.errors import MotionError, SettingError
from motionlift.motion import names
from motionlift.motion.checking import Header, check_headers
from motionlift.video.limits import RATES
from motionlift.video.marks import MOTION, MOTION_KEY
from motionlift.video.part import Taken
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
KEY = MOTION_KEY
ASIDE = "aside"
"""Entry of the header with what is known of a motion and decides nothing of what it is; files of earlier versions have none."""
MOST_NOTICES = 100
"""Most notices that are kept (ours: a few are usual)."""
MOST_LEVELS = 1000
"""Most levels of a run (as of a cast)."""
MOST_LETTERS = 4096
"""Longest text of a header (ours)."""
SUFFIX = ".safetensors"
MOST_HEADER = 16 * 2**20
"""Most bytes of a file's header that are read (ours: an adapter of a large model takes a fraction of it)."""
AT_ONCE = 2**22
"""So many numbers are looked at together (ours)."""
LOG = logging.getLogger(__name__)


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
    lattice: Lattice
    """Its lattice of tokens."""
    source: Source
    """Where the motion came from."""
    version: str
    """Version of this library that lifted it."""
    fingerprint: str = ""
    """That model's hash of configuration and weights; empty in files of earlier versions."""
    edits: tuple[str, ...] = ()
    """Names of the edits that it went through since, in their order."""
    family: str = ""
    """Name of that model's family; empty in files of earlier versions."""
    windows: Windows | None = None
    """Windows that it was lifted in, and is cast in; none where the model saw it whole."""
    notices: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """What is to be known of its reference and of what was lifted, each a plain sentence; no part of the digest."""
    taken: Taken | None = dataclasses.field(default=None, compare=False)
    """What of its reference was read; none in files of earlier versions. No part of the digest."""
    noises: tuple[float, ...] = dataclasses.field(default=(), compare=False)
    """Shares of noise of the levels at which it was inverted, noisiest first; none where it was not, or in files of earlier
    versions. No part of the digest."""

    def __repr__(self) -> str:
        size = sum(tensor.nbytes for tensor in self.tensors.values())
        return (
            f"Motion({self.method} of {self.model}, {self.source.shape}, {self.source.fps:.4g} a second, "
            f"{len(self.tensors)} tensors of {size / 1e6:.3g} MB)"
        )

    def part(self, number: int) -> Tensors:
        """The tensors for a window, named as in a motion of so many frames."""
        return names.part(self.tensors, self.windows, number)

    def field(self, block: int) -> Tensor:
        """The displacement that a block is held to.

        Raises:
            MotionError: there is none.
        """
        return names.of_block(self.tensors, names.DISPLACEMENT, block)

    def adapter(self) -> dict[str, Tensor]:
        """What was tuned, by the pipeline's part and the layer in it; nothing where nothing was."""
        return names.adapter(self.tensors)

    def saved_positions(self, step: int) -> dict[str, Tensor]:
        """Positional tensors that an earlier cast optimised in a guided step, by the model's names; none where none were kept."""
        return names.saved_positions(self.tensors, step)

    def digest(self) -> str:
        """Hash of the whole motion; it is read tensor by tensor, and only one that is not laid out in order is copied."""
        hashed = hashlib.sha256(self.about().encode())
        for name, tensor in sorted(self.tensors.items()):
            hashed.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
            hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return hashed.hexdigest()

    def about(self) -> str:
        """All but the tensors, as the file's header says it."""
        about = {
            "format": FORMAT,
            "method": self.method,
            "settings": dict(self.settings),
            "model": self.model,
            "identity": self.identity,
            "grid": asdict(self.lattice),
            "source": asdict(self.source),
            "version": self.version,
            "fingerprint": self.fingerprint,
            **({"edits": list(self.edits)} if self.edits else {}),
            **({"family": self.family} if self.family else {}),
            **({} if self.windows is None else self.windows.told()),
        }
        return json.dumps(about, sort_keys=True)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file whole or not at all.

        Raises:
            OutputError: it cannot be written there, or would replace a file that is no motion.
        """
        with replacing(Path(path), MOTION) as partial:
            write_motion(partial, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Motion":
        """Read a motion file.

        Raises:
            MotionError: it is missing, damaged, too large, not a motion, of a later format, or holds tensors that no motion has:
                types and sizes are looked at before anything is read.
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
        _check_header(file)
        try:
            with safe_open(file, framework="pt") as opened:
                about = (opened.metadata() or {}).get(KEY)
                if about is None:
                    raise MotionError(f"{file} is a safetensors file but no motion; give one made by motionlift lift")
                motion = _parsed(file, about)
                headers = {name: _header(opened.get_slice(name)) for name in opened.keys()}
                _check(file, lambda: check_headers(headers, motion.lattice, motion.settings, motion.windows))
                tensors = {name: opened.get_tensor(name) for name in headers}
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MotionError(f"{file} is damaged or no motion file ({reason}); lift the motion again") from error
        for name, tensor in tensors.items():
            _check(file, partial(_check_numbers, name, tensor))
        LOG.info("read %s", file)
        return replace(motion, tensors=tensors)


def source_of(path: Path) -> Source:
    """Where the motion of a file came from; its tensors are not read.

    Raises:
        MotionError: it is no motion.
    """
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as opened:
            about = (opened.metadata() or {}).get(KEY)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise MotionError(f"{path} is damaged or no motion file; lift the motion again") from error
    return _parsed(path, about or "").source


def _check_header(file: Path) -> None:
    """Refuse a header that no motion has; it is read whole otherwise.

    Raises:
        MotionError: it is too long.
    """
    try:
        with file.open("rb") as opened:
            told = int.from_bytes(opened.read(8), "little")
    except OSError as error:
        raise MotionError(f"{file} cannot be read ({error.strerror}); give a motion file") from error
    if told > MOST_HEADER:
        raise MotionError(
            f"{file} is damaged or no motion file: its header tells {told} bytes, and at most {MOST_HEADER} are read; lift the "
            "motion again"
        )


def _header(told: Any) -> Header:
    """What the header says of a tensor, of which nothing is read."""
    kind, sizes = str(told.get_dtype()), tuple(told.get_shape())
    bits = re.search(r"\d+", kind)
    return Header(kind, sizes, math.prod(sizes) * int(bits[0] if bits else 8) // 8)


def _check(file: Path, check: Callable[[], None]) -> None:
    """Name the file in a refusal."""
    try:
        check()
    except MotionError as error:
        raise MotionError(f"{file}: {error}") from error


def write_motion(path: Path, motion: Motion, more: Mapping[str, str] | None = None) -> None:
    """Write a motion to a temporary path, with what else its header is to say.

    Raises:
        OSError: it cannot be written.
    """
    write_tensors(path, motion.tensors, {KEY: _told(motion), **(more or {})})


def _told(motion: Motion) -> str:
    """What the file's header says: :meth:`Motion.about`, and beside it what is known of the motion, where anything is.

    It is one entry: safetensors keeps several in no order, and the same motion is to give the same bytes.
    """
    told: dict[str, Any] = {}
    if motion.notices:
        told["notices"] = [_printable(notice) for notice in motion.notices[:MOST_NOTICES]]
    if motion.taken is not None:
        told["part"] = motion.taken.told()
    if motion.noises:
        told["noises"] = list(motion.noises)
    return json.dumps({**json.loads(motion.about()), ASIDE: told}, sort_keys=True) if told else motion.about()


def _printable(notice: str) -> str:
    """A notice as it can be read again: names of files in it may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in notice)[:MOST_LETTERS]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write tensors from where they lie in memory; only what lies elsewhere or out of order is copied.

    Raises:
        OSError: they cannot be written.
    """
    path.touch()
    mode = path.stat().st_mode
    laid: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in sorted(tensors.items()):
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        laid[name] = own.clone() if place in seen else own  # safetensors refuses tensors that share their memory
        seen.add(place)
    try:
        save_file(laid, path, dict(about))
    except SafetensorError as error:
        raise _system_error(error) from error
    path.chmod(mode)  # save_file lets nobody else read it


def _system_error(error: SafetensorError) -> OSError:
    """What the system said, which safetensors passes on as text alone."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))


def _parsed(file: Path, about: str) -> Motion:
    """A motion from its metadata, without its tensors."""
    try:
        told = json.loads(about)
        _check_format(file, told)
        known = told.get(ASIDE, {})
        motion = Motion(
            tensors={},
            method=_text(told["method"]),
            settings={_text(name): _setting(value) for name, value in told["settings"].items()},
            model=_text(told["model"]),
            identity=_text(told["identity"]),
            lattice=Lattice(**_sizes(told["grid"], ("frames", "height", "width"))),
            source=_source(told["source"]),
            version=_text(told["version"]),
            fingerprint=_text(told.get("fingerprint", "")),
            edits=tuple(_text(name) for name in told.get("edits", ())),
            family=_text(told.get("family", "")),
            notices=tuple(_text(notice) for notice in known.get("notices", ())[:MOST_NOTICES]),
            taken=Taken.of(known["part"]) if "part" in known else None,
            noises=_noises(known.get("noises", ())),
        )
        if "windows" in told:
            motion = replace(motion, windows=_windows(told["windows"], motion))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, SettingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MotionError(f"{file} does not say what a motion must say ({reason}); lift the motion again") from error
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


def _noises(told: Sequence[Any]) -> tuple[float, ...]:
    """Shares of noise of so many levels as a run may have."""
    numbers = tuple(float(value) for value in told if isinstance(value, int | float) and 0 <= value <= 1)
    if len(numbers) != len(told) or len(numbers) > MOST_LEVELS:
        raise ValueError(f"{str(told)[:40]!r} are no shares of noise")
    return numbers


def _windows(told: Mapping[str, Any], motion: Motion) -> Windows:
    """Windows over a motion, each after the one before and none beyond the end, without gaps."""
    length, total, shape = _size(told["length"]), motion.lattice.frames, motion.source.shape
    starts = [0 if place == 0 else _size(place) for place in told["starts"]]
    gaps = [after - before for before, after in pairwise(starts)]
    if starts[:1] != [0] or starts[-1] + length != total or not all(0 < gap <= length for gap in gaps):
        raise ValueError(f"windows of {length} latent frames from {str(starts)[:40]} do not fill {total}")
    return Windows(replace(shape, frames=_size(told["frames"])), total, length, tuple(starts))


def _text(value: Any) -> str:
    # Only what can be printed: messages show these texts, and a file may come from anyone.
    if not isinstance(value, str) or len(value) > MOST_LETTERS or not value.isprintable():
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


def _check_numbers(name: str, tensor: Tensor) -> None:
    """Refuse numbers that the table of names does not allow, a part at a time."""
    kind = names.Name.parsed(name).kind
    for part in tensor.reshape(-1).split(AT_ONCE):
        known = torch.isfinite(part)
        if kind is not None and kind.unknown:
            known |= part.isnan()
        if not known.all():
            raise MotionError(f"the motion holds numbers that are not finite in {name[:40]!r}: lift it again")
    if kind is not None and kind.word == names.CHANNELS and ((tensor < 0).any() or len(tensor.unique()) < len(tensor)):
        raise MotionError(f"the motion holds numbers in {name[:40]!r} that are no channels, each once: lift it again")
