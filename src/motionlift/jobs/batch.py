"""A batch: jobs laid out in a folder, done by workers side by side, and gone on with where it was stopped."""

import json
import re
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from motionlift.errors import InputError, OutputError
from motionlift.jobs.job import INPUTS, Contents, Job
from motionlift.jobs.records import append_record, read_lines, records_kind
from motionlift.jobs.runner import Pool, Record, Spread, recorded
from motionlift.jobs.stores import Shelves, check_store
from motionlift.jobs.work import (
    HERE,
    Placed,
    Where,
    died,
    is_of,
    is_of_another,
    record_of,
    record_of_stored,
    stored_record,
)
from motionlift.video.marks import RECORD, VIDEO
from motionlift.video.writing import check_output, check_place, companion, remove_leftovers, replacing

RECORDS = "jobs.jsonl"
"""Name of the file of records in a batch's folder."""
STATED = frozenset(
    {
        *("output", "reference", "content", "prompt", "seed", "method", "model", "settings"),
        *("frames", "size", "start", "duration"),
    }
)
"""What every record says of its job."""
STATED_OF_SOME = ("crop", "picture", "picture_content")
"""What those say beside of jobs that have it."""
CONTENT = frozenset({"content", "picture_content"})
"""What of that changes when a reference or a picture does."""

SEEN_WITHIN = 30.0
"""Seconds within which a shared disk shows what another machine wrote (ours)."""
KEPT = re.compile(r"[0-9a-f]{64}")
"""How :func:`motionlift.jobs.stores.fetched` names its folders."""
RECORDS_KIND = records_kind("file of a batch's records", STATED, "output")
"""The file of records; its lines are the mark."""


@dataclass(frozen=True)
class Batch:
    """The jobs of a batch, and which of them are still to be done."""

    count: int
    """How many there are."""
    waiting: tuple[Placed, ...]
    """Those without a record whose video is there, those of one model together, and of one motion within it."""
    failed: tuple[Record, ...]
    """Records of those that failed before, and are not tried again."""
    lost: int
    """Lines of the file of records that are no record, such as one that was cut off."""
    records: Path
    """The file of records."""
    taken: tuple[Placed, ...] = ()
    """Those whose output is there and is of another job, such as one with other settings; they do not wait."""
    stored: tuple[Record, ...] = ()
    """Records of those that have none here, and whose videos are whole in the store."""

    def done(self, pool: Pool) -> Iterator[Record]:
        """Do what waits; every record is in the file before it is yielded.

        Of each motion one job is done first, and the others of its model once that is lifted, so that it is lifted once. At the end
        goes what was read of stores, on each machine.

        Raises:
            OutputError: nothing can be written any more, or a video lies on another machine's disk.
        """
        outputs = {placed.job.output: placed for placed in self.waiting}
        for items in turns(self.waiting):
            for record in recorded(pool, record_of, items, died, self.records):
                if "error" not in record:
                    _check_seen(outputs[record["output"]])
                yield record
        inputs = self.records.parent / INPUTS
        empty(inputs)
        if isinstance(pool, Spread):
            pool.everywhere(empty, inputs)

    def motions(self) -> int:
        """How many motions those that wait are made of."""
        return len({placed.job.lifted_by() for placed in self.waiting})


def lay_out(
    jobs: Sequence[Job],
    folder: Path,
    where: Where = HERE,
    retry: bool = False,
    contents: Contents | None = None,
    overwrite: bool = False,
    store: str = "",
    tried: Collection[str] = (),
    renew: bool = False,
) -> Batch:
    """Which jobs of a batch are still to be done, in a folder that is held, once there is room for what they write.

    Args:
        jobs: all of them; no two have one output.
        folder: where their outputs and records go.
        where: on what they are done.
        retry: count those that failed as not done.
        contents: what references hold, as far as that is known already.
        overwrite: let outputs take the place of what another job wrote there.
        store: address of the store in which finished videos and their records are put too.
        tried: outputs of jobs that are not tried again, whatever ``retry`` says.
        renew: let an output take the place of what the same job made of what its reference held before.

    Raises:
        InputError: a reference cannot be read.
        OutputError: a file would be replaced that motionlift did not write, an output is a folder, which no store takes, or nothing
            can be written.
    """
    _make_folder(folder)
    check_output(folder / RECORDS, RECORDS_KIND)
    if store:
        _check_stored(jobs)
        check_store(f"{store.rstrip('/')}/{RECORDS}")
    batch = standing(jobs, folder, where, retry, contents, overwrite, store, tried, renew)
    for placed in batch.waiting:
        make_room(placed)
    if not batch.waiting:
        empty(folder / INPUTS)
    _forget(batch)
    for record in batch.stored:
        append_record(batch.records, record)
    for parent in {placed.output.parent for placed in batch.waiting}:
        remove_leftovers(parent)
    return batch


