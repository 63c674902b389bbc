"""The signals that stop a run, held back while something is done that must be done whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

STOPPING = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__)
"""Ctrl-C, what asks a program to end, and a terminal that is closed; Windows has no SIGHUP."""


@contextmanager
def held_back() -> Iterator[None]:
    """Let a signal that comes within act only at the end, where Python handles it. None comes but in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[Any, ...]] = []
    before = {number: signal.getsignal(number) for number in STOPPING}
    handlers = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        with ExitStack() as stack:  # puts all back, even where a signal comes meanwhile
            for number, handler in handlers.items():
                stack.callback(signal.signal, number, handler)
                signal.signal(number, lambda *given: came.append(given))
            yield
    finally:
        if came:
            handlers[came[0][0]](*came[0])
