"""What the command line shows of a run: live lines while it works, a table of what it cost when it is done."""

import math
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from motionlift.cli.terminal import say
from motionlift.core.cost import Step


class Live:
    """A line for each phase on standard error: how far it is and how long it will still take.

    Nothing is shown where standard error is no terminal, or if asked.
    """

    def __init__(self, quiet: bool = False):
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=quiet or not sys.stderr.isatty(),
        )
        self._lines: dict[str, TaskID] = {}

    def __enter__(self) -> "Live":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, phase: str, done: float, total: float | None) -> None:
        """Say how far a phase is; no total means that its length is not known, until another phase shows."""
        if phase not in self._lines:
            self._close_open_ended()
            self._lines[phase] = self._bars.add_task(phase, total=total)
        self._bars.update(self._lines[phase], completed=done, total=total)

    def step(self, step: Step) -> None:
        """Show a step of a loop, and its loss where it has one."""
        self.show(step.phase, step.index + 1, step.total)
        if step.loss is not None:
            self._bars.update(self._lines[step.phase], description=f"{step.phase}, loss {step.loss:.3g}")
        if step.phase == "sample" and step.index + 1 == step.total:
            self.show("decode", 0, None)

    def doing(self, what: str, share: float) -> None:
        """Show one line for the whole work: what is being done, and the share 0..1 that is done."""
        self.show("all", round(100 * share), 100)
        self._bars.update(self._lines["all"], description=what)

    def line(self, text: str) -> None:
        """Say on a line of its own, for logs, what is done: where no lines are shown that change."""
        if self._bars.disable:
            say(text)

    def _close_open_ended(self) -> None:
        for task in self._bars.tasks:
            if task.total is None:
                self._bars.update(task.id, completed=1, total=1)


def closing_table(record: Mapping[str, Any]) -> Table:
    """Seconds and passes of each phase and of all, from a run's record."""
    table = Table("phase", *[Column(name, justify="right") for name in ("seconds", "forward", "backward")])
    for phase in record["phases"]:
        table.add_row(phase["name"], *_cost(phase["seconds"], phase["passes"]))
    table.add_section()
    table.add_row("all", *_cost(record["seconds"], record["passes"]))
    return table


def _cost(seconds: float, passes: Mapping[str, int]) -> tuple[str, str, str]:
    return f"{seconds:.2f}", str(passes["forward"]), str(passes["backward"])


def score_tables(figures: Mapping[str, float], meanings: Mapping[str, str], left_out: Mapping[str, str]) -> list[Table]:
    """Figures with how to read them; then what was left out, one line for all that lack the same."""
    tables = []
    if figures:
        table = Table("figure", Column("value", justify="right"), "how to read it")
        for name, value in figures.items():
            table.add_row(name, "undefined" if math.isnan(value) else f"{value:.4f}", meanings[name])
        tables.append(table)
    if left_out:
        table = Table("left out", Column("to get it", overflow="fold"))
        for reason in dict.fromkeys(left_out.values()):
            table.add_row(", ".join(name for name in left_out if left_out[name] == reason), Text(reason))
        tables.append(table)
    return tables


def readable_bytes(count: int) -> str:
    """``1234567`` as ``1.2 MB``."""
    size, units = float(count), ("bytes", "kB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} {units[-1]}"
