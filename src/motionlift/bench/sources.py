"""Where a run's references and prompts come from: the bundled world, a folder of videos, or DAVIS folders of pictures."""

import csv
import hashlib
import io
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from motionlift.bench.references import clip_of, figures, prompt_scene, reference, words_of
from motionlift.core.method_settings import Tuned
from motionlift.core.model import Model
from motionlift.core.settings import with_values
from motionlift.errors import InputError
from motionlift.measure.truth import looks_right
from motionlift.methods import method as method_named
from motionlift.video.clip import Clip
from motionlift.video.limits import SIDES
from motionlift.work.prepare import check_prompt
from motionlift.world.scenes import Scene

MOST_REFERENCES = 10_000
"""Most references of one source (ours)."""
MOST_TABLE_BYTES = 2**22
"""Largest table of prompts that is read (ours: the prompts of 50 clips take 15 kB)."""
MOST_PICTURE_BYTES = 2**26
"""Largest picture that is opened (ours: one of DAVIS takes 100 kB)."""
LONGEST_SIDE = 1024
"""Longest side of pictures in memory, pixels (ours: above the 854 of DAVIS and the sides of any supported model)."""
KINDS = ("caption", "subject", "scene")
"""Prompts of every clip in DiTFlow's protocol: what it shows, another subject, and another scene around it too."""
CLIP_COLUMN = "clip"
"""Column of a table of prompts that names the clip."""
PICTURES = (".jpg", ".jpeg")
CONTENT = "content"
"""Key of a record under which the start of the hash of what its reference shows stands; those of the world have none."""
CONTENT_CHARACTERS = 12
"""Characters of the start of a hash that stand for what a reference shows (ours, as for weights and defaults)."""
UNREADABLE = "unreadable"
"""Stands for the hash of a file that cannot be read: its cells fail alone, and are measured anew once it can."""


@dataclass(frozen=True)
class Asked:
    """One prompt for one reference."""

    reference: str
    """Name of the reference in its source."""
    number: int
    """Number of the reference, the seed where each is to have its own."""
    prompt: str
    """What the video is to show."""
    kind: str
    """What kind of prompt it is, such as ``caption``; or its number among the prompts of its reference."""


@dataclass(frozen=True)
class Opened:
    """A reference as a cell takes it."""

    reference: Path | Clip
    """What is lifted."""
    frames: int | None
    """Frames to lift; the model's own by default."""
    told: Mapping[str, Any]
    """Settings that tell the method what the reference shows, where it asks."""
    truth: Callable[[Tensor], Mapping[str, Any]] | None
    """Exact figures of generated frames, where the truth is known."""


@runtime_checkable
class Source(Protocol):
    """References and the prompts that their motion is cast onto."""

    kind: ClassVar[str]
    """Name of the source in run files and records."""

    def size(self) -> int:
        """How many prompts there are for all references together; errors as of :meth:`asked`."""
        ...

    def asked(self, frames: int) -> Sequence[Asked]:
        """All prompts for all references, for a model of so many frames.

        Raises:
            InputError: the source is not there, is empty, or is malformed.
        """
        ...

    def contents(self) -> Mapping[str, str]:
        """By name, the start of a hash of what each reference shows; none of those that their name says all of.

        Every file is read once, piece by piece. Nothing of where it lies goes into the hash.

        Raises:
            InputError: the source is not there, is empty, or is malformed.
        """
        ...

    def open(self, asked: Asked, method: str, settings: Mapping[str, Any], backbone: Model) -> Opened:
        """One reference for one method with its settings.

        Raises:
            InputError: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class World:
    """Held-out references of the bundled world, whose motion and looks are known exactly, with prompts of their own."""

    kind: ClassVar[str] = "world"
    count: int
    """How many references."""
    first: int = 0
    """Number of the first."""
    prompts: int = 1
    """Prompts for each: captions that are held out too, of other objects and backgrounds."""

    def size(self) -> int:
        """Prompts for all references."""
        return self.count * self.prompts

    def asked(self, frames: int) -> Sequence[Asked]:
        """The captions of the prompts' scenes."""
        return [
            Asked(f"{index:04d}", index, prompt_scene(index, turn, frames).caption(), str(turn))
            for index in range(self.first, self.first + self.count)
            for turn in range(self.prompts)
        ]

    def contents(self) -> Mapping[str, str]:
        """None: the number of a scene says all of it."""
        return {}

    def open(self, asked: Asked, method: str, settings: Mapping[str, Any], backbone: Model) -> Opened:
        """The scene, rendered, with its truth; methods that ask are told the right words."""
        frames = backbone.about.shape.frames
        scene, wanted = reference(asked.number, frames), prompt_scene(asked.number, int(asked.kind), frames)
        return Opened(
            clip_of(scene, backbone.about.fps),
            None,
            words_of(method, scene, wanted),
            lambda made: exact_figures(made, scene, wanted),
        )


