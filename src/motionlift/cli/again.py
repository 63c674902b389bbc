"""``motionlift again``: what a video or its record says of its command is done once more, with changes.

A record comes from outside. It is JSON, looked at for its size and its mark, and all that is taken of it are the words of a
command, which are read as any that are typed, and hashes, which are compared. What a command writes is never taken of it.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionlift.cli.giving_way import SHORT_FOR, Given, given_way
from motionlift.cli.terminal import COMMAND_LINE, notice
from motionlift.cli.threads import use_threads
from motionlift.errors import InputError, MotionError, SettingError

if TYPE_CHECKING:
    from typer.core import TyperCommand

    from motionlift.core.model import About
    from motionlift.work.video import Video

REPEATED = ("transfer", "cast")
"""The commands that make videos."""
WITHOUT = "--no-"
"""What stands before the name of an option of the record that is to be left out, as ``--no-lora``."""
OF_WRITING = ("output", "overwrite", "folder", "previews", "keep_motion", "quiet", "as_json")
"""Arguments by which a command says what it writes and prints, which are nobody's but the caller's."""
MOST_WORDS, MOST_LETTERS = 1000, 100_000
"""Most words of a command, and letters of each, that are read from a record (ours: far above what is typed)."""


@dataclass(frozen=True)
class Expected:
    """What is to be the same as when a video was made."""

    file: Path
    """The video, or its record."""
    model: Mapping[str, Any] | None
    """What its record says of the model; None where another is asked for."""
    frames: str | None
    """Hash of its frames; None where they are to be others."""
    versions: Mapping[str, Any]
    """Versions of what made it."""
    threads: int | None
    """How many threads of the processor it was computed with; None where the record does not say."""


EXPECTED: ContextVar[Expected | None] = ContextVar("EXPECTED", default=None)
"""What the command that runs repeats."""


def completed(context: typer.Context, incomplete: str) -> list[str]:
    """Values of the option that was typed last, as the commands that are repeated complete them."""
    option = (context.params.get("words") or ("",))[-1]
    own = (own for name in REPEATED for own in _command(name).params if option in own.opts)
    return [item.value for each in islice(own, 1) for item in each.shell_complete(context, incomplete)]


def again(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE [REFERENCE] [OPTIONS]...",
            autocompletion=completed,
            help="A video that transfer or cast wrote, or its .json; another reference, or motion, where it is to be another; and "
            "any options of that command, in place of those that were given. --no-NAME leaves one of these out, as --no-lora.",
            show_default=False,
        ),
    ],
) -> None:
    """Make a video again by what it says of itself, with the changes that options name: again out.mp4 --seed 3."""
    from motionlift.video.recorded import record_of

    file, *others = _positional(words)
    record = record_of(Path(file))
    name, given = _recorded(record, file)
    changes, removed = _changes(name, words)
    if len(others) > 1:
        raise SettingError(f"again takes a file and at most one reference or motion; {others[1]!r} came too")
    source = _argument(name)
    changes = {key: value for key, value in changes.items() if key != source} | ({source: others[0]} if others else {})
    gone = {key for key in removed if key in given}
    kept, why = given_way({key: value for key, value in given.items() if key not in gone}, changes)
    _tell_given_way(name, why)
    _tell_not_there(name, removed - gone)
    expected = _expected(Path(file), record, {**changes, **why, **dict.fromkeys(gone)})
    merged = _merged(kept, changes)
    merged.setdefault("output", str(_output(Path(file), record)))
    _drop_sound(merged, changes)
    from motionlift.cli.recorded import same_files

    merged |= same_files(record, merged, changes, Path(file).parent)
    if expected.frames is not None and expected.threads is not None:
        use_threads(expected.threads)
    token = EXPECTED.set(expected)
    try:
        _invoke(name, merged)
    finally:
        EXPECTED.reset(token)


def repeatable_words(words: Sequence[str]) -> list[str]:
    """The words of a command that made a video, without those that say where it was written; for its record."""
    name, *rest = words
    return [name, *_words(name, _without_writing(_read(name, rest)))]


def check_model(about: "About") -> None:
    """Refuse weights that are not those which the record was made with.

    Where they are only held in another way, as on another device, they are taken, and a note says so.

    Raises:
        MotionError: they are others.
    """
    expected = EXPECTED.get()
    if expected is None or expected.model is None or expected.model.get("fingerprint") == about.fingerprint:
        return
    told, here = (
        (expected.model.get("dtype"), expected.model.get("measures")),
        (about.dtype, list(about.measures.taken)),
    )
    if told == here:
        raise MotionError(
            f"{about.name} has other weights than {expected.file} was made with; give --model {about.name} to take them as they are"
        )
    notice([f"{expected.file} was made in {told[0]}, this is in {here[0]}: frames may differ"])


def tell_sameness(video: "Video") -> None:
    """Say whether a repeated run gave the same frames."""
    expected = EXPECTED.get()
    if expected is None or expected.frames is None:
        return
    if video.record["frames_sha256"] == expected.frames:
        notice([f"these are the frames of {expected.file}"])
        return
    here = video.record["versions"]
    others = [f"{key} {value}" for key, value in expected.versions.items() if here.get(key) != value]
    if expected.threads not in (None, video.record["threads"]):
        others.append(f"{expected.threads} threads")
    why = f", which was made with {', '.join(map(str, others))[:200]}" if others else ""
    notice([f"these are not the frames of {expected.file}{why}"])


# Words


def _command(name: str) -> "TyperCommand":
    from motionlift.cli.app import app

    return typer.main.get_command(app).commands[name]  # pyright: ignore[reportAttributeAccessIssue]


def _argument(name: str) -> str:
    """What a command begins from: its only argument."""
    return next(own.name for own in _command(name).params if own.param_type_name == "argument" and own.name)


def _split(name: str, words: Sequence[str], without: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Arguments by name, and words beyond them.

    Args:
        name: the command.
        words: what was typed after it.
        without: whether :data:`WITHOUT` is known too; what is left out is then named by the option itself.

    Raises:
        typer.TyperException: an option that the command does not have, or that lacks its value.
    """
    command = _command(name)
    parser = command.make_parser(command.context_class(command, info_name="motionlift again"))
    for own in _removable(name) if without else ():
        option = max(own.opts, key=len)
        if _without(option) not in words:
            continue  # nor is it suggested for a slip
        parser.add_option(own, [_without(option)], dest=_without(option), action="store_const", const=True)
    given, beyond, _ = parser.parse_args(list(words))
    return {key: value for key, value in given.items() if value is not None}, list(beyond)


