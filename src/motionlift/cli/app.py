"""The program as typer has it: every command, in the order in which they are listed."""

from typing import Annotated

import typer

from motionlift.cli import about, again, batch, edit, measure, motion, page
from motionlift.cli.examples import example_of
from motionlift.cli.given_files import refusing_empty_names
from motionlift.cli.planned import planned_only, plans
from motionlift.cli.prompts import for_each_prompt

transfer, cast = (for_each_prompt(command) for command in (motion.transfer, motion.cast))
COMMANDS = (
    transfer,
    motion.lift,
    cast,
    again.again,
    batch.batch,
    edit.edit,
    motion.export,
    about.adapter,
    motion.inspect,
    measure.score,
    measure.world,
    measure.bench,
    measure.report,
    measure.protocol,
    about.models,
    about.methods,
    about.cache,
    page.app,
    about.demo,
)
"""The commands; each has the name of its function."""

app = typer.Typer(pretty_exceptions_enable=False)
for command in map(refusing_empty_names, COMMANDS):
    as_of_another = {"ignore_unknown_options": True} if command.__name__ == again.again.__name__ else None
    app.command(epilog=example_of(command.__name__), context_settings=as_of_another)(command)
for command in (transfer, motion.lift, cast):
    plans.command(epilog=example_of(command.__name__, "plan"))(planned_only(refusing_empty_names(command)))
app.add_typer(plans, name="plan")


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
