"""What a worker does with a job: lift, or take what was lifted before, cast, and write the video with its record."""

import json
import subprocess
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import psutil

from motionlift.errors import InputError, MotionliftError, OutputError
from motionlift.jobs.children import put_away
from motionlift.jobs.job import INPUTS, Job, plain
from motionlift.jobs.runner import MOST_TOLD, Record, told_of
from motionlift.jobs.stores import deliver, fetched, text_of, withdraw
from motionlift.models.precision import AUTO
from motionlift.video.marks import FOREIGN, RECORD, VIDEO, hash_of, json_of
from motionlift.video.writing import companion
from motionlift.work.cast import transferred
from motionlift.work.keeping import Kept
from motionlift.work.lift import Lifting, is_kept
from motionlift.work.planning import Asked
from motionlift.work.prepare import ask, aspect_of
from motionlift.work.record import versions

COSTS = ("seconds", "phases", "passes", "peak_memory_bytes", "device", "threads", "versions")
"""What a job's record takes over from that of its video."""
STATED = "job"
"""Key of a video's record that says which job it was."""
MOST_RECORD = 2**24
"""Largest record that is read of a store, bytes (ours)."""
PATIENCE = 10.0
"""Seconds that processes which tune together have to end (ours)."""


@dataclass(frozen=True)
class Where:
    """On what jobs are done."""

    device: str = "auto"
    """As of :func:`motionlift.load`."""
    dtype: str = AUTO
    """As of :func:`motionlift.load`."""
    memory: str | None = None
    """What a worker may use of the device, such as ``12GB``; by default what is free."""
    weights: str | None = None
    """How the weights of networks are held, as of :class:`motionlift.core.memory.Weights`; by default as it fits."""


HERE = Where()
"""On what this machine has."""


@dataclass(frozen=True)
class Placed:
    """A job and where it is done: all that a worker needs, as data."""

    job: Job
    """The job."""
    stated: dict[str, Any]
    """What its record says of it."""
    folder: Path
    """Folder of the batch."""
    where: Where = HERE
    """On what it is done."""
    store: str = ""
    """Address of the store in which finished videos and their records are put too; nothing where they stay here alone."""

    @property
    def output(self) -> Path:
        """The video."""
        return self.folder / self.job.output

    @property
    def files(self) -> dict[Path, str]:
        """The video's record and the video, each with its place in the store; the video comes last and says that both are there."""
        video = f"{self.store.rstrip('/')}/{PurePath(self.job.output).as_posix()}"
        record = companion(self.output, ".json")
        return {record: f"{video.rpartition('/')[0]}/{record.name}", self.output: video}

    def reference(self) -> Path:
        """The clip on this machine, where it is read once of a store for all workers.

        Raises:
            InputError: it cannot be read.
            OutputError: the folder of the batch cannot be written.
        """
        return fetched(self.job.reference, self.folder / INPUTS)

    def picture(self) -> Path | None:
        """The picture that the video begins with, likewise; None where it begins with none.

        Raises:
            InputError: it cannot be read.
            OutputError: the folder of the batch cannot be written.
        """
        return fetched(self.job.picture, self.folder / INPUTS) if self.job.picture else None


def asked_of(placed: Placed) -> Asked:
    """What is asked for, read without a model.

    Raises:
        MotionliftError: one of its kinds.
    """
    asked = asked_with(placed.job, aspect_of(placed.reference()), placed.picture())
    return replace(asked, weights=placed.where.weights)


def asked_with(job: Job, aspect: float | None, picture: Path | None = None) -> Asked:
    """What is asked for, of a reference whose width by height is known, and of a picture where there is one.

    Raises:
        MotionliftError: one of its kinds.
    """
    request = ask(job.method, job.settings, prompt=job.prompt, seed=job.seed, picture=picture)
    return Asked(request, job.frames, job.size, aspect=aspect)


def record_of(placed: Placed) -> Record:
    """The record of a job: what it cost, or the error that it ended with.

    A video that an earlier worker had finished, and was killed before that was recorded, is not made again.

    Raises:
        OutputError: nothing can be written, which is no fault of the job.
    """
    began = time.perf_counter()
    try:
        record = finished(placed) or _made(placed)
        if placed.store:
            _deliver(placed)
        return {**placed.stated, **_told(record)}
    except OutputError:
        raise
    except Exception as error:  # whatever a job ends with, the others go on
        seconds = round(time.perf_counter() - began, 3)
        return {**placed.stated, "error": told_of(error), "seconds": seconds, "versions": versions()}


def _deliver(placed: Placed) -> None:
    """Put a video and its record into the store.

    What is there of an earlier job goes first: beside the new record its video would pass for this job's, should this be cut off.

    Raises:
        OutputError: the store cannot be written.
    """
    withdraw(placed.files[placed.output])
    for local, place in placed.files.items():
        deliver(local, place)


def died(placed: Placed, reason: str) -> Record:
    """The record of a job whose process ended."""
    return {**placed.stated, "error": reason}


def finished(placed: Placed) -> dict[str, Any] | None:
    """The record of a job's video, where both are there and whole; None where it is still to be made."""
    told = _beside(placed)
    try:
        if told is None or not VIDEO.wrote(placed.output):
            return None
        is_whole = is_of(told, placed) and told["output"]["sha256"] == hash_of(placed.output).hex()
    except (OSError, KeyError, TypeError):
        return None
    return told if is_whole else None


def is_of_another(placed: Placed, but: Collection[str] = ()) -> bool:
    """Whether another job, or another command, wrote what is in the place of a job's video, as the record beside it says.

    A video without a record is one whose writing was cut off. ``but`` is as of :func:`is_of`.
    """
    told = _beside(placed)
    return told is not None and not is_of(told, placed, but)


