"""``motionlift batch --ray local``: what is killed and given again ends as if it was not."""

import hashlib
import importlib.util
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from motionlift.cli.main import run
from motionlift.jobs.batch import RECORDS
from motionlift.jobs.records import read_records
from tests.cli.calls import refused

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
    # Not imported: what Ray is to leave unsaid is told to it in the environment before it is.
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]
JOBS = """
model: {model}
method: none
settings: {{steps: 2}}
jobs:
  - {{reference: {clips}/one.mp4, prompt: a red star on the blue field, output: "{{seed}}.mp4", seeds: {seeds}}}
"""
WORDS = ("batch", "jobs.yaml", "-o", "out", "--ray", "local", "--workers", "2", "--retry", "--quiet")
COUNT = 40
"""Jobs of the batch."""
STARTS = 10
"""Times that it is started and killed; in each a worker is killed before, which makes twenty moments."""
LATEST = 0.4
"""Seconds until a moment, at most, after a start's first job was done."""
PATIENCE = 300
"""Seconds that a run may take on a busy machine."""


def hashes(folder: Path) -> dict[str, str]:
    """Of every video of a batch, each of which has one record."""
    records = read_records(folder / RECORDS)
    assert len({record["output"] for record in records}) == len(records) and not any(
        "error" in each for each in records
    )
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.mp4")}
    assert found == {record["output"]: record["sha256"] for record in records}
    assert {path.suffix for path in folder.iterdir()} == {".mp4", ".json", ".jsonl"}, "nothing else stays"
    return found


def killed(folder: Path, generator: random.Random, strike: Callable[[psutil.Process], None]) -> str:
    """Run the batch; kill a worker at a moment after its first job is done, and strike at another.

    Gives what it said at its end.
    """
    records = folder / "out" / RECORDS
    before, until = len(read_records(records)), time.monotonic() + PATIENCE
    with subprocess.Popen(
        [sys.executable, "-m", "motionlift", *WORDS], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as run:
        while len(read_records(records)) <= before and run.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        driver = psutil.Process(run.pid)
        processes = driver.children(recursive=True)
        time.sleep(generator.uniform(0, LATEST))
        workers = [each for each in processes if each.name().startswith("ray::Hand")]
        generator.choice(workers).kill()
        time.sleep(generator.uniform(0, LATEST))
        assert run.poll() is None, "it has jobs left"
        strike(driver)
        _, err = run.communicate(timeout=PATIENCE)
    assert run.returncode, "it has jobs left"
    assert not psutil.wait_procs(processes, PATIENCE / 5)[1], "no process outlives it"
    return err


def cluster_dies(driver: psutil.Process) -> None:
    """Kill what holds the workers of this machine together."""
    for each in driver.children(recursive=True):
        if each.name() == "raylet":
            each.kill()


def test_a_batch_on_ray_that_is_killed_at_twenty_moments_ends_as_if_it_was_not(
    clips: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    jobs = JOBS.format(model=model, clips=clips, seeds=[*range(COUNT)])
    (tmp_path / "jobs.yaml").write_text(jobs, encoding="utf-8")
    assert run(["batch", "jobs.yaml", "-o", "alone", "--workers", "1", "--quiet"]) == 0
    generator = random.Random("ray")
    for number in range(STARTS):
        told = killed(tmp_path, generator, cluster_dies if number % 2 else psutil.Process.kill)
        assert "Traceback" not in told
        if number % 2:
            assert (
                told.splitlines()[-1] == "error: the cluster is gone; what is done stays: run the same again to go on"
            )
    done = subprocess.run(
        [sys.executable, "-m", "motionlift", *WORDS], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "out") == hashes(tmp_path / "alone") and len(hashes(tmp_path / "out")) == COUNT


def test_a_cluster_that_is_not_there_is_refused(
    clips: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(JOBS.format(model=model, clips=clips, seeds=[0]), encoding="utf-8")
    assert "127.0.0.1:1" in refused(capsys, 1, "batch", "jobs.yaml", "--ray", "127.0.0.1:1")
