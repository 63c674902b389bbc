"""Experiments go on where they were stopped, and the page shows what was measured of this model."""

import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.experiments import runner
from lab.experiments.runner import append_record, main, missing, read_records, run, write_results
from lab.experiments.trial import is_chosen
from motionlift.methods import ditflow
from motionlift.models.sources import BUNDLED_MODELS

DOCS = Path(__file__).parents[3] / "docs"


class Experiment:
    """Squares numbers, and counts how often it was asked."""

    NAME = "squares"
    COUNT = 4

    def __init__(self):
        self.measured: list[int] = []
        self.broken: set[int] = set()

    def cells(self, count: int) -> list[dict[str, Any]]:
        return [{"index": index, "settings": {"places": [index]}} for index in range(count)]

    def measure(self, cell: Mapping[str, Any], model: str) -> dict[str, Any]:
        if cell["index"] in self.broken:
            raise RuntimeError("broken")
        self.measured.append(cell["index"])
        return {"square": cell["index"] ** 2, "with": model}

    def section(self, records: list[dict[str, Any]]) -> str:
        return f"## Squares\n\n{sorted(record['square'] for record in records)}\n"


class Threads:
    """Workers of this process."""

    def __init__(self, jobs: int):
        self.pool = ThreadPoolExecutor(jobs)

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def each(self, work: Any, items: Any, died: Any) -> Iterator[Any]:
        return self.pool.map(work, items)


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """In place of the real ones, in this process."""
    fake = Experiment()
    monkeypatch.setattr(runner, "EXPERIMENTS", {"squares": fake})
    monkeypatch.setattr(runner, "Workers", Threads)
    monkeypatch.setattr(runner, "_loaded", lambda model: model)
    monkeypatch.setattr(runner, "fingerprint_of", lambda model: f"{model}-fingerprint"[:12])
    monkeypatch.setattr(runner, "defaults", lambda _model, _method: "as-they-are")
    monkeypatch.setattr(runner, "code", lambda _model, _method: "first")
    monkeypatch.setattr(runner, "BUNDLED_MODELS", ())
    runner.fingerprint.cache_clear()
    yield fake
    runner.fingerprint.cache_clear()


def squares(path: Path, count: int = 4, model: str = "new", jobs: int = 1) -> list[int]:
    """Which cells a run measured."""
    return sorted(record["index"] for record in run("squares", path, model, jobs, count, lambda _line: None))


def test_all_cells_are_measured_once(tmp_path: Path, experiment: Experiment):
    path = tmp_path / "results" / "squares.jsonl"
    assert squares(path, 2) == [0, 1]
    assert squares(path, 4, jobs=2) == [2, 3]
    assert squares(path, 4) == []
    assert sorted(experiment.measured) == [0, 1, 2, 3]
    records = read_records(path)
    assert sorted(record["square"] for record in records) == [0, 1, 4, 9]
    assert records[0] == {
        "index": 0,
        "settings": {"places": [0]},
        "model": "new-fingerpr",
        "defaults": "as-they-are",
        "code": "first",
        "square": 0,
        "with": "new",
    }


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ((), 3),
        (("vmc",), 3),
        (("vmc defaults",), 1),
        (("vmc beta=0.0", "vmc defaults"), 2),
        (("vmc form=cos tuning_steps=5",), 1),
        (("smm", "vmc beta=0"), 0),
    ],
)
def test_methods_are_chosen_by_name_or_by_title(chosen: tuple[str, ...], expected: int):
    kinds: list[dict[str, Any]] = [{}, {"beta": 0.0}, {"form": "cos", "tuning_steps": 5}]
    assert sum(is_chosen("vmc", settings, chosen) for settings in kinds) == expected


def test_cells_of_some_methods_are_measured_and_the_others_another_time(
    tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
):
    cells = [{"index": number, "method": method} for number, method in enumerate(("ditflow", "vmc", "none"))]
    monkeypatch.setattr(experiment, "cells", lambda _count: [*cells, {"index": 3}])
    path = tmp_path / "squares.jsonl"

    def measured(*methods: str) -> list[int]:
        found = run("squares", path, "new", 1, 4, lambda _line: None, methods)
        return sorted(record["index"] for record in found)

    assert measured("ditflow", "smm") == [0]
    assert measured("none") == [2, 3], "what only samples is of none"
    assert measured() == [1]


