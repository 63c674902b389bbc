"""Standard output and standard error, whatever the shell made of them: a terminal, a pipe, a full disk, or nothing at all."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from motionlift.errors import OutputError


class _Output(io.TextIOWrapper):
    """Standard output that says itself what it cannot take: otherwise a file of the user's would seem to be at fault."""

    def write(self, text: str) -> int:
        with _named():
            return super().write(text)

    def flush(self) -> None:
        with _named():
            super().flush()


def take_over() -> None:
    """Make both streams of the process fit to be written to, in any locale, and say so when they are not.

    A stream that is closed gives its number to the next file that is opened, into which libraries would then print: its place is
    taken. What goes to a closed standard output fails when it is written, not before, so that the work is done.
    """
    for number, mode in enumerate(
        (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)
    ):  # nothing can be written to one that only reads
        if _is_closed(number):
            os.dup2(os.open(os.devnull, mode), number)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = _Output(open(1, "wb", closefd=False), encoding="utf-8")  # noqa: SIM115
    elif isinstance(sys.stdout, io.TextIOWrapper):
        about = {"encoding": sys.stdout.encoding, "line_buffering": sys.stdout.line_buffering}
        # No letter fails: in the C locale most could not be written, and in UTF-8 the bytes of a file's name that are none.
        sys.stdout = _Output(sys.stdout.detach(), errors="backslashreplace", **about)


def unheard(stream: IO[str]) -> None:
    """Let what still goes to a stream go nowhere, such as what Python itself writes out on leaving."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


@contextmanager
def _named() -> Iterator[None]:
    """Name standard output in what it fails of; a reader who left is no failure, and is told nothing.

    Raises:
        OutputError: it takes nothing.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        unheard(sys.stdout)
        reason = error.strerror if error.errno != errno.EBADF else "it is closed"
        raise OutputError(f"cannot write to standard output: {reason}; files that were written stay") from error
