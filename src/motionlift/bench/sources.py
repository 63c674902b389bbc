"""Where a run's references and prompts come from: the bundled world, a folder of videos, or DAVIS folders of pictures."""

import csv
import hashlib
import io
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from motionlift.bench.frozen import held_scene
from motionlift.bench.references import (
    NAMED_SCENES,
    ONE_MOVES,
    SCENES,
    clip_of,
    figures,
    named_prompt_scene,
    named_reference,
    prompt_scene,
    reference,
    words_of,
)
from motionlift.bench.words import CAPTION, SUBJECTS, TARGETS, Words, told_to, untold
from motionlift.core.model import About
from motionlift.core.prompts import check_prompt
from motionlift.errors import InputError
from motionlift.measure.truth import looks_right
from motionlift.video.clip import Clip
from motionlift.video.limits import FRAMES, SIDES
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
"""Column of a table that names the clip."""
BETWEEN = ";"
"""What stands between several subjects or targets in a cell of a table."""
PICTURES = (".jpg", ".jpeg")
DAVIS_TABLE = Path(__file__).parent / "protocols" / "davis.csv"
"""The bundled table of DAVIS: its 50 clips of 2016 with prompts of our own writing, see :mod:`motionlift.bench.protocols`."""
CONTENT = "content"
"""Key of a record under which the start of the hash of what its reference shows stands; those of the world have none."""
CONTENT_CHARACTERS = 12
"""Characters of the start of a hash that stand for what a reference shows (ours, as for weights and defaults)."""
NOTHING_SAID = Words()
"""Where no file says anything of a reference; or where, as in the world, its name says all."""
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
    words: Words = NOTHING_SAID
    """What is said of the reference and the prompt, where files say it."""


@dataclass(frozen=True)
class Opened:
    """A reference as a cell takes it."""

    reference: Path | Clip
    """What is lifted."""
    frames: int | None
    """Frames to lift; the model's own by default."""
    truth: Callable[[Tensor], Mapping[str, Any]] | None
    """Exact figures of generated frames, where the truth is known."""
    pixels: tuple[int, int] | None = None
    """Width and height of the videos; the model's own by default."""
    fit: str = "crop"
    """How its frames get that shape."""
    every_frame: bool = False
    """Whether they are taken as they come."""
    still: Clip | None = None
    """What shows the prompt and does not move, where it can be drawn."""


@runtime_checkable
class Source(Protocol):
    """References and the prompts that their motion is cast onto."""

    kind: ClassVar[str]
    """Name of the source in run files and records."""
    advice: ClassVar[Mapping[str, str]]
    """By what a method may have to know, a key of :data:`motionlift.bench.words.NEEDED`: how the source is made to say it."""

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

    def told(self, asked: Asked, method: str, settings: Mapping[str, Any], frames: int) -> Mapping[str, Any]:
        """Settings by which a method is told what the reference shows, where it asks; for a model of so many frames."""
        ...

    def open(self, asked: Asked, about: About) -> Opened:
        """One reference, as the model takes that this is about.

        Raises:
            InputError: it cannot be read.
        """
        ...


def lacking(source: Source, method: str, settings: Mapping[str, Any]) -> str | None:
    """What a method must be told, and a source says of none of its references, a key of :data:`motionlift.bench.words.NEEDED`.

    None where the source says it, of some at least.
    """
    if not source.advice:  # it says all that there is to say
        return None
    frames = FRAMES[0]
    found = [
        untold(method, {**source.told(each, method, settings, frames), **settings}) for each in source.asked(frames)
    ]
    return found[0] if all(found) else None


