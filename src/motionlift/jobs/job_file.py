"""Job files: what ``motionlift batch`` makes, as YAML, as a table, or as lines of JSON.

In YAML a file is a list of jobs, or has what they share at its top and the list under ``jobs``::

    model: tiny-wan                     # a name, a folder, or a hub name; the bundled default where none is given
    method: ditflow                     # ditflow where none is given
    settings: {steps: 30}               # of the method, as --set takes them
    output: "{reference}-{number}.mp4"  # below the folder of the batch; {reference}-{prompt}-{seed}.mp4 where it is not said
    jobs:
      - reference: clips/*.mp4          # a clip, a folder of pictures, or a pattern: a job for each that it finds
        prompts: [a red car on a grey road, a yellow fish in the sea]
        seeds: [0, 1]                   # a video for each prompt with each of them; or seed: 7; 0 where none are given
      - {reference: fast.mp4, prompt: a purple butterfly in the sky, start: 1.5, duration: 2, frames: 33, size: 96x64}
      - {reference: slow.mp4, prompt: ..., method: vmc, processes: 4}  # tuned on four GPUs
      - {reference: walk.mp4, prompt: ..., crop: motion, picture: photo.jpg}  # the video begins with a picture

A table (``.csv``) has a job in each row and these keys in its head; several prompts or seeds of a row stand with ``|`` between
them, and settings as ``share=0.2; read=flow``. In lines of JSON (``.jsonl``) each is an object with these keys.

An output names its video by ``{reference}``, ``{prompt}``, ``{seed}``, ``{method}``, ``{model}`` and ``{number}``, the job's own
number in the file; where a job is made of each clip that arrives, that number says by which clip, too. Paths of references are
relative to the folder in which the command is called; a reference may be an address of a store too, such as
``s3://bucket/clip.mp4``. What is said of a job itself goes before what all share, settings one by one.
"""

import csv
import glob
import hashlib
import io
import itertools
import json
import os
import re
import string
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import yaml

from motionlift.core.method import Tuner
from motionlift.core.places import check_there
from motionlift.core.prompts import check_prompt
from motionlift.core.settings import read_size
from motionlift.errors import InputError
from motionlift.jobs.job import INPUTS, Contents, Job, as_read
from motionlift.jobs.job_text import NEEDED, job_text
from motionlift.jobs.page import Page, Value, node_of
from motionlift.jobs.stores import is_address
from motionlift.methods import method as method_named
from motionlift.models.sources import DEFAULT_MODEL, check_name
from motionlift.settings import with_meant_values
from motionlift.video.limits import FRAMES, SIDES
from motionlift.video.part import Part, check_part, crop_of
from motionlift.video.picture_header import check_picture
from motionlift.video.writing import named_beside
from motionlift.work.prepare import SEEDS

MOST_JOBS = 100_000
"""Most jobs of a file (ours)."""
TOO_MANY = f"there are more than {MOST_JOBS} jobs; split the file"
"""What is said of them."""
MOST_PROCESSES = 64
"""Most processes that tune one motion (ours)."""
METHOD = "ditflow"
"""The method where none is given, as of ``motionlift transfer``."""
OUTPUT = "{reference}-{prompt}-{seed}.mp4"
"""The output where none is given."""
NAMED = ("reference", "prompt", "seed", "method", "model", "number")
"""What an output may name."""
MOST_NAMED = 40
"""Most characters of an output's name that come from one word (ours)."""
MOST_NAME = 240
"""Most bytes of a name of an output (ours: file systems take 255, and what lies beside it has up to 13 more)."""
CLIP_DIGITS = 8
"""Hexadecimal digits that tell a clip that arrived from others, in a ``{number}`` (ours: 32 bits)."""
NOT_IN_NAMES = re.compile(r"[^\w.]+")
"""What an output's name is spared of words; letters of all scripts stay."""
KEYS = (
    *("reference", "prompt", "prompts", "seed", "seeds", "method", "model", "settings", "output"),
    *("frames", "size", "start", "duration", "crop", "picture", "processes"),
)
"""Keys of a job."""
GIVE_PICTURE = "give a picture"
"""What to do where there is none."""
BETWEEN = {"prompts": "|", "seeds": "|", "settings": ";"}
"""What stands between several values in a cell of a table."""


