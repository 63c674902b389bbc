"""A job: one video to be made, as data, and where it goes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from motionlift.core.method_settings import Sampled
from motionlift.methods import method as method_named
from motionlift.video.files import hash_of_file

DIGITS = 16
"""Hexadecimal digits by which a record tells what a reference holds (ours: 64 bits)."""


@dataclass(frozen=True)
class Job:
    """One video: a reference, cast onto one prompt with one seed."""

    reference: str
    """The clip."""
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

    def stated(self) -> dict[str, Any]:
        """What a record says of the job, and is found by; a reference that changed since makes it another."""
        return {
            "output": self.output,
            "reference": self.reference,
            "content": content_of(self.reference),
            "prompt": self.prompt,
            "seed": self.seed,
            "method": self.method,
            "model": self.model,
            "settings": dict(self.settings),
        }

    def lifted_by(self) -> str:
        """What its motion depends on: jobs for which this is the same share a motion."""
        kind: type[Sampled] = method_named(self.method).Settings
        lifting = {
            name: value
            for name, value in self.settings.items()
            if kind.__dataclass_fields__[name].metadata["when"] != "cast"
        }
        return json.dumps([self.model, self.method, self.reference, lifting], sort_keys=True)

    def __str__(self) -> str:
        return f"{self.output}: {self.reference}, {self.prompt!r}, seed {self.seed}"


@cache
def content_of(reference: str) -> str:
    """Start of a hash of a clip's bytes, or of all files of a folder of pictures."""
    place = Path(reference)
    if not place.is_dir():
        return hash_of_file(place)[:DIGITS]
    files = sorted(path for path in place.iterdir() if path.is_file())
    told = "\n".join(f"{path.name} {hash_of_file(path)}" for path in files)
    return hashlib.sha256(told.encode()).hexdigest()[:DIGITS]
