"""Clips as people have them, through ``inspect`` and ``transfer``: a table of what was said of each, and a tile to look at.

``python -m lab.awkward FOLDER`` takes every file in the folder and every folder of frames. Clips of real origin are not ours to
publish, so none is in the repository; the folder is given.
"""

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from motionlift.bench.report.tables import table
from motionlift.cli.main import STOPPED, run
from motionlift.core.places import check_there
from motionlift.errors import InputError, MotionliftError
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.video.footage import Footage

PROMPT = "a red star on a blue plain background"
TABLE, TILE = "awkward.md", "awkward.png"
"""Files that are written beside the videos."""
SHOWN = 4
"""Frames of each video on the tile."""
SIDE = 112
"""Longest side of a frame on the tile, pixels."""
LABEL = 16
"""Height of a row's label, pixels."""
GROUND, INK = (255, 255, 255), (40, 40, 40)


@dataclass(frozen=True)
class Outcome:
    """What came of a clip in one command."""

    clip: str
    """Its name."""
    command: str
    """``inspect`` or ``transfer``."""
    code: int
    """Exit code; -1 where the command ended with an error that nobody foresaw."""
    said: str
    """Notes and errors, in the order in which they came."""
    seconds: float
    """How long it took."""
    video: Path | None
    """What was written, if anything was."""


def clips_in(folder: Path) -> list[Path]:
    """Files and folders in a folder, by name; hidden ones are left out.

    Raises:
        InputError: it is not there, is no folder, or is empty.
    """
    check_there(folder, "give a folder of clips")
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give a folder of clips")
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not found:
        raise InputError(f"{folder} is empty; give a folder of clips")
    return found


def outcomes(clip: Path, output: Path, model: str, options: Sequence[str] = ()) -> list[Outcome]:
    """Inspect a clip and transfer its motion, read by optical flow.

    Args:
        clip: a file, or a folder of frames.
        output: the folder of what is written.
        model: its name.
        options: more options of ``transfer``.
    """
    shared = ("--read", "flow", "--model", model, "--quiet", "--overwrite")
    made = ("--prompt", PROMPT, *options)
    return [
        _outcome(clip, command, output / f"{clip.name}-{command}.mp4", [*shared, *own])
        for command, own in (("inspect", ()), ("transfer", made))
    ]


def _outcome(clip: Path, command: str, video: Path, options: Sequence[str]) -> Outcome:
    said, began = io.StringIO(), time.perf_counter()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = run([command, str(clip), "--output", str(video), *options])
        except Exception as error:  # the others are tried all the same, and this is what is looked for
            code = -1
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
    if code >= STOPPED:
        raise KeyboardInterrupt
    lines = "; ".join(line.strip() for line in said.getvalue().splitlines() if line.strip())
    seconds = time.perf_counter() - began
    return Outcome(clip.name, command, code, lines, seconds, video if code == 0 else None)


def table_of(found: Sequence[Outcome]) -> str:
    """A row for each clip and command, as Markdown."""
    rows = [[each.clip, each.command, _told(each.code), each.said, f"{each.seconds:.0f}"] for each in found]
    return table(("clip", "command", "it", "what was said", "seconds"), [[_cell(text) for text in row] for row in rows])


def _cell(text: str) -> str:
    """Text as a cell of a Markdown table holds it."""
    return text.replace("|", "\\|")


def _told(code: int) -> str:
    return {0: "worked", -1: "broke down"}.get(code, "was refused")


def tile_of(found: Sequence[Outcome]) -> Image.Image:
    """A row for each clip: its name, frames with what was found in them, and frames of what was made."""
    names = list(dict.fromkeys(each.clip for each in found))
    tile = Image.new("RGB", (2 * SHOWN * SIDE, len(names) * (SIDE + LABEL)), GROUND)
    drawing, font = ImageDraw.Draw(tile), ImageFont.load_default(size=12)
    for row, name in enumerate(names):
        top = row * (SIDE + LABEL)
        drawing.text((2, top), name, INK, font)
        for half, each in enumerate(each for each in found if each.clip == name):
            for column, picture in enumerate(_pictures(each.video)):
                tile.paste(picture, ((half * SHOWN + column) * SIDE, top + LABEL))
    return tile


def _pictures(video: Path | None) -> list[Image.Image]:
    """Evenly spaced frames of a video, first and last among them."""
    if video is None:
        return []
    frames = list(Footage.of(video, SIDE))
    chosen = np.linspace(0, len(frames) - 1, SHOWN).round().astype(int)
    return [Image.fromarray(frames[number]) for number in chosen]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all clips of a folder; gives the exit code, which is 1 where a command broke down or the folder is none of clips."""
    parser = argparse.ArgumentParser(prog="python -m lab.awkward", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder of clips")
    parser.add_argument("--output", type=Path, default=Path("build/awkward"), help="where table, tile and videos go")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="the model that makes videos")
    parser.add_argument("--steps", default="10", help="denoising steps")
    asked = parser.parse_args(arguments)
    try:
        clips = clips_in(asked.folder)
    except MotionliftError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    asked.output.mkdir(parents=True, exist_ok=True)
    found: list[Outcome] = []
    for clip in clips:
        found += outcomes(clip, asked.output, asked.model, ("--steps", asked.steps))
        (asked.output / TABLE).write_text(table_of(found), encoding="utf-8")
        tile_of(found).save(asked.output / TILE)
        print(f"{clip.name}: {', '.join(f'{each.command} {_told(each.code)}' for each in found[-2:])}", flush=True)
    print(f"wrote {asked.output / TABLE} and {asked.output / TILE}")
    return int(any(each.code == -1 for each in found))


if __name__ == "__main__":
    sys.exit(main())