@dataclass(frozen=True)
class Jobs:
    """What a job file asks for."""

    jobs: tuple[Job, ...]
    """Jobs whose reference is said."""
    templates: tuple[Job, ...] = ()
    """Those without one, of which each clip that arrives makes its own."""


def read_jobs(name: str | Path, templates: bool = False, contents: Contents | None = None) -> Jobs:
    """Read a job file.

    Args:
        name: the file.
        templates: allow jobs without a reference.
        contents: what references hold, as far as that is known already.

    Raises:
        InputError: it is not there, too large or no such file, or something in it is unknown, malformed or not there, or two jobs
            have one output; the line is named.
    """
    text, form = job_text(name)
    return _Reader(str(name), contents or Contents()).jobs(text, form, templates)


def for_clips(templates: Sequence[Job], clips: Sequence[Path]) -> tuple[Job, ...]:
    """The jobs that clips make of templates.

    Args:
        templates: jobs without a reference.
        clips: references that arrived.
    """
    found = []
    for clip in clips:
        for each in templates:
            told = hashlib.sha256(os.fsencode(clip.name)).hexdigest()[:CLIP_DIGITS]
            output = each.output.replace("{reference}", _word(clip.stem)).replace("{clip}", told)
            found.append(replace(each, reference=str(clip), output=output, place=f"{each.place}, of {clip.name}"))
    return tuple(found)


def check_outputs(jobs: Sequence[Job], taken: MutableMapping[str, Job] | None = None) -> None:
    """Refuse two jobs that would write one file, be it a video or its record, or one in the place of the other's folder.

    Args:
        jobs: the jobs.
        taken: what others write, to which what these write is added; names of folders end in a slash.

    Raises:
        InputError: there are two, of which both lines are named; or a name is too long for file systems.
    """
    taken = {} if taken is None else taken
    for job in jobs:
        output = Path(job.output)
        _check_length(job, output)
        for what, path in (("output", output), ("record", named_beside(output, ".json"))):
            other = taken.setdefault(_alike(path), job)
            if other is not job:
                advice = "{number}" if other.prompt != job.prompt else _telling(other, job)
                raise InputError(
                    f"{job.place}: its {what} {path.as_posix()!r} is that of {other.place} too; let the output name {advice}, or "
                    "give each job its own"
                )
            _check_folders(job, what, path, taken)


def _alike(path: Path) -> str:
    """A path by which others are the same: file systems of Windows and Mac take names that differ in case alone for one."""
    return path.as_posix().casefold()


def _check_length(job: Job, output: Path) -> None:
    """Refuse names that no file system takes.

    Raises:
        InputError: so it is.
    """
    longest = max(len(os.fsencode(part)) for part in output.parts)
    if longest > MOST_NAME:
        raise InputError(
            f"{job.place}: a name in its output has {longest} bytes; at most {MOST_NAME} are allowed, so give a shorter one"
        )


def _check_folders(job: Job, what: str, path: Path, taken: MutableMapping[str, Job]) -> None:
    """Refuse a file in the place of a folder of others, and a folder in that of their file.

    Raises:
        InputError: so it is.
    """
    inside = taken.get(f"{_alike(path)}/", job)
    if inside is not job:
        raise InputError(
            f"{job.place}: its {what} {path.as_posix()!r} is the folder of {inside.output!r} of {inside.place}; give another place"
        )
    for folder in path.parents[:-1]:
        other = taken.get(_alike(folder), job)
        if other is not job:
            raise InputError(
                f"{job.place}: its {what} {path.as_posix()!r} lies in {folder.as_posix()!r}, which {other.place} writes; give "
                "another place"
            )
        taken.setdefault(f"{_alike(folder)}/", job)


def _telling(one: Job, other: Job) -> str:
    """What an output may name to tell two jobs apart."""
    differing = [name for name in ("seed", "method", "model") if getattr(one, name) != getattr(other, name)]
    return f"{{{differing[0]}}}" if differing else "{number}"


def _word(text: str) -> str:
    """A word as names of files have it."""
    return NOT_IN_NAMES.sub("-", text).strip("-._")[:MOST_NAMED].rstrip("-._") or "x"


