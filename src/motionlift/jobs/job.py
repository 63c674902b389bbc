"""A job: one video to be made, as data, and where it goes."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionlift.core.method_settings import Sampled
from motionlift.core.settings import with_values
from motionlift.jobs.stores import is_address, version_of
from motionlift.methods import method as method_named
from motionlift.video.files import hash_of_file
from motionlift.video.part import Part, crop_of

DIGITS = 16
"""Hexadecimal digits by which a record tells what a reference holds (ours: 64 bits)."""


@dataclass(frozen=True)
class Job:
    """One video: a reference, cast onto one prompt with one seed."""

    reference: str
    """The clip: a path, or an address of a store."""
    prompt: str
    """What the video shows."""
    seed: int
    """Seed of its noise."""
    method: str
    """Name of the method."""
    model: str
    """Bundled name, folder, or hub name."""
    settings: Mapping[str, Any]
    """Values of the method's settings, ready for JSON."""
    output: str
    """The video, below the folder of the batch."""
    frames: int | None = None
    """Its length; by default the model's own."""
    size: tuple[int, int] | None = None
    """Its width and height; by default the nearest to the reference of those that the model was made for."""
    start: float = 0.0
    """Seconds of the reference that are passed over."""
    duration: float | None = None
    """Seconds of it that are read; by default all that the video needs."""
    crop: str = ""
    """Where the middle of its crop lies, as ``--crop`` takes it; the middle of its frames where nothing is said."""
    picture: str = ""
    """What the video begins with, a path or an address of a store; nothing where it begins with no picture."""
    processes: int = field(default=1, compare=False)
    """Processes, of a GPU each, that tune its motion together."""
    place: str = field(default="", compare=False)
    """Where it was asked for, such as ``night.yaml, line 3``."""

    def stated(self, content: str, picture: str = "") -> dict[str, Any]:
        """What a record says of the job, and is found by.

        Args:
            content: of the reference, as :func:`content_of` has it: one that changed since makes another job.
            picture: of the picture likewise, where there is one.
        """
        return {
            "output": self.output,
            "reference": self.reference,
            "content": content,
            "prompt": self.prompt,
            "seed": self.seed,
            "method": self.method,
            "model": self.model,
            "settings": dict(self.settings),
            **self._shape(),
            **({"picture": self.picture, "picture_content": picture} if self.picture else {}),
        }

    def lifted_by(self) -> str:
        """What its motion depends on: jobs for which this is the same share a motion."""
        kind: type[Sampled] = method_named(self.method).Settings
        lifting = {
            name: value
            for name, value in self.settings.items()
            if kind.__dataclass_fields__[name].metadata["when"] != "cast"
        }
        return json.dumps([self.model, self.method, self.reference, lifting, self._shape()], sort_keys=True)

    def _shape(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "size": None if self.size is None else list(self.size),
            "start": self.start,
            "duration": self.duration,
            **({"crop": self.crop} if self.crop else {}),
        }

    def titled(self) -> str:
        """The method with its settings, such as ``ditflow read=flow``."""
        return titled(self.method, self.settings)

    @property
    def places(self) -> tuple[Path, ...]:
        """Files and folders of this machine that it reads."""
        read = (self.reference, self.picture)
        return tuple(Path(each) for each in read if each and not is_address(each))

    def part(self) -> Part:
        """The part of the reference that is read."""
        return Part(self.start, self.duration, crop_of(self.crop) if self.crop else None)

    def __str__(self) -> str:
        return f"{self.output}: {self.reference}, {self.prompt!r}, seed {self.seed}"


KNOWN_FOR = 600.0
"""Seconds for which a run does not ask again what an address holds (ours: jobs of one clip ask together)."""
INPUTS = ".inputs"
"""Folder in that of a batch in which is kept what was read of stores."""


def as_read(method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a method as it reads them, ready for JSON: ``"1e-4"``, which YAML takes for text, is a number.

    Raises:
        SettingError: an unknown name, or a value that is not allowed.
    """
    settings = with_values(method_named(method).Settings(), values)
    read = {key: getattr(settings, key) for key in values}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in read.items()}


def titled(method: str, settings: Mapping[str, Any]) -> str:
    """A method with the settings in which it differs from its defaults, such as ``ditflow read=flow``."""
    return " ".join([method, *[f"{name}={plain(value)}" for name, value in settings.items()]])


def plain(value: Any) -> str:
    """A setting's value as ``--set`` takes it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(plain, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def content_of(reference: str | Path) -> str:
    """Start of a hash of a clip's bytes, of all files of a folder of pictures, or of what a store says of an address.

    Raises:
        InputError: it is an address that cannot be read.
        OSError: it cannot be read.
    """
    if is_address(reference):
        return hashlib.sha256(version_of(reference).encode()).hexdigest()[:DIGITS]
    place = Path(reference)
    if not place.is_dir():
        return hash_of_file(place)[:DIGITS]
    files = sorted(path for path in place.iterdir() if path.is_file())
    told = "\n".join(f"{path.name} {hash_of_file(path)}" for path in files)
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:DIGITS]


class Contents:
    """What references hold, each read once for as long as it stays of one size and time; an address for :data:`KNOWN_FOR`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet; the clock tells seconds, and only runs forward."""
        self._read: dict[str, tuple[tuple[int, int], str]] = {}
        self._told: dict[str, tuple[float, str]] = {}
        self._clock = clock

    def of(self, reference: str) -> str:
        """As :func:`content_of`; of a folder it is read each time.

        Raises:
            InputError: it is an address that cannot be read.
            OSError: it cannot be read.
        """
        if is_address(reference):
            return self._of_address(reference)
        place = Path(reference)
        if not place.is_file():
            return content_of(reference)
        about = place.stat()
        state = (about.st_size, about.st_mtime_ns)
        known = self._read.get(reference)
        if known is None or known[0] != state:
            known = self._read[reference] = (state, content_of(place))
        return known[1]

    def _of_address(self, reference: str) -> str:
        told = self._told.get(reference)
        if told is None or self._clock() - told[0] > KNOWN_FOR:
            told = self._told[reference] = (self._clock(), content_of(reference))
        return told[1]
