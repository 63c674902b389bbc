"""The command line as a program: usage, pipes, and what it says when it is stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import motionlift.cli.listing
import motionlift.demo
import motionlift.motion.cache
import motionlift.world.truth
from motionlift.cli.main import run
from motionlift.cli.stopping import Stopping
from motionlift.errors import MotionError, Stopped
from tests.cli.calls import PROMPT, refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["transfr"], ["transfr", "see motionlift --help"]),
        (["transfer"], ["Missing", "see motionlift transfer --help"]),
        (["transfer", "a.mp4"], ["--prompt", "see motionlift transfer --help"]),
        (["transfer", "a.mp4", "--promt", "x"], ["--promt", "--prompt"]),
        (["transfer", "a.mp4", "--prompt", "x", "--seed", "-1"], ["--seed", "-1"]),
        (["transfer", "a.mp4", "--prompt", "x", "--frames", "one"], ["--frames", "'one'"]),
        (["transfer", "a.mp4", "--prompt", "x", "--frames", "1"], ["--frames", "1", "10000"]),
        (["transfer", "a.mp4", "--set"], ["--set", "see motionlift transfer --help"]),
        (["world", "a", "--count", "0"], ["--count", "0", "10000"]),
        (["world", "a", "--frames", "20000"], ["--frames", "20000", "10000"]),
        (["transfer", "a.mp4", "--prompt", "x", "--fps", "0"], ["--fps", "'0'", "0.1", "240"]),
        (["lift", "a.mp4", "--fps", "nan"], ["--fps", "nan", "0.1", "240"]),
        (["world", "a", "--size", "8"], ["--size", "8", "16", "512"]),
        (["cast", "a", "b", "--prompt", "x"], ["b", "see motionlift cast --help"]),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]):
    told = refused(capsys, 2, *arguments)
    assert all(word in told for word in words), told


@pytest.mark.parametrize("name", ["-dash.mp4", "--dash.mp4"])
def test_a_file_whose_name_begins_with_a_dash_is_no_option(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert "No such option" in refused(capsys, 2, "inspect", name)
    Path(name).touch()
    assert f"(for the file, give ./{name}); see motionlift inspect --help" in refused(capsys, 2, "inspect", name)


@pytest.mark.slow
def test_as_a_program_it_prints_one_line_and_no_traceback():
    told = subprocess.run(
        [sys.executable, "-m", "motionlift", "transfer", "no\nsuch\x1b.mp4", "--prompt", PROMPT],
        capture_output=True,
        text=True,
    )
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "error: no such?.mp4 does not exist; give a video file\n"


def test_a_closed_pipe_is_no_fuss():
    reading, writing = os.pipe()
    os.close(reading)
    told = subprocess.run([sys.executable, "-m", "motionlift", "--version"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert told.stderr == b""
    assert told.returncode == 1


STOPS = {
    "alone": Stopped("half of it stays"),
    "made an error by a library": ImportError("no module"),
    "again, while work was put away": KeyboardInterrupt(),
}
STOPS["made an error by a library"].__cause__ = Stopped("half of it stays")
STOPS["again, while work was put away"].__context__ = Stopped("half of it stays")


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_what_stays_after_ctrl_c_is_told(
    stop: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stopped(*_given: object, **_named: object) -> Path:
        raise stop

    monkeypatch.setattr(motionlift.demo, "make_demo", stopped)
    assert refused(capsys, 130, "demo") == "error: stopped; half of it stays\n"


@pytest.mark.parametrize("error", [MotionError("it is damaged"), TypeError("no shape"), BrokenPipeError()], ids=repr)
def test_an_error_that_a_library_made_of_a_stop_is_the_stop(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stopped(*_given: object, **_named: object) -> None:
        stopping.first = signal.SIGTERM
        raise error

    stopping = Stopping()
    monkeypatch.setattr(stopping, "ignore", lambda: None)
    monkeypatch.setattr(motionlift.cli.listing, "print_models", stopped)
    assert run(["models"], stopping) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "error: stopped by SIGTERM; what was written by then stays\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["demo"], "finished files stay in demo-output; the same command with --overwrite makes all of them again"),
        (
            ["world", "w"],
            "0 of 8 clips are written and stay in w; the same command with --overwrite writes all of them again",
        ),
        (["cache"], "nothing was changed"),
        (["cache", "--clear"], "what was not removed yet stays"),
        (["models"], "nothing was written"),
    ],
)
def test_without_word_of_what_stays_the_command_tells(
    command: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stopped(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(motionlift.demo, "make_demo", stopped)
    monkeypatch.setattr(motionlift.world.truth, "write_world", stopped)
    monkeypatch.setattr(motionlift.motion.cache, "state", stopped)
    monkeypatch.setattr(motionlift.cli.listing, "print_models", stopped)
    assert refused(capsys, 130, *command) == f"error: stopped; {words}\n"
