"""The entry of the command line: runs a command, and turns whatever goes wrong into one line and an exit code."""

import logging
import os
import sys
import warnings
from collections.abc import Sequence

import typer

from motionlift.commands import COMMAND_LINE, app, say
from motionlift.errors import MotionliftError

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal, as shells have it."""


def main() -> None:
    """The console script."""
    _silence()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; prints one line on standard error for whatever goes wrong.

    Returns:
        The exit code: 1 for a :class:`motionlift.errors.MotionliftError`, 2 for wrong usage, 130 after Ctrl-C.
    """
    COMMAND_LINE.set(("motionlift", *arguments))
    try:
        code = app(list(arguments) or ["--help"], prog_name="motionlift", standalone_mode=False)
        sys.stdout.flush()
    except MotionliftError as error:
        return _failed(str(error), 1)
    except typer.TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "motionlift")
        return _failed(f"{error.format_message().rstrip('.')}; see {command} --help", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush on leaving
        return 1
    except OSError as error:
        return _failed(f"{error.strerror or error}: {error.filename or 'a file that was needed'}", 1)
    except (Exception, KeyboardInterrupt) as error:
        if _was_interrupted(error):
            code = INTERRUPTED
        elif type(error).__name__ in ("MemoryError", "OutOfMemoryError"):
            return _failed("out of memory; ask for fewer --frames, a smaller --model, or another --device", 1)
        else:
            raise
    if code == INTERRUPTED:
        kept = arguments and arguments[0] in ("world", "demo")
        return _failed("stopped; finished files stay" if kept else "stopped; nothing was written", INTERRUPTED)
    return code or 0


def _silence() -> None:
    """Keep warnings, log lines and progress bars of the libraries off the terminal."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: some libraries turn it into one of their own while they are imported."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _failed(message: str, code: int) -> int:
    say(f"error: {message}")
    return code
