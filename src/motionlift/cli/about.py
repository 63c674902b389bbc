"""The commands that tell what there is."""

import json
from pathlib import Path
from typing import Annotated

import typer

from motionlift.cli import given_files
from motionlift.cli.options import Overwrite, Quiet
from motionlift.cli.terminal import notice, shown, wrote
from motionlift.errors import staying


def models(as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False) -> None:
    """List the bundled models and the pipelines that are served."""
    from motionlift.cli.listing import listed_models, print_models

    if as_json:
        print(json.dumps(listed_models(), indent=2))
    else:
        print_models()


def methods(as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False) -> None:
    """List the methods, their settings, and what these allow. A model may bring defaults of its own."""
    from motionlift.cli.listing import listed_methods, print_methods

    if as_json:
        print(json.dumps(listed_methods(), indent=2))
    else:
        print_methods()


def adapter(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="An adapter, a safetensors file, whoever wrote it.", show_default=False),
    ],
) -> None:
    """Tell what an adapter file is: for which model, of which rank and layers, and who reads it."""
    from motionlift.motion.adapter_file import look_into

    found = look_into(file)
    from motionlift.cli.telling import adapter_lines

    for line in adapter_lines(found):
        print(shown(line))


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that is kept.")] = False,
) -> None:
    """Show or clear the cache of lifted motions, and of tuning runs that were stopped."""
    from motionlift.cli.progress import readable_bytes
    from motionlift.motion import cache as kept

    with staying(lambda: "what was not removed yet stays" if clear else "nothing was changed"):
        state = kept.clear() if clear else kept.state()
    notice(state.notices)
    verb = "removed" if clear else "kept"
    cap = "" if clear else f", of at most {readable_bytes(state.most_bytes)}"
    motions = f"{state.files} {'motion' if state.files == 1 else 'motions'}"
    print(shown(f"{verb}: {motions} of {readable_bytes(state.bytes)}{cap}, in {state.folder}"))
    if state.runs:
        runs = f"{state.runs} tuning {'run' if state.runs == 1 else 'runs'}"
        print(shown(f"{verb}: {runs} of {readable_bytes(state.run_bytes)}, stopped or at work, in {kept.runs()}"))


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to fill, made if need be.")] = Path(
        "demo-output"
    ),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Transfer a motion to three prompts, and write a page that shows it all."""
    given_files.check_demo(output, overwrite)
    from motionlift.cli.progress import Live
    from motionlift.demo import make_demo

    with (
        Live(quiet) as live,
        staying(lambda: f"finished files stay in {output}; the same command with --overwrite makes all of them again"),
    ):
        page = make_demo(output, advance=live.doing, overwrite=overwrite, tell=live.line)
    wrote([page])
