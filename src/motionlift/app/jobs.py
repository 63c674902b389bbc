"""The queue: tasks are done one after the other, in the order in which they came, by one thread."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from motionlift.app.history import History, Item, State
from motionlift.app.making import CancelledError, Live
from motionlift.app.tasks import Task
from motionlift.app.workspace import Workspace
from motionlift.errors import MotionliftError, OutputError, SettingError

LOG = logging.getLogger(__name__)
MOST_WAITING = 50
"""Most tasks that one visitor has in the queue (ours)."""
IDLE = 600.0
"""Seconds without a task after which no model is held any more (ours: longer than one looks at a video and asks for the next)."""
PAUSE = 5.0
"""Seconds until a history that could not be written is tried again (ours)."""


@runtime_checkable
class Making(Protocol):
    """What does tasks: :class:`motionlift.app.making.Maker`."""

    def made(self, task: Task, workspace: Workspace, live: Live) -> tuple[str, ...]:
        """Do a task; gives the names of its files."""
        ...

    def forget(self) -> None:
        """Hold no model any more."""
        ...


class Jobs:
    """The queue of one program.

    Args:
        data: folder of the history and of all workspaces.
        maker: what does the tasks.

    Raises:
        OutputError: the history cannot be written.
    """

    def __init__(self, data: Path, maker: Making):
        data.mkdir(parents=True, exist_ok=True)
        self.history = History(data / "history.sqlite")
        self.history.stop_open()
        self._data, self._maker = data, maker
        self._waiting: deque[tuple[Item, Live]] = deque()
        self._running: tuple[Item, Live] | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def submit(self, owner: str, *tasks: Task) -> list[Item]:
        """Put tasks at the end of the queue: all of them, or none.

        Raises:
            SettingError: with these, too many of the owner's would wait.
            OutputError: the history cannot be written.
        """
        with self._changed:
            own = sum(item.owner == owner for item, _ in self._waiting)
            if own + len(tasks) > MOST_WAITING:
                more = f", and {len(tasks)} more are asked for" if len(tasks) > 1 else ""
                raise SettingError(
                    f"{own} of your tasks are waiting{more}; {MOST_WAITING} may wait: cancel some, or wait"
                )
            items = self.history.add(owner, *tasks)
            self._waiting.extend((item, Live()) for item in items)
            self._changed.notify_all()
        return items

    def place(self, number: int) -> int | None:
        """How many tasks come before one; none where it neither waits nor runs."""
        with self._changed:
            ahead = int(self._running is not None)
            if self._running is not None and self._running[0].number == number:
                return 0
            for index, (item, _) in enumerate(self._waiting):
                if item.number == number:
                    return index + ahead
        return None

    def live(self, number: int) -> Live | None:
        """How far a task is; none where it has ended."""
        with self._changed:
            open_ones = [*self._waiting, *([self._running] if self._running is not None else [])]
            return next((live for item, live in open_ones if item.number == number), None)

    def cancel(self, number: int, owner: str) -> bool:
        """Take a task of the owner's out of the queue, or stop it at its next step; what it has kept so far stays.

        Returns:
            Whether it was there to be cancelled.

        Raises:
            OutputError: the history cannot be written.
        """
        return self._cancelled(lambda item: (item.number, item.owner) == (number, owner)) > 0

    def cancel_all(self, owner: str) -> int:
        """Cancel all of an owner's tasks that wait or are worked on; gives how many these are.

        Raises:
            OutputError: the history cannot be written.
        """
        return self._cancelled(lambda item: item.owner == owner)

    def _cancelled(self, is_meant: Callable[[Item], bool]) -> int:
        with self._changed:
            meant = [entry for entry in self._waiting if is_meant(entry[0])]
            for entry in meant:
                self.history.change(entry[0].number, State.CANCELLED)
                self._waiting.remove(entry)
            if self._running is None or not is_meant(self._running[0]):
                return len(meant)
            self._running[1].unwanted.set()
            return len(meant) + 1

    def is_stopping(self, number: int) -> bool:
        """Whether a task was cancelled that is still worked on, to its next step."""
        live = self.live(number)
        return live is not None and live.unwanted.is_set()

    def again(self, number: int, owner: str) -> Item | None:
        """Put what has ended into the queue once more; what was tuned before goes on from where it was stopped."""
        item = self.history.item(number, owner)
        return None if item is None else self.submit(owner, item.task)[0]

    def close(self) -> None:
        """Stop at the next step, and wait for that."""
        with self._changed:
            self._closed = True
            if self._running is not None:
                self._running[1].unwanted.set()
            self._changed.notify_all()
        self._thread.join()
        self.history.stop_open()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._running = None
                if not self._changed.wait_for(self._is_called, IDLE):
                    self._maker.forget()
                    self._changed.wait_for(self._is_called)
                if self._closed:
                    return
                self._running = item, live = self._waiting.popleft()
            self._do(item, live)

    def _is_called(self) -> bool:
        return self._closed or bool(self._waiting)

    def _do(self, item: Item, live: Live) -> None:
        """Do one task; whatever goes wrong is told in its line of the history, and the next one comes."""
        change = self._change
        try:
            change(item.number, State.RUNNING)
            files = self._maker.made(item.task, Workspace(self._data / "visitors" / item.owner), live)
            change(item.number, State.DONE, files=files)
        except CancelledError:
            if not self._closed:
                change(item.number, State.CANCELLED)
        except MotionliftError as error:
            change(item.number, State.FAILED, str(error))
        except Exception as error:
            LOG.exception("task %d failed", item.number)
            self._maker.forget()
            change(
                item.number, State.FAILED, f"the program has a fault of its own: {type(error).__name__}: {error}"[:500]
            )

    def _change(self, number: int, state: State, told: str = "", files: tuple[str, ...] = ()) -> None:
        """Say what became of a task, once the history can be written: until then nothing else is begun."""
        while True:
            try:
                self.history.change(number, state, told, files)
                return
            except OutputError as error:
                LOG.warning("task %d is %s, which is to be told again in %g s: %s", number, state, PAUSE, error)
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, PAUSE):
                    return