@dataclass(frozen=True)
class _Reader(Page):
    """Reads a job file."""

    contents: Contents
    """What addresses hold, of which each is asked once."""

    def jobs(self, text: str, form: str, templates: bool) -> Jobs:
        """All its jobs."""
        shared, nodes = self._entries(text, form)
        found: list[Job] = []
        for node in nodes:
            found += self._jobs(node, shared, templates, len(found))
        jobs = tuple(job for job in found if job.reference)
        check_outputs(jobs)
        check_outputs([job for job in found if not job.reference])
        return Jobs(jobs, tuple(job for job in found if not job.reference))

    def _entries(self, text: str, form: str) -> tuple[dict[str, yaml.Node], list[yaml.Node]]:
        """What all jobs share, and the jobs."""
        if form == ".csv":
            return {}, self._few(self._rows(text))
        if form == ".jsonl":
            return {}, self._few(self._lines(text))
        root = self.root(text, NEEDED)
        if isinstance(root, yaml.SequenceNode):
            return {}, self.items(root, "jobs", MOST_JOBS)
        parts = self.mapping(root, "a job file", ("jobs",), KEYS)
        return {key: node for key, node in parts.items() if key != "jobs"}, self.items(parts["jobs"], "jobs", MOST_JOBS)

    def _few(self, nodes: Iterator[yaml.Node]) -> list[yaml.Node]:
        """Nodes of entries, of each of which there is a job at least."""
        found = list(itertools.islice(nodes, MOST_JOBS + 1))
        if len(found) > MOST_JOBS:
            raise self.refusal(found[-1], TOO_MANY)
        return found

    def _lines(self, text: str) -> Iterator[yaml.Node]:
        """A node of each line of JSON."""
        if not text.strip():
            raise InputError(f"{self.name} is empty; {NEEDED}")
        for line, content in enumerate(text.split("\n")):
            if not content.strip():
                continue
            try:
                node = node_of(json.loads(content), line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{self.name}, line {line + 1}: this is no JSON ({error}); write an object") from error
            yield node

    def _rows(self, text: str) -> Iterator[yaml.Node]:
        """A node of each row of a table; empty cells are not there."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            head = [cell.strip() for cell in next(reader, [])]
            self._check_head(head)
            line = reader.line_num
            for row in reader:
                if len(row) > len(head):
                    raise InputError(
                        f"{self.name}, line {line + 1}: there are {len(row)} cells, and {len(head)} in the head"
                    )
                cells = {key: cell.strip() for key, cell in zip(head, row, strict=False) if cell.strip()}
                if cells:
                    yield node_of({key: _cell(key, cell) for key, cell in cells.items()}, line)
                line = reader.line_num
        except csv.Error as error:
            raise InputError(f"{self.name}, line {reader.line_num}: {error}; write a table with commas") from error

    def _check_head(self, head: Sequence[str]) -> None:
        unknown = [key for key in head if key not in KEYS]
        twice = [key for place, key in enumerate(head) if key in head[:place]]
        if unknown or twice or not head:
            came = (
                f"unknown key {unknown[0][:80]!r}" if unknown else f"{twice[0]!r} comes twice" if twice else "no head"
            )
            raise InputError(f"{self.name}, line 1: {came}; the head of a table names {', '.join(KEYS)}")

    def _jobs(self, node: yaml.Node, shared: Mapping[str, yaml.Node], templates: bool, before: int) -> list[Job]:
        """The jobs of an entry: of each reference, each prompt with each seed."""
        own = self.mapping(node, "a job", (), KEYS)
        parts = {**_without(shared, own), **own}
        if not parts.keys() & {"prompt", "prompts"}:
            raise self.refusal(node, f"a job lacks prompt; allowed are {', '.join(KEYS)}")
        first, place = self._first(node, parts, shared), f"{self.name}, line {node.start_mark.line + 1}"
        pattern = self._pattern(parts)
        references, prompts = self._references(node, parts, templates), self._several(parts, "prompt", self._prompt)
        seeds = self._several(parts, "seed", lambda each: self.whole(each, "a seed", *SEEDS)) or [0]
        if before + len(references) * len(prompts) * len(seeds) > MOST_JOBS:
            raise self.refusal(node, TOO_MANY)
        found = []
        for reference, prompt, seed in itertools.product(references, prompts, seeds):
            job = replace(first, reference=reference, prompt=prompt, seed=seed, place=place)
            found.append(replace(job, output=_named(pattern, job, before + len(found))))
        return found

    def _first(self, node: yaml.Node, parts: Mapping[str, yaml.Node], shared: Mapping[str, yaml.Node]) -> Job:
        """What the jobs of an entry have in common."""
        method = self.text(parts["method"], "method") if "method" in parts else METHOD
        self.checked(parts.get("method", node), lambda: method_named(method))
        model = self.text(parts["model"], "model") if "model" in parts else DEFAULT_MODEL
        self.checked(parts.get("model", node), lambda: check_name(model))
        settings: dict[str, Any] = {}
        for each in (shared.get("settings"), parts.get("settings")):
            settings |= {} if each is None else self._settings(each, method)
        read = self.checked(parts.get("settings", node), lambda: as_read(method, settings))
        frames = self.whole(parts["frames"], "frames", *FRAMES) if "frames" in parts else None
        processes = self._processes(parts["processes"], method) if "processes" in parts else 1
        part = Part(**{key: self.value(parts[key]) for key in ("start", "duration") if key in parts})
        self.checked(parts.get("start", parts.get("duration", node)), lambda: check_part(part, "crop"))
        duration = None if part.duration is None else float(part.duration)
        size, start = self._size(parts), float(part.start)
        crop, picture = self._crop(parts), self._picture(parts)
        return Job("", "", 0, method, model, read, "", frames, size, start, duration, crop, picture, processes)

    def _crop(self, parts: Mapping[str, yaml.Node]) -> str:
        if "crop" not in parts:
            return ""
        crop = self.text(parts["crop"], "crop")
        self.checked(parts["crop"], lambda: crop_of(crop))
        return crop

    def _picture(self, parts: Mapping[str, yaml.Node]) -> str:
        """A file, or an address of a store, that is there."""
        if "picture" not in parts:
            return ""
        picture = self.text(parts["picture"], "picture")
        self.checked(parts["picture"], lambda: self._look_at(picture))
        return picture

    def _look_at(self, picture: str) -> None:
        """Ask for an address, or look at the header of a file.

        Raises:
            InputError: it is not there, or is no picture.
        """
        if is_address(picture):
            self.contents.of(picture)
            return
        check_there(picture, GIVE_PICTURE)
        check_picture(picture, GIVE_PICTURE)

    def _processes(self, node: yaml.Node, method: str) -> int:
        """How many processes tune together, of a method that tunes where they are several."""
        processes = self.whole(node, "processes", 1, MOST_PROCESSES)
        if processes > 1 and not isinstance(method_named(method), Tuner):
            raise self.refusal(
                node, f"processes is {processes}, and {method} tunes nothing that they could share; leave processes out"
            )
        return processes

    def _settings(self, node: yaml.Node, method: str) -> dict[str, Any]:
        found = {}
        for key, (_, value) in self.pairs(node, "settings are names with a value each, such as {share: 0.2}").items():
            found[key] = self.value(value)
            self.checked(value, lambda key=key: with_meant_values(method_named(method).Settings(), {key: found[key]}))
        return found

    def _size(self, parts: Mapping[str, yaml.Node]) -> tuple[int, int] | None:
        if "size" not in parts:
            return None
        text = self.text(parts["size"], "size")
        size = read_size(text)
        if size is None or not all(SIDES[0] <= side <= SIDES[1] for side in size):
            raise self.refusal(
                parts["size"],
                f"size is {text[:40]!r}; give WIDTHxHEIGHT of {SIDES[0]} to {SIDES[1]} pixels, such as 832x480",
            )
        return size

    def _several(self, parts: Mapping[str, yaml.Node], key: str, read: Callable[[yaml.Node], Value]) -> list[Value]:
        """The values of a key or of its plural, each once."""
        many = f"{key}s"
        if many in parts and key in parts:
            raise self.refusal(parts[many], f"{key} and {many} are both given; give one of them")
        nodes = self.items(parts[many], many, MOST_JOBS) if many in parts else [parts[key]] if key in parts else []
        return list(dict.fromkeys([read(each) for each in nodes]))

    def _prompt(self, node: yaml.Node) -> str:
        prompt = self.text(node, "a prompt")
        self.checked(node, lambda: check_prompt(prompt))
        return prompt

    def _references(self, node: yaml.Node, parts: Mapping[str, yaml.Node], templates: bool) -> list[str]:
        """The clips that are named, or found by a pattern; one empty text where each that arrives is meant."""
        if "reference" not in parts:
            if templates:
                return [""]
            raise self.refusal(node, f"a job lacks reference; allowed are {', '.join(KEYS)}")
        given = parts["reference"]
        text = self.text(given, "reference")
        if is_address(text):
            self.checked(given, lambda: self.contents.of(text))
            return [text]
        if not glob.has_magic(text) or os.path.exists(text):  # noqa: PTH110  # false of a name that no file can have
            self.checked(given, lambda: check_there(text))
            return [text]
        found = sorted(place for place in glob.glob(text, recursive=True) if not Path(place).name.startswith("."))  # noqa: PTH207  # a pattern may begin anywhere
        if not found:
            raise self.refusal(
                given, f"nothing is there by the pattern {text[:200]!r}; give a clip, or another pattern"
            )
        return found

    def _pattern(self, parts: Mapping[str, yaml.Node]) -> str:
        """How outputs are named, which is checked."""
        if "output" not in parts:
            return OUTPUT
        node, names = parts["output"], ", ".join(f"{{{name}}}" for name in NAMED)
        pattern = self.text(node, "output")
        try:
            fields = [(name, form, how) for _, name, form, how in string.Formatter().parse(pattern) if name is not None]
        except ValueError as error:
            raise self.refusal(node, f"output is {pattern[:80]!r} ({error}); it may name {names}") from error
        for name, form, how in fields:
            if name not in NAMED or form or how:
                raise self.refusal(node, f"output names {{{name[:40]}}}; it may name {names}")
        path = PurePath(pattern.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"^[A-Za-z]:|^[a-z0-9]+://", pattern):
            raise self.refusal(node, f"output is {pattern[:80]!r}; give a place below the folder of the batch")
        if path.parts[:1] == (INPUTS,):
            raise self.refusal(
                node, f"output lies in {INPUTS}, where is kept what is read of stores; give another place"
            )
        return pattern


def _without(shared: Mapping[str, yaml.Node], own: Mapping[str, yaml.Node]) -> dict[str, yaml.Node]:
    """What all share, but for what a job says itself in the singular or plural."""
    others = {"prompt": "prompts", "prompts": "prompt", "seed": "seeds", "seeds": "seed"}
    return {key: node for key, node in shared.items() if others.get(key) not in own}


def _named(pattern: str, job: Job, number: int) -> str:
    """The output of a job; of a template the reference stays to be named, and in the number what tells it from others."""
    words = {
        "reference": _word(Path(job.reference).stem) if job.reference else "{reference}",
        "prompt": _word(job.prompt),
        "seed": str(job.seed),
        "method": _word(job.method),
        "model": _word(job.model),
        "number": f"{number:04d}" if job.reference else f"{number:04d}-{{clip}}",
    }
    return pattern.format(**words)


def _cell(key: str, cell: str) -> Any:
    """A cell of a table as JSON would have it."""
    if key == "settings":
        pairs = [each.partition("=") for each in cell.split(BETWEEN[key]) if each.strip()]
        return {name.strip(): value.strip() for name, _, value in pairs}
    if key in BETWEEN:
        return [_number(key, each.strip()) for each in cell.split(BETWEEN[key]) if each.strip()]
    return _number(key, cell)


def _number(key: str, cell: str) -> Any:
    """The number that a cell holds, where its key has numbers."""
    if key in ("seed", "seeds", "frames", "processes") and re.fullmatch(r"\d{1,20}", cell, re.ASCII):
        return int(cell)
    if key in ("start", "duration") and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", cell, re.ASCII):
        return float(cell)
    return cell
