"""The entry of the command line: runs a command, and turns whatever goes wrong into one line and an exit code."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from motionlift.cli.apple import fall_back
from motionlift.cli.stopping import Stopping
from motionlift.cli.streams import take_over, unheard
from motionlift.cli.terminal import COMMAND_LINE, SMALLER, say
from motionlift.cli.threads import Load
from motionlift.core.meant import alike, asked
from motionlift.core.shortage import shortage_behind, tried
from motionlift.errors import MotionliftError, Stopped, stop_behind

if TYPE_CHECKING:
    from typer import TyperException

STOPPED = 128
"""Exit code of a run that a signal stopped, to which the number of the signal is added, as shells have it."""

COMPLETE = "_MOTIONLIFT_COMPLETE"
"""Variable in which a shell asks what could follow, as click and typer name it."""


def main() -> None:
    """The console script."""
    _silence()
    fall_back(say)
    take_over()
    stopping = Stopping()
    stopping.listen()
    code = run(sys.argv[1:], stopping, Load())
    stopping.ignore()
    sys.exit(code)


def run(arguments: Sequence[str], stopping: Stopping | None = None, load: Load | None = None) -> int:
    """Run one command line; prints one line on standard error for whatever goes wrong.

    Args:
        arguments: its words, without the program's name.
        stopping: knows which signal stopped it, where it listens to them.
        load: measures what other work takes of the cores, where the number of threads is to go by that.

    Returns:
        The exit code: 1 for a :class:`motionlift.errors.MotionliftError`, 2 for wrong usage, 128 and the number
        of the signal where one stopped it, as 130 after Ctrl-C.
    """
    try:
        code = _invoke(arguments, load)
        sys.stdout.flush()
        return code
    except Exception as error:
        if stopping is not None and stopping.first is not None:
            return _stopped(stop_behind(error), stopping)  # libraries make other errors of a stop, in C without a trace
        return _refused(error)
    except KeyboardInterrupt as error:
        return _stopped(stop_behind(error), stopping)


def _refused(error: Exception) -> int:
    """Say in one line what went wrong; an error that nobody foresaw goes on."""
    if isinstance(error, MotionliftError):
        return _failed(str(error), 1)
    if isinstance(error, BrokenPipeError):
        unheard(sys.stdout)
        return 1
    failed = shortage_behind(error)
    if failed is not None:
        return _failed(f"out of memory{tried(failed)}; ask for {SMALLER}", 1)
    if isinstance(error, OSError):
        if "No usable temporary directory" in str(error):  # tempfile's words
            return _failed("no folder for temporary files can be written; set TMPDIR to one that can", 1)
        return _failed(f"{error.strerror or error}: {error.filename or 'a file that was needed'}", 1)
    stop = stop_behind(error)
    if stop is not None:
        return _stopped(stop, None)
    raise error


def _invoke(arguments: Sequence[str], load: Load | None) -> int:
    """Find and run the command; wrong usage is told in one line."""
    if load is not None:
        load.begin()
    import typer.main  # here, so that Ctrl-C at once finds run() ready for it

    from motionlift.cli.app import app
    from motionlift.cli.completing import in_bash

    if load is not None:
        load.leave_room()
    COMMAND_LINE.set(("motionlift", *arguments))
    program = typer.main.get_command(app)
    if COMPLETE in os.environ:
        with in_bash() if os.environ[COMPLETE] == "complete_bash" else nullcontext():
            program.main([], prog_name="motionlift")  # answers the shell, and leaves
    try:
        # Not app(...), which makes an exit of its own of Ctrl-C, without a word of what stays.
        with program.make_context("motionlift", list(arguments) or ["--help"]) as context:
            program.invoke(context)
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.TyperException as error:
        named = " ".join(["motionlift", *[word for word in arguments[:1] if not word.startswith("-")]])
        command = getattr(getattr(error, "ctx", None), "command_path", named)
        return _failed(f"{_wrong(error).rstrip('.')}{_file_meant(error, arguments)}; see {command} --help", 2)
    return 0


def _wrong(error: "TyperException") -> str:
    """What is wrong with the words of a command; of options that there are not, those that are spelt alike are named."""
    name, near = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    if name is None or near is None:
        return error.format_message()
    bare = {option.lstrip("-"): option for option in near}  # their dashes alone make short ones look alike
    return f"{error.message}{asked([bare[own] for own in alike(name.lstrip('-'), bare)])}"


def _file_meant(error: "TyperException", arguments: Sequence[str]) -> str:
    """How to give a file whose name was taken for an option that there is not, as it begins with a dash."""
    name = getattr(error, "option_name", None) or ""
    file = next((word for word in arguments if name and word.startswith(name) and os.path.lexists(word)), None)
    return "" if file is None else f" (for the file, give ./{file})"


def _silence() -> None:
    """Keep warnings, log lines and progress bars of the libraries off the terminal."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for name in (
        "TERMINAL_WIDTH",
        "TYPER_USE_RICH",
    ):  # typer cannot be imported where they hold what it does not expect
        os.environ.pop(name, None)
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}


def _stopped(stop: KeyboardInterrupt | None, stopping: Stopping | None) -> int:
    """Say what stays after Ctrl-C, or after another signal, which is named; of a stop that was lost on its way nothing is known."""
    number = signal.SIGINT
    if stopping is not None:
        stopping.ignore()
        number = stopping.first or number
    unsaid = "nothing was written" if stop is not None else "what was written by then stays"
    stays = stop.stays if isinstance(stop, Stopped) else unsaid
    return _failed(f"stopped{'' if number == signal.SIGINT else f' by {number.name}'}; {stays}", STOPPED + number)


def _failed(message: str, code: int) -> int:
    say(f"error: {message}")
    return code
