"""What tests change in every process of a run: Python imports this as it starts, where this folder is on ``PYTHONPATH``.

``SET_BACK`` names a file with the seconds by which the clock is set back, at any time; beside it is noted which processes saw that.
``THIRD_STORE`` names the folder of a store (``tests.jobs.third_store``).
"""

import os
import time
from collections.abc import Callable
from pathlib import Path


def seconds_back(told: Path) -> float:
    """By how much the clock is set back now."""
    try:
        seconds = float(told.read_text() or 0)
    except OSError:
        return 0.0
    if seconds:
        told.with_name(f"{told.name}-{os.getpid()}").touch()
    return seconds


def set_back(told: Path, now: Callable[[], float], now_ns: Callable[[], int]) -> None:
    """Let the clock of this process be as far back as a file says."""
    time.time = lambda: now() - seconds_back(told)
    time.time_ns = lambda: now_ns() - int(seconds_back(told) * 1e9)


if "SET_BACK" in os.environ:
    set_back(Path(os.environ["SET_BACK"]), time.time, time.time_ns)
if "THIRD_STORE" in os.environ:
    import fsspec

    for name in ("Third", "Moving"):
        fsspec.register_implementation(name.lower(), f"tests.jobs.third_store.{name}")