def exact_figures(made: Tensor, scene: Scene, wanted: Scene) -> dict[str, float]:
    """Figures of the world for records, with ``looks``, the share of them that is right."""
    found = figures(made, scene, wanted)
    return {**found, "looks": looks_right(found)}


@dataclass(frozen=True)
class Folder:
    """A folder of MP4 files, each cast onto the same prompts."""

    kind: ClassVar[str] = "folder"
    path: Path
    """The folder."""
    prompts: tuple[str, ...]
    """What the videos are to show."""

    def size(self) -> int:
        """Prompts for all files."""
        return len(self._names()) * len(self.prompts)

    def asked(self, frames: int) -> Sequence[Asked]:
        """Every prompt for every file, in the order of the files' names."""
        return [
            Asked(name, number, prompt, str(place))
            for number, name in enumerate(self._names())
            for place, prompt in enumerate(self.prompts)
        ]

    def contents(self) -> Mapping[str, str]:
        """Of every file, as it is."""
        return {name: hash_of(self.path / name)[:CONTENT_CHARACTERS] for name in self._names()}

    def open(self, asked: Asked, method: str, settings: Mapping[str, Any], backbone: Model) -> Opened:
        """The file."""
        return Opened(self.path / asked.reference, None, {}, None)

    def _names(self) -> list[str]:
        names = sorted(path.name for path in _listed(self.path) if path.suffix.lower() == ".mp4")
        if not names:
            raise InputError(f"{self.path} holds no MP4 file; give a folder that does")
        _check_count(self.path, names)
        return names


@dataclass(frozen=True)
class Davis:
    """DAVIS: a folder of JPEG frames for each clip, and a table with three prompts for each (DiTFlow's protocol)."""

    kind: ClassVar[str] = "davis"
    path: Path
    """The folder that holds the clips' folders, such as ``DAVIS/JPEGImages/480p``."""
    prompts: Path
    """CSV table with the columns ``clip``, ``caption``, ``subject`` and ``scene``, a line for each clip that takes part."""
    frames: int = 24
    """Frames of every clip, its first ones, one after the other (DiTFlow, paper)."""
    clips: int = 50
    """Lines of the table that take part, its first ones (DiTFlow, paper)."""

    def size(self) -> int:
        """Prompts for all clips."""
        return len(self._rows()) * len(KINDS)

    def asked(self, frames: int) -> Sequence[Asked]:
        """The three prompts of every clip of the table."""
        return [
            Asked(row[CLIP_COLUMN], number, row[kind], kind)
            for number, row in enumerate(self._rows())
            for kind in KINDS
        ]

    def contents(self) -> Mapping[str, str]:
        """Of the pictures that take part, of how many are wanted, and of the caption, which some methods are told."""
        return {row[CLIP_COLUMN]: self._content(row) for row in self._rows()}

    def open(self, asked: Asked, method: str, settings: Mapping[str, Any], backbone: Model) -> Opened:
        """The frames at the model's rate; methods that ask for a source prompt are given the caption."""
        caption = next(row["caption"] for row in self._rows() if row[CLIP_COLUMN] == asked.reference)
        frames = read_pictures(self.path / asked.reference, self.frames)
        told = {"source_prompt": caption} if asks_for_source(method, settings) else {}
        return Opened(Clip.of(frames, backbone.about.fps), self.frames, told, None)

    def _content(self, row: Mapping[str, str]) -> str:
        try:
            pictures = [hash_of(path) for path in _pictures(self.path / row[CLIP_COLUMN], self.frames)]
        except InputError:
            pictures = [UNREADABLE]
        told = json.dumps([self.frames, row["caption"], pictures])
        return hashlib.sha256(told.encode()).hexdigest()[:CONTENT_CHARACTERS]

    def _rows(self) -> list[dict[str, str]]:
        rows = read_table(self.prompts, (CLIP_COLUMN, *KINDS))[: self.clips]
        names = {path.name for path in _listed(self.path) if path.is_dir()}
        lacking = [row[CLIP_COLUMN] for row in rows if row[CLIP_COLUMN] not in names]
        if lacking:
            raise InputError(
                f"{self.path} holds no folder {lacking[0]!r}, which {self.prompts} names ({len(lacking)} of {len(rows)} "
                "clips are not there); give the folder that holds the clips' folders of JPEG files"
            )
        return rows


def asks_for_source(method: str, settings: Mapping[str, Any]) -> bool:
    """Whether a method makes use of what the reference shows: it tunes, asks for subjects, or inverts."""
    kind = method_named(method).Settings
    asked = {item.name for item in fields(kind)}
    return issubclass(kind, Tuned) or "subjects" in asked or with_values(kind(), settings).inversion


