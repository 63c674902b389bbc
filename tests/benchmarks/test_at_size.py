"""The benchmark at true size, by a tiny twin; and that the published pipelines have their true sizes."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import at_size
from benchmarks.at_size import (
    BUDGETS,
    OUT_OF_MEMORY,
    PLAIN,
    TINY,
    Cell,
    by_whole_map,
    cells,
    fill,
    measures_of,
    predict,
    read,
    table,
)
from motionlift.core.lattice import Lattice
from motionlift.core.memory import Measures, Weights
from motionlift.signals.displacement import displacement
from tests.twins.whole import WHOLE, ZEROSCOPE, weights, whole

CELL = Cell("cogvideox-2b", "ditflow", PLAIN)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "cpu.jsonl"


@pytest.mark.parametrize("temperature", [2.0, None])
def test_the_whole_map_is_the_displacement(temperature: float | None):
    lattice = Lattice(3, 4, 5)
    q, k = torch.randn(2, 2, lattice.tokens, 8, generator=torch.Generator().manual_seed(0))
    expected = displacement(q, k, lattice, temperature or 1.0, hard=temperature is None)
    torch.testing.assert_close(by_whole_map(q, k, lattice, temperature), expected)


@pytest.mark.slow
def test_a_cell_is_run_once_and_is_a_row(records: Path):
    wanted = [replace(CELL, way="80"), CELL]
    assert fill(records, wanted, "cpu", 10, TINY) == 2
    assert fill(records, wanted, "cpu", 10, TINY) == 0
    ours, plain = (line for line in read(records) if "ended" in line)
    assert (ours["ended"], ours["card"], ours["shape"]) == ("done", "CPU", [9, 32, 32])
    assert ours["step"].keys() == {"plain step", "guided step"} and all(value > 0 for value in ours["step"].values())
    # One to lift, two for each of fifty steps, and in ten guided ones one to inject and five to optimise.
    assert ours["passes"] == plain["passes"] == [1 + 2 * 50 + 10 * 6, 10 * 5]
    assert {"text", "encode", "lift", "guide", "sample", "decode"} == ours["seconds"].keys()
    predicted = [line["plan"]["gib"] for line in read(records) if "plan" in line]
    assert [each.keys() for each in predicted] == [ours["gib"].keys()] * 2
    assert all(value > 0 for each in (*predicted, ours["gib"]) for value in each.values())
    rows = table(read(records)).splitlines()
    assert rows[0].startswith(f"Measured on: CPU. PyTorch {torch.__version__}. ") and len(rows) == 2 + 2 + 2
    assert rows[4].startswith("| cogvideox-2b, a tiny twin at 32x32x9 | ditflow | 80 MiB | ")
    assert len({row.count("|") for row in rows[2:]}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", at_size.METHODS)
@pytest.mark.parametrize("model", at_size.MODELS)
def test_every_cell_runs_or_says_why_not(model: str, method: str, records: Path):
    fill(records, [Cell(model, method, "80")], "cpu", 10, TINY)
    (line,) = [line for line in read(records) if "ended" in line]
    assert line["ended"] == "done" and f"| {model}, a tiny twin at " in table([line])


def test_what_matters_most_comes_first():
    found = cells()
    assert len(set(found)) == len(found) == 6 * 6 * len(BUDGETS) + 6
    assert {cell.model for cell in found[:16]} == {"wan-2.1-1.3b", "cogvideox-5b"}
    assert {*found[:6]} == {Cell(cell.model, cell.method, "80") for cell in found[:6]}


def fakes(monkeypatch: pytest.MonkeyPatch, ended: str = "done", **plan: Any) -> list[Measures]:
    """Attempts that end so, by such plans; gives the measures that are taken."""
    taken: list[Measures] = []

    def attempt(_cell: Cell, _subject: Any, measures: Measures, _device: str) -> dict[str, Any]:
        taken.append(measures)
        return {"ended": ended}

    monkeypatch.setattr(at_size, "attempt", attempt)
    monkeypatch.setattr(at_size, "planned", lambda *_: {"shape": [9, 32, 32], "measures": [], **plan})
    return taken


@pytest.mark.slow
def test_a_cell_takes_the_measures_of_its_plan(records: Path, monkeypatch: pytest.MonkeyPatch):
    taken = fakes(monkeypatch, measures=["recomputed", "waiting", "fp8"])
    fill(records, [CELL], "cpu", 10, TINY)
    assert taken == [Measures(recomputed=True, waiting=True, weights=Weights.FP8)]
    assert measures_of(taken[0].taken) == taken[0] and measures_of([]) == Measures()


def test_what_does_not_fit_by_its_plan_is_not_run(records: Path, monkeypatch: pytest.MonkeyPatch):
    assert fakes(monkeypatch, why="it does not fit") == []
    assert fill(records, [CELL], "cpu", 10, TINY) == 0
    assert table(read(records)).endswith("| it does not fit |")


@pytest.mark.slow
def test_memory_that_is_short_in_spite_of_a_plan_is_told(records: Path, monkeypatch: pytest.MonkeyPatch):
    fakes(monkeypatch, OUT_OF_MEMORY, gib={"guide": 2.5})
    fill(records, [CELL], "cpu", 10, TINY)
    row = table(read(records)).splitlines()[-1]
    assert "| - / 2.5 |" in row and row.endswith(f"| {OUT_OF_MEMORY} |")


def test_cells_can_be_planned_without_being_run(records: Path, monkeypatch: pytest.MonkeyPatch):
    taken = fakes(monkeypatch, gib={"guide": 2.5})
    assert [predict(records, [CELL], TINY, "cuda", 1) for _ in range(2)] == [1, 0] and taken == []
    assert table(read(records)).startswith("Measured on: nothing. ")


@pytest.mark.slow
def test_a_cell_that_ended_nothing_comes_last_and_a_torn_line_is_nothing(
    records: Path, monkeypatch: pytest.MonkeyPatch
):
    fakes(monkeypatch)
    records.parent.mkdir()
    killed, other = replace(CELL, way="80"), replace(CELL, way="24")
    records.write_text(json.dumps({**asdict(killed), "begun": True}) + '\n{"model": "wan-2.1-1.3b", "me\n')
    fill(records, [killed, other], "cpu", 10, TINY)
    assert [line["way"] for line in read(records) if "ended" in line] == ["24", "80"]


def test_after_its_minutes_no_cell_begins(records: Path):
    assert fill(records, [CELL], "cpu", -1, TINY) == 0


BILLIONS = {
    "wan-2.1-1.3b": {"transformer": 1.42, "text_encoder": 5.68, "vae": 0.127},
    "cogvideox-2b": {"transformer": 1.69, "text_encoder": 4.76, "vae": 0.216},
    "cogvideox-5b": {"transformer": 5.57, "text_encoder": 4.76, "vae": 0.216},
    "hunyuan-1.5": {"transformer": 8.33, "text_encoder": 7.07},
    "ltx-2b": {"transformer": 1.92, "text_encoder": 4.76},
    ZEROSCOPE: {"unet": 1.41, "text_encoder": 0.340, "vae": 0.0837},
}
"""Parameters of the published parts."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*WHOLE, ZEROSCOPE])
def test_published_pipelines_have_their_true_sizes(name: str):
    pipeline = whole(name, "meta")
    for part, count in BILLIONS[name].items():
        held = getattr(pipeline, part)
        assert sum(weight.numel() for weight in held.parameters()) / 1e9 == pytest.approx(count, rel=0.01)
    assert set(BILLIONS[name]) <= weights(pipeline).keys()
