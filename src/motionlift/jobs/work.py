"""What a worker does with a job: lift, or take what was lifted before, cast, and write the video with its record."""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from motionlift.core.model import Model
from motionlift.errors import OutputError
from motionlift.jobs.job import Job
from motionlift.jobs.runner import Record, told_of
from motionlift.work.cast import transferred
from motionlift.work.lift import Lifting
from motionlift.work.planning import Asked, fitting_job
from motionlift.work.prepare import ask, aspect_of
from motionlift.work.record import versions

COSTS = ("seconds", "phases", "passes", "peak_memory_bytes", "device", "threads", "versions")
"""What a job's record takes over from that of its video."""


@dataclass(frozen=True)
class Placed:
    """A job and where it is done: all that a worker needs, as data."""

    job: Job
    """The job."""
    stated: dict[str, Any]
    """What its record says of it."""
    folder: Path
    """Folder of the batch."""


def asked_of(job: Job) -> Asked:
    """What is asked for, read without a model.

    Raises:
        MotionliftError: one of its kinds.
    """
    request = ask(job.method, job.settings, prompt=job.prompt, seed=job.seed)
    return Asked(request, aspect=aspect_of(job.reference))


def record_of(placed: Placed) -> Record:
    """The record of a job: what it cost, or the error that it ended with.

    Raises:
        OutputError: nothing can be written, which is no fault of the job.
    """
    began = time.perf_counter()
    try:
        return {**placed.stated, **_made(placed)}
    except OutputError:
        raise
    except Exception as error:  # whatever a job ends with, the others go on
        seconds = round(time.perf_counter() - began, 3)
        return {**placed.stated, "error": told_of(error), "seconds": seconds, "versions": versions()}


def died(placed: Placed, reason: str) -> Record:
    """The record of a job whose process ended."""
    return {**placed.stated, "error": reason}


def _made(placed: Placed) -> Record:
    job = placed.job
    there = _models(job.model)
    prepared = fitting_job(asked_of(job), there[0] if there else job.model)
    if not there:
        there.append(prepared.model)
    video = transferred(prepared, job.reference, Lifting())
    record = video.save(placed.folder / job.output, {"command": command_of(placed), "reference": job.reference})
    told = {name: record[name] for name in COSTS if name in record}
    return {**told, "sha256": record["output"]["sha256"], "notices": [*prepared.notices]}


@lru_cache(maxsize=1)
def _models(_name: str) -> list[Model]:
    """The model of a process, once it is loaded: one at a time."""
    return []


def command_of(placed: Placed) -> list[str]:
    """The command that makes the video alone."""
    job = placed.job
    told = [f"--set={name}={_plain(value)}" for name, value in job.settings.items()]
    given = [f"--prompt={job.prompt}", f"--method={job.method}", f"--model={job.model}", f"--seed={job.seed}"]
    output = f"--output={placed.folder / job.output}"
    return ["motionlift", "transfer", *given, *told, output, "--", job.reference]


def _plain(value: Any) -> str:
    """A setting's value as ``--set`` takes it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(_plain, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
