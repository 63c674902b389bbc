"""``motionlift batch --ray local``: what is killed and given again ends as if it was not."""

import hashlib
import importlib.util
import os
import signal
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
  - {{reference: {clips}/one.mp4, prompt: a red star on the blue field, output: "{{seed}}.mp4", seeds: [0, 1, 2, 3, 4, 5]}}
"""
WORDS = ("batch", "jobs.yaml", "-o", "out", "--ray", "local", "--workers", "1", "--quiet")
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


def run_until(folder: Path, count: int, strike: Callable[[subprocess.Popen[str]], None]) -> str:
    """Run the batch, and strike once so many jobs have their record; gives what it said at its end."""
    command = [sys.executable, "-m", "motionlift", *WORDS]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + PATIENCE
        while len(read_records(folder / "out" / RECORDS)) < count and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        strike(process)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode, "it has jobs left"
    return err


def cluster_dies(process: subprocess.Popen[str]) -> None:
    """Kill what holds the workers of this machine together."""
    for each in psutil.Process(process.pid).children(recursive=True):
        if each.name() == "raylet":
            each.kill()


def test_a_batch_on_ray_that_is_killed_ends_as_if_it_was_not(
    clips: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(JOBS.format(model=model, clips=clips), encoding="utf-8")
    assert run(["batch", "jobs.yaml", "-o", "alone", "--workers", "1", "--quiet"]) == 0
    run_until(tmp_path, 1, lambda process: process.send_signal(signal.SIGKILL))
    told = run_until(tmp_path, 3, cluster_dies)
    assert told.splitlines()[-1] == "error: the cluster is gone; what is done stays: run the same again to go on"
    assert "Traceback" not in told
    done = subprocess.run(
        [sys.executable, "-m", "motionlift", *WORDS], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "out") == hashes(tmp_path / "alone") and len(hashes(tmp_path / "out")) == 6


def test_a_cluster_that_is_not_there_is_refused(
    clips: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(JOBS.format(model=model, clips=clips), encoding="utf-8")
    assert "127.0.0.1:1" in refused(capsys, 1, "batch", "jobs.yaml", "--ray", "127.0.0.1:1")
