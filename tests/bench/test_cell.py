"""One cell, whole, on a tiny random model."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from motionlift.bench import cell, measures
from motionlift.bench.cell import Cell, file_names, forget_peak_memory, measured_cell, record_of, surveyed
from motionlift.bench.frozen import FROZEN
from motionlift.bench.measures import Measuring, measured
from motionlift.bench.report.summary import measurement
from motionlift.bench.run_file import MethodRun, ModelRun, Place
from motionlift.bench.sources import Asked, Folder, Opened, World
from motionlift.cli.main import run
from motionlift.core.cost import Passes
from motionlift.core.memory import Weights
from motionlift.errors import SettingError
from motionlift.video.clip import Clip
from motionlift.work import planning
from motionlift.work.phases import Taken
from motionlift.work.prepare import Job
from motionlift.work.record import peak_memory
from tests import no_posix, twins
from tests.bench.made_records import video

PROMPT = "a red star on the blue field"
QUICK = {"steps": 2, "share": 0.5, "inner": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pipeline in a folder, whose text window takes the world's captions too."""
    folder = tmp_path_factory.mktemp("models") / "twin"
    twins.cogvideox(window=32).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def _nothing_stays_loaded() -> Iterator[None]:
    yield
    cell.kept.cache_clear()


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    video(tmp_path / "clips" / "square.mp4", frames=12)
    return tmp_path / "clips"


def cell_of(source: Any, model: str, folder: Path, method: str = "smm", seed: int = 3, content: str = "") -> Cell:
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    state = {"fingerprint": "x", **({"content": content} if content else {})}
    return Cell(ModelRun(model), MethodRun(method, QUICK), source, source.asked(9)[0], seed, Measuring(), state, folder)


def test_cells_of_the_world_are_known_by_what_they_were():
    """Else no record of the world would be found again: keys and names as of the first records."""
    asked, state = Asked("0007", 7, "a red star", "0"), {"fingerprint": "f", "defaults": "d"}
    one = Cell(
        ModelRun("tiny-dit"), MethodRun("smm", {"share": 0.5}), World(1), asked, 3, Measuring(), state, Path("here")
    )
    assert one.stated() == {
        "model": "tiny-dit", "method": "smm", "settings": {"share": 0.5}, "source": "world", "reference": "0007",
        "prompt": "a red star", "kind": "0", "seed": 3, "metrics": None, "tracker": "flow", "clip_model": None,
        "fingerprint": "f", "defaults": "d",
    }  # fmt: skip
    assert file_names(one, 17) == {
        "video": "0007-smm-share-0-5-seed-3-9f3ae943d962.mp4",
        "reference_video": "0007-reference-7aff5dcdea2c.mp4",
    }


@pytest.mark.parametrize("name", ['a "<b>": c|d?*', "CON", "nul.mp4", "name. ", "\u00c4/\u00f6\\\u00fc", "clip\n"])
def test_files_have_names_that_every_system_takes(name: str):
    asked = Asked(name, 7, "a red star", "0")
    one = Cell(ModelRun("tiny-dit"), MethodRun("smm", {}), World(1), asked, 3, Measuring(), {}, Path("here"))
    other = replace(one, asked=replace(asked, reference=name.swapcase()))
    names = [*file_names(one, 17).values(), *file_names(other, 17).values()]
    assert all(re.fullmatch(r"[a-z0-9-]*-[0-9a-f]{12}\.mp4", each) for each in names)
    assert len({each.lower() for each in names}) == 4 or name == name.swapcase()


def test_files_of_other_content_are_named_otherwise(clips: Path):
    source = Folder(clips, (PROMPT,))
    one, other = (file_names(cell_of(source, "twin", clips, content=content), 9) for content in ("1", "2"))
    assert one["video"] != other["video"] and one["reference_video"] != other["reference_video"]


@pytest.mark.slow
def test_a_cell_of_a_folder(clips: Path, model: str, tmp_path: Path):
    one = cell_of(Folder(clips, (PROMPT,)), model, tmp_path / "run")
    record = json.loads(json.dumps(record_of(one, measured_cell)))
    assert one.stated().items() <= record.items()
    assert record["all_settings"]["steps"] == 2 and record["versions"]["torch"] == metadata.version("torch")
    assert record["passes"]["forward"] == sum(phase["passes"]["forward"] for phase in record["phases"]) > 4
    assert [phase["name"] for phase in record["phases"]] == ["read", "lift", "cast", "decode"]
    assert record["clip"]["sha256"] == hashlib.sha256((clips / "square.mp4").read_bytes()).hexdigest()
    assert record["peak_memory_bytes"] > 10_000_000 and not record["lifted_from_cache"]
    for name in ("video", "reference_video"):
        clip = Clip.read(tmp_path / "run" / record[name], frames=9, fps=record["fps"], aspect=(32, 32))
        assert tuple(clip.frames.shape) == (record["frames"], record["height"], record["width"], 3) and not clip.notices
    assert str(tmp_path) not in json.dumps(record).replace(model, ""), "no path of this machine is kept"
    assert measurement(record) is not None
    other = measured_cell(cell_of(Folder(clips, (PROMPT,)), model, tmp_path / "run", seed=4))
    assert other["lifted_from_cache"] and other["video"] != record["video"]
    assert other["reference_video"] == record["reference_video"]


