"""Which item goes to whom: in order, to whoever is free; what was lost with a worker is tried again, at last alone.

Nothing here starts anything or looks at a clock. Processes, actors of a cluster and a simulation all go by it.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")
Result = TypeVar("Result")
Worker = TypeVar("Worker")
Taken_contra = TypeVar("Taken_contra", contravariant=True)


@dataclass(frozen=True)
class Patience:
    """What is done about an item whose worker is lost."""

    tries: int
    """How often an item is begun before it is given up."""
    alone_from: int
    """From which try on it has a machine for itself: a want of memory is its own then."""


@dataclass(eq=False)
class Turn(Generic[Item]):
    """An item at work."""

    item: Item
    place: str
    """The machine that it is begun on."""
    losses: int = 0
    """How many workers were lost with it."""
    alone: bool = False
    """Whether nothing else is to be at work on that machine."""


class Schedule(Generic[Item]):
    """The items that wait, those that are at work, and where."""

    def __init__(self, items: Iterable[Item], patience: Patience):
        """Items are taken one by one, as workers become free."""
        self._items: Iterator[Item] = iter(items)
        self._patience = patience
        self._again: deque[tuple[Item, int]] = deque()  # each with its losses
        self._suspects: deque[tuple[Item, int]] = deque()  # likewise; each is to be alone
        self._kept_free: dict[str, tuple[Item, int]] = {}
        self._alone: set[str] = set()
        self._at_work: Counter[str] = Counter()
        self._drained = False

    @property
    def over(self) -> bool:
        """Whether nothing is at work, and somebody who was free found nothing to do."""
        return self._drained and not (self._again or self._suspects or self._kept_free or self._at_work.total())

    def begin(self, place: str) -> Turn[Item] | None:
        """The next item for a worker that is free.

        Args:
            place: the machine it is on.

        Returns:
            None where it is to wait: nothing is left, or the machine is kept free for an item that is to be alone.
        """
        if place in self._alone:
            return None
        if self._suspects and place not in self._kept_free:
            self._kept_free[place] = self._suspects.popleft()
        if place in self._kept_free:
            if self._at_work[place]:
                return None
            self._alone.add(place)
            return self._begun(Turn(*_at(place, self._kept_free.pop(place)), alone=True))
        if self._again:
            return self._begun(Turn(*_at(place, self._again.popleft())))
        try:
            return self._begun(Turn(next(self._items), place))
        except StopIteration:
            self._drained = True
            return None

    def end(self, turn: Turn[Item]) -> None:
        """An item is done."""
        self._at_work[turn.place] -= 1
        if turn.alone:
            self._alone.discard(turn.place)

    def lose(self, turn: Turn[Item]) -> bool:
        """The worker of an item is lost; whether the item is tried again."""
        self.end(turn)
        losses = turn.losses + 1
        if losses >= self._patience.tries:
            return False
        (self._suspects if losses + 1 >= self._patience.alone_from else self._again).append((turn.item, losses))
        return True

    def back(self, turn: Turn[Item]) -> None:
        """An item could not be given to a worker after all: it is the next one again."""
        self.end(turn)
        (self._suspects if turn.alone else self._again).appendleft((turn.item, turn.losses))

    def leave(self, place: str) -> None:
        """A machine has no worker any more: what it was kept free for is begun on another."""
        if place in self._kept_free:
            self._suspects.appendleft(self._kept_free.pop(place))

    def _begun(self, turn: Turn[Item]) -> Turn[Item]:
        self._at_work[turn.place] += 1
        return turn


def _at(place: str, waiting: tuple[Item, int]) -> tuple[Item, str, int]:
    return waiting[0], place, waiting[1]


@dataclass(frozen=True)
class Done(Generic[Worker, Result]):
    """What came of the item that a worker was given."""

    worker: Worker
    result: Result


@dataclass(frozen=True)
class Lost(Generic[Worker]):
    """A worker that is gone, with the item that it was given."""

    worker: Worker
    left: str | None = None
    """The machine, where it has no worker any more."""


@runtime_checkable
class Crew(Protocol[Taken_contra, Result, Worker]):
    """Whoever works, as the schedule sees them."""

    def free(self) -> Sequence[tuple[Worker, str]]:
        """Those that could be given an item now, each with its machine."""
        ...

    def give(self, worker: Worker, item: Taken_contra) -> bool:
        """Give one an item; False where it cannot take it, which is no fault of the item."""
        ...

    def wait(self) -> Iterable[Done[Worker, Result] | Lost[Worker]]:
        """Wait until something happens; nothing, where it was that somebody became free."""
        ...


def worked(
    crew: Crew[Item, Result, Worker], items: Iterable[Item], died: Callable[[Item], Result], patience: Patience
) -> Iterator[Result]:
    """Have items worked on; yields results as they come.

    Args:
        crew: who works.
        items: they begin in this order; each is taken when somebody is free for it.
        died: gives the result of an item that is given up.
        patience: when that is.
    """
    schedule = Schedule(items, patience)
    running: dict[Worker, Turn[Item]] = {}
    while True:
        for worker, place in crew.free():
            turn = schedule.begin(place)
            if turn is None:
                continue
            if crew.give(worker, turn.item):
                running[worker] = turn
            else:
                schedule.back(turn)
        if schedule.over:
            return
        for event in crew.wait():
            turn = running.pop(event.worker)
            if isinstance(event, Done):
                schedule.end(turn)
                yield event.result
                continue
            again = schedule.lose(turn)
            if event.left is not None:
                schedule.leave(event.left)
            if not again:
                yield died(turn.item)