@dataclass(frozen=True)
class World:
    """Held-out references of the bundled world, whose motion and looks are known exactly, with prompts of their own."""

    kind: ClassVar[str] = "world"
    kinds: ClassVar[tuple[str, ...]] = tuple(SCENES)
    """Kinds of references that there are."""
    advice: ClassVar[Mapping[str, str]] = {}
    count: int
    """How many references."""
    first: int = 0
    """Number of the first."""
    prompts: int = 1
    """Prompts for each: captions that are held out too, of other objects and backgrounds."""
    scenes: str = ONE_MOVES
    """Kind of references, one of ``kinds``."""

    def size(self) -> int:
        """Prompts for all references."""
        return self.count * self.prompts

    def asked(self, frames: int) -> Sequence[Asked]:
        """The captions of the prompts' scenes."""
        start = "" if self.scenes == ONE_MOVES else f"{self.scenes}-"
        return [
            Asked(f"{start}{index:04d}", index, self._wanted(index, turn, frames).caption(), str(turn))
            for index in range(self.first, self.first + self.count)
            for turn in range(self.prompts)
        ]

    def contents(self) -> Mapping[str, str]:
        """None: the number of a scene says all of it."""
        return {}

    def told(self, asked: Asked, method: str, settings: Mapping[str, Any], frames: int) -> Mapping[str, Any]:
        """The right words of the scene and of the prompt's, where the method asks."""
        return words_of(method, *self._scenes(asked, frames))

    def open(self, asked: Asked, about: About) -> Opened:
        """The scene, rendered, with its truth."""
        scene, wanted = self._scenes(asked, about.shape.frames)
        clip, still = (clip_of(each, about.fps) for each in (scene, held_scene(wanted)))
        truth = (lambda made: exact_figures(made, scene, wanted)) if len(scene.objects) == 1 else None
        return Opened(clip, None, truth, still=still)  # the judge tells one object's place alone

    def _scenes(self, asked: Asked, frames: int) -> tuple[Scene, Scene]:
        """Of the reference and of the prompt."""
        return self._reference(asked.number, frames), self._wanted(asked.number, int(asked.kind), frames)

    def _reference(self, index: int, frames: int) -> Scene:
        return reference(index, frames, self.scenes)

    def _wanted(self, index: int, turn: int, frames: int) -> Scene:
        return prompt_scene(index, turn, frames, self.scenes)


@dataclass(frozen=True)
class Things(World):
    """The same of things on grounds that have names; prompts cross kinds: what a rocket did, a fish is to do."""

    kind: ClassVar[str] = "things"
    kinds: ClassVar[tuple[str, ...]] = tuple(NAMED_SCENES)

    def _reference(self, index: int, frames: int) -> Scene:
        return named_reference(index, frames, self.scenes)

    def _wanted(self, index: int, turn: int, frames: int) -> Scene:
        return named_prompt_scene(index, turn, frames, self.scenes)


def exact_figures(made: Tensor, scene: Scene, wanted: Scene) -> dict[str, float]:
    """Figures of the world for records, with ``looks``, the share of them that is right."""
    found = figures(made, scene, wanted)
    return {**found, "looks": looks_right(found)}


