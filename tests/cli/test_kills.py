"""Runs are stopped and killed at moments drawn by a seed, and given again: the results are those of a run that was left alone."""

import contextlib
import csv
import hashlib
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from motionlift.cli.main import main
from motionlift.cli.stopping import Stopping
from motionlift.jobs.records import read_records
from motionlift.loops.interrupts import STOPPING
from motionlift.motion.cache import TAG
from motionlift.motion.file import Motion
from motionlift.video import writing

pytestmark = pytest.mark.slow
SIGNALS = (*STOPPING, signal.SIGKILL)
LATEST = 0.9
"""Share of the time of a run that is left alone, up to which it is killed."""
MOST_WRITES = 4
"""Writes of a file, of which one is the moment of a kill."""
PRELOADED = ("motionlift.cli.app", "motionlift.work.cast", "motionlift.loops.tuning", "tests.twins")
PATIENCE = 300
"""Seconds that a run may take on a busy machine."""
BENCH = """
models: [{model}]
methods: [none, moft]
references:
  - folder: {{path: {clips}, prompts: ["a red star on the blue field"]}}
seeds: [0, 1]
metrics: [motion_fidelity]
output: bench
"""
BATCH = """
model: {model}
method: none
settings: {{steps: 2}}
jobs:
  - {{reference: "{clips}/*.mp4", prompt: "a red star on the blue field", output: "{{reference}}-{{seed}}.mp4", seeds: {seeds}}}
"""
BATCH_KILLS = 4
"""Kills of the program, and as many of one of its workers, in a batch of 40 jobs; a cluster is killed more often elsewhere."""


@dataclass(frozen=True)
class Command:
    """What is run, and what is looked at then."""

    words: Sequence[str]
    """Its words."""
    result: Callable[[], object]
    """What it made, in the folder where it was run."""


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Processes that have what takes long to import, so that they are killed at their work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


@pytest.fixture(scope="module")
def commands(clips: Path, model: str, motion: Path) -> dict[str, Command]:
    # Killed once its files were written, it is to write them again.
    reference, twin = str(clips / "one.mp4"), ["--model", model, "--overwrite"]
    told = [
        "--source-prompt",
        "a blue ring on the field",
        "--set",
        "tuning_steps=120",
        "--run",
        "run",
        "--previews",
        "2",
    ]
    return {
        "lift": Command(["lift", reference, *twin, "--steps", "40", "--set", "inversion=true"], lifted),
        "cast": Command(["cast", str(motion), "--prompt", "a red star", *twin, "--steps", "30"], cast),
        "tune": Command(["lift", reference, *twin, "--method", "vmc", "--steps", "4", *told], tuned),
        "tune and cast": Command(["transfer", reference, *twin, "--method", "vmc", "--steps", "4", "--prompt", "a red star",
                                  *told[:4]], cast),
    }  # fmt: skip


def lifted() -> str:
    return Motion.load("motion.safetensors").digest()


def cast() -> str:
    return hashlib.sha256(Path("out.mp4").read_bytes()).hexdigest()


def tuned() -> object:
    with Path("run/loss.csv").open(newline="") as file:
        losses = [(row["step"], row["loss"]) for row in csv.DictReader(file)]
    return lifted(), losses, sorted(path.name for path in Path("run").rglob("*.png"))


def measured() -> dict[str, object]:
    """Figures and the videos' hashes of each cell, which has one record."""
    found = {}
    for record in read_records(Path("bench/records.jsonl")):
        assert "error" not in record, record["error"]
        name = str([record[word] for word in ("method", "reference", "seed")])
        assert name not in found, "each once"
        found[name] = record["figures"], hashlib.sha256(Path("bench", record["video"]).read_bytes()).hexdigest()
    return found


