"""What the commands share."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionlift.cli.terminal import say
from motionlift.errors import OutputError, SettingError

if TYPE_CHECKING:
    from motionlift.cli.progress import Live
    from motionlift.core.model import Backbone


COMMAND_LINE: ContextVar[tuple[str, ...]] = ContextVar("COMMAND_LINE")
"""The words of the command line that runs, for the records."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> bool:
    if asked:
        from importlib import metadata

        print("motionlift", metadata.version("motionlift"))
        raise typer.Exit
    return asked


@app.callback()
def _shared(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Lift the motion out of a reference video and cast it onto new content."""


def values_of(pairs: Sequence[str] | None, **shorthands: str | Sequence[str] | None) -> dict[str, Any]:
    """Settings from ``--set`` and from the options that are short for one."""
    from motionlift.core.settings import assignments

    values: dict[str, Any] = dict(assignments(pairs or ()))
    for name, value in shorthands.items():
        if value is None:
            continue
        if name in values:
            raise SettingError(
                f"{name} is given by an option of its own and by --set {name}={values[name]}; give it once"
            )
        values[name] = value
    return values


def check_settings(method: str, values: Mapping[str, Any]) -> None:
    """Refuse settings before a model is loaded; with the model they are checked again, for its blocks."""
    from motionlift.core.settings import with_values
    from motionlift.methods import method as method_named

    with_values(method_named(method).Settings(), values)


def check_outputs(video: Path, companions: Sequence[str], reference: Path | None = None) -> None:
    """Make sure that a video and the files beside it can be written, and that it is not the reference itself."""
    from motionlift.video.writing import check_output

    check_output(video)
    for suffix in companions:
        check_output(video.with_suffix(suffix), (suffix,))
    if reference is not None:
        check_not_same(video, reference, "the reference")


def check_not_same(output: Path, given: Path, what: str = "the motion itself") -> None:
    """Refuse to write over what is read."""
    with suppress(OSError):  # one of them is not there, or cannot be: reading says so
        if output.samefile(given):
            raise OutputError(f"cannot write {output}: it is {what}; choose another name")


def load_model(model: str, device: str, live: "Live", prompt: str = "") -> "Backbone":
    """Load a model; says which words of the prompt it does not know."""
    from motionlift.models import loading

    live.show("load", 0, None)
    backbone = loading.load(model, device)
    unknown = backbone.unknown_words(prompt) if prompt and hasattr(backbone, "unknown_words") else []  # pyright: ignore
    if unknown:
        notice([f"{backbone.name} does not know the word(s) {', '.join(unknown)}"])
    return backbone


def notice(notices: Sequence[str]) -> None:
    for notice in notices:
        say(f"note: {notice}")


def report_costs(record: Mapping[str, Any], files: Sequence[Path], as_json: bool) -> None:
    """The record alone, or a table of the costs and the files that were written."""
    if as_json:
        print(json.dumps(record, indent=2))
        return
    from rich.console import Console

    from motionlift.cli.progress import closing_lines, closing_table

    Console().print(closing_table(record))
    for line in closing_lines(record):
        print(line)
    wrote(files)


def wrote(files: Sequence[Path]) -> None:
    print(f"wrote {' and '.join(map(str, files))}")
