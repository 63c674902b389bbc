"""What ends the processes of another one: a program of its own, which needs little, so that it is there at once.

Called with seconds, a folder (or nothing), and others as ``pid:began``. It waits for the end of who called it, which closes its
input, and then ends those with all that they started, twice, so many seconds apart; and all that use the folder, which it removes.
"""

import shutil
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil


def end_users(folder: Path) -> None:
    """End all processes that were called with a folder, or have a file of it open, whoever their parent is now.

    A process that writes its title in the place of what it was called with, as those of Ray do, has its log open still.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != psutil.Process().pid and _uses(process, folder):
                process.kill()


def _uses(process: psutil.Process, folder: Path) -> bool:
    if any(str(folder) in word for word in process.cmdline()):
        return True
    return any(Path(file.path).is_relative_to(folder.resolve()) for file in process.open_files())


def _wait_and_end(seconds: float, folder: Path | None, others: Iterable[tuple[int, float]]) -> None:
    sys.stdin.read()
    found: set[psutil.Process] = set()
    for wait in (0, seconds):  # at once, since what ends in the meantime leaves its children to nobody
        time.sleep(wait)
        for pid, began in others:
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if abs(process.create_time() - began) < 1:
                    found.update([process, *process.children(recursive=True)])
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    if folder:
        end_users(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _wait_and_end(
        float(sys.argv[1]),
        Path(sys.argv[2]) if sys.argv[2] else None,
        [(int(pid), float(began)) for pid, began in (told.split(":") for told in sys.argv[3:])],
    )
