"""The two references: of the command line, as typer tells it, and of Python, by the docstrings."""

from typing import Any

import typer.main
from typer.cli import get_docs_for_click

import motionlift
from motionlift.cli.app import app

COMMANDS = """# Commands

Written from the command line itself. `motionlift COMMAND --help` says the same; what `--set` takes is listed by
`motionlift methods`.

"""
PYTHON = """# Python, name by name

Written from the docstrings. Shapes stand in the signatures: `Float[Tensor, "frames 3 height width"]` is a tensor of floats with
those axes. How they go together is told on [the page on Python](api.md).

"""


def command_page() -> str:
    """Every command with its arguments and options."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("motionlift", [], resilient_parsing=True)
    _, _, told = get_docs_for_click(obj=group, ctx=context, name="motionlift").partition("\n")
    return COMMANDS + told.lstrip()


def python_page() -> str:
    """Every public name, for mkdocstrings."""
    names = [name for name in motionlift.__all__ if not name.startswith("__")]
    own = {name: getattr(motionlift, name) for name in names}
    functions = sorted(name for name, value in own.items() if not isinstance(value, type))
    classes = sorted(own.keys() - functions)
    parts = [f"::: {own[name].__module__}.{own[name].__qualname__}\n" for name in (*functions, *classes)]
    return PYTHON + "\n".join(parts)
