"""``motionlift batch --ray local``: what is killed and given again ends as if it was not."""

import hashlib
import importlib.util
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from motionlift.bench import cells
from motionlift.jobs.batch import RECORDS
from motionlift.jobs.ray_pool import FOLDER
from motionlift.jobs.records import read_records
from tests.cli.calls import refused
from tests.cli.real_runs import JOBS, PATIENCE, RAY, Place, hashes, wait_for_records

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
    # Not imported: what Ray is to leave unsaid is told to it in the environment before it is.
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]
WORDS = ("batch", "jobs.yaml", "-o", "out", "--workers", "2", "--retry", "--quiet", *RAY)
BENCH = """
models: [{model}]
methods: [none, moft]
references:
  - folder: {{path: {clips}, prompts: ["a red star on the blue field"]}}
seeds: [0]
metrics: [motion_fidelity]
output: here
"""
COUNT = 40
"""Jobs of the batch."""
STARTS = 10
"""Times that it is started and killed; in each a worker is killed before, which makes twenty moments."""
LATEST = 0.4
"""Seconds until a moment, at most, after a start's first job was done."""


def killed(place: Place, generator: random.Random, strike: Callable[[psutil.Process], None]) -> str:
    """Run the batch; kill a worker at a moment after its first job is done, and strike at another.

    Gives what it said at its end.
    """
    out = place.folder / "out"
    before = len(read_records(out / RECORDS))
    with place.started(*WORDS) as run:
        wait_for_records(out, before + 1, run)
        time.sleep(generator.uniform(0, LATEST))
        workers = [process for process in place.processes() if is_worker(process)]
        assert workers and len([*place.temporary.glob(f"{FOLDER}*")]) == 1
        generator.choice(workers).kill()
        time.sleep(generator.uniform(0, LATEST))
        assert run.poll() is None, "it has jobs left"
        strike(psutil.Process(run.pid))
        _, err = run.communicate(timeout=PATIENCE)
    assert run.returncode, "it has jobs left"
    place.check_quiet()
    return err


def is_worker(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("ray::Hand")
    except psutil.Error:
        return False


def cluster_dies(driver: psutil.Process) -> None:
    """Kill what holds the workers of this machine together."""
    for each in driver.children(recursive=True):
        if each.name() == "raylet":
            each.kill()


def test_a_batch_on_ray_that_is_killed_at_twenty_moments_ends_as_if_it_was_not(clips: Path, model: str, place: Place):
    jobs = JOBS.format(model=model, clips=clips, seeds=[*range(COUNT)])
    (place.folder / "jobs.yaml").write_text(jobs, encoding="utf-8")
    place.done("batch", "jobs.yaml", "-o", "alone", "--workers", "1", "--quiet")
    generator = random.Random("ray")
    for number in range(STARTS):
        told = killed(place, generator, cluster_dies if number % 2 else psutil.Process.kill)
        assert "Traceback" not in told
        if number % 2:
            assert (
                told.splitlines()[-1] == "error: the cluster is gone; what is done stays: run the same again to go on"
            )
    place.done(*WORDS)
    assert hashes(place.folder / "out") == hashes(place.folder / "alone")
    assert len(hashes(place.folder / "out")) == COUNT
    place.check_clean()


def test_a_benchmark_on_ray_measures_what_it_does_without(clips: Path, model: str, place: Place):
    few = place.folder / "clips"
    few.mkdir()
    (few / "one.mp4").symlink_to(clips / "one.mp4")
    (place.folder / "run.yaml").write_text(BENCH.format(model=model, clips=few), encoding="utf-8")
    place.done("bench", "run.yaml", "--jobs", "1", "--quiet")
    place.done("bench", "run.yaml", "--jobs", "2", "-o", "there", "--quiet", *RAY)
    here, there = measured(place.folder / "here"), measured(place.folder / "there")
    assert here == there and len(here) == 2
    place.check_clean()


def measured(folder: Path) -> dict[str, tuple[dict[str, float], str]]:
    """Figures, and the video's hash, of each method, which has one record."""
    records = read_records(folder / cells.RECORDS)
    found = {
        record["method"]: (record["figures"], hashlib.sha256((folder / record["video"]).read_bytes()).hexdigest())
        for record in records
    }
    assert len(found) == len(records) and all(figures for figures, _ in found.values())
    return found


def test_a_cluster_that_is_not_there_is_refused(
    clips: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(JOBS.format(model=model, clips=clips, seeds=[0]), encoding="utf-8")
    assert "127.0.0.1:1" in refused(capsys, 1, "batch", "jobs.yaml", "--ray", "127.0.0.1:1")