def kept_in(cell_: Cell, memory: str) -> dict[str, Any]:
    """The record of a cell where a process may use so much."""
    cell.kept.cache_clear()
    return record_of(replace(cell_, place=Place("cpu", memory)), measured_cell)


@pytest.mark.slow
def test_a_cell_is_measured_with_what_makes_it_fit(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its figures are those of a cell with memory in plenty, and it is found by the same; what was done is in its record."""
    one = cell_of(World(1), model, tmp_path)
    free = record_of(one, measured_cell)
    assert "measures" not in free and free["dtype"] == "fp32"

    def phases(job: Job, *_: object, **_named: object) -> Taken:
        return Taken({"guide": 10**6 if job.model.about.measures.recomputed else 10**12}, Passes())

    monkeypatch.setattr(planning, "phases", phases)
    fitting = kept_in(one, "200MB")
    assert fitting["measures"] == ["recomputed"] and "error" not in fitting
    assert fitting["figures"] == pytest.approx(free["figures"], abs=1e-3)
    assert fitting.items() >= one.stated().items()


@pytest.mark.slow
def test_a_cell_that_fits_in_no_way_says_so_and_does_not_hold_its_weights_otherwise(model: str, tmp_path: Path):
    one = cell_of(World(1), model, tmp_path)
    record = kept_in(one, "1MB")
    assert record["error"].startswith("it does not fit") and "figures" not in record
    held = cell_of(World(1), model, tmp_path)
    held = replace(held, model=replace(held.model, weights=Weights.FP8))
    record = kept_in(held, "2GB")
    assert "measures" not in record and record["model"].endswith(", weights in fp8") and "error" not in record
    assert record["figures"] != record_of(one, measured_cell)["figures"], "they are held so"


def test_what_cannot_be_had_of_memory_is_refused_before_weights_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.work.keeping.load", pytest.fail)
    cell.kept.cache_clear()
    with pytest.raises(SettingError, match="quanto-int8"):
        surveyed(ModelRun("tiny-dit", weights=Weights.QUANTO_INT8), (MethodRun("none", {}),))
    with pytest.raises(SettingError, match="give no more than it has"):
        surveyed(ModelRun("tiny-dit"), (MethodRun("none", {}),), (), Place("cpu", "900TB"))


@pytest.mark.slow
def test_a_cell_of_the_world_has_its_truth(model: str, tmp_path: Path):
    """The twin makes frames of 32x32, the world of 64x64: the classifier takes both."""
    record = record_of(cell_of(World(1), model, tmp_path), measured_cell)
    assert {"aligned_error", "absolute_error", "direction_cosine", "looks", "looks_leaked"} <= record["figures"].keys()
    assert 0 < record["figures"]["aligned_error"] < 1 and record["figures"]["looks"] in (0, 1 / 3, 2 / 3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["folder", "world", "two"])
def test_a_cell_that_holds_still(what: str, clips: Path, model: str, tmp_path: Path):
    """Nothing is sampled: of a folder it is the middle picture, of the world the prompt's scene."""
    sources = {"folder": Folder(clips, (PROMPT,)), "world": World(1), "two": World(1, scenes="two")}
    one = replace(cell_of(sources[what], model, tmp_path / "run"), method=MethodRun(FROZEN, {}))
    record = json.loads(json.dumps(record_of(one, measured_cell)))
    assert one.stated().items() <= record.items() and "error" not in record
    assert (
        record["passes"] == {"forward": 0, "backward": 0, "work": 0}
        and record["figures"]["motion_fidelity_moving"] == 0
    )
    made = Clip.read(tmp_path / "run" / record["video"], frames=9, fps=8, aspect=(32, 32))
    assert (made.frames.float() - made.frames[:1].float()).abs().max() < 12, "but for compression"
    assert ("aligned_error" in record["figures"]) == (what == "world") and measurement(record) is not None
    if what == "world":
        assert record["figures"]["looks"] == 1


def test_what_holds_still_needs_no_words_and_no_settings(model: str):
    survey = surveyed(ModelRun(model), (MethodRun(FROZEN, {}), MethodRun("inverted", {})), (World(2),))
    assert set(survey.states) == {FROZEN, "inverted"} and not survey.refused
    assert survey.states[FROZEN].keys() == survey.states["inverted"].keys()
    assert survey.states[FROZEN]["fingerprint"] == survey.states["inverted"]["fingerprint"]


def test_a_prompt_that_is_too_long_is_told_before_any_cell(model: str):
    told = MethodRun("ditflow", {"negative_prompt": " ".join(["red"] * 300)})
    survey = surveyed(ModelRun(model), (told, MethodRun("ditflow", {})), (World(2),))
    reasons = survey.refused_cells[told.title, 0]
    assert len(reasons) == 2 and all("tokens" in reason and "shorten it by" in reason for reason in reasons.values())
    assert not any("--" in reason for reason in reasons.values()), "bench has no option for it"
    assert not survey.refused_cells["ditflow", 0]


def test_an_unreadable_video_fails_alone(clips: Path, model: str, tmp_path: Path):
    (clips / "broken.mp4").write_bytes(b"nonsense")
    record = record_of(cell_of(Folder(clips, (PROMPT,)), model, tmp_path), measured_cell)
    assert "broken.mp4 is no video" in record["error"] and "figures" not in record
    assert record["seconds"] >= 0 and "torch" in record["versions"]


@pytest.mark.slow
def test_names_of_files_are_tame(clips: Path, model: str, tmp_path: Path):
    strange = clips / "a strange “name” with ../ and more than forty letters.mp4".replace("/", "-")
    (clips / "square.mp4").rename(strange)
    record = measured_cell(cell_of(Folder(clips, (PROMPT,)), model, tmp_path))
    assert record["video"].startswith("videos/a-strange-name-with-and-more-than-forty-smm-steps-2")
    assert all(letter.isalnum() or letter in "-/." for letter in record["video"]) and ".." not in record["video"]


@pytest.mark.skipif(no_posix.is_asked_for(), reason="without resource the most is told on Windows alone")
def test_peak_memory_begins_anew():
    forget_peak_memory(torch.device("cpu"))
    before = peak_memory()
    torch.ones(80 * 2**18)
    grown = peak_memory()
    assert grown > before + 60_000_000
    forget_peak_memory(torch.device("cpu"))
    if cell.CLEAR_PEAK.exists():
        assert peak_memory() < grown - 60_000_000


def test_scores_are_asked_for_where_there_are_any(monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []

    def told(reference: Clip, generated: Clip, **more: Any) -> Any:
        asked.append(more)
        figures = {"motion_fidelity": 0.9, "spin": float("nan")}
        return SimpleNamespace(figures=figures, left_out={"clip_text": "no CLIP"}, measured_by={"tracker": {"grid": 9}})

    monkeypatch.setattr(measures.score, "score", told)
    clip = Clip.of(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), 8)
    known = Opened(clip, None, lambda frames: {"aligned_error": 0.5})
    found = measured(known, clip, clip, PROMPT, Measuring(clip_model="clip"))
    assert found.figures == {"motion_fidelity": 0.9, "spin": None, "aligned_error": 0.5}
    assert found.measured_by == {"tracker": {"grid": 9}}
    assert found.left_out == {"clip_text": "no CLIP"} and asked == [
        {"prompt": PROMPT, "metrics": list(measures.scores(on_request=False)), "tracker": "flow", "clip_model": "clip"}
    ]
    assert (
        measured(known, clip, clip, PROMPT, Measuring(("truth",))).figures == {"aligned_error": 0.5} and len(asked) == 1
    )
    unknown = Opened(clip, None, None)
    only = measured(unknown, clip, clip, PROMPT, Measuring(("truth", "motion_fidelity")))
    assert "aligned_error" not in only.figures and asked[-1]["metrics"] == ["motion_fidelity"]
    assert only.left_out["truth"] == "the true motion of this reference is not known"
    assert "motion_fidelity" in measures.scores() and "aligned_error" not in measures.scores()
    with pytest.raises(SettingError, match="unknown metric 'beauty'; allowed are truth, motion_fidelity"):
        measures.check_metrics(["beauty"])


@pytest.mark.slow
def test_the_command_measures_and_goes_on(
    clips: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """In processes of its own, with one video that cannot be read, which the exit code says."""
    monkeypatch.chdir(tmp_path)
    (clips / "broken.mp4").write_bytes(b"nonsense")
    Path("run.yaml").write_text(
        f"models: [{model}]\nmethods:\n  - {{name: none, settings: {{steps: 2}}}}\noutput: out/run\n"
        f"references:\n  - folder: {{path: clips, prompts: [{PROMPT}]}}\n"
    )
    assert run(["bench", "run.yaml", "--jobs", "1"]) == 1
    told = capsys.readouterr()
    assert "measured 2 of 2 cells, 0 were there; records in out/run/records.jsonl" in told.out
    assert "1 of 2" in told.err
    assert "note: 1 of them failed and were recorded so (--again measures them once more); the first:" in told.err
    assert run(["bench", "run.yaml", "--jobs", "1"]) == 1
    assert "measured 0 of 2 cells, 2 were there" in capsys.readouterr().out
    (clips / "broken.mp4").unlink()
    video(clips / "broken.mp4", frames=12)
    assert run(["bench", "run.yaml", "--jobs", "1", "--again"]) == 0
    assert "measured 1 of 2 cells, 1 were there" in capsys.readouterr().out
    assert run(["report", "out/run"]) == 0
    assert "count nowhere: 1" in capsys.readouterr().err, "the file as it was before stays on record"
    Path("run.yaml").write_text("model: [a]\n")
    assert run(["bench", "run.yaml"]) == 1
    assert capsys.readouterr().err.startswith("error: run.yaml, line 1: unknown key 'model'")
