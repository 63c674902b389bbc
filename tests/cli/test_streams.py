"""Standard output and standard error as shells make them: closed, full, cut off, in another locale."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calls import PROMPT, QUICK, left_behind

CLOSED, FULL = "it is closed", os.strerror(28)
LISTS = (["--version"], ["cache"])


def told(command: list[str], ending: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """What a program does whose streams a shell made."""
    words = ["sh", "-c", f'"$@" {ending}', "sh", sys.executable, "-m", "motionlift", *command]
    return subprocess.run(words, capture_output=True, env={**os.environ, **environment}, timeout=300)


def transfer(clips: Path, model: str, *more: str) -> list[str]:
    return [
        "transfer",
        str(clips / "one.mp4"),
        "--prompt",
        PROMPT,
        "--model",
        model,
        "--method",
        "none",
        *QUICK[:2],
        *more,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("command", LISTS, ids=" ".join)
@pytest.mark.parametrize(("ending", "reason"), [(">&-", CLOSED), (">/dev/full", FULL)])
def test_what_cannot_be_printed_is_said_of_standard_output(command: list[str], ending: str, reason: str):
    found = told(command, ending)
    words = f"error: cannot write to standard output: {reason}; files that were written stay\n"
    assert (found.returncode, found.stderr.decode()) == (1, words)


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--json",)], ids=["table", "json"])
@pytest.mark.parametrize(("ending", "reason"), [(">&-", CLOSED), (">/dev/full", FULL)])
def test_the_work_is_kept(clips: Path, model: str, ending: str, reason: str, more: tuple[str, ...]):
    found = told(transfer(clips, model, *more), ending)
    assert found.returncode == 1 and f"error: cannot write to standard output: {reason}" in found.stderr.decode()
    assert left_behind() == ["out.json", "out.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_without_standard_error_the_work_goes_on_and_its_notes_go_nowhere_else(clips: Path, model: str, ending: str):
    found = told([*transfer(clips, model, "--json"), "--negative-prompt", "unheard-of"], ending)
    assert (found.returncode, found.stderr) == (0, b"")
    assert json.loads(found.stdout) == json.loads(Path("out.json").read_text())


@pytest.mark.slow
def test_without_any_stream(clips: Path, model: str):
    assert told(transfer(clips, model), ">&- 2>&- <&-").returncode == 1
    assert left_behind() == ["out.json", "out.mp4"], "and no stream's number went to a file of these"


@pytest.mark.slow
@pytest.mark.parametrize("command", [["methods"], ["methods", "--json"], ["--help"]], ids=" ".join)
def test_a_reader_who_leaves_is_told_nothing(command: list[str]):
    reading, writing = os.pipe()
    os.close(reading)
    found = subprocess.run([sys.executable, "-m", "motionlift", *command], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (found.returncode, found.stderr) == (1, b"")


@pytest.mark.slow
def test_both_streams_into_a_pipe_whose_reader_leaves(clips: Path, model: str):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "motionlift", *transfer(clips, model), "--negative-prompt", "unheard-of"]
    assert subprocess.run(command, stdout=writing, stderr=writing).returncode == 1
    os.close(writing)
    assert left_behind() == ["out.json", "out.mp4"]


PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
"""The locale in which Python takes letters beyond ASCII for bytes."""


@pytest.mark.slow
def test_in_the_c_locale_letters_beyond_ascii_are_read_and_written(clips: Path, model: str):
    (Path.cwd() / "é.mp4").write_bytes((clips / "one.mp4").read_bytes())
    start = ["transfer", "é.mp4", "--prompt", "a café star", "--model", model, "--method", "none", *QUICK[:2]]
    found = told([*start, "--set", "negative_prompt=naïve", "--output", "ö.mp4"], "", **PLAIN)
    assert found.returncode == 0, found.stderr
    assert left_behind() == ["é.mp4", "ö.json", "ö.mp4"]
    record = json.loads(Path("ö.json").read_text())
    assert (record["prompt"], record["settings"]["negative_prompt"]) == ("a café star", "naïve")
    found = told(["score", "é.mp4", "ö.mp4", "--prompt", "é", "--metrics", "motion_fidelity"], "", **PLAIN)
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("environment", [PLAIN, {}], ids=["C", "UTF-8"])
@pytest.mark.parametrize("option", ["--prompt", "--source-prompt", "--negative-prompt", "--pair", "--set"])
def test_bytes_that_are_no_text_are_refused(clips: Path, option: str, environment: dict[str, str]):
    bad = os.fsdecode(b"steps=\xff star")
    found = told(["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, option, bad], "", **environment)
    assert found.returncode == 2 and found.stderr.count(b"\n") == 1
    assert f"Invalid value for '{option}'" in found.stderr.decode() and b"text in UTF-8" in found.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"), [("TERMINAL_WIDTH", "wide"), ("TYPER_USE_RICH", "perhaps"), ("COLUMNS", "-3")]
)
def test_variables_of_libraries_do_not_matter(variable: str, value: str):
    found = told(["--help"], "", **{variable: value})
    assert (found.returncode, found.stderr) == (0, b"")


def test_without_a_folder_for_temporary_files_the_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import motionlift.motion.cache
    from motionlift.cli.main import run

    def nowhere() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")  # as tempfile says it

    monkeypatch.setattr(motionlift.motion.cache, "state", nowhere)
    assert run(["cache"]) == 1
    assert "set TMPDIR to one" in capsys.readouterr().err
