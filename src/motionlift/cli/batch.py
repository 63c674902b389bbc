"""``motionlift batch``: many videos, as a file of jobs asks for them or as clips arrive in a folder."""

import time
from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionlift.cli import given_files
from motionlift.cli.options import Device, Dtype, HeldWeights, Memory, OnRay, Overwrite, Quiet, whole
from motionlift.cli.terminal import notice
from motionlift.errors import InputError, MotionliftError, SettingError, staying

if TYPE_CHECKING:
    from motionlift.cli.progress import Live
    from motionlift.jobs.batch import Batch
    from motionlift.jobs.job import Contents, Job
    from motionlift.jobs.job_file import Jobs
    from motionlift.jobs.planning import Forecast
    from motionlift.jobs.runner import Pool
    from motionlift.jobs.watching import Arrived, Watch
    from motionlift.jobs.work import Where

EVERY = 1.0
"""Seconds between two looks at a folder that is watched (ours)."""


def batch(
    jobs: Annotated[
        Path | None,
        typer.Argument(
            metavar="[JOBS]",
            help="The jobs: YAML, a table (.csv) or lines of JSON (.jsonl); with --watch, jobs without a reference are made of "
            "every clip that arrives.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The folder of videos and records; by default the name of JOBS.", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            parser=whole(1, 64),
            help="Processes side by side, each with its model; by default one for each core up to four, and one with a GPU.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, with its memory and passes, and do nothing.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try what failed once more.")] = False,
    watch: Annotated[
        Path | None,
        typer.Option(
            "--watch",
            metavar="FOLDER",
            help="Take clips and job files as they arrive there, until Ctrl-C.",
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="ADDRESS",
            help="Put finished videos and their records there too, such as s3://bucket/night; what is there is done.",
            show_default=False,
        ),
    ] = None,
    ray: OnRay = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    memory: Memory = None,
    weights: HeldWeights = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Make many videos: what is done stays done, what fails is recorded, the same command goes on. Failed jobs: exit code 1."""
    if jobs is None and watch is None:
        raise SettingError("JOBS is lacking; give a job file, or --watch FOLDER")
    if dry_run and watch is not None:
        raise SettingError("--dry-run says what a job file would take; leave --watch out")
    if jobs is not None:
        given_files.check_job_file(jobs)
    if watch is not None and not watch.is_dir():
        raise InputError(f"--watch {str(watch)!r} is no folder; give one that is there")
    from motionlift.cli import unfinished
    from motionlift.cli.progress import Live
    from motionlift.jobs.batch import RECORDS
    from motionlift.jobs.job import Contents
    from motionlift.jobs.job_file import Jobs, read_jobs
    from motionlift.jobs.planning import forecast, needs
    from motionlift.jobs.pools import pool_of
    from motionlift.jobs.stores import check_address, check_store
    from motionlift.jobs.watching import Watch
    from motionlift.jobs.work import Where
    from motionlift.motion.lock import held

    if store is not None:
        check_address(store)
    contents = Contents()
    asked = Jobs(()) if jobs is None else read_jobs(jobs, watch is not None, contents)
    where = Where(device, dtype, memory, weights)
    folder = output or Path((jobs or watch or Path("batch")).stem)
    if watch is not None and folder.resolve() == watch.resolve():
        raise SettingError("--output and --watch are one folder; what is made would be taken for what arrives")
    if dry_run:
        _say_plans(partial(forecast, asked.jobs, folder, where, retry, store or "", overwrite, contents=contents))
        return
    looks = None if watch is None else Watch(watch)
    if store is not None:
        check_store(f"{store.rstrip('/')}/{RECORDS}")  # before anything is started
    needed = partial(needs, asked.jobs, folder, where, retry, store or "", overwrite, contents=contents)
    with (
        Live(quiet) as live,
        held(folder),
        pool_of(ray, workers, lambda has_gpus: needed(has_gpus=has_gpus)) as pool,
        unfinished.at_work("fewer --workers"),
    ):
        session = _Session(folder, where, retry, overwrite, store or "", pool, live, contents)
        failed = session.do(asked.jobs) if looks is None else session.watch(looks, asked)
    if failed:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Session:
    """Does jobs in a folder, and says how far it is."""

    folder: Path
    where: "Where"
    retry: bool
    overwrite: bool
    store: str
    pool: "Pool"
    live: "Live"
    contents: "Contents"
    tried: set[str] = field(default_factory=set)
    """Outputs of the jobs that were tried in this session: what fails is not tried again in every round of a watch."""

    def do(self, jobs: "tuple[Job, ...]", renew: bool = False) -> int:
        """Do what waits of jobs; gives how many failed, now or before, or were left out.

        Args:
            jobs: all of them.
            renew: as of :func:`motionlift.jobs.batch.lay_out`.

        Raises:
            MotionliftError: one of its kinds.
        """
        from motionlift.jobs.batch import lay_out

        again = (self.retry, self.contents, self.overwrite, self.store, self.tried, renew)
        laid = lay_out(jobs, self.folder, self.where, *again)
        if laid.lost:
            notice([f"lines of {laid.records} that were cut off, whose jobs are looked at anew: {laid.lost}"])
        failed = self._run(laid)
        done, there = len(laid.waiting), laid.count - len(laid.waiting) - len(laid.taken)
        print(f"did {done} of {laid.count} jobs, {there} were there; records in {laid.records}")
        advice = "(--retry tries them once more)"
        if failed:
            notice([f"{len(failed)} of them failed and were recorded so {advice}; the first: {failed[0]}"])
        if laid.failed:
            first = "{output}: {error}".format(**laid.failed[0])
            notice([f"{len(laid.failed)} of those before had failed {advice}; the first: {first}"])
        if laid.taken:
            first = f"{laid.taken[0].job.place}, {laid.taken[0].output}"
            told = "whose output is there and is of another job (--overwrite makes it anew)"
            notice([f"{len(laid.taken)} were left out, {told}; the first: {first}"])
        return len(failed) + len(laid.failed) + len(laid.taken)

    def _run(self, laid: "Batch") -> list[str]:
        """Do what waits, saying how far it is; gives the errors."""
        failed: list[str] = []
        before, number = laid.count - len(laid.waiting), 0
        told = f"of {laid.count} jobs stay in {laid.records.parent}; the same command goes on from there"
        if laid.waiting:
            self.live.counting(f"{len(laid.waiting)} jobs of {laid.motions()} motions", before, laid.count)
        with staying(lambda: f"{before + number} {told}"):
            for number, record in enumerate(laid.done(self.pool), 1):
                title = record["output"]
                self.tried.add(title)
                if "error" in record:
                    failed.append(f"{title}: {record['error']}")
                self.live.counted(failed[-1] if "error" in record else title, before + number, laid.count)
        return failed

    def watch(self, looks: "Watch", asked: "Jobs") -> int:
        """Take what arrives, round after round, until it is stopped."""
        taken, told = None, set[str]()
        self.live.line("watching; Ctrl-C ends it, and the same command goes on")
        with staying(lambda: f"what is done stays in {self.folder}; the same command goes on from there"):
            while True:
                arrived = looks.look()
                if arrived.files != taken:
                    jobs, refused = self._arrived(asked, arrived, looks)
                    gone = self._round(jobs)
                    taken = None if gone else arrived.files  # what is left out then is found by the next look
                    lines = [*refused, *gone]
                    notice([line for line in lines if line not in told])
                    told.update(lines)
                time.sleep(EVERY)

    def _arrived(self, asked: "Jobs", arrived: "Arrived", looks: "Watch") -> "tuple[tuple[Job, ...], list[str]]":
        """All jobs that there are by now whose references are whole, and what is to be said of what is left out."""
        from motionlift.jobs.job import Job
        from motionlift.jobs.job_file import check_outputs, for_clips, read_jobs

        def of(path: Path) -> "tuple[Job, ...]":
            return (
                for_clips(asked.templates, [path])
                if path in arrived.clips
                else read_jobs(path, contents=self.contents).jobs
            )

        found, refused, taken, wanted = list[Job](), list[str](), dict[str, Job](), [*asked.jobs]
        check_outputs(asked.jobs, taken)
        for job in asked.jobs:
            try:
                found += self._whole([job], looks)
            except MotionliftError as error:
                refused.append(f"{job.output} is left out: {error}")
        for path in (*(arrived.clips if asked.templates else ()), *arrived.job_files):
            try:
                own, new = of(path), dict[str, Job]()
                wanted += own
                check_outputs(own, ChainMap(new, taken))
                found += self._whole(own, looks)
                taken |= new
            except MotionliftError as error:
                refused.append(f"{path.name} is left out: {error}")
        looks.keep(place for job in wanted for place in job.places)
        if arrived.clips and not asked.templates:
            refused.append(
                "clips arrived, and no job file says what is to be made of them: give JOBS, with jobs without a reference"
            )
        return tuple(found), refused

    def _whole(self, jobs: "Sequence[Job]", looks: "Watch") -> "list[Job]":
        """Those of some jobs whose references and pictures are no longer being written.

        Raises:
            MotionliftError: one of them cannot be done, as :func:`motionlift.jobs.batch.check_job` says.
        """
        from motionlift.jobs.batch import check_job

        still = {place: looks.is_still(place) for job in jobs for place in job.places}  # each is looked at from now on
        whole = [job for job in jobs if all(still[place] for place in job.places)]
        for job in whole:
            check_job(job, self.folder, self.contents, self.store)
        return whole

    def _round(self, jobs: "tuple[Job, ...]") -> list[str]:
        """Do what waits of jobs, where there are any; what is said where a clip is gone meanwhile, and the round with it."""
        try:
            if jobs:
                self.do(jobs, renew=True)
        except InputError as error:
            return [str(error)]
        return []


def _say_plans(foreseen: "Callable[[], Forecast]") -> None:
    """Print what would run: of each kind of job how many, at what size, and what one takes.

    Raises:
        InputError: some of it cannot run, which is said.
    """
    from motionlift.work.memory import told

    found = foreseen()
    for each in found.kinds:
        head = f"{each.model}, {each.method}: {each.jobs} jobs of {each.motions} motions"
        if each.plan is None:
            continue
        need, passes = told(each.plan.need(each.plan.largest)), each.plan.passes
        took = "" if each.seconds is None else f"; all about {each.seconds:.0f} seconds, as measured here before"
        print(
            f"{head}, {each.plan.shape}; of one {passes.forward} passes forward and {passes.backward} back, {need}{took}"
        )
    left, rest = found.taken, found.count - found.waiting - found.taken
    others = f", {left} would be left out: their output is there and is of another job (--overwrite)" if left else ""
    print(f"{found.waiting} of {found.count} jobs would run, {rest} are done or failed{others}")
    unfit = [f"{each.model}, {each.method}, {each.jobs} jobs: {each.reason}" for each in found.kinds if each.reason]
    notice(unfit)
    if unfit:
        raise InputError("not all of it can run, as said above")
