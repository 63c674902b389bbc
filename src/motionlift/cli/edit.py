"""The command that edits a motion."""

from pathlib import Path
from typing import Annotated

import typer

from motionlift.cli import completing, given_files
from motionlift.cli.checks import check_not_same, place_now
from motionlift.cli.options import Overwrite
from motionlift.cli.terminal import wrote
from motionlift.core.edit_names import EDITS, read_edit

ALLOWED = "; ".join(f"{own.form(name)}: {own.summary}" for name, own in EDITS.items())


def _edit(given: str) -> str:
    """An edit, refused before PyTorch is imported where it is none."""
    read_edit(given)
    return given


def edit(
    motion: Annotated[Path, typer.Argument(metavar="MOTION", help="A motion file.", show_default=False)],
    edits: Annotated[
        list[str],
        typer.Argument(
            metavar="EDIT...",
            parser=_edit,
            autocompletion=completing.edits,
            help=f"What is changed, in this order. {ALLOWED}.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The motion file to write.")] = Path(
        "edited.safetensors"
    ),
    overwrite: Overwrite = False,
) -> None:
    """Change a motion without its clip: mirror it, or move it to where the thing in your picture is."""
    given_files.method_of(motion)
    check_not_same(output, motion)
    from motionlift.video.marks import MOTION
    from motionlift.video.writing import check_output

    check_output(output, MOTION, overwrite)
    from motionlift.motion.file import Motion
    from motionlift.work.edit import edit as edited

    made = Motion.load(motion)
    for each in edits:
        made = edited(made, each)
    output = place_now(output, "", overwrite)
    made.save(output)
    wrote([output])