def _removable(name: str) -> list[Any]:
    """The options of a command that may be left out of a record."""
    command = _command(name)
    known = {word for own in command.params for word in (*own.opts, *own.secondary_opts)}
    return [
        own
        for own in command.params
        if own.param_type_name == "option"
        and own.name not in OF_WRITING
        and _without(max(own.opts, key=len)) not in known
    ]


def _without(option: str) -> str:
    return f"{WITHOUT}{option.removeprefix('--')}"


def _changes(name: str, words: Sequence[str]) -> tuple[dict[str, Any], set[str]]:
    """Arguments that are typed, and the names of those of the record that are to be left out.

    Raises:
        SettingError: one is both.
    """
    given, _ = _split(name, words, without=True)
    options = {max(own.opts, key=len): own.name for own in _removable(name)}
    removed = {option: own for option, own in options.items() if given.pop(_without(option), False)}
    both = next((option for option, own in removed.items() if own in given), None)
    if both is not None:
        raise SettingError(f"{both} and {_without(both)} are both given; give one of them")
    return given, set(removed.values())


def _read(name: str, words: Sequence[str]) -> dict[str, Any]:
    return _split(name, words)[0]


def _positional(words: Sequence[str]) -> list[str]:
    """The words that are neither options nor their values; which options there are, the record alone can tell.

    Raises:
        typer.TyperException: an option that none of the commands has, or that lacks its value.
        SettingError: there is no file.
    """
    try:
        given, beyond = _split(REPEATED[0], words, without=True)
        first = given.get(_argument(REPEATED[0]))
    except typer.TyperException as error:
        given, beyond = _split_otherwise(words, error)
        first = given.get(_argument(REPEATED[1]))
    if first is None:
        raise SettingError("no file came to make again; give a video that motionlift wrote, or its .json")
    return [first, *beyond]


def _split_otherwise(words: Sequence[str], refused: typer.TyperException) -> tuple[dict[str, Any], list[str]]:
    """Words as the second command takes them, which the first refused.

    Raises:
        typer.TyperException: the second refuses them too; an option that neither has may be meant as one of either.
    """
    try:
        return _split(REPEATED[1], words, without=True)
    except typer.TyperException as error:
        unknown = [getattr(own, "option_name", None) for own in (refused, error)]
        if unknown[0] is not None and unknown[0] == unknown[1]:
            near = [option for own in (refused, error) for option in getattr(own, "possibilities", None) or ()]
            vars(error)["possibilities"] = list(dict.fromkeys(near))
        raise


def _words(name: str, given: Given) -> list[str]:
    """Arguments as they are typed; what a command begins from comes last, so that its name may begin with a dash."""
    words, last = [], []
    for own in _command(name).params:
        if own.name not in given:
            continue
        value = given[own.name]
        if own.param_type_name == "argument":
            last = ["--", value]
        elif isinstance(value, bool):
            words.append(max(own.opts if value else own.secondary_opts, key=len))
        else:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"{max(own.opts, key=len)}={each}" for each in values]
    return words + last


