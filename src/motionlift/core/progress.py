"""How far a run is, in lines for a log: the command line writes them off a terminal, the library to Python's ``logging``."""

import math
import time
from collections.abc import Callable

EVERY = 30.0
"""Least seconds between two lines, but for the first of a phase (ours: two a minute tell that a run lives, and fill no log)."""

LONG = 600.0
"""Seconds from which on time is told in minutes, and minutes from which on in hours (ours)."""


class Lines:
    """One line for each phase, and at most one every :data:`EVERY` seconds with step, total and seconds left.

    ``phase: sample`` when it begins, then ``phase: sample, step 12 of 50, 84 seconds left``, with ``, loss 0.123`` where there
    is one. A phase that takes no steps says how long it has taken, ``phase: decode, 60 seconds so far``, where :meth:`still` is
    called now and then.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        """What takes a line, and what tells the time in seconds."""
        self._say, self._clock = say, clock
        self._begun: dict[str, tuple[float, float]] = {}
        self._done: dict[str, float] = {}
        self._last = -math.inf
        self._open: str | None = None
        self._counted = (0.0, 0)

    def show(self, phase: str, done: float = 0, total: float | None = None, loss: float | None = None) -> None:
        """Take in how many of a phase's steps are done; one that goes back to its start begins anew."""
        more = "" if loss is None else f", loss {loss:.3g}"
        self._show(phase, phase, (done, total), "step {done:g} of {total:g}", more)

    def still(self) -> None:
        """Say how long a phase has taken that takes no steps, where such a one is at work and nothing was said for a while."""
        now, phase = self._clock(), self._open
        if phase is not None and now - self._last >= EVERY:
            self._tell(f"phase: {phase}, {_told(now - self._begun[phase][0])} so far", now)

    def doing(self, what: str, share: float) -> None:
        """Take in what is being done, where one line is for the whole work, and the share 0..1 of it that is done."""
        self._show("", what, (100 * share, 100), "{done:.0f} of {total:.0f} percent")

    def counting(self, what: str, done: int) -> None:
        """Begin to count many things, of which some were done before."""
        self._counted = (self._clock(), done)
        self._tell(f"phase: {what}", self._counted[0])

    def counted(self, what: str, done: int, total: int) -> None:
        """A line for each of many that is done, with the time that the others take by those since :meth:`counting`."""
        now, (began, first) = self._clock(), self._counted
        left = f", {_told((now - began) / (done - first) * (total - done))} left" if first < done < total else ""
        self._tell(f"{done} of {total}: {what}{left}", now)

    def tell(self, line: str) -> None:
        """A line of another kind; the next that is not a phase's first waits for :data:`EVERY` seconds."""
        self._tell(line, self._clock())

    def _tell(self, line: str, now: float) -> None:
        self._last = now
        self._say(line)

    def _show(self, phase: str, title: str, far: tuple[float, float | None], words: str, more: str = "") -> None:
        done, total = far
        now, before = self._clock(), self._done.get(phase)
        self._done[phase] = done
        self._open = phase if total is None else None
        if before is None or done < before:
            self._begun[phase] = (now, done)
            self._tell(f"phase: {title}", now)
        elif total is not None and now - self._last >= EVERY:
            began, first = self._begun[phase]
            left = f", {_told((now - began) / (done - first) * (total - done))} left" if done > first else ""
            self._tell(f"phase: {title}, {words.format(done=done, total=total)}{left}{more}", now)


def _told(seconds: float) -> str:
    """A time for a person."""
    if seconds < LONG:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds / 60 < LONG else f"{seconds / 3600:.0f} hours"
