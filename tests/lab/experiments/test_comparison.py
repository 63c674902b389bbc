"""The results' table of methods, from the records of a run."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.experiments import comparison, runner, things
from motionlift.bench.cells import Cells
from motionlift.bench.run_file import ModelRun, RunFile, read_run
from motionlift.bench.sources import World
from tests.bench.made_records import record, write


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of the tables' lines by their first, which counts where it is there first."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in reversed(lines)}


@pytest.fixture(autouse=True)
def _every_method_runs(monkeypatch: pytest.MonkeyPatch):
    """The model of the records is made up."""
    monkeypatch.setattr(comparison, "refusal", lambda cell, model: None)


def test_a_row_for_every_method():
    free = [{"name": "cast", "seconds": 4.0, "passes": {"forward": 20, "backward": 5}}]
    records = [
        *[record("none", index, {"aligned_error": 0.1 + 0.2 * index, "colour": 1.0}) for index in range(3)],
        record("smm", 0, {"aligned_error": 0.25, "colour": 0.0}),
        record("ditflow", 0, {}, settings={"read": "flow"}, phases=free, lifted_from_cache=True),
        {**record("ditflow", 1, {}, settings={"read": "flow"}), "error": "no luck"},
    ]
    rows = rows_of(comparison.section(records))
    assert rows["none"][0] == "0.300 [0.100 0.300 0.500]" and rows["none"][6] == "100 [3 of 3]"
    assert rows["none"][-1] == "40 + 5", "what it takes in time is told elsewhere, by one machine"
    assert rows["smm (1 reference)"][0] == "0.250"
    assert rows["ditflow read=flow (1 reference, 1 failed)"] == ["-"] * 12


def test_how_fidelity_orders_the_videos():
    """Known answers: the reverse of the error, and something that has nothing to do with it."""
    errors = np.linspace(0, 1, 30)
    records = [
        record("none", index, {"aligned_error": error, "motion_fidelity": 1 - error, "motion_discrepancy": 7.0})
        for index, error in enumerate(errors)
    ]
    text = comparison.section(records)
    assert rows_of(text)["motion fidelity"] == ["1.00 (1.00 to 1.00)", "30", "1.00 (1.00 to 1.00)"]
    assert "motion discrepancy" not in rows_of(text), "what never changes orders nothing"
    assert "Spearman" not in comparison.section(records[:5])


def test_figures_of_fewer_videos_are_told_and_ranked_on_the_same_ones():
    """Where the older script is defined, the error does the opposite of what it does in all."""
    records = []
    for index in range(40):
        figures = {"aligned_error": index, "motion_fidelity": -index if index >= 12 else index - 200}
        records.append(record("none", index, figures | ({"motion_fidelity_legacy": -index} if index < 12 else {})))
    text = comparison.section(records)
    assert "rho, on the 12 videos where all are defined" in text and "is ranked on fewer" in text
    rows = rows_of(text)
    (all_videos, count, common), legacy = rows["motion fidelity"], rows["motion fidelity, older script"]
    assert count == "40" and -1 < float(all_videos.split()[0]) < 1 and common == "-1.00 (-1.00 to -1.00)"
    assert legacy == ["1.00 (1.00 to 1.00)", "12", "1.00 (1.00 to 1.00)"]


def test_too_few_videos_in_common_are_not_ranked():
    figures = [
        {"aligned_error": index, **({"motion_fidelity": -index} if index < 16 else {}),
         **({"motion_discrepancy": index} if index >= 7 else {})}
        for index in range(23)
    ]  # fmt: skip
    rows = rows_of(comparison.section([record("none", index, own) for index, own in enumerate(figures)]))
    assert rows["motion fidelity"] == ["1.00 (1.00 to 1.00)", "16", "-"]


def test_records_of_other_weights_and_defaults_do_not_count(tmp_path: Path):
    about = {"fingerprint": "now", "defaults": "smm as it is"}
    records = [
        record("smm", 0, {}, **about),
        record("smm", 1, {}, **{**about, "fingerprint": "before"}),
        record("smm", 2, {}, **{**about, "defaults": "smm as it was"}),
        record("smm", 3, {}, **about, model="other"),
    ]
    write(tmp_path, records)
    found = comparison.records_of(tmp_path, "tiny", "now", lambda method: f"{method} as it is")
    assert [each["reference"] for each in found] == ["0000"]
    assert comparison.records_of(tmp_path / "nowhere", "tiny", "now", str) == []


@pytest.mark.slow
def test_the_states_of_cells_are_those_of_the_page():
    """Else the page would leave out what the run has measured."""
    from motionlift.bench.cell import surveyed
    from motionlift.bench.run_file import MethodRun

    survey = surveyed(ModelRun("tiny-dit"), (MethodRun("ditflow", {"read": "flow"}),))
    expected = {"fingerprint": runner.fingerprint("tiny-dit"), "defaults": runner.defaults("tiny-dit", "ditflow")}
    expected["code"] = runner.code("tiny-dit", "ditflow")
    assert survey.states == {"ditflow read=flow": expected}


@pytest.mark.parametrize(("count", "references"), [(None, World(32)), (3, World(3))])
def test_what_is_missing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int | None, references: World
):
    asked: list[tuple[RunFile, Any]] = []

    class Laid(Cells):
        def measured(self, workers: Any, measure: Any = None) -> Any:
            return iter([{"reference": "0000"}])

    def lay_out(run: RunFile, workers: Any) -> Cells:
        asked.append((run, workers))
        return Laid(1, (), (), 0, run.output)

    monkeypatch.setattr(comparison, "at_work", lambda run, workers: nullcontext(workers))
    monkeypatch.setattr(comparison, "lay_out", lay_out)
    told: list[str] = []
    assert list(comparison.run("world", tmp_path, ["tiny-dit"], 2, count, told.append)) == [{"reference": "0000"}]
    ((run, workers),) = asked
    assert (run.models, run.output, run.references) == ((ModelRun("tiny-dit"),), tmp_path, (references,))
    assert workers.processes == 2
    assert run.methods == read_run("world").methods and len(told) == 1


def test_some_methods_are_measured_where_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[RunFile] = []
    monkeypatch.setattr(comparison, "at_work", lambda run, workers: asked.append(run) or nullcontext(workers))
    monkeypatch.setattr(comparison, "lay_out", lambda run, workers: Cells(0, (), (), 0, run.output))
    list(comparison.run("world", tmp_path, ["tiny-dit"], 1, None, print, ("vmc", "flowmotion")))
    assert {each.name for each in asked[0].methods} == {"vmc", "flowmotion"} and len(asked[0].methods) == 4
    assert list(comparison.run("world", tmp_path, ["tiny-dit"], 1, None, print, ("nothing",))) == [] and len(asked) == 1


def test_a_bundled_model_that_a_run_leaves_out_is_not_measured(tmp_path: Path):
    """One that knows no things by their names cannot paint them."""
    assert list(comparison.run(things.NAME, tmp_path, ["tiny-dit", "tiny-unet"], 2, None, print)) == []


def test_what_was_made_of_things_is_told_apart():
    records = [{**record("none", index, {"aligned_error": 0.1}), "source": "things"} for index in range(3)]
    assert "## Methods, on things and grounds that have names" in things.section(records)
    assert things.failed(records) == []
    errors = np.random.default_rng(0).uniform(0.1, 0.2, 16)
    worse = [{**record(method, index, {"aligned_error": error + shift}), "source": "things", "model": "tiny-wan"}
             for method, shift in (("none", 0.0), ("smm", 0.05)) for index, error in enumerate(errors)]  # fmt: skip
    told, *_ = things.failed(worse)
    assert told.startswith("On things and grounds that have names: worse than the strongest control, none (0.1")
    taught, *_ = comparison.failed(worse)
    assert taught.startswith("tiny-wan was taught nothing"), "which is said once"


def test_methods_stand_beside_the_strongest_control():
    errors = np.random.default_rng(0).uniform(0.1, 0.2, 16)
    shifts = {"none": 0.1, "frozen": 0.0, "smm": 0.05, "ditflow": -0.05}
    records = [record(method, index, {"aligned_error": error + shift + index % 3 / 1000 * (method == "smm")}, frames=17)
               for method, shift in shifts.items() for index, error in enumerate(errors)]  # fmt: skip
    text = comparison.section(records)
    _, _, beyond = text.partition("### Beyond the strongest control")
    assert "strongest control, by its mean, is *frozen*: 0.1" in beyond
    rows = rows_of(beyond)
    assert rows["ditflow"][1:4] == ["-0.050 (-0.050 to -0.050)", "5e-05", "better"] and rows["smm"][3] == "worse"
    assert "none" not in rows_of(beyond.partition("### By motion")[0]), "a control does not stand beside one"
    _, _, kinds = text.partition("### By motion")
    assert "| arc (3) |" in kinds.replace("|  ", "") or "arc (3)" in kinds
    assert set(rows_of(kinds)) >= set(shifts) and "### By camera" in kinds
    told, lacking = comparison.failed(records)
    assert told.startswith("Worse than the strongest control, frozen (0.1") and "smm (+0.05" in told
    assert lacking.startswith("Controls that are not measured yet, so that verdicts may become worse: injection, ")
    assert comparison.failed([record("smm", 0, {"aligned_error": 0.1})]) == []


def test_controls_are_told_as_they_are_there(monkeypatch: pytest.MonkeyPatch):
    """Of a control that was not measured nothing else is said, and nothing of what the model does not run."""
    monkeypatch.setattr(comparison, "refusal", lambda cell, model: cell["settings"].get("target"))
    noise = {"inversion": True, "beta": 1.0, "source_prompt": "a star", "steps": 20}
    records = [
        *[record("none", index, {"aligned_error": 0.2}) for index in range(3)],
        record("frozen", 0, {"aligned_error": 0.1}),
        record("inverted", 0, {"aligned_error": 0.1}, settings={"beta": 1.0}, all_settings=noise),
        {**record("injection", 0, {}), "error": "no luck"},
    ]
    text, _, _ = comparison.section(records).partition("\n\n|")
    assert "noise: *frozen*, an object of the prompt that stands in the middle; *none*, which moves" in text
    assert text.count("*inverted beta=1.0*, that noise, inverted with the caption.") == 1
    _, _, lacking = text.partition("Not measured yet: ")
    assert "*injection*" in lacking and "*inverted beta=0.5*" in lacking and "*smm*" in lacking
    assert lacking.endswith("; verdicts are against what was measured.")
    assert "inverted beta=1.0" not in lacking and "*ditflow target=positions*" not in lacking


@pytest.mark.slow
def test_what_a_run_lacks_is_told_of_a_model_that_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    records = [record("none", 0, {"aligned_error": 0.1}, model="tiny-unet")]
    lacking = {each.title for each in comparison.lacking(records, "world")}
    assert {"ditflow", "inverted beta=1.0"} < lacking and not {"none", "ditflow target=positions"} & lacking


def test_methods_that_papers_set_above_others_stand_beside_these():
    def of(method: str, shift: float) -> list[dict[str, Any]]:
        figures = [{"motion_discrepancy": (1 + index / 100 + shift) / 100} for index in range(16)]
        return [record(method, index, own) for index, own in enumerate(figures)]

    text = comparison.section([*of("none", 0), *of("vmc", 0), *of("motionmatcher", 0.05), *of("ditflow", 0)])
    _, _, claims = text.partition("### Methods beside each other")
    (line,) = [each for each in claims.splitlines() if each.startswith("| motionmatcher | less vmc |")]
    assert line == "| motionmatcher | less vmc | motion discrepancy | +0.0005 (+0.0005 to +0.0005) | 5e-05 | worse |"
    assert "less smm" not in claims, "what was not measured"
