"""Processes that work on items side by side: none outlives its parent, and one that dies takes nothing with it."""

import _thread
import functools
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from motionlift.loops.interrupts import STOPPING

GRACE = 2.0
"""Seconds that a process has to remove what is half written when its parent stops (ours)."""
MOST_PROCESSES = 4
"""Most processes that are started unasked (ours: each holds a model, the small ones a gigabyte)."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_processes() -> int:
    """One for each core, up to :data:`MOST_PROCESSES`; one where a GPU does the work."""
    import torch

    return 1 if torch.cuda.is_available() else min(MOST_PROCESSES, os.cpu_count() or 1)


class Workers:
    """Processes within a ``with`` block; where it is left by an error or because the run is stopped, they stop at once."""

    def __init__(self, processes: int):
        self._processes = processes
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        # Nothing is ever sent: its end is closed by whatever ends the parent, a kill included, and the others see that.
        alive, self._held = context.Pipe(duplex=False)
        with _signals_wait():  # a process of multiprocessing's own, which keeps account of semaphores, is started here
            self._pool = ProcessPoolExecutor(self._processes, context, initializer=_prepare, initargs=(alive,))

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._held.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._held.close()

    def each(
        self, work: Callable[[Item], Result], items: Iterable[Item], died: Callable[[Item], Result]
    ) -> Iterator[Result]:
        """Work on all items; yields results as they come.

        Where a process dies, the items that were at work are tried again, each alone.

        Args:
            work: a function that another process can import.
            items: they begin in this order.
            died: gives the result of an item whose process dies even then, most likely for want of memory.
        """
        waiting, suspects = deque(items), deque[Item]()
        running: dict[Future[Result], Item] = {}
        while waiting or suspects or running:
            free = self._processes - len(running)
            alone = bool(suspects)
            if alone:
                free = 0 if running else 1
            broken = not self._begun(work, suspects or waiting, free, running)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    broken = True
                    continue
                del running[future]
                yield result
            if broken:
                lost = list(running.values())
                running.clear()
                self._restart()
                if alone:
                    yield from map(died, lost)
                else:
                    suspects.extend(lost)

    def _begun(
        self, work: Callable[[Item], Result], waiting: deque[Item], free: int, running: dict[Future[Result], Item]
    ) -> bool:
        """Begin as many items as there are processes free; False where one of them died that nobody was waiting for."""
        for _ in range(min(free, len(waiting))):
            item = waiting.popleft()
            try:
                with _signals_wait():
                    running[self._pool.submit(functools.partial(_worked, work), item)] = item
            except BrokenProcessPool:
                waiting.appendleft(item)
                return False
        return True

    def _restart(self) -> None:
        self._pool.shutdown(wait=True)
        self._held.close()
        self._start()


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let what stops a run act at the end only; processes that are started within are born deaf to it, until they are ready.

    On Windows signals cannot wait.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _worked(work: Callable[[Item], Result], item: Item) -> Result:
    """Work on an item, in a process; one that is stopped ends there, once what is half written is removed."""
    try:
        return work(item)
    except KeyboardInterrupt:
        os._exit(1)  # as an error it would go to the parent, and stop the run


def _prepare(alive: Connection) -> None:
    """Make a new process ready: as quiet as the command line, of one thread, and with its parent's end as its own."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    without_parent, stopped = threading.Event(), threading.Event()

    def end() -> None:
        time.sleep(GRACE)
        os._exit(1)

    def stop(number: int, _frame: Any) -> None:
        # Ctrl-C reaches all processes of a terminal; only the parent decides what it means. The others end this one too.
        if stopped.is_set() or (number == signal.SIGINT and not without_parent.is_set()):
            return
        stopped.set()
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # Python has words of its own for the interrupt
        threading.Thread(target=end, daemon=True).start()
        raise KeyboardInterrupt

    def watch() -> None:
        alive.poll(None)
        without_parent.set()
        _thread.interrupt_main()
        end()

    for number in STOPPING:
        if number == signal.SIGINT or signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, stop)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    threading.Thread(target=watch, daemon=True).start()
    import torch

    torch.set_num_threads(1)
