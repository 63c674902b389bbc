"""The entry of the command line: runs a command, and turns whatever goes wrong into one line and an exit code."""

import _thread
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from motionlift.cli.terminal import COMMAND_LINE, say
from motionlift.errors import MotionliftError, Stopped

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal, as shells have it."""
INSIST_AFTER = 1.0
"""Seconds (ours: far more than it takes to remove a temporary file)."""


def main() -> None:
    """The console script."""
    _silence()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    code = run(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; prints one line on standard error for whatever goes wrong.

    Returns:
        The exit code: 1 for a :class:`motionlift.errors.MotionliftError`, 2 for wrong usage, 130 after Ctrl-C.
    """
    try:
        return _invoke(arguments)
    except MotionliftError as error:
        return _failed(str(error), 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush on leaving
        return 1
    except OSError as error:
        return _failed(f"{error.strerror or error}: {error.filename or 'a file that was needed'}", 1)
    except (Exception, KeyboardInterrupt) as error:
        stop = _interrupt_behind(error)
        if stop is not None:
            return _stopped(stop, arguments)
        if type(error).__name__ in ("MemoryError", "OutOfMemoryError"):
            return _failed("out of memory; ask for fewer --frames, a smaller --model, or another --device", 1)
        raise


def _invoke(arguments: Sequence[str]) -> int:
    """Find and run the command; wrong usage is told in one line."""
    import typer.main  # here, so that Ctrl-C at once finds run() ready for it

    from motionlift.cli.app import app

    COMMAND_LINE.set(("motionlift", *arguments))
    program = typer.main.get_command(app)
    try:
        # Not app(...), which makes an exit of its own of Ctrl-C, without a word of what stays.
        with program.make_context("motionlift", list(arguments) or ["--help"]) as context:
            program.invoke(context)
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.TyperException as error:
        named = " ".join(["motionlift", *[word for word in arguments[:1] if not word.startswith("-")]])
        command = getattr(getattr(error, "ctx", None), "command_path", named)
        return _failed(f"{error.format_message().rstrip('.')}; see {command} --help", 2)
    sys.stdout.flush()
    return 0


def _silence() -> None:
    """Keep warnings, log lines and progress bars of the libraries off the terminal."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}


def _interrupt(_signal: int, _frame: Any) -> None:
    """Stop at Ctrl-C, and insist: while modules are imported or objects deleted the first may be swallowed."""
    again = threading.Timer(INSIST_AFTER, _thread.interrupt_main)
    again.daemon = True
    again.start()
    raise KeyboardInterrupt


def _interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """The Ctrl-C behind an error, if one is; the one that says what stays, where there are several.

    Some libraries turn it into an error of their own while they are imported, and it comes again while work is put away.
    """
    found: KeyboardInterrupt | None = None
    behind: BaseException | None = error
    while behind is not None and not isinstance(found, Stopped):
        found = behind if isinstance(behind, KeyboardInterrupt) else found
        behind = behind.__cause__ or behind.__context__
    return found


def _stopped(stop: KeyboardInterrupt, arguments: Sequence[str]) -> int:
    """Say what stays after Ctrl-C."""
    if isinstance(stop, Stopped):
        stays = stop.stays
    else:
        stays = "finished files stay" if "".join(arguments[:1]) in ("world", "demo") else "nothing was written"
    return _failed(f"stopped; {stays}", INTERRUPTED)


def _failed(message: str, code: int) -> int:
    say(f"error: {message}")
    return code
