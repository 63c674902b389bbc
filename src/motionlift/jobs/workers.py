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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar

from motionlift.jobs.schedule import Done, Lost, Patience, worked
from motionlift.loops.interrupts import STOPPING

GRACE = 2.0
"""Seconds that a process has to remove what is half written when its parent stops (ours)."""
MOST_PROCESSES = 4
"""Most processes that are started unasked (ours: each holds a model, the small ones a gigabyte)."""

PATIENCE = Patience(tries=2, alone_from=2)
"""Of processes of one machine: nobody knows which of them it was that died, so that the next try tells."""
HERE = ""
"""The one machine that there is."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_processes() -> int:
    """One for each core, up to :data:`MOST_PROCESSES`; one where a GPU does the work."""
    import torch

    return 1 if torch.cuda.is_available() else min(MOST_PROCESSES, os.cpu_count() or 1)


class Workers:
    """Processes within a ``with`` block; where it is left by an error or because the run is stopped, they stop at once."""

    def __init__(self, processes: int):
        """Nothing is started before the block."""
        self.processes = processes
        """How many there are."""

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        # Nothing is ever sent: its end is closed by whatever ends the parent, a kill included, and the others see that.
        alive, self._held = context.Pipe(duplex=False)
        with _signals_wait():  # a process of multiprocessing's own, which keeps account of semaphores, is started here
            self._pool = ProcessPoolExecutor(self.processes, context, initializer=_prepare, initargs=(alive,))

    def __enter__(self) -> "Workers":
        self._start()
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
            items: they begin in this order; each is taken when a process is free for it.
            died: gives the result of an item whose process dies even then, most likely for want of memory.
        """
        return worked(_Crew(self, work), items, died, PATIENCE)

    def submit(self, work: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Give an item to a process.

        Raises:
            BrokenProcessPool: one of them died.
        """
        with _signals_wait():
            return self._pool.submit(functools.partial(worked_on, work), item)

    def restart(self) -> None:
        """Put others in the place of all processes."""
        self._pool.shutdown(wait=True)
        self._held.close()
        self._start()


class _Crew(Generic[Item, Result]):
    """The processes as the schedule sees them: when one dies, all are gone."""

    def __init__(self, workers: Workers, work: Callable[[Item], Result]):
        self._workers, self._work = workers, work
        self._running: dict[int, Future[Result]] = {}
        self._broken = False

    def free(self) -> list[tuple[int, str]]:
        return [(number, HERE) for number in range(self._workers.processes) if number not in self._running]

    def give(self, worker: int, item: Item) -> bool:
        try:
            self._running[worker] = self._workers.submit(self._work, item)
        except BrokenProcessPool:
            self._broken = True
            return False
        return True

    def wait(self) -> Iterator[Done[int, Result] | Lost[int]]:
        ended, _ = wait(self._running.values(), return_when=FIRST_COMPLETED)
        for worker, future in [(worker, future) for worker, future in self._running.items() if future in ended]:
            try:
                result = future.result()
            except BrokenProcessPool:
                self._broken = True
                continue
            del self._running[worker]
            yield Done(worker, result)
        if self._broken:
            lost, self._running, self._broken = self._running, {}, False
            self._workers.restart()
            yield from map(Lost, lost)


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


def _interrupt() -> None:
    """Interrupt the main thread, also where it waits for something; on Windows, once it has done waiting."""
    if hasattr(signal, "pthread_kill") and (ident := threading.main_thread().ident) is not None:
        signal.pthread_kill(ident, signal.SIGINT)
    else:
        _thread.interrupt_main()


def worked_on(work: Callable[[Item], Result], item: Item) -> Result:
    """Work on an item, in a process; one that is stopped ends there, once what is half written is removed."""
    try:
        return work(item)
    except KeyboardInterrupt:
        os._exit(1)  # as an error it would go to the parent, and stop the run


def _prepare(alive: Connection) -> None:
    """Make a new process ready, with its parent's end as its own."""
    prepare(lambda: alive.poll(None), threads=1)


def prepare(until_stopped: Callable[[], bool], threads: int) -> None:
    """Make a new process ready: as quiet as the command line, and ended at once by whoever began it.

    Args:
        until_stopped: waits, in a thread of its own, until the process is to end; False where that cannot be told any more.
        threads: how many PyTorch uses.
    """
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    unwanted, stopped = threading.Event(), threading.Event()

    def end() -> None:
        time.sleep(GRACE)
        os._exit(1)

    def stop(number: int, _frame: Any) -> None:
        # Ctrl-C reaches all processes of a terminal; only the parent decides what it means. The others end this one too.
        if stopped.is_set() or (number == signal.SIGINT and not unwanted.is_set()):
            return
        stopped.set()
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # Python has words of its own for the interrupt
        threading.Thread(target=end, daemon=True).start()
        raise KeyboardInterrupt

    def watch() -> None:
        if not until_stopped():
            return
        unwanted.set()
        _interrupt()
        end()

    for number in STOPPING:
        if number == signal.SIGINT or signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, stop)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    threading.Thread(target=watch, daemon=True).start()
    import torch
    from tqdm import tqdm  # the bars of diffusers and transformers

    torch.set_num_threads(threads)
    tqdm.set_lock(
        threading.RLock()
    )  # its own is a semaphore of several processes, which an end at once would leave behind
