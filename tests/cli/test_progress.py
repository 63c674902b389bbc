import io
import sys
from typing import Any

import pytest
from rich.console import Console

from motionlift.cli.progress import Live, closing_table, readable_bytes, score_tables
from motionlift.core.cost import Step

RECORD: dict[str, Any] = {
    "phases": [
        {"name": "lift", "seconds": 1.25, "passes": {"forward": 1, "backward": 0}},
        {"name": "cast", "seconds": 2.5, "passes": {"forward": 20, "backward": 10}},
    ],
    "seconds": 3.75,
    "passes": {"forward": 21, "backward": 10},
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


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_shown_when_asked_or_when_nobody_watches(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    there = Terminal()
    if terminal:
        monkeypatch.setattr(sys, "stderr", there)
    show_a_run(Live(quiet=terminal))
    assert there.written == ""
    assert capsys.readouterr() == ("", "")


def test_the_closing_table_says_what_each_phase_cost():
    console = Console(width=80)
    with console.capture() as caught:
        console.print(closing_table(RECORD))
    rows = [line.replace("│", " ").split() for line in caught.get().splitlines()]
    assert ["lift", "1.25", "1", "0"] in rows
    assert ["cast", "2.50", "20", "10"] in rows
    assert ["all", "3.75", "21", "10"] in rows


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