@dataclass(frozen=True)
class Folder:
    """A folder of MP4 files, each cast onto the same prompts."""

    kind: ClassVar[str] = "folder"
    advice: ClassVar[Mapping[str, str]] = {
        CAPTION: "give folder a table with the columns clip and caption, such as captions: captions.csv",
        SUBJECTS: f"add the column subjects to the table of captions, with {BETWEEN} between several",
        TARGETS: "write prompts as {prompt: a red car on a grey road, targets: [red car]}",
    }
    path: Path
    """The folder."""
    prompts: tuple[str, ...]
    """What the videos are to show."""
    captions: Path | None = None
    """CSV table with the columns ``clip``, the file's name, ``caption`` and, if need be, ``subjects``; a line for each file."""
    targets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Prompts with the words of each that move as the subjects do."""
    frames: int | None = None
    """Frames of every clip; the model's own number by default."""
    pixels: tuple[int, int] | None = None
    """Width and height of the videos; the model's own by default."""
    fit: str = "crop"
    """How their frames get that shape."""
    every_frame: bool = False
    """Whether frames are taken as they come, whatever their rate."""

    def size(self) -> int:
        """Prompts for all files."""
        return len(self._names()) * len(self.prompts)

    def asked(self, frames: int) -> Sequence[Asked]:
        """Every prompt for every file, in the order of the files' names."""
        names = self._names()
        said, targets = self._said(names), dict(self.targets)
        return [
            Asked(name, number, prompt, str(place), replace(said[name], targets=targets.get(prompt, ())))
            for number, name in enumerate(names)
            for place, prompt in enumerate(self.prompts)
        ]

    def contents(self) -> Mapping[str, str]:
        """Of every file, as it is, and of what methods are told of it."""
        names = self._names()
        said = self._said(names)
        return {name: self._content(hash_of(self.path / name), said[name]) for name in names}

    def told(self, asked: Asked, method: str, settings: Mapping[str, Any], frames: int) -> Mapping[str, Any]:
        """Caption, subjects and targets, as far as the table and the run file say them."""
        return told_to(method, settings, asked.words)

    def open(self, asked: Asked, about: About) -> Opened:
        """The file."""
        return Opened(self.path / asked.reference, self.frames, None, self.pixels, self.fit, self.every_frame)

    def check(self) -> None:
        """Refuse a folder or a table of captions that cannot be read; errors as of :meth:`asked`."""
        self._said(self._names())

    def _content(self, file: str, words: Words) -> str:
        sizes: list[Any] = [size for size in (self.frames, self.pixels) if size is not None]
        sizes += [*([self.fit] if self.fit != "crop" else ()), *(["every_frame"] if self.every_frame else ())]
        if self.captions is None and not self.targets and not sizes:
            return file[:CONTENT_CHARACTERS]
        told = json.dumps([file, words.caption, words.subjects, self.targets, *sizes])
        return hashlib.sha256(told.encode()).hexdigest()[:CONTENT_CHARACTERS]

    def _said(self, names: Sequence[str]) -> dict[str, Words]:
        """What the table says of every file."""
        if self.captions is None:
            return dict.fromkeys(names, NOTHING_SAID)
        rows = {row[CLIP_COLUMN]: row for row in read_table(self.captions, (CLIP_COLUMN, CAPTION), (SUBJECTS,))}
        lacking = [name for name in names if name not in rows]
        if lacking:
            raise InputError(
                f"{self.captions} has no line for {lacking[0]} ({len(lacking)} of {len(names)} files of {self.path} have "
                "none); add one for each"
            )
        return {name: Words(rows[name][CAPTION], several(rows[name][SUBJECTS])) for name in names}

    def _names(self) -> list[str]:
        names = sorted(path.name for path in listed(self.path) if path.suffix.lower() == ".mp4")
        if not names:
            raise InputError(f"{self.path} holds no MP4 file; give a folder that does")
        check_count(self.path, names)
        return names


@dataclass(frozen=True)
class Davis:
    """DAVIS: a folder of JPEG frames for each clip, and a table with three prompts for each (DiTFlow's protocol)."""

    kind: ClassVar[str] = "davis"
    advice: ClassVar[Mapping[str, str]] = {
        SUBJECTS: f"add the column subjects to the table of prompts, words of the caption, with {BETWEEN} between several",
        TARGETS: f"add the column targets to the table of prompts, words of subject and scene, with {BETWEEN} between several",
    }
    path: Path
    """The folder that holds the clips' folders, such as ``DAVIS/JPEGImages/480p``."""
    prompts: Path = DAVIS_TABLE
    """CSV table with the columns ``clip``, ``caption``, ``subject`` and ``scene``, a line for each clip that takes part; if need be
    also ``subjects``, words of the caption that move, and ``targets``, words of both other prompts that move in their place.
    By default the bundled one."""
    frames: int = 24
    """Frames of every clip, its first ones, one after the other (DiTFlow, paper)."""
    clips: int = 50
    """Lines of the table that take part, its first ones (DiTFlow, paper)."""
    pixels: tuple[int, int] | None = None
    """Width and height of the videos; the model's own by default."""
    fit: str = "crop"
    """How their frames get that shape."""

    def size(self) -> int:
        """Prompts for all clips."""
        return len(self._rows()) * len(KINDS)

    def asked(self, frames: int) -> Sequence[Asked]:
        """The three prompts of every clip of the table."""
        return [
            Asked(row[CLIP_COLUMN], number, row[kind], kind, _words(row, kind))
            for number, row in enumerate(self._rows())
            for kind in KINDS
        ]

    def contents(self) -> Mapping[str, str]:
        """Of the pictures that take part, of how many are wanted, and of the caption, which some methods are told."""
        return {row[CLIP_COLUMN]: self._content(row) for row in self._rows()}

    def told(self, asked: Asked, method: str, settings: Mapping[str, Any], frames: int) -> Mapping[str, Any]:
        """The caption, and the subjects and targets that the table says."""
        return told_to(method, settings, asked.words)

    def open(self, asked: Asked, about: About) -> Opened:
        """The frames at the model's rate."""
        frames = read_pictures(self.path / asked.reference, self.frames)
        return Opened(Clip.of(frames, about.fps), self.frames, None, self.pixels, self.fit)

    def _content(self, row: Mapping[str, str]) -> str:
        try:
            pictures = [hash_of(path) for path in _pictures(self.path / row[CLIP_COLUMN], self.frames)]
        except InputError:
            pictures = [UNREADABLE]
        words = [row[name] for name in (SUBJECTS, TARGETS) if row[name]]
        sizes = [*([] if self.pixels is None else [self.pixels]), *([self.fit] if self.fit != "crop" else ())]
        told = json.dumps([self.frames, row[CAPTION], pictures, *words, *sizes])
        return hashlib.sha256(told.encode()).hexdigest()[:CONTENT_CHARACTERS]

    def _rows(self) -> list[dict[str, str]]:
        rows = davis_table(self.prompts)[: self.clips]
        names = {path.name for path in listed(self.path) if path.is_dir()}
        lacking = [row[CLIP_COLUMN] for row in rows if row[CLIP_COLUMN] not in names]
        if lacking:
            raise InputError(
                f"{self.path} holds no folder {lacking[0]!r}, which {self.prompts} names ({len(lacking)} of {len(rows)} "
                "clips are not there); give the folder that holds the clips' folders of JPEG files; motionlift protocol davis "
                f"{self.path} says which are missing"
            )
        return rows


