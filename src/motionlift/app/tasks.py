"""What can be asked for on the page, as data: it is kept, done again, and told as a command line."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from motionlift.models.sources import BUNDLED_MODELS, DEFAULT_MODEL
from motionlift.video.part import Part, crop_of

LIFT, CAST = "lift", "cast"
"""Kinds of tasks, as the commands are called."""


@dataclass(frozen=True)
class Task:
    """One motion that is lifted, or one video that is cast."""

    kind: str
    """:data:`LIFT` or :data:`CAST`."""
    source: str
    """Name in the workspace of the clip, or of the motion file."""
    name: str
    """What the result is to be called."""
    model: str = DEFAULT_MODEL
    """Of whatever kind the library loads."""
    method: str = "ditflow"
    """The method; a motion that is cast has its own."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings that differ from the method's own, as ``--set`` takes them."""
    prompt: str = ""
    """Of a video: what it shows."""
    seed: int = 0
    """Of a video."""
    picture: str = ""
    """Of a video: name in the workspace of the picture that it begins with, if it does with one."""
    start: float = 0.0
    """Of a lift: seconds after the clip's first frame."""
    duration: float | None = None
    """Of a lift: seconds that are read, to its end where none are given."""
    crop: str = ""
    """Of a lift: ``x,y`` of the crop's middle, ``motion``, or nothing for the middle."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Task":
        """A task as it was kept; what a later version said beside is left out."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in told.items() if name in known})

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the workspace of what it reads."""
        return (self.source, self.picture) if self.picture else (self.source,)

    @property
    def part(self) -> Part:
        """What of the clip is read.

        Raises:
            SettingError: a place or a time that cannot be.
        """
        return Part(self.start, self.duration, crop_of(self.crop) if self.crop.strip() else None)


def held_in(model: str, weights: str | None) -> str | None:
    """How the weights of a model are held: those of bundled ones as they are."""
    return None if model in BUNDLED_MODELS else weights


def command_of(task: Task, folder: Path, weights: str | None = None) -> str:
    """The command line that makes the same file.

    Args:
        task: the task.
        folder: where its files lie.
        weights: how the weights of models that are not bundled are held.
    """
    suffix = ".safetensors" if task.kind == LIFT else ".mp4"
    words = ["motionlift", task.kind, str(folder / task.source), "--model", task.model]
    words += [] if held_in(task.model, weights) is None else ["--weights", str(weights)]
    if task.kind == LIFT:
        words += ["--method", task.method]
        words += ["--start", f"{task.start:g}"] if task.start else []
        words += ["--duration", f"{task.duration:g}"] if task.duration is not None else []
        words += ["--crop", task.crop] if task.crop.strip() else []
    else:
        words += ["--prompt", task.prompt, "--seed", str(task.seed)]
        words += ["--picture", str(folder / task.picture)] if task.picture else []
    words += [word for name, value in task.settings.items() for word in ("--set", f"{name}={value}")]
    return shlex.join([*words, "--output", f"{task.name}{suffix}"])