@pytest.mark.parametrize("cut", [1, 2, 10, 40])
def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path, experiment: Experiment, cut: int):
    path = tmp_path / "squares.jsonl"
    squares(path, 3)
    path.write_bytes(path.read_bytes()[:-cut])
    lost = [] if cut == 1 else [2]
    assert squares(path, 4) == [*lost, 3]
    assert squares(path, 4) == [], "the line after the cut was kept whole"
    assert sorted(record["square"] for record in read_records(path)) == [0, 1, 4, 9]


def test_weights_trained_anew_are_measured_anew(tmp_path: Path, experiment: Experiment):
    path, page = tmp_path / "squares.jsonl", tmp_path / "docs" / "results.md"
    squares(path, 3, "old")
    assert squares(path, 2, "new") == [0, 1]
    write_results(tmp_path, page, ["new"])
    text = page.read_text()
    assert text.startswith("# Results") and "[0, 1]" in text and "Its fingerprint is `new-fingerpr`" in text
    write_results(tmp_path, page, ["old"])
    assert "[0, 1, 4]" in page.read_text()


def test_other_defaults_are_measured_anew(tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch):
    path, page = tmp_path / "squares.jsonl", tmp_path / "results.md"
    squares(path, 3)
    monkeypatch.setattr(runner, "defaults", lambda _model, _method: "changed")
    assert squares(path, 1) == [0]
    write_results(tmp_path, page, ["new"])
    assert "[0]" in page.read_text()


def test_other_code_is_measured_anew_and_counts_once(
    tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
):
    path, page = tmp_path / "squares.jsonl", tmp_path / "results.md"
    squares(path, 3)
    monkeypatch.setattr(runner, "code", lambda _model, _method: "second")
    assert squares(path, 2) == [0, 1]
    write_results(tmp_path, page, ["new"])
    assert "[0, 1, 4]" in page.read_text(), "the later record of a cell alone"
    assert "stand side by side: several are of none on new." in page.read_text()


def test_records_of_unknown_code_stay_and_are_told(tmp_path: Path, experiment: Experiment):
    path, page = tmp_path / "squares.jsonl", tmp_path / "results.md"
    squares(path, 1)
    (record,) = read_records(path)
    path.write_text(json.dumps({name: value for name, value in record.items() if name != "code"}) + "\n")
    assert squares(path, 2) == [1]
    write_results(tmp_path, page, ["new"])
    assert "[0, 1]" in page.read_text() and "side by side: 1 of 2 records do not say which" in page.read_text()


def test_stale_records_are_named(tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch):
    path, page = tmp_path / "squares.jsonl", tmp_path / "results.md"
    squares(path, 3)
    write_results(tmp_path, page, ["new"])
    assert "Stale records" not in page.read_text()
    monkeypatch.setattr(runner, "defaults", lambda _model, _method: "changed")
    write_results(tmp_path, page, ["new"])
    assert "### Stale records" in page.read_text() and "*squares*: 3 of sampling." in page.read_text()
    assert squares(path, 2) == [0, 1]
    write_results(tmp_path, page, ["new"])
    assert "*squares*: 1 of sampling." in page.read_text(), "what was measured since is stale no longer"


