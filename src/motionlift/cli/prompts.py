"""``--prompts FILE``: a command that makes a video does so for each line of a file, with the model loaded once."""

import codecs
import inspect
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from motionlift.cli.options import SEVERAL_PROMPTS
from motionlift.cli.planned import IS_ASKED
from motionlift.cli.terminal import COMMAND_LINE, notice
from motionlift.core.places import check_there
from motionlift.errors import InputError, MotionliftError, SettingError, staying

if TYPE_CHECKING:
    from motionlift.work.keeping import Kept
    from motionlift.work.planning import Asked
    from motionlift.work.prepare import Job

MOST_BYTES = 2**20
"""Largest file of prompts that is read (ours: a hundred of the longest prompts)."""
MOST_PROMPTS = 1000
"""Most prompts of a file (ours)."""
MOST_TOLD = 3
"""Most prompts of a file of which it is told at once what a model cannot paint (ours)."""
LEAST_SHOWN = 40
"""Fewest letters of a prompt that are shown, however narrow the terminal (ours)."""
CUT = "..."
"""Stands for the rest of a prompt that is shown in part."""
NUMBERED = {"output": "--output", "keep_motion": "--keep-motion"}
"""Arguments that say where something is written of which each video has its own, and their options."""
STANDARD_INPUT = "-"
"""The name of what is read from standard input, as shells have it."""
LINE_END = re.compile("\r\n|\n|\r")
"""How lines end."""
LINE_WITHIN = re.compile("[\v\f\x1c-\x1e\x85\u2028\u2029]")
"""Other characters at which Python cuts lines: they stand within prompts that were copied from pages."""
WANTED = "give a text file with a prompt in each line"
PromptsFile = Annotated[
    Path | None,
    typer.Option(
        SEVERAL_PROMPTS,
        metavar="FILE",
        help="A text file with a prompt in each line, or - for standard input; a video is made for each, and what it writes gets "
        "its number, as out-1.mp4.",
        show_default=False,
    ),
]


class Held(NamedTuple):
    """A model that serves several prompts."""

    models: list["Kept"]
    """The model, once the first asks for it."""
    prompts: Sequence[str] = ()
    """All prompts that it serves, where they are known; the first of them asks for it."""


HELD: ContextVar[Held | None] = ContextVar("HELD", default=None)
"""Where the command that runs leaves its model for the next prompt; None where there is one alone."""


def for_each_prompt(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes ``--prompts`` beside ``--prompt``."""

    @wraps(command)
    def each(*, prompt: str | None = None, prompts: Path | None = None, **named: Any) -> None:
        if prompt is not None and prompts is not None:
            raise SettingError(f"--prompt and {SEVERAL_PROMPTS} are both given; give one of them")
        if prompts is not None:
            _in_turn(command, read_prompts(prompts), named)
        elif prompt is not None:
            command(prompt=prompt, **named)
        else:
            raise typer.TyperException(f"Missing option '--prompt', or {SEVERAL_PROMPTS} with a file")

    each.__signature__ = _signature(command)  # pyright: ignore[reportAttributeAccessIssue]
    each.__annotations__ = {name: own.annotation for name, own in _signature(command).parameters.items()}
    return each


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file, a line each; empty lines are none.

    Args:
        path: a file, a pipe, as ``<(command)`` of a shell is, or :data:`STANDARD_INPUT`.

    Raises:
        InputError: it cannot be read, is no text in UTF-8 or UTF-16, holds none or too many, or one that no model can take.
    """
    from motionlift.core.prompts import check_prompt

    lines = LINE_END.split(_text(path))
    prompts = {number: LINE_WITHIN.sub(" ", line).strip() for number, line in enumerate(lines, 1) if line.strip()}
    if not 1 <= len(prompts) <= MOST_PROMPTS:
        raise InputError(f"{path} holds {len(prompts)} prompts; allowed are 1 to {MOST_PROMPTS}, a line each")
    for number, prompt in prompts.items():
        try:
            check_prompt(prompt)
        except InputError as error:
            raise InputError(f"line {number} of {path}: {error}") from error
    return [*prompts.values()]


def _text(path: Path) -> str:
    """The text of a file of prompts; in UTF-16 where it begins with the mark of that, as PowerShell writes it.

    Raises:
        InputError: it cannot be read, is too large, or no text.
    """
    try:
        content = _content(path)
        if len(content) > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES} bytes; {WANTED}")
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if b"\0" in content and not wide:
            raise UnicodeError
        return content.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(f"{path} cannot be read ({reason}); {WANTED}") from error