def program(words: Sequence[str], folder: Path, cache: Path) -> None:
    """The program in a process of its own, whose standard error goes to a file."""
    os.environ["MOTIONLIFT_CACHE"] = str(cache)
    os.chdir(folder)
    sys.argv = ["motionlift", *words]
    for stream, name in ((1, "said"), (2, "told")):
        os.dup2(os.open(cache.with_name(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    listen, named = Stopping.listen, writing._beside

    def listened(stopping: Stopping) -> None:
        listen(stopping)
        cache.with_name("begun").touch()

    def counted(target: Path) -> Path:
        with cache.with_name("writes").open("ab") as file:
            file.write(b".")
        return named(target)

    Stopping.listen, writing._beside = listened, counted
    main()


@dataclass
class Trial:
    """A folder of one trial, with a cache of its own, and the command that is run in it."""

    processes: multiprocessing.context.ForkServerContext
    place: Path
    words: Sequence[str]

    def __post_init__(self) -> None:
        self.folder, self.cache = self.place / "here", self.place / "cache"
        self.folder.mkdir(parents=True)

    def started(self) -> ForkServerProcess:
        for name in ("begun", "writes"):
            (self.place / name).unlink(missing_ok=True)
        process = self.processes.Process(target=program, args=(self.words, self.folder, self.cache))
        process.start()
        return process

    def whole(self) -> float:
        """Run it to its end; seconds from when it listens to signals."""
        last_was_killed = any(path.read_text() for path in self.cache.glob("at-work/*"))
        process = self.started()
        process.join(PATIENCE)
        assert process.exitcode == 0, self.told()
        assert ("ended without a word" in self.told()) == last_was_killed
        return time.time() - (self.place / "begun").stat().st_mtime

    def killed(self, number: signal.Signals, ready: Callable[[], object]) -> bool:
        """Kill it at a moment; whether it was still at work then."""
        process = self.started()
        until = time.monotonic() + PATIENCE
        while process.is_alive() and not ((self.place / "begun").exists() and ready()):
            assert time.monotonic() < until, "it is never ready"
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid or 0, number)
        process.join(PATIENCE)
        if process.exitcode == 0:
            return False
        self.check_end(process.exitcode, number)
        return True

    def check_end(self, code: int | None, number: signal.Signals) -> None:
        """Its exit code, its one line, and what it left."""
        assert not orphans(self.cache), "no process outlives it"
        told = self.told()
        if number == signal.SIGKILL:
            assert code == -number
            return
        assert code == 128 + number, told
        (line,) = [line for line in told.splitlines() if not line.startswith("note: ")][-1:]
        assert line.startswith("error: stopped") and "Traceback" not in told
        assert self.temporary() == []

    def check_clean(self) -> None:
        """Nothing is left of what is there only while it works."""
        assert self.temporary() == []
        assert not list(self.place.rglob("*.lock")) and not (self.cache / "at-work").exists()
        runs = self.cache / "runs"
        assert not runs.exists() or [path.name for path in runs.iterdir()] == [TAG], (
            "a finished run leaves no checkpoint in the cache"
        )

    def told(self) -> str:
        return (self.place / "told").read_text()

    def writes(self) -> int:
        """How many files it began to write."""
        return (self.place / "writes").stat().st_size if (self.place / "writes").exists() else 0

    def temporary(self) -> list[Path]:
        found = [
            Path(folder, name) for folder, _, names in os.walk(self.place) for name in names
        ]  # folders come and go
        return [path for path in found if path.suffix in (".tmp", ".partial")]

    @contextlib.contextmanager
    def within(self) -> Iterator[None]:
        with contextlib.chdir(self.folder):
            yield


def orphans(cache: Path) -> list[int]:
    """Processes that were started with the cache of a trial, once they had time to end."""
    until, found = time.monotonic() + 20, [0]
    while found and time.monotonic() < until:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"MOTIONLIFT_CACHE={cache}".encode() in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
        time.sleep(0.1 if found else 0)
    return found


def after(seconds: float) -> Callable[[], bool]:
    """Ready when so much time is over since it was first asked."""
    began: list[float] = []

    def ready() -> bool:
        if not began:
            began.append(time.perf_counter())
        time.sleep(0.001)
        return time.perf_counter() - began[0] >= seconds

    return ready


def at_write(trial: Trial, nth: int) -> Callable[[], bool]:
    """Ready when the so-manieth file is begun to be written."""
    return lambda: trial.writes() >= nth


@pytest.mark.parametrize("name", ["lift", "cast", "tune", "tune and cast"])
def test_what_is_killed_and_given_again_ends_as_if_it_was_not(
    processes: multiprocessing.context.ForkServerContext, commands: dict[str, Command], name: str, tmp_path: Path
):
    command, generator = commands[name], random.Random(name)
    alone = Trial(processes, tmp_path / "alone", command.words)
    alone.whole()
    with alone.within():
        expected = command.result()
    timed = Trial(processes, tmp_path / "timed", command.words)
    seconds = timed.whole()  # the first also loaded what all load once
    most, kills = min(timed.writes(), MOST_WRITES), 0
    for number in SIGNALS:
        trial = Trial(processes, tmp_path / number.name, command.words)
        kills += trial.killed(number, after(generator.uniform(0, LATEST) * seconds))
        kills += trial.killed(number, at_write(trial, generator.randint(1, most)))
        trial.whole()
        trial.check_clean()
        with trial.within():
            assert command.result() == expected
    assert kills >= len(SIGNALS), "most were killed at work"


def test_a_bench_that_is_killed_ends_as_if_it_was_not(
    processes: multiprocessing.context.ForkServerContext, clips: Path, model: str, tmp_path: Path
):
    words = ["bench", "run.yaml", "--jobs", "2"]
    trials = {name: Trial(processes, tmp_path / name, words) for name in ("alone", "killed")}
    few = tmp_path / "clips"
    few.mkdir()
    for name in ("one.mp4", "two.mp4"):
        (few / name).symlink_to(clips / name)
    for trial in trials.values():
        (trial.folder / "run.yaml").write_text(BENCH.format(model=model, clips=few))
    trials["alone"].whole()
    with trials["alone"].within():
        expected = measured()
    assert len(expected) == 8
    generator, killed = random.Random("bench"), trials["killed"]
    records = killed.folder / "bench" / "records.jsonl"
    for number in (signal.SIGTERM, signal.SIGKILL):
        before = len(read_records(records))
        moment = after(0)

        def ready(before: int = before, delay: float = generator.uniform(0, 0.3)) -> bool:
            nonlocal moment
            if len(read_records(records)) < before + 2:
                moment = after(delay)
                return False
            return moment()

        assert killed.killed(number, ready), "it has cells left"
        assert len(read_records(records)) >= before + 2, "finished cells stay"
    killed.whole()
    killed.check_clean()
    with killed.within():
        assert measured() == expected


def made() -> dict[str, str]:
    """The hash of each job's video, which has one record."""
    records = read_records(Path("out/jobs.jsonl"))
    assert len({record["output"] for record in records}) == len(records), "each once"
    assert {record.get("error", "") for record in records} == {""}
    found = {
        record["output"]: hashlib.sha256(Path("out", record["output"]).read_bytes()).hexdigest() for record in records
    }
    assert found == {record["output"]: record["sha256"] for record in records}
    assert {path.name for path in Path("out").iterdir()} == {
        "jobs.jsonl",
        *found,
        *(f"{name.removesuffix('mp4')}json" for name in found),
    }
    return found


def test_a_batch_that_is_killed_and_whose_workers_are_ends_as_if_nothing_was(
    processes: multiprocessing.context.ForkServerContext, clips: Path, model: str, tmp_path: Path
):
    """Each time a worker dies, and then the program, and again."""
    words = ["batch", "jobs.yaml", "-o", "out", "--workers", "2", "--retry"]
    trials = {name: Trial(processes, tmp_path / name, words) for name in ("alone", "killed")}
    few = tmp_path / "clips"
    few.mkdir()
    for name in ("one.mp4", "two.mp4"):
        (few / name).symlink_to(clips / name)
    for trial in trials.values():
        (trial.folder / "jobs.yaml").write_text(BATCH.format(model=model, clips=few, seeds=[*range(20)]))
    trials["alone"].whole()
    with trials["alone"].within():
        expected = made()
    assert len(expected) == 40
    generator, killed = random.Random("batch"), trials["killed"]
    for _ in range(BATCH_KILLS):
        assert killed.killed(signal.SIGKILL, worker_dies_first(killed, generator)), "it has jobs left"
    killed.whole()
    killed.check_clean()
    with killed.within():
        assert made() == expected


def worker_dies_first(trial: Trial, generator: random.Random) -> Callable[[], bool]:
    """Ready some time after a worker was killed, which is some time after the first job of this start was recorded."""
    records = trial.folder / "out" / "jobs.jsonl"
    before, moments = len(read_records(records)), [after(generator.uniform(0, 0.5)) for _ in range(2)]
    struck: list[int] = []

    def ready() -> bool:
        if len(read_records(records)) <= before:
            time.sleep(0.01)
            return False
        if not struck and moments[0]():
            workers = working(trial.cache)
            struck.extend(generator.sample(workers, 1) if workers else [])
            for each in struck:
                os.kill(each, signal.SIGKILL)
        return bool(struck) and moments[1]()

    return ready


def working(cache: Path) -> list[int]:
    """The workers of a trial: spawned processes that have its cache."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_ours = f"MOTIONLIFT_CACHE={cache}".encode() in (each / "environ").read_bytes().split(b"\0")
            if is_ours and b"spawn_main" in (each / "cmdline").read_bytes():
                found.append(int(each.name))
    return sorted(found)