def read_pictures(folder: Path, count: int) -> Tensor:
    """The first JPEG files of a folder, by name.

    Returns:
        ``(count, height, width, 3)`` of uint8, at most :data:`LONGEST_SIDE` wide and high.

    Raises:
        InputError: there are fewer, their numbers leave some out, one cannot be read, or their sizes differ.
    """
    paths = _pictures(folder, count)
    if len(paths) < count:
        raise InputError(f"{folder} holds {len(paths)} JPEG files; {count} are needed")
    _check_numbers(folder, [path.stem for path in paths])
    frames = [_picture(path) for path in paths]
    if len({frame.shape for frame in frames}) > 1:
        raise InputError(f"{folder} holds pictures of different sizes; the frames of a clip have one size")
    return torch.from_numpy(np.stack(frames))


def _pictures(folder: Path, count: int) -> list[Path]:
    """The first JPEG files of a folder, by name, as many as there are."""
    return sorted(path for path in _listed(folder) if path.suffix.lower() in PICTURES)[:count]


def _check_numbers(folder: Path, stems: Sequence[str]) -> None:
    """Refuse frames between which one is missing, where their names are numbers; even steps are a lower rate."""
    if not all(stem.isdecimal() for stem in stems):
        return
    steps = [int(later) - int(stem) for stem, later in itertools.pairwise(stems)]
    uneven = next((place for place, step in enumerate(steps) if step != min(steps)), None)
    if uneven is not None:
        raise InputError(
            f"{folder} lacks frames between {stems[uneven]} and {stems[uneven + 1]}; put them there, or number the frames evenly"
        )


def hash_of(path: Path) -> str:
    """SHA-256 of a file, read piece by piece; :data:`UNREADABLE` where it is no file that can be read."""
    try:
        if not path.is_file():
            return UNREADABLE  # a pipe would keep its reader waiting
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE


def _picture(path: Path) -> np.ndarray:
    try:
        if path.stat().st_size > MOST_PICTURE_BYTES:
            raise InputError(f"{path} is larger than {MOST_PICTURE_BYTES} bytes; give a smaller picture")
        with Image.open(path, formats=("JPEG",)) as picture:
            if not all(SIDES[0] <= side <= SIDES[1] for side in picture.size):
                raise InputError(
                    f"{path} is {picture.width}x{picture.height}; allowed are {SIDES[0]} to {SIDES[1]} pixels"
                )
            picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
            small = picture.convert("RGB")
            small.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BOX)
            return np.asarray(small).copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is no JPEG picture that can be read; remove or replace it") from error


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file, which must have the columns and text in each of them.

    Raises:
        InputError: it cannot be read, a column is missing, a field is empty, a clip comes twice, or there are no rows.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no file; give a table of prompts")
        if path.stat().st_size > MOST_TABLE_BYTES:
            raise InputError(f"{path} is larger than {MOST_TABLE_BYTES} bytes; give a table of prompts")
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), skipinitialspace=True)
        lacking = [column for column in columns if column not in (rows.fieldnames or ())]
        if lacking:
            raise InputError(f"{path} has no column {', '.join(lacking)}; needed are {', '.join(columns)}")
        found = [_row(path, rows.line_num, row, columns) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read: {reason}; give a CSV file in UTF-8") from error
    names = [row[CLIP_COLUMN] for row in found]
    _check_count(path, names)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if not names or twice is not None:
        raise InputError(f"{path} names clip {twice!r} twice" if names else f"{path} has no lines below its head")
    return found


def _row(path: Path, line: int, row: Mapping[str, str | None], columns: Sequence[str]) -> dict[str, str]:
    if None in row:  # where DictReader keeps what has no column
        raise InputError(
            f'{path}, line {line}: more cells than columns; put text that holds a comma into quotes, such as "a dog, running"'
        )
    cells = {column: (row[column] or "").strip() for column in columns}
    empty = [column for column, text in cells.items() if not text]
    if empty:
        raise InputError(f"{path}, line {line}: {empty[0]} is empty; every clip needs {', '.join(columns)}")
    clip = cells[CLIP_COLUMN]
    if Path(clip).name != clip or clip in (".", ".."):
        raise InputError(f"{path}, line {line}: clip is {clip[:80]!r}; give the name of a folder, without its path")
    for column in columns:
        try:
            check_prompt(cells[column])
        except InputError as error:
            raise InputError(f"{path}, line {line}, {column}: {error}") from error
    return cells


def _listed(folder: Path) -> list[Path]:
    """What is in a folder."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} is no folder that can be read ({error.strerror}); give one") from error


def _check_count(path: Path, names: Sequence[str]) -> None:
    if len(names) > MOST_REFERENCES:
        raise InputError(f"{path} holds {len(names)} references; at most {MOST_REFERENCES} are taken")
