"""How many threads the program computes with: as many as other work leaves cores free when it begins."""

import os
import sys
import time
from contextvars import ContextVar

NAMED = "OMP_NUM_THREADS"
"""Says how many threads PyTorch, NumPy and OpenCV compute with, where it is set before they are imported (OpenMP)."""

OWN: ContextVar[bool] = ContextVar("OWN", default=False)
"""Whether the number of threads is for the program to choose: nobody named one in the environment."""


class Load:
    """What other work takes of the cores, measured while the program is imported, which costs no time."""

    def begin(self) -> None:
        """Begin to measure."""
        import psutil

        psutil.cpu_percent()  # a call tells of the time since the one before
        self._began, self._own = time.monotonic(), time.process_time()

    def leave_room(self) -> None:
        """End measuring; take as many threads as there are free cores, where some are not, unless the environment says how many."""
        import psutil

        if os.environ.get(NAMED):
            return
        OWN.set(True)
        spent = max(1e-3, time.monotonic() - self._began)
        taken = psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1)
        own = (time.process_time() - self._own) / spent
        cores = usable_cores()
        threads = threads_beside(max(0.0, taken - own), cores)
        if threads < cores:
            os.environ[NAMED] = str(threads)


def use_threads(threads: int) -> None:
    """Compute with so many threads, as far as there are cores: sums differ in their last digits by their number.

    Nothing changes where the environment names a number. PyTorch is not imported for that: it reads the environment when it is.
    """
    if os.environ.get(NAMED) and not OWN.get():
        return
    count = min(threads, usable_cores())
    os.environ[NAMED] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def threads_beside(taken: float, cores: int) -> int:
    """Threads that do not wait for other work: each waits for the slowest, so that one thread too many costs more than it brings.

    Args:
        taken: cores that other work takes, such as 1.4.
        cores: how many there are.

    Returns:
        At least 1; a core of which others take more than half is theirs (ours).
    """
    return max(1, min(cores, int(cores - taken + 0.5)))


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on Windows and macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
