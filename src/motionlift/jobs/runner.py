"""The runner: whoever works on jobs, what is recorded of each, and what a failure is."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from motionlift.errors import OutputError
from motionlift.jobs.records import append_record

DIED = "the process ended while it was at work, most likely for want of memory"
"""What a record says of a job whose process died, also when it was tried again alone."""
MOST_TOLD = 500
"""Most characters of an error that a record keeps (ours)."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Record = dict[str, Any]


@runtime_checkable
class Pool(Protocol):
    """Whoever works on jobs: processes of this machine (:class:`motionlift.jobs.workers.Workers`), or any that take data."""

    def each(
        self, work: Callable[[Item], Result], items: Iterable[Item], died: Callable[[Item], Result]
    ) -> Iterator[Result]:
        """Work on all items; yields results as they come, of one that nobody could work on what ``died`` gives."""
        ...


@runtime_checkable
class Spread(Protocol):
    """A pool whose workers are on several machines."""

    def everywhere(self, work: Callable[[Item], object], item: Item) -> None:
        """Do something once on each machine that has a worker, while nothing else is at work; what fails there is let be."""
        ...


def recorded(
    pool: Pool,
    work: Callable[[Item], Record],
    items: Iterable[Item],
    died: Callable[[Item, str], Record],
    records: Path,
) -> Iterator[Record]:
    """Work on jobs; every record is in the file before it is yielded.

    Args:
        pool: who works.
        work: gives a job's record, whatever it ends with.
        items: the jobs; they begin in this order.
        died: gives the record of a job whose process died, with the reason.
        records: the file.

    Raises:
        OutputError: nothing can be written any more.
    """
    for record in pool.each(work, items, lambda item: died(item, DIED)):
        try:
            append_record(records, record)
        except OSError as error:
            raise OutputError(f"cannot write {records}: {error.strerror}; what is in it stays") from error
        yield record


def told_of(error: Exception) -> str:
    """An error in one line; with its kind, where it is none of ours."""
    told = " ".join(str(error).split())[:MOST_TOLD]
    return told if error.__class__.__module__ == "motionlift.errors" else f"{type(error).__name__}: {told}"
