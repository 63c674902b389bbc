"""What was asked for and what became of it, kept over restarts: one SQLite file for all visitors."""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from motionlift.app.tasks import Task
from motionlift.errors import OutputError

TABLE = """
create table if not exists items (
    number integer primary key autoincrement, owner text not null, task text not null, state text not null,
    asked real not null, ended real, told text not null default '', files text not null default '[]'
)
"""
"""Files are names in the visitor's workspace; times are seconds since 1970."""
PATIENCE = 30.0
"""Seconds that one who writes waits for another (ours)."""


class State(StrEnum):
    """What became of a task."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    """The program ended before it was done."""


OPEN = (State.WAITING, State.RUNNING)
"""States of what is still to be done."""


@dataclass(frozen=True)
class Item:
    """A line of the history."""

    number: int
    """By which it is named."""
    owner: str
    """Whose it is."""
    task: Task
    """What was asked for."""
    state: State
    """What became of it."""
    asked: float
    """When, seconds since 1970."""
    ended: float | None
    """When it ended, if it did."""
    told: str
    """Why it failed, or what was said of it."""
    files: tuple[str, ...]
    """What it made: names in the visitor's workspace, the most important first."""


class History:
    """The history of a data folder.

    Args:
        place: the SQLite file; made where it is not there. Its folder must be.

    Raises:
        OutputError: it cannot be written, or is no history.
    """

    def __init__(self, place: Path):
        self.place = place
        with self._open() as base:
            base.execute("pragma journal_mode=wal")
            base.execute(TABLE)

    def add(self, owner: str, *tasks: Task) -> list[Item]:
        """New tasks, waiting: all of them, or none."""
        query = "insert into items (owner, task, state, asked) values (?, ?, ?, ?) returning *"
        with self._open() as base:
            rows = [(owner, json.dumps(asdict(task)), State.WAITING, time.time()) for task in tasks]
            return [_item(base.execute(query, row).fetchone()) for row in rows]

    def change(self, number: int, state: State, told: str = "", files: tuple[str, ...] = ()) -> None:
        """What becomes of a task; what has ended keeps the time."""
        ended = None if state in OPEN else time.time()
        with self._open() as base:
            base.execute(
                "update items set state = ?, ended = ?, told = ?, files = ? where number = ?",
                (state, ended, told, json.dumps(files), number),
            )

    def item(self, number: int, owner: str) -> Item | None:
        """One of an owner's; none where there is none of that number."""
        with self._open() as base:
            found = base.execute("select * from items where number = ? and owner = ?", (number, owner)).fetchone()
        return None if found is None else _item(found)

    def items(self, owner: str, most: int = 200) -> list[Item]:
        """The last ones of an owner, newest first; all of them where ``most`` is negative."""
        with self._open() as base:
            rows = base.execute("select * from items where owner = ? order by number desc limit ?", (owner, most))
            return [_item(row) for row in rows]

    def renamed(self, owner: str, names: Mapping[str, str]) -> None:
        """Files of an owner are called otherwise: what was made of them can still be seen, and done again.

        Args:
            owner: whose they are.
            names: by each old name the new one.
        """
        for item in self.items(owner, most=-1):
            source, picture = (names.get(name, name) for name in (item.task.source, item.task.picture))
            task = replace(item.task, source=source, picture=picture)
            files = tuple(names.get(name, name) for name in item.files)
            if (task, files) != (item.task, item.files):
                with self._open() as base:
                    told = (json.dumps(asdict(task)), json.dumps(files), item.number)
                    base.execute("update items set task = ?, files = ? where number = ?", told)

    def remove(self, number: int, owner: str) -> bool:
        """Forget what has ended; whether there was such an item. Two who remove one at once do no harm."""
        with self._open() as base:
            marks = ", ".join("?" * len(OPEN))
            query = f"delete from items where number = ? and owner = ? and state not in ({marks})"
            return base.execute(query, (number, owner, *OPEN)).rowcount > 0

    def stop_open(self) -> None:
        """Say of all that was open that it was stopped: the program that worked on it is gone."""
        with self._open() as base:
            marks = ", ".join("?" * len(OPEN))
            query = f"update items set state = ?, ended = ?, told = ? where state in ({marks})"
            base.execute(query, (State.STOPPED, time.time(), "the program ended before this was done", *OPEN))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each use, so that any thread may use it; what is done is kept whole or not at all."""
        try:
            with closing(sqlite3.connect(self.place, timeout=PATIENCE)) as base, base:
                base.row_factory = sqlite3.Row
                yield base
        except sqlite3.Error as error:
            raise OutputError(
                f"the history {self.place} cannot be used ({error}); move it away, or give --data"
            ) from error


def _item(row: sqlite3.Row) -> Item:
    told: dict[str, Any] = json.loads(row["task"])
    return Item(
        row["number"],
        row["owner"],
        Task.of(told),
        State(row["state"]),
        row["asked"],
        row["ended"],
        row["told"],
        tuple(json.loads(row["files"])),
    )
