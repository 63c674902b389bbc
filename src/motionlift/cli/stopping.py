"""Signals that stop a run: the command line alone listens to them; a program that uses the library keeps its own handlers."""

import _thread
import os
import signal
import stat
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

from motionlift.loops.interrupts import STOPPING

INSIST_AFTER = 1.0
"""Seconds (ours: far more than it takes to remove a temporary file)."""


class Interrupted(KeyboardInterrupt):
    """A signal came. It is no plain KeyboardInterrupt: after one within ``exec`` Python would end by SIGINT, whoever handled it."""


class Stopping:
    """Turns the signals that stop a run into a KeyboardInterrupt, so that all is put away as after Ctrl-C."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        """The signal that came first."""
        self._raised = -INSIST_AFTER

    def listen(self) -> None:
        """Handle those that would end the process; what is ignored from the start, as ``nohup`` has it, stays ignored."""
        for number in STOPPING:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self._stop)
        told = sys.unraisablehook
        # What is raised while an object is deleted is swallowed and shown; a stop comes again, so nothing is lost.
        sys.unraisablehook = lambda lost: None if isinstance(lost.exc_value, Interrupted) else told(lost)

    def ignore(self) -> None:
        """Let none come between a run that is done and the exit code that says so."""
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        """Stop, and insist: while modules are imported or objects deleted the first may be swallowed.

        One that follows at once, as where a terminal and a launcher both send one, does not disturb what is put away.
        """
        if self.first is None:
            self.first = signal.Signals(number)
            _leave_closed_terminal()
        if time.monotonic() - self._raised < INSIST_AFTER:
            return
        self._raised = time.monotonic()
        again = threading.Timer(INSIST_AFTER, _thread.interrupt_main, [number])
        again.daemon = True
        again.start()
        raise Interrupted


def _leave_closed_terminal() -> None:
    """Write nowhere what would go to a terminal that is gone: an error there would hide the stop, and what it says."""
    for stream in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