def standing(
    jobs: Sequence[Job],
    folder: Path,
    where: Where = HERE,
    retry: bool = False,
    contents: Contents | None = None,
    overwrite: bool = False,
    store: str = "",
    tried: Collection[str] = (),
    renew: bool = False,
) -> Batch:
    """Which jobs of a batch are still to be done, as far as that is seen without writing; arguments as of :func:`lay_out`.

    Raises:
        InputError: a reference, or the file of records, cannot be read.
    """
    records, contents = folder / RECORDS, contents or Contents()
    lines = read_lines(records)
    known = {_key(record): record for record in lines.records if record.keys() >= STATED}
    waiting, failed, stored = list[Placed](), list[Record](), list[Record]()
    taken_there, shelves = set[str](), Shelves()
    but = CONTENT if renew else frozenset[str]()
    for job in jobs:
        placed = Placed(job, _stated(job, contents), folder, where, store)
        record = known.get(_key(placed.stated))
        if record is not None and "error" in record and not (retry and job.output not in tried):
            failed.append(record)
            continue
        told: Record | None = None
        if record is None or "error" not in record:
            is_there = shelves.hold(placed.files[placed.output]) if store else placed.output.exists()
            if is_there and record is not None:
                continue
            told = stored_record(placed) if is_there and store else None
        if told is not None and is_of(told, placed):
            stored.append(record_of_stored(placed, told))
            continue
        if told is not None and not is_of(told, placed, but):
            taken_there.add(job.output)
        waiting.append(placed)
    _sort(waiting, jobs)
    found = [
        (placed, not overwrite and (placed.job.output in taken_there or is_of_another(placed, but)))
        for placed in waiting
    ]
    free, taken = (tuple(placed for placed, is_taken in found if is_taken == which) for which in (False, True))
    return Batch(len(jobs), free, tuple(failed), lines.lost, records, taken, tuple(stored))


def _sort(waiting: list[Placed], jobs: Sequence[Job]) -> None:
    """Put those of one model together, and of one motion within it, in the order in which these are asked for first."""
    models = {model: place for place, model in enumerate(dict.fromkeys(job.model for job in jobs))}
    motions = {motion: place for place, motion in enumerate(dict.fromkeys(job.lifted_by() for job in jobs))}
    waiting.sort(key=lambda placed: (models[placed.job.model], motions[placed.job.lifted_by()]))


def turns(waiting: Sequence[Placed]) -> Iterator[list[Placed]]:
    """Of each model first a job of every motion, then the others."""
    for model in dict.fromkeys(placed.job.model for placed in waiting):
        own = [placed for placed in waiting if placed.job.model == model]
        firsts = {placed.job.lifted_by(): placed for placed in reversed(own)}
        leaders = [placed for placed in own if firsts[placed.job.lifted_by()] is placed]
        others = [placed for placed in own if firsts[placed.job.lifted_by()] is not placed]
        yield from filter(None, (leaders, others))


def _check_seen(placed: Placed) -> None:
    """Refuse to go on where what workers make is not seen here, since they have folders of their own.

    Raises:
        OutputError: so it is.
    """
    until = time.monotonic() + SEEN_WITHIN
    while not placed.store and not placed.output.exists():
        if time.monotonic() > until:
            raise OutputError(
                f"{placed.output} was made on another machine and is not seen here: let all machines share {placed.folder}, or "
                "give --store"
            )
        time.sleep(0.2)


def _stated(job: Job, contents: Contents) -> Record:
    try:
        return job.stated(contents.of(job.reference), contents.of(job.picture) if job.picture else "")
    except InputError as error:
        raise InputError(f"{job.place}: {error}") from error
    except OSError as error:
        told = f"{error.filename or job.reference} cannot be read: {error.strerror}"
        raise InputError(f"{job.place}: {told}; give another clip or picture") from error


def _key(record: Record) -> str:
    told = [*STATED, *(name for name in STATED_OF_SOME if name in record)]
    return json.dumps({name: record[name] for name in told}, sort_keys=True)


def _forget(batch: Batch) -> None:
    """Leave out of the file of records what it says of outputs that are made once more, by whatever job: each has one record."""
    again = {placed.job.output for placed in batch.waiting}
    records = read_lines(batch.records).records
    kept = [record for record in records if not (record.keys() >= STATED and record["output"] in again)]
    if len(kept) == len(records) and not batch.lost:
        return
    with replacing(batch.records, RECORDS_KIND) as place:
        place.touch()
        for record in kept:
            append_record(place, record)


def check_job(job: Job, folder: Path, contents: Contents, store: str = "") -> None:
    """Refuse a job whose reference cannot be read, or whose output cannot be where it is to be.

    Raises:
        InputError: the former.
        OutputError: the latter.
    """
    if store:
        _check_stored([job])
    make_room(Placed(job, _stated(job, contents), folder))


def _check_stored(jobs: Sequence[Job]) -> None:
    """Refuse folders of pictures as outputs: a store takes files."""
    for job in jobs:
        if not Path(job.output).suffix:
            raise OutputError(
                f"{job.place}: {job.output} is a folder of pictures, which is not put into a store; give a name such as "
                f"{job.output}.mp4"
            )


def empty(inputs: Path) -> None:
    """Remove what was read of stores on this machine, and nothing else that lies there."""
    if not inputs.is_dir():
        return
    for place in inputs.iterdir():
        if KEPT.fullmatch(place.name):
            shutil.rmtree(place, ignore_errors=True)
    with suppress(OSError):  # of others
        inputs.rmdir()


def make_room(placed: Placed) -> None:
    """Make the folder of an output, and see that nothing of others is in the way."""
    output, place = placed.output, placed.job.place
    try:
        _make_folder(output.parent)
        check_place(output, VIDEO)
        check_place(companion(output, ".json"), RECORD)
    except OutputError as error:
        raise OutputError(f"{place}: {error}") from error
    except OSError as error:  # as of a path that is too long in all
        raise OutputError(
            f"{place}: cannot write {placed.job.output}: {error.strerror}; choose another output"
        ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another output") from error