def _invoke(name: str, given: Given) -> None:
    """Run a command as if it had been typed."""
    words = _words(name, given)
    token = COMMAND_LINE.set(("motionlift", name, *words))
    command = _command(name)
    try:
        with command.make_context(f"motionlift {name}", words) as context:
            command.invoke(context)
    finally:
        COMMAND_LINE.reset(token)


# What is repeated, and what is changed


def _recorded(record: Mapping[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    """The command of a record, and its arguments but for those of writing.

    Raises:
        InputError: it says none, or one that this version does not have.
    """
    words = record.get("again")
    if words is None:  # records of earlier versions say the command alone
        command = record.get("command")
        words = command[1:] if isinstance(command, list) else None
    if words is None:
        raise InputError(f"{file} was made in Python: its record says no command that can be given again")
    fits = isinstance(words, list) and 0 < len(words) <= MOST_WORDS
    if not fits or not all(isinstance(word, str) and len(word) <= MOST_LETTERS for word in words):
        raise InputError(f"the record of {file} says no command of motionlift")
    name, *rest = words
    if name not in REPEATED:
        raise InputError(f"{file} was not made by {' or '.join(REPEATED)}, which alone are made again")
    try:
        given, beyond = _split(name, rest)
    except typer.TyperException as error:
        raise InputError(
            f"the command in the record of {file} is not of this version: {error.format_message().rstrip('.')}"
        ) from error
    if beyond or _argument(name) not in given:
        raise InputError(f"the record of {file} says no command of motionlift")
    return name, _without_writing(given)


def _without_writing(given: Given) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in OF_WRITING}


def _merged(given: Given, changes: Given) -> dict[str, Any]:
    """Arguments with others in their place; of settings, those that are named anew go."""
    assigned = [word.partition("=")[0].strip() for word in changes.get("settings", ())]
    options = {setting for key in changes for setting in SHORT_FOR.get(key, (key,))}
    kept = {key: value for key, value in given.items() if not {*SHORT_FOR.get(key, (key,))} & {*assigned}}
    settings = [
        word for word in given.get("settings", ()) if word.partition("=")[0].strip() not in {*assigned, *options}
    ]
    merged = {**kept, **changes}
    if settings or "settings" in changes:
        merged["settings"] = [*settings, *changes.get("settings", ())]
    else:
        merged.pop("settings", None)
    return merged


def _tell_given_way(name: str, why: Mapping[str, str]) -> None:
    """Say what of the record is left out; a prompt of which several take the place needs no word."""
    options = {own.name: max(own.opts, key=len) for own in _command(name).params}
    notice([f"{options[key]} of the record is left out: {reason}" for key, reason in why.items() if reason])


def _tell_not_there(name: str, removed: set[str]) -> None:
    """Say which options are not in the record, and so cannot be left out of it."""
    options = [max(own.opts, key=len) for own in _command(name).params if own.name in removed]
    notice([f"the record has no {option} that could be left out" for option in options])


def _expected(file: Path, record: Mapping[str, Any], changes: Given) -> Expected:
    """What is to be the same, by what is asked for."""
    model, frames, versions = record.get("model"), record.get("frames_sha256"), record.get("versions")
    threads = record.get("threads")
    is_same = not _without_writing(changes).keys() - {"side_by_side", "keep_sound", "memory"}
    keeps_model = not {"model", "loras", "dtype", "device", "weights"} & changes.keys()
    return Expected(
        file,
        model if keeps_model and isinstance(model, dict) else None,
        frames if is_same and isinstance(frames, str) else None,
        versions if isinstance(versions, dict) else {},
        threads if type(threads) is int and threads > 0 else None,
    )


def _output(file: Path, record: Mapping[str, Any]) -> Path:
    """Where it is written by itself: here, under the name of the file and ``-again``, in the form in which it was written."""
    from motionlift.video.encoding import FORMS

    video = Path(file.name)
    if video.suffix.lower() == ".json":
        video = Path(video.stem)
        if not video.suffix:
            output = record.get("output")
            written = output.get("path") if isinstance(output, dict) else None
            suffix = Path(written).suffix.lower() if isinstance(written, str) else ".mp4"
            video = video.with_suffix(suffix if suffix in FORMS else ".mp4")
    return video.with_stem(f"{video.stem}-again")


def _drop_sound(merged: dict[str, Any], changes: Given) -> None:
    """Leave the sound out where what is written now has none, and say so."""
    from motionlift.video.encoding import form_of

    if "keep_sound" in merged and "keep_sound" not in changes and not form_of(merged["output"]).has_sound:
        del merged["keep_sound"]
        notice([f"{merged['output']} has no sound"])
