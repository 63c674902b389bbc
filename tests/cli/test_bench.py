"""``motionlift bench`` at the command line: what it says of cells, and its exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from motionlift.bench import cells
from motionlift.bench.cell import label
from motionlift.cli.main import run
from tests.bench.made_records import record

GOOD = record("ditflow", 0, {}, settings={"read": "flow"})
BAD = {**record("ditflow", 1, {}, settings={"read": "attention"}), "error": "no memory"}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What a run is pretended to find."""
    told: dict[str, Any] = {"records": [GOOD, BAD], "failed": 0}

    class Pretended(cells.Cells):
        def measured(self, *_: Any) -> Iterator[dict[str, Any]]:
            yield from told["records"]

    @contextmanager
    def at_work(*_: Any) -> Iterator[None]:
        yield None

    def lay_out(*_: Any) -> cells.Cells:
        return Pretended(2, (), (), 0, tmp_path / "records.jsonl", (), told["failed"])

    monkeypatch.setattr(cells, "at_work", at_work)
    monkeypatch.setattr(cells, "lay_out", lay_out)
    return told


def test_a_cell_that_fails_makes_the_exit_code_one(found: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    assert run(["bench", "quick"]) == 1
    out, err = capsys.readouterr()
    assert "records in " in out
    line = "tiny, ditflow read=attention, world 0001, prompt 0, seed 0: no memory"
    assert f"1 of them failed and were recorded so (--again measures them once more); the first: {line}" in err


def test_a_cell_that_had_failed_before_does_too(found: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    found |= {"records": [], "failed": 2}
    assert run(["bench", "quick"]) == 1
    assert "2 of those that were there had failed (--again measures them once more)" in capsys.readouterr().err


def test_without_failures_it_is_zero(found: dict[str, Any]):
    found["records"] = [GOOD]
    assert run(["bench", "quick"]) == 0


def test_labels_tell_cells_apart():
    """By settings and prompt too."""
    others = [
        {"settings": {}},
        {"settings": {"read": "flow", "lr": 0.01}},
        {"kind": "1"},
        {"source": "things"},
        {"seed": 1},
    ]
    assert len({label(GOOD), *[label({**GOOD, **other}) for other in others]}) == 1 + len(others)
