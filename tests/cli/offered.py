"""Which of the options that a line names are none of the command that said it."""

import functools
import re
from collections.abc import Sequence
from typing import Any

import typer.main

from motionlift.cli.app import app

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
NO_SUCH = re.compile(r"No such option: \S+")
EVERYWHERE = {"--help", "--version"}


def not_offered(line: str, words: Sequence[str]) -> list[str]:
    """Options that a line names, and that neither the command has, nor one that the line names, nor the person who typed it.

    Args:
        line: what is said.
        words: of the command line, from the program's name on.
    """
    named = re.findall(r"motionlift ((?:plan )?[a-z]+)", f"{' '.join(words[:3])} {line}")
    offered = {option for name in named for option in _options(name)}
    typed = {option for word in [*words, *NO_SUCH.findall(line)] for option in OPTION.findall(word)}
    return [option for option in OPTION.findall(line) if option not in offered | typed | EVERYWHERE]


@functools.cache
def _options(name: str) -> frozenset[str]:
    """All options of a command; of one that gives the words of others, theirs too."""
    if name == "again":
        return _options("transfer") | _options("lift") | _options("cast")
    command: Any = typer.main.get_command(app)
    for word in name.split():
        command = getattr(command, "commands", {}).get(word, command)
    return frozenset(option for own in command.params for option in (*own.opts, *own.secondary_opts))
