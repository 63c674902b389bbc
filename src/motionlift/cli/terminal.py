"""Lines for the person at the terminal."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from motionlift.cli.streams import unheard

COMMAND_LINE: ContextVar[tuple[str, ...]] = ContextVar("COMMAND_LINE")
"""The words of the command line that runs, for the records."""
SMALLER = "fewer frames, a smaller model, or another device"
"""What needs less memory; without options, which not every command has."""


def shown(text: str) -> str:
    """Text as it can be printed: of a file's name that is no text, question marks."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def say(message: str) -> None:
    """One line on standard error, whatever characters a file's name or a message brings."""
    try:
        print(shown(" ".join(message.split())), file=sys.stderr, flush=True)
    except OSError:  # whoever listened left, or the disk is full: the work goes on without a word
        unheard(sys.stderr)


def notice(notices: Sequence[str], told: Sequence[str] = ()) -> None:
    """One line for each thing a person should know, but for what was told before."""
    for notice in notices:
        if notice not in told:
            say(f"note: {notice}")


def wrote(files: Sequence[Path]) -> None:
    """The files that were written, on standard output."""
    print(shown(f"wrote {' and '.join(map(str, files))}"))


def report_costs(record: Mapping[str, Any], files: Sequence[Path], as_json: bool) -> None:
    """The record alone, or a table of the costs and the files that were written."""
    if as_json:
        print(json.dumps(record, indent=2))
        return
    from rich.console import Console

    from motionlift.cli.progress import closing_table, readable_bytes

    Console().print(closing_table(record))
    print(f"peak memory: {readable_bytes(record['peak_memory_bytes'])}")
    wrote(files)
