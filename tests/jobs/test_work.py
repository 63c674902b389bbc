"""What a worker does with a job that several processes tune."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from motionlift.jobs import work
from motionlift.jobs.batch import lay_out
from motionlift.jobs.job import Job
from motionlift.jobs.work import Placed, lifting_of
from motionlift.jobs.workers import GRACE
from tests.jobs.test_batch import GREEN, RED, Here, _nothing_stays_loaded, clips, model

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several processes on a CPU")
__all__ = ["_nothing_stays_loaded", "clips", "model"]


@pytest.fixture
def tuned(clips: Path, model: str) -> Job:
    """A job whose motion two processes tune."""
    settings = {"steps": 2, "tuning_steps": 2, "source_prompt": GREEN}
    return Job(str(clips / "0000.mp4"), RED, 0, "vmc", model, settings, "tuned.mp4", processes=2)


def test_a_motion_is_lifted_with_what_the_job_says(tuned: Job, tmp_path: Path):
    words = lifting_of(Placed(replace(tuned, frames=9, start=0.5), {}, tmp_path), tmp_path / "m.safetensors")
    assert words[0] == "lift" and words[-1] == tuned.reference
    wanted = {"--method=vmc", f"--model={tuned.model}", "--frames=9", "--start=0.5", "--set=tuning_steps=2"}
    assert wanted < {*words} and not [word for word in words if word.startswith(("--prompt", "--seed"))]


@pytest.mark.slow
def test_what_a_command_started_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Those of accelerate have sessions of their own."""
    sleeps = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    child = f"import subprocess, sys, time; subprocess.Popen({sleeps}, start_new_session=True)"
    command = [sys.executable, "-c", f"{child}; open('begun', 'w').close(); time.sleep(60)"]
    monkeypatch.chdir(tmp_path)
    before = {each.pid for each in psutil.Process().children(recursive=True)}
    communicate = subprocess.Popen.communicate

    def stopped(process: Any, *given: Any, **named: Any) -> Any:
        while not Path("begun").exists():
            time.sleep(0.01)
        monkeypatch.setattr(subprocess.Popen, "communicate", communicate)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", stopped)
    with pytest.raises(KeyboardInterrupt):
        work._ran(command)
    assert {each.pid for each in psutil.Process().children(recursive=True)} <= before


@pytest.mark.slow
def test_what_a_command_started_ends_with_a_worker_that_is_killed(tmp_path: Path):
    """Those of accelerate have sessions of their own, and nobody else would end them."""
    sleeps = "import time; time.sleep(300)"
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeps!r}], start_new_session=True); {sleeps}"
    worker = f"import sys; from motionlift.jobs import work; work._ran([sys.executable, '-c', {child!r}])"
    process = psutil.Popen([sys.executable, "-c", worker], cwd=tmp_path)
    until = time.monotonic() + 100
    while len(started := process.children(recursive=True)) < 3 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(started) == 3, "what it runs, what that runs, and what waits for its end"
    process.kill()
    process.wait()
    assert not psutil.wait_procs(started, 5 * GRACE)[1]


@pytest.mark.slow
def test_processes_are_not_started_for_a_motion_that_is_there(
    tuned: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of the jobs of one motion the first has it tuned; before that no model of the worker's takes memory."""
    models: list[Any] = []

    def together(placed: Placed) -> None:
        models.append(work._held(placed.job.model, placed.where).model)

    monkeypatch.setattr(work, "_tuned_together", together)
    own = [replace(tuned, seed=seed, output=f"{seed}.mp4") for seed in (0, 1)]
    other = replace(tuned, start=0.5, output="other.mp4")
    records = list(lay_out([*own, other], tmp_path / "out").done(Here()))
    assert not any("error" in record for record in records)
    assert models[0] is None and len(models) == 2, "for each motion once"


def test_what_a_command_says_is_told(tmp_path: Path):
    told = "import sys; print('error: no', file=sys.stderr); sys.exit(3)"
    assert work._ran([sys.executable, "-c", told]) == (3, "error: no\n")


def test_processes_that_tune_together_are_started_on_any_machine(
    tuned: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whatever accelerate sees or is configured for, and whoever else tunes on the machine."""
    commands: list[list[str]] = []
    monkeypatch.setattr(work, "_ran", lambda command: (commands.append(command), (0, ""))[1])
    work._tuned_together(Placed(tuned, {}, tmp_path))
    (command,) = commands
    assert {"--multi_gpu", "--num_processes=2", "--main_process_port=0"} <= {*command[: command.index("motionlift")]}


@pytest.mark.slow
def test_as_many_processes_are_started_as_the_job_says(tmp_path: Path):
    note = "import os; open(os.environ['RANK'] + ' of ' + os.environ['WORLD_SIZE'], 'w').close()"
    (tmp_path / "note.py").write_text(f"import os; os.chdir({str(tmp_path)!r}); {note}")
    assert work._ran([*work.launching(2), str(tmp_path / "note.py")])[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"0 of 2", "1 of 2", "note.py"}


@pytest.mark.slow
def test_two_processes_tune_a_motion_and_the_worker_casts_it(tuned: Job, tmp_path: Path):
    (record,) = lay_out([tuned], tmp_path / "out").done(Here())
    assert "error" not in record, record
    tune = [phase for phase in record["phases"] if phase["name"] == "tune"]
    assert not tune or tune[0]["passes"]["backward"] == 0, "it was found tuned"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["jobs.jsonl", "tuned.json", "tuned.mp4"]


@pytest.mark.slow
def test_what_they_end_with_is_the_reason_in_one_line(tuned: Job, tmp_path: Path):
    bad = replace(tuned, settings={name: value for name, value in tuned.settings.items() if name != "source_prompt"})
    (record,) = lay_out([bad], tmp_path).done(Here())
    assert record["error"].startswith("2 processes could not tune it: error: ")
    assert "the source prompt '' has no subject" in record["error"] and "\n" not in record["error"]
