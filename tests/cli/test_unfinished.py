"""A run that was killed is told by the next one of the same command, and by no other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionlift.cli import unfinished
from motionlift.cli.main import run
from motionlift.cli.terminal import COMMAND_LINE
from motionlift.motion import cache

COMMAND = ("motionlift", "lift", "a.mp4")
OTHER = """
import sys
from motionlift.cli.terminal import COMMAND_LINE
from motionlift.cli.unfinished import at_work
COMMAND_LINE.set(tuple(sys.argv[1:]))
with at_work():
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _asked() -> Iterator[None]:
    token = COMMAND_LINE.set(COMMAND)
    yield
    COMMAND_LINE.reset(token)


def other(*command: str) -> subprocess.Popen[str]:
    """Another process that is at work on a command."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", OTHER, *command], text=True, **pipes)
    assert process.stdout is not None and process.stdout.readline() == "in\n"
    return process


def killed(*command: str) -> None:
    process = other(*command)
    process.kill()
    process.communicate()


def told(capsys: pytest.CaptureFixture[str]) -> str:
    with unfinished.at_work():
        pass
    return capsys.readouterr().err


@pytest.mark.slow
def test_the_next_run_of_a_killed_one_says_so_once(capsys: pytest.CaptureFixture[str]):
    killed(*COMMAND)
    began = time.strftime("%Y-%m-%d")
    said = told(capsys)
    assert said.startswith(f"note: the last run of this command, begun {began}") and said.count("\n") == 1
    assert "ended without a word" in said and "fewer frames, a smaller model, or another device" in said
    assert told(capsys) == ""
    assert not cache.at_work().exists()


@pytest.mark.slow
def test_another_command_and_another_folder_are_not_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    killed("motionlift", "lift", "b.mp4")
    assert told(capsys) == ""
    killed(*COMMAND)
    monkeypatch.chdir(tmp_path)
    assert told(capsys) == ""


@pytest.mark.slow
def test_the_same_command_at_work_is_not_taken_for_dead(capsys: pytest.CaptureFixture[str]):
    process = other(*COMMAND)
    assert told(capsys) == ""
    assert list(cache.at_work().iterdir()), "and its word stays"
    process.communicate("")
    assert process.returncode == 0 and told(capsys) == ""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_ends_with_words_leaves_none(capsys: pytest.CaptureFixture[str], error: type[BaseException]):
    with pytest.raises(error), unfinished.at_work():
        raise error
    assert told(capsys) == ""


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "file"))
    assert told(capsys) == ""


def test_a_folder_that_is_gone_is_no_reason_to_fail(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert told(capsys) == ""


@pytest.mark.slow
def test_processes_beside_the_first_say_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    killed(*COMMAND)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert told(capsys) == ""
    monkeypatch.setenv("RANK", "0")
    assert told(capsys)


@pytest.mark.slow
def test_old_words_are_forgotten_and_the_cache_is_cleared_of_all():
    killed("motionlift", "lift", "b.mp4")
    killed("motionlift", "lift", "c.mp4")
    old, new = sorted(cache.at_work().iterdir())
    long_ago = time.time() - 15 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    with unfinished.at_work():
        assert not old.exists() and new.exists()
    assert run(["cache", "--clear"]) == 0
    assert not new.exists()


@pytest.mark.slow
def test_a_file_of_somebody_else_is_left_alone(capsys: pytest.CaptureFixture[str]):
    killed(*COMMAND)
    (word,) = cache.at_work().iterdir()
    word.write_text("a word of mine")
    assert told(capsys) == "" and run(["cache", "--clear"]) == 0
    assert word.read_text() == "a word of mine"


@pytest.mark.slow
def test_a_killed_lift_is_told_by_the_next(
    clips: Path, model: str, motion_cache: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["lift", str(clips / "one.mp4"), "--model", model, "--method", "none", "--steps", "2"]
    program = subprocess.Popen([sys.executable, "-m", "motionlift", *command])
    while not any(word.stat().st_size for word in motion_cache.glob("at-work/*")):
        assert program.poll() is None
        time.sleep(0.001)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert run(command) == 0
    assert "ended without a word" in capsys.readouterr().err
    Path("motion.safetensors").unlink()
    assert run(command) == 0
    assert "ended without a word" not in capsys.readouterr().err
