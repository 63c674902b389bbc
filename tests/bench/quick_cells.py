"""A run whose cells measure nothing, for tests that start and kill real processes: ``python -m tests.bench.quick_cells``."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.bench.cell import Cell
from motionlift.bench.cells import RECORDS, Cells
from motionlift.bench.measures import Measuring
from motionlift.bench.records import missing
from motionlift.bench.run_file import MethodRun, ModelRun
from motionlift.bench.sources import Asked, World
from motionlift.cli.stopping import Stopping
from motionlift.jobs.records import read_lines
from motionlift.jobs.workers import Workers

COUNT = 12
"""Cells of the run."""
DEADLY = 5
"""Seed whose process dies, where that is asked for."""


def cells(folder: Path) -> tuple[Cell, ...]:
    source, method = World(1), MethodRun("none", {})
    return tuple(
        Cell(ModelRun("quick"), method, source, Asked("0000", 0, "a star", "0"), seed, Measuring(), {}, folder)
        for seed in range(COUNT)
    )


def measure(cell: Cell) -> Mapping[str, Any]:
    """Takes a moment, and notes in a file of its own that it was begun."""
    with (cell.folder / "begun.txt").open("a") as file:
        file.write(f"{cell.seed}\n")
    time.sleep(0.2)
    return {"figures": {"square": cell.seed**2}, "process": os.getpid()}


def measure_or_fail(cell: Cell) -> Mapping[str, Any]:
    if cell.seed == 3:
        raise ValueError("no\nsuch luck")
    return {"figures": {}}


def measure_or_die(cell: Cell) -> Mapping[str, Any]:
    if cell.seed == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return {"figures": {}}


@dataclass(frozen=True)
class Writing:
    """A file to be written, and the signal that comes meanwhile to the process that writes it."""

    folder: Path
    number: signal.Signals | None


def write(item: Writing) -> str:
    """Writes a file of its own, and one beside it that is there only meanwhile."""
    half = item.folder / "half.txt"
    try:
        half.write_text("half")
        if item.number is not None:
            with (item.folder / "stopped.txt").open("a") as file:
                file.write("once more\n")
            signal.raise_signal(item.number)
    finally:
        half.unlink()
    (item.folder / "written.txt").touch()
    return "written"


def waiting(folder: Path) -> Cells:
    """The cells without a record, as :func:`motionlift.bench.cells.lay_out` finds them, with no model to load."""
    records = folder / RECORDS
    lines = read_lines(records)
    stated = {str(cell.stated()): cell for cell in cells(folder)}
    left = missing([cell.stated() for cell in stated.values()], lines.records)
    return Cells(COUNT, tuple(stated[str(each)] for each in left), (), lines.lost, records)


def main() -> None:
    """Measure what waits, as the program does: stopped by a signal, it ends with its code."""
    stopping = Stopping()
    stopping.listen()
    try:
        with Workers(2) as workers:
            for record in waiting(Path(sys.argv[1])).measured(workers, measure):
                print(record["seed"], flush=True)
    except KeyboardInterrupt:
        stopping.ignore()
        assert stopping.first is not None
        sys.exit(128 + stopping.first)


if __name__ == "__main__":
    main()