def test_what_did_not_work_comes_first(tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "results.md"
    squares(tmp_path / "squares.jsonl", 3)
    monkeypatch.setattr(experiment, "failed", lambda records: [f"{len(records)} squares are round."], raising=False)
    write_results(tmp_path, page, ["new"])
    text = page.read_text()
    assert "### What did not work\n\n- 3 squares are round.\n\n### Squares" in text


@pytest.mark.slow
def test_the_defaults_tell_settings_apart_method_by_method(monkeypatch: pytest.MonkeyPatch):
    runner.defaults.cache_clear()
    first, other = runner.defaults("tiny-dit", "ditflow"), runner.defaults("tiny-dit", "smm")
    runner.defaults.cache_clear()
    assert runner.defaults("tiny-dit", "ditflow") == first != other and len(first) == 12
    runner.defaults.cache_clear()
    monkeypatch.setitem(ditflow.PRESETS, "tiny-dit", {"temperature": 77.0})
    assert runner.defaults("tiny-dit", "ditflow") != first
    assert runner.defaults("tiny-dit", "smm") == other
    runner.defaults.cache_clear()


def test_a_page_of_two_models_has_a_part_for_each(tmp_path: Path, experiment: Experiment):
    for model, count in (("old", 3), ("new", 2)):
        squares(tmp_path / "squares.jsonl", count, model)
    write_results(tmp_path, tmp_path / "page.md", ["old", "none", "new"])
    parts = (tmp_path / "page.md").read_text().split("\n## ")
    assert [part.split("\n")[0] for part in parts[1:]] == ["`old`", "`new`"], "one without records has no part"
    assert "### Squares\n\n[0, 1, 4]" in parts[1] and "### Squares\n\n[0, 1]" in parts[2]


def test_what_needs_no_model_is_measured_once_and_has_a_part_of_its_own(
    tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runner, "MODEL_FREE", ("squares",))
    path, page = tmp_path / "squares.jsonl", tmp_path / "results.md"
    monkeypatch.setattr(
        sys, "argv", ["bench", "squares", "--models", "old", "new", "--records", str(tmp_path), "--page", str(page)]
    )
    for _ in range(2):
        main()
        assert sorted(experiment.measured) == [0, 1, 2, 3]
    assert all("model" not in record and "defaults" not in record for record in read_records(path))
    text = page.read_text()
    assert text.count("### Squares") == 1 and "`new`" not in text
    assert "## The measures themselves\n\n### Squares" in text


def test_what_needs_no_model_stands_beside_the_records_of_all(
    tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
):
    rounds = Experiment()
    rounds.NAME, rounds.BESIDE = "rounds", ("squares",)  # pyright: ignore[reportAttributeAccessIssue]
    told: list[list[int]] = []
    monkeypatch.setattr(
        rounds, "section", lambda _own, beside: told.append([each["index"] for each in beside]) or "## Rounds\n"
    )
    monkeypatch.setattr(runner, "EXPERIMENTS", {"squares": experiment, "rounds": rounds})
    monkeypatch.setattr(runner, "MODEL_FREE", ("rounds",))
    for model, count in (("old", 1), ("new", 2)):
        squares(tmp_path / "squares.jsonl", count, model)
    append_record(tmp_path / "rounds.jsonl", {"index": 0, "square": 0})
    write_results(tmp_path, tmp_path / "page.md", ["old", "new"])
    assert told == [[0, 0, 1]]


def test_the_report_of_the_world_takes_the_place_of_the_one_that_is_kept():
    """The command of ``make results``; without it the target ended in an error once a report lay there."""
    (line,) = [each for each in (DOCS.parent / "Makefile").read_text().splitlines() if "motionlift report" in each]
    assert "--overwrite" in line and "docs/results/$$run/report.html" in line
    assert all((DOCS / "results" / run / "report.html").is_file() for run in ("world", "things"))


def test_a_page_without_records(tmp_path: Path, experiment: Experiment):
    write_results(tmp_path, tmp_path / "results.md", ["new"])
    assert "Squares" not in (tmp_path / "results.md").read_text()


def test_a_failed_cell_loses_nothing_that_was_measured(tmp_path: Path, experiment: Experiment):
    path = tmp_path / "squares.jsonl"
    experiment.broken = {2}
    with pytest.raises(RuntimeError, match="broken"):
        squares(path, 4)
    assert {record["index"] for record in read_records(path)} >= {0, 1}
    experiment.broken = set()
    assert 2 in squares(path, 4)
    assert len(read_records(path)) == 4


def test_missing_cells():
    cells = [{"index": 0, "settings": {"lr": 0.1}}, {"index": 0, "settings": {"lr": 0.2}}, {"index": 1, "settings": {}}]
    records = [{"index": 0, "settings": {"lr": 0.2}, "error": 3.0}, {"index": 1}]
    assert missing(cells, records) == [cells[0], cells[2]]
    assert missing(cells, []) == cells
    assert missing([], records) == []


def test_records_are_read_line_by_line(tmp_path: Path):
    path = tmp_path / "records.jsonl"
    assert read_records(path) == []
    path.touch()
    append_record(path, {"one": 1})
    assert path.read_text() == '{"one": 1}\n'
    with path.open("a") as file:
        file.write('{"two": ')
    append_record(path, {"three": float("nan")})
    first, second = read_records(path)
    assert first == {"one": 1} and second["three"] is None, "no number is what JSON has no word for"


def test_footage_needs_a_folder(tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """Without one it is left out, and one without videos is refused."""
    asked: list[Path] = []
    footage = SimpleNamespace(
        NAME="footage",
        cells=lambda folder: asked.append(folder) or [{"clip": path.name} for path in folder.glob("*.mp4")],
        measure=lambda cell, model, folder: {"bytes": (folder / cell["clip"]).stat().st_size},
        section=lambda records: f"## Footage\n\n{records[0]['bytes']} bytes\n",
    )
    monkeypatch.setattr(runner, "EXPERIMENTS", {"footage": footage, "squares": experiment})
    page = tmp_path / "page.md"
    places = ["--records", str(tmp_path / "records"), "--page", str(page), "--models", "new"]
    monkeypatch.setattr(sys, "argv", ["bench", "footage", "squares", *places])
    main()
    assert not asked and "Footage" not in page.read_text() and "Squares" in page.read_text()
    clips = tmp_path / "clips"
    clips.mkdir()
    monkeypatch.setattr(sys, "argv", ["bench", "footage", "--clips", str(clips), *places])
    with pytest.raises(SystemExit):
        main()
    assert "holds no MP4 file" in capsys.readouterr().err
    (clips / "street.mp4").write_bytes(b"12345")
    main()
    assert asked == [clips] and "5 bytes" in page.read_text()
    assert str(tmp_path) not in (tmp_path / "records" / "footage.jsonl").read_text(), "no path of this machine is kept"


def test_the_command_line(tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    page = tmp_path / "page.md"
    places = ["--records", str(tmp_path / "records"), "--page", str(page), "--models", "new"]
    monkeypatch.setattr(sys, "argv", ["bench", "--count", "3", *places])
    main()
    assert "[0, 1, 4]" in page.read_text()
    assert "squares: 3 of 3" in capsys.readouterr().out
    assert len((tmp_path / "records" / "squares.jsonl").read_text().splitlines()) == 3
    for wrong in (["cubes"], ["--count", "0"], ["--jobs", "0"], ["--count", "many"]):
        monkeypatch.setattr(sys, "argv", ["bench", *wrong, *places])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2


@pytest.mark.slow
def test_the_page_is_made_of_the_records_that_are_kept(tmp_path: Path):
    """Nothing in it was written by hand, and all of it is of the weights and defaults as they are."""
    write_results(DOCS / "results", tmp_path / "results.md", BUNDLED_MODELS)
    assert text_of(tmp_path / "results.md") == text_of(DOCS / "results.md")


@pytest.mark.slow
def test_the_page_is_made_of_the_records_as_they_are_written_today(tmp_path: Path):
    """Figures that are undefined are null in records that are written now, and NaN in some that are kept."""
    for path in (DOCS / "results").rglob("*.jsonl"):
        written = tmp_path / "results" / path.relative_to(DOCS / "results")
        written.parent.mkdir(parents=True, exist_ok=True)
        for record in read_records(path):
            append_record(written, record)
        assert "NaN" not in written.read_text()
    write_results(tmp_path / "results", tmp_path / "results.md", BUNDLED_MODELS)
    assert text_of(tmp_path / "results.md") == text_of(DOCS / "results.md")


def text_of(page: Path) -> str:
    """All but the versions that the page was written with."""
    return page.read_text().rpartition("\nVersions: ")[0]