def stored_record(placed: Placed) -> dict[str, Any]:
    """The record of the video that is whole in the store at a job's place; empty where it has none of ours.

    Raises:
        OutputError: the store cannot be read.
    """
    record, _ = placed.files.values()
    try:
        told = json.loads(text_of(record, MOST_RECORD) or "{}")
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) and isinstance(told.get("output"), dict) else {}


def is_of(told: dict[str, Any], placed: Placed, but: Collection[str] = ()) -> bool:
    """Whether the record of a video is of a job, or of one that differs from it only in what ``but`` names of what is stated."""
    stated = told.get(STATED)
    if not isinstance(stated, dict):
        return False
    one, other = ({name: value for name, value in each.items() if name not in but} for each in (stated, placed.stated))
    return one == other


def record_of_stored(placed: Placed, told: dict[str, Any]) -> Record:
    """A job's record, by that of its video in the store."""
    return {**placed.stated, **_told(told)}


def _beside(placed: Placed) -> dict[str, Any] | None:
    """The record beside a video; None where there is none of ours."""
    try:
        beside = companion(placed.output, ".json")
        return dict(json_of(beside)) if beside.is_file() and RECORD.wrote(beside) else None
    except (*FOREIGN, MotionliftError):
        return None


def _told(record: dict[str, Any]) -> Record:
    """What a job's record takes over from that of its video."""
    costs = {name: record[name] for name in COSTS if name in record}
    return {**costs, "sha256": record["output"].get("sha256"), "notices": record.get("notices", [])}


def _made(placed: Placed) -> dict[str, Any]:
    """Make a job's video; gives the record that is written beside it."""
    job = placed.job
    _make_folder(placed.output.parent)
    asked, holder, how = asked_of(placed), _held(job.model, placed.where), Lifting(part=job.part())
    is_first = holder.model is None
    if job.processes > 1 and is_first:
        _tuned_together(placed)  # before a model takes memory of its own
    prepared = holder.job(asked)
    if job.processes > 1 and not is_first and not is_kept(prepared, placed.reference(), how):
        _tuned_together(placed)
    video = transferred(prepared, placed.reference(), how)
    added = {"command": command_of(placed), "reference": job.reference, STATED: placed.stated}
    return video.save(placed.output, added)


def _make_folder(folder: Path) -> None:
    """On other machines than that of the batch nobody made it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another output") from error


@lru_cache(maxsize=1)
def _held(name: str, where: Where) -> Kept:
    """The model of a process: one at a time."""
    return Kept(name, where.memory, where.device, dtype=where.dtype)


def _tuned_together(placed: Placed) -> None:
    """Lift a job's motion by several processes, a GPU each, into the cache that all workers share.

    Raises:
        InputError: they ended with an error.
    """
    command = [*launching(placed.job.processes), "-m", "motionlift"]
    motion = placed.output.with_name(f".{placed.output.name}.safetensors")
    try:
        code, told = _ran([*command, *lifting_of(placed, motion)])
        if code:
            lines = [line for line in told.splitlines() if line.startswith("error:")] or ["it gave no reason"]
            raise InputError(f"{placed.job.processes} processes could not tune it: {lines[0][:MOST_TOLD]}")
    finally:
        motion.unlink(missing_ok=True)


def launching(processes: int) -> list[str]:
    """The command with which accelerate starts several processes of what comes after it.

    Left to itself it starts one where it sees no GPUs, or where its own configuration says so; and it has all of a machine talk by
    one port, which those of another worker may have taken.
    """
    launched = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", f"--num_processes={processes}"]
    return [*launched, "--num_machines=1", "--main_process_port=0", "--mixed_precision=no", "--dynamo_backend=no"]


def _ran(command: list[str]) -> tuple[int, str]:
    """Run a command; gives its exit code and its errors.

    Whatever ends this, a kill included, none of the processes that it started stays.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        with put_away([psutil.Process(process.pid)]):
            _, told = process.communicate()
    except BaseException:
        _ended(process)
        raise
    return process.returncode, told


def _ended(process: "subprocess.Popen[str]") -> None:
    """End a process and all that it started; each has a session of its own, which no signal to the first reaches."""
    with suppress(psutil.Error):
        own = psutil.Process(process.pid)
        every = [own, *own.children(recursive=True)]
        for each in every:
            with suppress(psutil.Error):
                each.terminate()
        for each in psutil.wait_procs(every, timeout=PATIENCE)[1]:
            with suppress(psutil.Error):
                each.kill()
    process.wait()


def lifting_of(placed: Placed, motion: Path) -> list[str]:
    """The arguments with which the motion of a job is lifted alone."""
    return ["lift", *_shared(placed), f"--output={motion}", "--overwrite", "--", str(placed.reference())]


def command_of(placed: Placed) -> list[str]:
    """The command that makes the video alone."""
    job = placed.job
    given = [f"--prompt={job.prompt}", f"--seed={job.seed}", *_shared(placed), f"--output={placed.output}"]
    given += [f"--picture={job.picture}"] if job.picture else []
    return ["motionlift", "transfer", *given, "--", job.reference]


def _shared(placed: Placed) -> list[str]:
    """Options of lifting and of making a video."""
    job, where = placed.job, placed.where
    given = {
        "method": job.method,
        "model": job.model,
        "frames": job.frames,
        "size": None if job.size is None else "{}x{}".format(*job.size),
        "start": job.start or None,
        "duration": job.duration,
        "crop": job.crop or None,
        "device": None if where.device == "auto" else where.device,
        "dtype": None if where.dtype == AUTO else where.dtype,
        "memory": where.memory,
        "weights": where.weights,
    }
    told = [f"--{name}={value}" for name, value in given.items() if value is not None]
    return told + [f"--set={name}={plain(value)}" for name, value in job.settings.items()]