def davis_table(path: Path) -> list[dict[str, str]]:
    """The lines of a table of DAVIS's prompts; errors as of :func:`read_table`."""
    return read_table(path, (CLIP_COLUMN, *KINDS), (SUBJECTS, TARGETS))


def _words(row: Mapping[str, str], kind: str) -> Words:
    """What a line of DAVIS's table says for one of its prompts; in the prompt that is the caption the subjects move themselves."""
    return Words(row[CAPTION], several(row[SUBJECTS]), several(row[SUBJECTS if kind == CAPTION else TARGETS]))


def several(cell: str) -> tuple[str, ...]:
    """The subjects or targets that a cell of a table holds."""
    return tuple(part.strip() for part in cell.split(BETWEEN) if part.strip())


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
    return sorted(path for path in listed(folder) if path.suffix.lower() in PICTURES)[:count]


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


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of a CSV file, which must have the columns and text in each of them; optional ones are empty where they lack.

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
        found = [_row(path, rows.line_num, row, columns, optional) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read: {reason}; give a CSV file in UTF-8") from error
    names = [row[CLIP_COLUMN] for row in found]
    check_count(path, names)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if not names or twice is not None:
        raise InputError(f"{path} names clip {twice!r} twice" if names else f"{path} has no lines below its head")
    return found


def _row(
    path: Path, line: int, row: Mapping[str, str | None], columns: Sequence[str], optional: Sequence[str]
) -> dict[str, str]:
    if None in row:  # where DictReader keeps what has no column
        raise InputError(
            f'{path}, line {line}: more cells than columns; put text that holds a comma into quotes, such as "a dog, running"'
        )
    cells = {column: (row.get(column) or "").strip() for column in (*columns, *optional)}
    empty = [column for column in columns if not cells[column]]
    if empty:
        raise InputError(f"{path}, line {line}: {empty[0]} is empty; every clip needs {', '.join(columns)}")
    clip = cells[CLIP_COLUMN]
    if Path(clip).name != clip or clip in (".", ".."):
        raise InputError(
            f"{path}, line {line}: clip is {clip[:80]!r}; give the name of a folder or file, without its path"
        )
    for column in filter(cells.get, cells):
        try:
            check_prompt(cells[column])
        except InputError as error:
            raise InputError(f"{path}, line {line}, {column}: {error}") from error
    return cells


def listed(folder: Path) -> list[Path]:
    """What is in a folder.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} is no folder that can be read ({error.strerror}); give one") from error


def check_count(path: Path, names: Sequence[str]) -> None:
    """Refuse more references than one source may have.

    Raises:
        InputError: there are more.
    """
    if len(names) > MOST_REFERENCES:
        raise InputError(f"{path} holds {len(names)} references; at most {MOST_REFERENCES} are taken")
