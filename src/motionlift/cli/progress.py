"""What the command line shows of a run: bars or lines while it works, a table of what it cost when it is done."""

import math
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

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
from motionlift.core.progress import EVERY, Lines
from motionlift.environment import launched
from motionlift.errors import SettingError

if TYPE_CHECKING:
    from motionlift.core.cost import Step

BAR = 16
"""Columns of a bar (ours)."""
BESIDE_WORDS = BAR + 36
"""Columns that a line takes beside its words: the bar, how many of how many, time gone, time left, and blanks between."""
SEEN = 86_400.0
"""Seconds of the past by which time left is told (ours): Rich's own half a minute tells none where a step takes longer."""
FEWEST_LETTERS = 16
"""Columns that its words have on the narrowest terminal (ours)."""


class Live:
    """How far a command is, on standard error: on a terminal a bar for each phase, elsewhere lines for a log.

    Those are one for each phase, and at most one every :data:`motionlift.core.progress.EVERY` seconds. Of several processes that a
    launcher started, the first speaks.
    """

    def __init__(self, quiet: bool = False, as_json: bool = False, clock: Callable[[], float] = time.monotonic):
        """Whether to show nothing; or no bars, where a terminal is to show JSON alone; and what tells the time in seconds."""
        shows_bars = sys.stderr.isatty()
        console = Console(stderr=True)
        words = Column(no_wrap=True, overflow="ellipsis", max_width=max(FEWEST_LETTERS, console.width - BESIDE_WORDS))
        self._bars = Progress(
            TextColumn("{task.description}", table_column=words),
            BarColumn(BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            speed_estimate_period=SEEN,
            disable=quiet or as_json or not shows_bars,
        )
        self._tasks: dict[str, TaskID] = {}
        self._lines = None if quiet or shows_bars or not _is_first_process() else Lines(say, clock)
        self._ended = threading.Event()

    def __enter__(self) -> "Live":
        self._bars.start()
        if self._lines is not None:
            threading.Thread(target=self._watch, args=(self._lines,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if not self._bars.disable:  # before 15, Rich ends the bars with an empty line also where it shows none
            self._bars.stop()

    def _watch(self, lines: Lines) -> None:
        """Have phases that take no steps, such as decoding, say that they are at work."""
        while not self._ended.wait(EVERY):
            lines.still()

    def show(self, phase: str, done: float, total: float | None, loss: float | None = None) -> None:
        """Say how far a phase is; no total means that its length is not known, until another phase shows."""
        if phase not in self._tasks:
            self._close_open_ended()
            self._tasks[phase] = self._bars.add_task(phase, total=total)
        told = phase if loss is None else f"{phase}, loss {loss:.3g}"
        self._bars.update(self._tasks[phase], completed=done, total=total, description=told)
        if self._lines is not None:
            self._lines.show(phase, done, total, loss)

    def step(self, step: "Step") -> None:
        """Show a step of a loop, and its loss where it has one."""
        self.show(step.phase, step.index + 1, step.total, step.loss)
        if step.phase == "sample" and step.index + 1 == step.total:
            self.show("decode", 0, None)

    def doing(self, what: str, share: float) -> None:
        """Show one line for the whole work: what is being done, and the share 0..1 that is done."""
        self._whole(what, share)
        if self._lines is not None:
            self._lines.doing(what, share)

    def counting(self, what: str, done: int, total: int) -> None:
        """Begin to count many things, of which some were done before."""
        self._whole(what, done / total)
        if self._lines is not None:
            self._lines.counting(what, done)

    def counted(self, what: str, done: int, total: int) -> None:
        """Say of one of many that it is done, how many are, and when all will be."""
        self._whole(f"{done} of {total}: {what}", done / total)
        if self._lines is not None:
            self._lines.counted(what, done, total)

    def line(self, text: str) -> None:
        """Say on a line of its own, for logs, what is done: where nothing is drawn that changes."""
        if self._lines is not None:
            self._lines.tell(text)

    def _whole(self, what: str, share: float) -> None:
        """The one bar for the whole work."""
        if "all" not in self._tasks:
            self._tasks["all"] = self._bars.add_task(what, total=100)
        self._bars.update(self._tasks["all"], completed=100 * share, description=what)

    def _close_open_ended(self) -> None:
        for task in self._bars.tasks:
            if task.total is None:
                self._bars.update(task.id, completed=1, total=1)


def _is_first_process() -> bool:
    """Whether this process speaks; where the environment makes no sense, it does, and what needs to know refuses."""
    try:
        return launched().rank == 0
    except SettingError:
        return True


def closing_table(record: Mapping[str, Any]) -> Table:
    """Seconds, passes and work of each phase and of all, from a run's record; older ones tell no work."""
    table = Table("phase", *[Column(name, justify="right") for name in ("seconds", "forward", "backward", "work")])
    for phase in record["phases"]:
        table.add_row(phase["name"], *_cost(phase["seconds"], phase["passes"]))
    table.add_section()
    table.add_row("all", *_cost(record["seconds"], record["passes"]))
    return table


def _cost(seconds: float, passes: Mapping[str, float]) -> tuple[str, str, str, str]:
    work = f"{passes['work']:.1f}" if "work" in passes else "-"
    return f"{seconds:.2f}", str(passes["forward"]), str(passes["backward"]), work


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
