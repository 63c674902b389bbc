"""What a batch would take: of each kind of job what one takes of memory and passes, without reading weights."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from motionlift.core.memory import read_memory
from motionlift.errors import MotionliftError, OutputError
from motionlift.jobs.batch import standing
from motionlift.jobs.job import Contents, Job
from motionlift.jobs.ray_pool import Needs
from motionlift.jobs.work import Placed, Where, asked_of, asked_with
from motionlift.models.loading import device_named
from motionlift.work.memory import Room, room
from motionlift.work.plan import Plan
from motionlift.work.planning import kind_named, planned
from motionlift.work.prepare import aspect_of

PROCESS = 2**30
"""Bytes that a process takes before it holds a model (ours: PyTorch and diffusers, 0.5 GiB, and as much again for what is read)."""


@dataclass(frozen=True)
class Kind:
    """Jobs of which one takes what another takes: of one model, method, settings and size."""

    model: str
    """The model's name."""
    method: str
    """The method, with the settings in which it differs."""
    jobs: int
    """How many there are."""
    motions: int
    """How many motions they are made of."""
    plan: Plan | None = None
    """What one of them takes, its lifting included; none where it cannot be planned."""
    seconds: float | None = None
    """Predicted for all of them one after the other, by jobs that were measured here; none where none was."""
    reason: str = ""
    """Why it cannot be done, or be planned; nothing where it can."""
    processes: int = 1
    """Most processes that tune a motion of them together."""

    def main_memory(self, has_gpus: bool) -> int:
        """Bytes of main memory that a worker takes with one of them, its processes included; 0 where that is not known.

        While several tune, each has the model, and so has the worker that waits for them.
        """
        if self.plan is None:
            return 0
        each = self.plan.main_need(self.plan.largest) if has_gpus else self.plan.need(self.plan.largest)
        return (PROCESS + round(each)) * (self.processes + (self.processes > 1))


@dataclass(frozen=True)
class Forecast:
    """What would be done."""

    kinds: tuple[Kind, ...]
    """By kind of job."""
    count: int
    """How many jobs there are."""
    waiting: int
    """How many of them would be done."""
    taken: int = 0
    """How many would be left out, since their output is there and is of another job."""


def forecast(
    jobs: Sequence[Job],
    folder: Path,
    where: Where,
    retry: bool = False,
    store: str = "",
    overwrite: bool = False,
    is_held: bool = False,
    contents: Contents | None = None,
    space: Room | None = None,
) -> Forecast:
    """What the jobs of a batch that are still to be done take.

    Args:
        jobs: as of :func:`motionlift.jobs.batch.lay_out`.
        folder: likewise.
        where: likewise.
        retry: likewise.
        store: likewise.
        overwrite: likewise.
        is_held: whether the folder is held by this process: clips of stores are kept there then, for the workers of this machine.
            Else nothing is written in it.
        contents: as of :func:`motionlift.jobs.batch.lay_out`.
        space: what each may use; by default what ``where`` says, or is free here.

    Raises:
        InputError: a reference cannot be read.
        SettingError: there is no such device.
    """
    found = standing(jobs, folder, where, retry, contents, overwrite, store)
    if space is None:
        place = device_named(where.device) if where.memory is None else kind_named(where.device)
        space = room(place, where.memory)
    kinds: dict[str, list[Placed]] = {}
    unread: list[Kind] = []
    aspects: dict[str, float | None] = {}
    with TemporaryDirectory() as temporary:
        for placed in found.waiting:
            own = placed if is_held else replace(placed, folder=Path(temporary))
            try:
                kinds.setdefault(_kind(own, aspects), []).append(own)
            except OutputError:
                raise
            except MotionliftError as error:
                unread.append(Kind(own.job.model, own.job.titled(), 1, 1, reason=str(error)))
        planned_kinds = tuple(_planned(own, space, where.dtype) for own in kinds.values())
    return Forecast((*planned_kinds, *unread), found.count, len(found.waiting), len(found.taken))


def needs(
    jobs: Sequence[Job],
    folder: Path,
    where: Where,
    retry: bool = False,
    store: str = "",
    overwrite: bool = False,
    has_gpus: bool = False,
    contents: Contents | None = None,
) -> Needs:
    """What one worker of a batch needs: as many GPUs as tune one motion, and what the largest of its jobs takes of main memory.

    Beside GPUs that is known only where somebody says what a GPU has: how much of a model waits in main memory depends on that.
    Jobs that do not fit, or cannot be planned, count for nothing here: each fails by itself, with its reason.

    Args:
        jobs: those that are known; where there are none, nothing is known of the memory.
        folder: of the batch, held.
        where: on what they are done.
        retry: as of :func:`motionlift.jobs.batch.lay_out`.
        store: likewise.
        overwrite: likewise.
        has_gpus: whether there are any, which is where ``auto`` does them then.
        contents: as of :func:`motionlift.jobs.batch.lay_out`.

    Raises:
        SettingError: there is no such kind of device, or the memory cannot be read.
    """
    is_on_gpus = has_gpus if where.device == "auto" else kind_named(where.device).type == "cuda"
    gpus = max((job.processes for job in jobs), default=1) if is_on_gpus else 0
    if is_on_gpus and where.memory is None:
        return Needs(gpus=gpus)
    there = replace(where, device="cuda" if is_on_gpus else "cpu")
    # Those of other machines; and where there is one here, it is its worker's, and asking it would take of its memory.
    space = Room("cuda", "cuda", read_memory(where.memory), asked=True) if is_on_gpus and where.memory else None
    kinds = forecast(jobs, folder, there, retry, store, overwrite, True, contents, space).kinds
    return Needs(gpus=gpus, memory=max((each.main_memory(is_on_gpus) for each in kinds), default=0))


def _kind(placed: Placed, aspects: dict[str, float | None]) -> str:
    """What makes jobs of one kind, as text; each reference is looked at once."""
    job = placed.job
    if job.reference not in aspects:
        aspects[job.reference] = aspect_of(placed.reference())
    asked = asked_with(job, aspects[job.reference], placed.picture())
    about = (job.model, job.method, dict(job.settings), job.frames, job.size, asked.aspect, bool(job.picture))
    return json.dumps(about, sort_keys=True)


def _planned(placed: Sequence[Placed], space: Room, dtype: str) -> Kind:
    """What jobs of one kind take, by the first of them."""
    job = placed[0].job
    motions = len({each.job.lifted_by() for each in placed})
    told = (job.model, job.titled(), len(placed), motions)
    processes = max(each.job.processes for each in placed)
    try:
        plan = planned(asked_of(placed[0]), job.model, space, dtype)
    except OutputError:
        raise
    except MotionliftError as error:
        return Kind(*told, reason=str(error))
    seconds = None if plan.seconds is None else plan.seconds * len(placed)
    return Kind(*told, plan, seconds, processes=processes)
