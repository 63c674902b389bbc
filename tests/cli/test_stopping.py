"""Signals that stop the program: it keeps what there is, leaves nothing half written, and says both in one line."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open

from motionlift.cli.main import run
from motionlift.loops.interrupts import STOPPING
from motionlift.loops.tune import CHECKPOINT_EVERY
from motionlift.motion.file import Motion
from tests.cli.calls import PROMPT, left_behind, without_phases

TOLD = ("--source-prompt", "a blue ring on the field", "--steps", "2")
BY = {signal.SIGINT: "", signal.SIGTERM: " by SIGTERM", signal.SIGHUP: " by SIGHUP"}
"""How a stop is told."""


def started(command: list[str], ready: Callable[[], object], *before: str) -> subprocess.Popen[str]:
    """A program, once it is ready for a signal."""
    program = subprocess.Popen(
        [*before, sys.executable, "-m", "motionlift", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait(program, ready)
    return program


def wait(program: subprocess.Popen[str], ready: Callable[[], object]) -> None:
    until = time.monotonic() + 300
    while not ready():
        assert program.poll() is None, program.communicate()
        assert time.monotonic() < until, "it is never ready"
        time.sleep(0.05)


def ended(program: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Exit code and what was told, of a program that gets a signal."""
    try:
        program.send_signal(number)
        out, err = program.communicate(timeout=300)
    finally:
        program.kill()
    return program.returncode, out, without_phases(err)


def tuning(clips: Path, model: str, steps: int, previews: int = 0) -> list[str]:
    told = [*TOLD, "--set", f"tuning_steps={steps}", "--previews", str(previews)]
    return ["lift", str(clips / "one.mp4"), "--method", "vmc", "--model", model, *told, "--run", "run"]


@pytest.mark.slow
def test_a_stopped_transfer_leaves_nothing_but_the_cached_motion(clips: Path, model: str, motion_cache: Path):
    command = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, "--steps", "1000"]
    program = started(command, lambda: list(motion_cache.glob("motions/*.safetensors")))
    time.sleep(0.5)  # until it casts
    code, out, err = ended(program, signal.SIGINT)
    stays = "nothing was written, but the lifted motion stays in the cache; the same command goes on from there"
    assert (code, out, err) == (130, "", f"error: stopped; {stays}\n")
    assert left_behind() == [] and left_behind(str(motion_cache)) == ["motions"]


HEARD = """
import os, signal, sys
from motionlift.cli.stopping import Stopping
stopping = Stopping()
stopping.listen()
"""
IN_EXEC = """
try:
    exec("os.kill(os.getpid(), signal.SIGTERM); [None for _ in range(1000)]")
except KeyboardInterrupt:
    stopping.ignore()
    sys.exit(143)
"""
IN_DELETION = """
class Deleted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
Deleted()
stopping.ignore()
sys.exit(143 if stopping.first is signal.SIGTERM else 1)
"""


@pytest.mark.parametrize("script", [IN_EXEC, IN_DELETION])
def test_a_signal_that_comes_where_python_runs_text_or_deletes_objects_is_as_any_other(tmp_path: Path, script: str):
    (tmp_path / "stopped.py").write_text(HEARD + script)
    command = [sys.executable, "-m", "stopped"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")


@pytest.mark.slow
def test_before_anything_is_kept_nothing_is_promised(clips: Path, model: str, motion_cache: Path):
    inverted = ["--steps", "1000", "--set", "inversion=true"]
    command = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *inverted]
    program = started(command, lambda: any(word.stat().st_size for word in motion_cache.glob("at-work/*")))
    assert ended(program, signal.SIGTERM) == (143, "", "error: stopped by SIGTERM; nothing was written\n")
    assert left_behind() == [] == left_behind(str(motion_cache))


def kept() -> int:
    """Steps of the checkpoint in the run's folder, and rows of its losses."""
    with safe_open("run/checkpoint.safetensors", framework="pt") as file:
        steps = json.loads(file.metadata()["step"])
    assert steps == len(Path("run/loss.csv").read_text().splitlines()) - 1
    return steps


LONG, FIRST_PREVIEW = {"steps": 1000, "previews": 100}, Path("run/previews/000010.png")
"""A run whose first preview comes long before its first checkpoint."""


SLOWLY = [pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGINT, signal.SIGHUP)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, *SLOWLY])
def test_a_stopped_tuning_run_keeps_every_step(clips: Path, model: str, number: signal.Signals):
    program = started(tuning(clips, model, **LONG), FIRST_PREVIEW.is_file)
    stays = "what was tuned so far stays in run; the same command goes on from there"
    assert ended(program, number) == (128 + number, "", f"error: stopped{BY[number]}; {stays}\n")
    assert left_behind() == ["run"] and 10 <= kept() < CHECKPOINT_EVERY


@pytest.mark.slow
def test_what_is_ignored_from_the_start_stays_ignored(clips: Path, model: str):
    program = started(tuning(clips, model, 150), Path("run/checkpoint.safetensors").is_file, "nohup")
    code, _, err = ended(program, signal.SIGHUP)
    assert code == 0, err
    assert Motion.load("motion.safetensors").settings["tuning_steps"] == 150


@pytest.mark.slow
def test_a_terminal_that_is_closed(clips: Path, model: str):
    """What cannot be said any more is no error that hides the stop."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-m", "motionlift", *tuning(clips, model, **LONG)])
    until = time.monotonic() + 300
    while not FIRST_PREVIEW.is_file() and time.monotonic() < until:
        time.sleep(0.05)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert left_behind() == ["run"] and 10 <= kept() < CHECKPOINT_EVERY


@pytest.mark.slow
def test_called_from_python_it_installs_no_handlers(clips: Path, model: str):
    before = [signal.getsignal(number) for number in STOPPING]
    assert run(tuning(clips, model, 1)) == 0
    assert [signal.getsignal(number) for number in STOPPING] == before
