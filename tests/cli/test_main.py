"""The command line as a program: usage, pipes, interrupts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.calls import PROMPT, left_behind, refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["transfr"], ["transfr", "see motionlift --help"]),
        (["transfer"], ["Missing", "see motionlift transfer --help"]),
        (["transfer", "a.mp4"], ["--prompt", "see motionlift transfer --help"]),
        (["transfer", "a.mp4", "--promt", "x"], ["--promt", "--prompt"]),
        (["transfer", "a.mp4", "--prompt", "x", "--seed", "-1"], ["--seed", "-1"]),
        (["transfer", "a.mp4", "--prompt", "x", "--frames", "one"], ["--frames", "'one'"]),
        (["transfer", "a.mp4", "--prompt", "x", "--frames", "1"], ["--frames", "1", "1025"]),
        (["transfer", "a.mp4", "--set"], ["--set", "see motionlift transfer --help"]),
        (["world", "a", "--count", "0"], ["--count", "0", "10000"]),
        (["world", "a", "--frames", "2000"], ["--frames", "2000", "1025"]),
        (["world", "a", "--size", "8"], ["--size", "8", "16", "512"]),
        (["cast", "a", "b", "--prompt", "x"], ["b", "see motionlift cast --help"]),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]):
    told = refused(capsys, 2, *arguments)
    assert all(word in told for word in words), told


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


def test_ctrl_c_leaves_nothing(clips: Path, model: str, motion_cache: Path):
    command = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, "--steps", "1000"]
    program = subprocess.Popen(
        [sys.executable, "-m", "motionlift", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 100
        while not list(motion_cache.glob("motions/*.safetensors")):  # lifted: sampling goes on for long
            assert program.poll() is None and time.monotonic() < until, program.communicate()
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=100)
    finally:
        program.kill()
    assert (program.returncode, out, err) == (130, "", "error: stopped; nothing was written\n")
    assert left_behind() == []
