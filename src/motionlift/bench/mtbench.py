"""MTBench (Shi et al., 2503.17350) as a source: a folder for each clip, with its video, its caption and its prompts.

The layout is that of the three examples in the authors' repository, Shi-qingyu/DeT, and of its ``evaluation.py``, which reads the
whole benchmark so. The benchmark itself could not be looked into. For a clip ``snowboard``::

    snowboard/videos/snowboard.mp4
    snowboard/prompts.txt         what it shows, in one line
    snowboard/eval_prompts.txt    the prompts that it is cast onto, one a line
    snowboard/masks, trajectories, first_frame.jpg, ...   not read

It names no subjects, so that methods which ask for them leave it out.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from motionlift.bench.sources import CONTENT_CHARACTERS, Asked, Opened, check_count, hash_of, listed
from motionlift.bench.words import SUBJECTS, TARGETS, Words, told_to
from motionlift.core.model import About
from motionlift.core.prompts import check_prompt
from motionlift.errors import InputError

CAPTIONS, PROMPTS = "prompts.txt", "eval_prompts.txt"
"""Names of the files of a clip's folder that hold its caption and its prompts."""
MOST_TEXT_BYTES = 2**20
"""Largest file of prompts that is read (ours: five prompts take 300 bytes)."""
_ADVICE = "MTBench does not say it; give its videos as a folder, with captions, subjects and targets"


@dataclass(frozen=True)
class MTBench:
    """MTBench: a folder for each clip (Shi et al., 2503.17350)."""

    kind: ClassVar[str] = "mtbench"
    advice: ClassVar[Mapping[str, str]] = {SUBJECTS: _ADVICE, TARGETS: _ADVICE}
    path: Path
    """The folder that holds the clips' folders."""
    frames: int | None = None
    """Frames of every clip; the model's own number by default."""
    pixels: tuple[int, int] | None = None
    """Width and height of the videos; the model's own by default."""
    fit: str = "crop"
    """How frames of another shape are brought to it, as :func:`motionlift.work.lift.lift` has it."""
    every_frame: bool = False
    """Whether frames are taken one after the other, whatever their rate."""

    def size(self) -> int:
        """Prompts of all clips."""
        return sum(len(self.prompts(name)) for name in self.clips())

    def asked(self, frames: int) -> Sequence[Asked]:
        """Every clip's own prompts, in the order of the clips' names."""
        return [
            Asked(name, number, prompt, str(place), Words(self.caption(name)))
            for number, name in enumerate(self.clips())
            for place, prompt in enumerate(self.prompts(name))
        ]

    def contents(self) -> Mapping[str, str]:
        """Of every video, as it is, and of its caption."""
        return {name: self._content(name) for name in self.clips()}

    def told(self, asked: Asked, method: str, settings: Mapping[str, Any], frames: int) -> Mapping[str, Any]:
        """The caption."""
        return told_to(method, settings, asked.words)

    def open(self, asked: Asked, about: About) -> Opened:
        """The video."""
        return Opened(self.video(asked.reference), self.frames, None, self.pixels, self.fit, self.every_frame)

    def clips(self) -> list[str]:
        """Names of the clips.

        Raises:
            InputError: there are none, or too many.
        """
        names = sorted(place.name for place in listed(self.path) if (place / PROMPTS).exists())
        if not names:
            raise InputError(
                f"{self.path} holds no folder with {PROMPTS}; give MTBench's own, with a folder for each clip"
            )
        check_count(self.path, names)
        return names

    def video(self, name: str) -> Path:
        """A clip's video."""
        return self.path / name / "videos" / f"{name}.mp4"

    def caption(self, name: str) -> str:
        """What a clip shows: the first line of its captions.

        Raises:
            InputError: it cannot be read, or says nothing.
        """
        return lines_of(self.path / name / CAPTIONS)[0]

    def prompts(self, name: str) -> list[str]:
        """What a clip is cast onto; errors as of :meth:`caption`."""
        return lines_of(self.path / name / PROMPTS)

    def _content(self, name: str) -> str:
        reading = [self.frames, self.pixels, self.fit, self.every_frame]
        told = json.dumps([hash_of(self.video(name)), self.caption(name), *reading])
        return hashlib.sha256(told.encode()).hexdigest()[:CONTENT_CHARACTERS]


def lines_of(path: Path) -> list[str]:
    """The lines of a file of prompts, without blanks around them, each once.

    Raises:
        InputError: it cannot be read, holds no line, or one that is no prompt.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path} is not there; it is to hold one prompt a line")
        if path.stat().st_size > MOST_TEXT_BYTES:
            raise InputError(f"{path} is larger than {MOST_TEXT_BYTES} bytes; give one prompt a line")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(f"{path} cannot be read: {reason}") from error
    found = list(dict.fromkeys(filter(None, map(str.strip, text.splitlines()))))
    if not found:
        raise InputError(f"{path} holds no prompt; give one a line")
    for number, line in enumerate(found, 1):
        try:
            check_prompt(line)
        except InputError as error:
            raise InputError(f"{path}, prompt {number}: {error}") from error
    return found