def _content(path: Path) -> bytes:
    """The first bytes of a file, a pipe or standard input, one more than may be.

    Raises:
        InputError: it is not there, or no file.
        OSError: it cannot be read.
    """
    if str(path) == STANDARD_INPUT:
        if sys.stdin is None:
            raise InputError(f"there is no standard input to read prompts from; {WANTED}")
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    if path.is_fifo():
        return _piped(path)
    check_there(path, WANTED)
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _piped(path: Path) -> bytes:
    """What a pipe gives until whoever writes is done; nothing where nobody has opened it to write, for which is not waited."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(opened, True)
    with os.fdopen(opened, "rb") as file:
        return file.read(MOST_BYTES + 1)


def numbered(output: Path, number: int, count: int) -> Path:
    """Where one of several files goes: as many digits for all, so that they stand in order.

    Raises:
        OutputError: as :func:`motionlift.video.writing.check_named`.
    """
    from motionlift.video.writing import check_named

    check_named(output)
    return output.with_stem(f"{output.stem}-{number:0{len(str(count))}}")


def one_of_several(words: Sequence[str], prompt: str, places: Mapping[str, Path]) -> tuple[str, ...]:
    """The command that would make one of the videos alone, of the command that makes them all.

    Args:
        words: the command that makes them all.
        prompt: that of the one.
        places: where what it writes goes, by the names of the options.
    """
    kept: list[str] = []
    skips = False
    for word in words:
        if not skips and not word.startswith(f"{SEVERAL_PROMPTS}="):
            skips = word == SEVERAL_PROMPTS
            kept += [] if skips else [word]
        else:
            skips = False
    first, rest = kept[:2], kept[2:]
    end = rest.index("--") if "--" in rest else len(rest)  # behind it there are no options
    written = [f"{option}={place}" for option, place in places.items()]
    return (*first, f"--prompt={prompt}", *rest[:end], *written, *rest[end:])


@contextmanager
def one_model(prompts: Sequence[str] = ()) -> Iterator[None]:
    """Let all commands within share the model that the first of them loads.

    Args:
        prompts: those of the commands, in their order, where they differ by that alone.
    """
    token = HELD.set(Held([], prompts))
    try:
        yield
    finally:
        HELD.reset(token)


def check_later(asked: "Asked", job: "Job") -> None:
    """Refuse later prompts that cannot be made on the model of the first, whose job is made.

    Args:
        asked: how the first is made.
        job: that of the first.

    Raises:
        MotionliftError: as of its job, with the number of the prompt.
    """
    held = HELD.get()
    prompts = () if held is None else held.prompts
    alike = replace(asked, stages=lambda _: job.stages)  # which are loaded once
    for number, prompt in enumerate(prompts[1:], 2):
        try:
            replace(alike, request=replace(asked.request, prompt=prompt)).job(job.model)
        except MotionliftError as error:
            raise type(error)(f"prompt {number} of {len(prompts)}: {error}") from error


def _on_one_line(text: str, before: int) -> str:
    """The beginning of a text, as much as a line of the terminal has room for behind so many letters."""
    room = max(LEAST_SHOWN, shutil.get_terminal_size().columns - before)
    return text if len(text) <= room else f"{text[: room - len(CUT)]}{CUT}"


def _in_turn(command: Callable[..., None], prompts: Sequence[str], named: Mapping[str, Any]) -> None:
    """Run a command for each prompt, once none of the places of what it writes is refused."""
    words, count, done = COMMAND_LINE.get(), len(prompts), 0
    written = {name: named[name] for name in NUMBERED if named.get(name) is not None}
    turns = [
        {name: numbered(place, number, count) for name, place in written.items()} for number in range(1, count + 1)
    ]
    for places in turns:
        _check_places({**named, **places})
    if not IS_ASKED.get():
        notice(_of_later_ones(named["model"], prompts))
    with one_model(prompts), staying(lambda: f"{done} of {count} videos are written and stay"):
        for prompt, places in zip(prompts, turns, strict=True):
            options = {NUMBERED[name]: place for name, place in places.items()}
            token = COMMAND_LINE.set(one_of_several(words, prompt, options))
            try:
                if not IS_ASKED.get():
                    turn = f"prompt {done + 1} of {count}: "
                    notice([turn + _on_one_line(prompt, len(f"note: {turn}"))])
                command(prompt=prompt, **{**named, **places})
            finally:
                COMMAND_LINE.reset(token)
            done += 1


def _of_later_ones(model: str, prompts: Sequence[str]) -> list[str]:
    """What a bundled model cannot paint of all prompts but the first, which its own turn tells at once."""
    from motionlift.work.foreseen import foreseen

    lines = [
        f"prompt {number} of {len(prompts)}: {line}"
        for number, prompt in enumerate(prompts[1:], 2)
        for line in foreseen(model, prompt)
    ]
    more = len(lines) - MOST_TOLD
    return lines if more <= 0 else [*lines[:MOST_TOLD], f"{more} more prompts are like these"]


def _check_places(named: Mapping[str, Any]) -> None:
    """Refuse the arguments of one of the videos where something that it writes cannot be."""
    from motionlift.cli.checks import check_kept, check_outputs, side_by_side_of
    from motionlift.video.marks import CLIP, RECORD, VIDEO
    from motionlift.video.writing import check_output

    output, overwrite = named["output"], named["overwrite"]
    check_outputs(output, VIDEO, RECORD, named.get("reference"), overwrite)
    if named.get("side_by_side"):
        check_output(side_by_side_of(output), CLIP, overwrite)
    if named.get("keep_motion") is not None:
        check_kept(named["keep_motion"], named["motion"], named["mixed"], overwrite)


def _signature(command: Callable[..., None]) -> inspect.Signature:
    """A command's arguments, with the option behind ``--prompt``, of which neither has to be there."""
    found: list[inspect.Parameter] = []
    for own in inspect.signature(command).parameters.values():
        if own.name != "prompt":
            found.append(own.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        one = Annotated[str | None, *own.annotation.__metadata__]
        found.append(own.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=one, default=None))
        several = inspect.Parameter("prompts", inspect.Parameter.KEYWORD_ONLY, annotation=PromptsFile, default=None)
        found.append(several)
    return inspect.Signature(found)
