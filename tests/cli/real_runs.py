"""Real processes of the program: each run has a cache and a folder for temporary files, by which all that it starts is found."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from motionlift.jobs.batch import RECORDS
from motionlift.jobs.records import read_lines, read_records

ROOT = Path(__file__).parents[2]
JOBS = """
model: {model}
method: none
settings: {{steps: 2}}
jobs:
  - {{reference: {clips}/one.mp4, prompt: a red star on the blue field, output: "{{seed}}.mp4", seeds: {seeds}}}
"""
"""Jobs that take moments, each of another seed."""
WORDS = ("batch", "jobs.yaml", "--workers", "2", "--quiet")
RAY = ("--ray", "local")
PATIENCE = 300
"""Seconds that a run may take on a busy machine."""
SUFFIXES = {".mp4", ".json", ".jsonl"}
"""How all names in a folder of a batch of videos end."""


@dataclass(frozen=True)
class Place:
    """A folder where runs work, with what all their processes have in common."""

    folder: Path
    """Where they are called."""
    temporary: Path
    """For temporary files; its path is short, since sockets of Ray lie in it."""
    environment: dict[str, str]
    """Of all processes."""

    def started(self, *words: str) -> subprocess.Popen[str]:
        """A run that has begun."""
        return subprocess.Popen(
            [sys.executable, "-m", "motionlift", *words], cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def done(self, *words: str, code: int = 0) -> tuple[str, str]:
        """A run that has ended, with a code; gives what it said, and what it told on standard error."""
        with self.started(*words) as run:
            out, err = run.communicate(timeout=PATIENCE)
        assert run.returncode == code, err
        assert "Traceback" not in err
        return out, err

    def changed(self, **words: str) -> None:
        """Have all processes read ``tests/in_every_process`` first, with these words in their environment."""
        paths = [str(ROOT / "tests" / "in_every_process"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.environment.update(words, PYTHONPATH=os.pathsep.join(filter(None, paths)))

    def processes(self) -> list[psutil.Process]:
        """All that are at work for runs of this place."""
        return [process for process in psutil.process_iter() if process.pid != os.getpid() and self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        """Of those of Ray nobody can read the environment, in whose place they write their titles."""
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            own = process.environ().get("MOTIONLIFT_CACHE") == self.environment["MOTIONLIFT_CACHE"]
            return own or Path(process.cwd()) == self.folder
        except psutil.Error:
            return False

    def check_quiet(self, within: float = 60) -> None:
        """No process outlives what was run, once all had time to end."""
        until, left = time.monotonic() + within, self.processes()
        while left and time.monotonic() < until:
            time.sleep(0.1)
            left = self.processes()
        assert not left, [process.cmdline() for process in left]

    def check_clean(self) -> None:
        """Nothing is left of what is there only while a run works."""
        self.check_quiet()
        assert [*self.temporary.iterdir()] == []
        left = [path for path in self.folder.rglob("*") if path.suffix in (".tmp", ".lock", ".partial", ".part")]
        assert left == [] and not (Path(self.environment["MOTIONLIFT_CACHE"]) / "at-work").exists()


@contextmanager
def placed(folder: Path) -> Iterator[Place]:
    """A place below a folder."""
    own = (folder / "runs").resolve()
    own.mkdir()
    temporary = Path(tempfile.mkdtemp(prefix="runs-", dir="/tmp"))
    environment = {**os.environ, "MOTIONLIFT_CACHE": str(own / "cache"), "TMPDIR": str(temporary)}
    try:
        yield Place(own, temporary, environment)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def hashes(folder: Path) -> dict[str, str]:
    """Of every video of a batch, each of which has one record; nothing else is there."""
    lines = read_lines(folder / RECORDS)
    assert not lines.lost and not any("error" in record for record in lines.records)
    assert len({record["output"] for record in lines.records}) == len(lines.records), "each once"
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.mp4")}
    assert found == {record["output"]: record["sha256"] for record in lines.records}
    beside = {Path(name).with_suffix(".json").name for name in found}
    assert {path.name for path in folder.iterdir()} == {RECORDS, *found, *beside}, "nothing else stays"
    return found


def wait_for_records(folder: Path, count: int, run: subprocess.Popen[str]) -> None:
    """Wait until so many jobs of a run are recorded, while it is at work."""
    until = time.monotonic() + PATIENCE
    while len(read_records(folder / RECORDS)) < count:
        assert run.poll() is None and time.monotonic() < until, "it has jobs left"
        time.sleep(0.02)
    assert run.poll() is None, "it has jobs left"
