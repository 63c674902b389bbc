import io
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from motionlift.cli.progress import Live, closing_table, readable_bytes, score_tables
from motionlift.core.cost import Step
from tests.cli.calls import PROMPT, QUICK

RECORD: dict[str, Any] = {
    "phases": [
        {"name": "lift", "seconds": 1.25, "passes": {"forward": 1, "backward": 0}},
        {"name": "cast", "seconds": 2.5, "passes": {"forward": 20, "backward": 10, "work": 34.25}},
    ],
    "seconds": 3.75,
    "passes": {"forward": 21, "backward": 10, "work": 35.0},
    "peak_memory_bytes": 1_500_000,
}


class Terminal:
    """Standard error as a terminal would have it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def show_a_run(live: Live) -> None:
    with live:
        live.show("lift", 0, None)
        for index in range(3):
            live.step(Step("guide", index, 3))
        live.step(Step("sample", 0, 1))


def test_each_phase_has_its_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    show_a_run(Live())
    for words in ("lift", "guide", "3/3", "sample", "1/1", "decode"):
        assert words in terminal.written


def test_a_line_fits_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with Live() as live:
        live.doing("prompt 2 of 3 (attention)", 0.5)
        live.doing("prompt 3 of 3 (attention) on a background of many more words than there is room for", 1)
        live.show("tune, a phase of many words that goes on and on", 9999, 10000, 0.123)
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.written))
    assert max(map(len, lines)) <= 80
    assert any("left" in line and "100/100" in line for line in lines), "on one line"
    assert any("prompt 2 of 3 (attention) " in line for line in lines)


@pytest.mark.parametrize("asked", [{"quiet": True}, {"as_json": True}])
def test_on_a_terminal_nothing_is_shown_when_asked_and_beside_json(
    asked: dict[str, bool], monkeypatch: pytest.MonkeyPatch
):
    there = Terminal()
    monkeypatch.setattr(sys, "stderr", there)
    show_a_run(Live(**asked))
    assert there.written == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_off_a_terminal_each_phase_has_a_line_on_standard_error(as_json: bool, capsys: pytest.CaptureFixture[str]):
    show_a_run(Live(as_json=as_json))
    assert capsys.readouterr() == ("", "phase: lift\nphase: guide\nphase: sample\nphase: decode\n")


def test_off_a_terminal_nothing_is_shown_when_asked(capsys: pytest.CaptureFixture[str]):
    live = Live(quiet=True)
    show_a_run(live)
    live.doing("all", 0.5)
    live.line("1 of 2: done")
    assert capsys.readouterr() == ("", "")


def test_long_steps_say_how_far_they_are(capsys: pytest.CaptureFixture[str]):
    clock = iter(range(0, 1000, 20))
    live = Live(clock=lambda: next(clock))
    for index in range(3):
        live.step(Step("tune", index, 9, 0.25))
    live.line("1 of 2: done")
    told = ["phase: tune", "phase: tune, step 3 of 9, 120 seconds left, loss 0.25", "1 of 2: done"]
    assert capsys.readouterr().err.splitlines() == told


def test_off_a_terminal_a_long_phase_without_steps_is_seen_to_be_at_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("motionlift.cli.progress.EVERY", 0.01)
    clock = itertools.count(0.0, 20.0)
    with Live(clock=lambda: next(clock)) as live:
        live.show("decode", 0, None)
        told = ""
        while "so far" not in told:
            told += capsys.readouterr().err
    assert re.search(r"^phase: decode, \d+ seconds so far$", told, re.MULTILINE)


@pytest.mark.parametrize(("rank", "lines"), [("0", 4), ("1", 0), ("nonsense", 4)])
def test_of_several_processes_the_first_speaks(
    rank: str, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    show_a_run(Live())
    assert capsys.readouterr().err.count("\n") == lines


@pytest.mark.slow
def test_a_run_into_files_has_its_phases_in_one_and_its_record_in_the_other(clips: Path, model: str):
    command = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK, "--json"]
    with Path("out").open("w") as out, Path("err").open("w") as err:
        program = [sys.executable, "-m", "motionlift", *command]
        assert subprocess.run(program, stdout=out, stderr=err, timeout=300).returncode == 0
    assert json.loads(Path("out").read_text()) == json.loads(Path("out.json").read_text())
    told = [line for line in Path("err").read_text().splitlines() if "hardly moves like its motion" not in line]
    assert told == [f"phase: {phase}" for phase in ("load", "lift", "guide", "sample", "decode")]


@pytest.mark.slow
def test_a_reader_of_the_lines_who_leaves_ends_nothing(clips: Path, model: str):
    reading, writing = os.pipe()
    os.close(reading)
    command = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK]
    program = [sys.executable, "-m", "motionlift", *command]
    assert subprocess.run(program, stdout=subprocess.DEVNULL, stderr=writing, timeout=300).returncode == 0
    os.close(writing)
    assert Path("out.mp4").is_file()


def test_the_closing_table_says_what_each_phase_cost():
    console = Console(width=80)
    with console.capture() as caught:
        console.print(closing_table(RECORD))
    rows = [line.replace("│", " ").split() for line in caught.get().splitlines()]
    assert ["lift", "1.25", "1", "0", "-"] in rows
    assert ["cast", "2.50", "20", "10", "34.2"] in rows
    assert ["all", "3.75", "21", "10", "35.0"] in rows


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1234, "1.23 kB"), (4 * 2**30, "4.29 GB"), (5e15, "5e+03 TB")],
)
def test_bytes_are_readable(count: float, words: str):
    assert readable_bytes(int(count)) == words


def test_a_loss_stands_beside_its_phase(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Live() as live:
        live.step(Step("tune", 4, 10, 0.123456))
    assert "tune, loss 0.123" in terminal.written and "5/10" in terminal.written


def test_scores_are_shown_with_what_was_left_out_once_for_each_reason():
    console = Console(width=100, record=True, file=io.StringIO())
    figures, meanings = {"ssim": 0.25, "legacy": float("nan")}, {"ssim": "likeness", "legacy": "older"}
    left_out = {"clip_text": "name [a] model", "clip_frames": "name [a] model", "lpips": "fetch it"}
    for table in score_tables(figures, meanings, left_out):
        console.print(table)
    shown = console.export_text()
    assert "0.2500" in shown and "undefined" in shown and "likeness" in shown
    assert shown.count("name [a] model") == 1 and "clip_text, clip_frames" in shown
    assert score_tables({}, {}, {}) == []


def test_a_bar_of_many_tells_the_time_left_where_each_takes_minutes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    live = Live()
    clock = iter([0.0, 0.0, *(minute * 300.0 for minute in range(1, 40))])
    monkeypatch.setattr(live._bars, "get_time", lambda: now)
    now = next(clock)
    live.counting("1000 jobs of 3 motions", 0, 1000)
    for done in (1, 2, 3):
        now = next(clock) + 300 * done
        live.counted("x.mp4", done, 1000)
    (bar,) = live._bars.tasks
    assert bar.completed == pytest.approx(0.3) and bar.time_remaining is not None
