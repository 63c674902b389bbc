"""Runs laid out as cells."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motionlift.bench import cell, cells, sources
from motionlift.bench.cell import Cell, Survey, record_of, surveyed
from motionlift.bench.cells import at_work, lay_out
from motionlift.bench.measures import Measuring
from motionlift.bench.run_file import MethodRun, ModelRun, RunFile
from motionlift.bench.sources import Folder, World
from motionlift.errors import InputError, ModelError, OutputError, SettingError
from motionlift.jobs.records import append_record, read_lines
from motionlift.jobs.workers import Workers
from motionlift.motion.lock import held

METHODS = (MethodRun("none", {}), MethodRun("ditflow", {"target": "positions"}))


class Here(Workers):
    """Works in this process."""

    def __init__(self):
        pass

    def each(self, work: Callable[[Any], Any], items: Iterable[Any], died: Callable[[Any], Any]) -> Iterator[Any]:
        return (work(item) for item in items)


@pytest.fixture(autouse=True)
def _no_models(monkeypatch: pytest.MonkeyPatch):
    """One model runs both methods, the other only plain sampling."""

    def survey(run: ModelRun, methods: tuple[MethodRun, ...], *_: Any) -> Survey:
        model = run.name
        if model not in ("both", "plain"):
            raise ModelError(f"model {model!r} is not to be had")
        states = {each.title: {"fingerprint": model, "defaults": each.name, "code": "c"} for each in methods}
        if model == "both":
            return Survey(17, states, {})
        title = METHODS[1].title
        return Survey(16, {name: states[name] for name in states if name != title}, {title: "has no positions"})

    monkeypatch.setattr(cells, "surveyed", survey)


def run_of(folder: Path, **changed: Any) -> RunFile:
    about = {
        "models": ("both", "plain"),
        "methods": METHODS,
        "references": (World(2),),
        "seeds": (0, 5),
        "measuring": Measuring(),
    }
    told = {**about, "output": folder / "run", **changed}
    return RunFile(**{**told, "models": tuple(map(ModelRun, told["models"]))})


def measured(
    run: RunFile, again: bool = False, measure: Callable[[Cell], Any] = lambda cell: {"figures": {}}
) -> list[Any]:
    return list(lay_out(run, Here(), again).measured(Here(), measure))


def test_every_cell_once(tmp_path: Path):
    laid = lay_out(run_of(tmp_path), Here())
    told = [(str(each.model), each.asked.reference, each.seed, each.method.name) for each in laid.waiting]
    assert len(told) == laid.count == len(set(told)) == 2 * 2 * 2 + 2 * 2
    assert told[:4] == [("both", "0000", 0, "none"), ("both", "0000", 0, "ditflow"), ("both", "0000", 5, "none"),
                        ("both", "0000", 5, "ditflow")], "a reference has all its methods before the next"  # fmt: skip
    assert laid.left_out == ("ditflow target=positions on plain: has no positions",)
    assert (tmp_path / "run" / "videos").is_dir()


def test_a_cell_is_found_again_in_its_record(tmp_path: Path):
    for each in lay_out(run_of(tmp_path), Here()).waiting:
        record = record_of(each, lambda _: {"figures": {"aligned_error": 0.5}, "clip": {"fps": 8}})
        assert each.stated().items() <= json.loads(json.dumps(record)).items(), "nothing that was measured covers it"


def test_seeds_of_their_own(tmp_path: Path):
    run = run_of(tmp_path, references=(World(2, first=7),), seeds=None, models=("both",))
    assert [each.seed for each in lay_out(run, Here()).waiting] == [7, 7, 8, 8]


def test_references_that_overlap_are_measured_once(tmp_path: Path):
    run = run_of(tmp_path, references=(World(2), World(2, first=1)), models=("both",), seeds=(0,))
    assert lay_out(run, Here()).count == 3 * 2


def files(folder: Path, **made: bytes) -> Folder:
    folder.mkdir(exist_ok=True)
    for name, content in made.items():
        (folder / f"{name}.mp4").write_bytes(content)
    return Folder(folder, ("a star",))


def test_two_folders_may_hold_files_of_the_same_name(tmp_path: Path):
    one, two = files(tmp_path / "one", a=b"1", b=b"same"), files(tmp_path / "two", a=b"2", b=b"same")
    run = run_of(tmp_path, references=(one, two), models=("plain",), methods=METHODS[:1], seeds=(0,))
    waiting = lay_out(run, Here()).waiting
    told = {(each.source, each.asked.reference) for each in waiting}
    assert {(one, "a.mp4"), (two, "a.mp4")} < told and len(waiting) == 3, "what is the same is measured once"


def test_a_file_that_was_replaced_is_measured_anew(tmp_path: Path):
    source = files(tmp_path / "clips", a=b"1", b=b"2")
    run = run_of(tmp_path, references=(source,), models=("plain",), methods=METHODS[:1], seeds=(0,))
    assert len(measured(run)) == 2
    files(tmp_path / "clips", b=b"3")
    assert [record["reference"] for record in measured(run)] == ["b.mp4"] and measured(run) == []
    assert str(tmp_path) not in (tmp_path / "run" / cells.RECORDS).read_text()


def test_every_reference_is_read_once_for_all_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read: list[Path] = []
    monkeypatch.setattr(sources, "hash_of", lambda path: read.append(path) or "0" * 64)
    source = files(tmp_path / "clips", a=b"1", b=b"2")
    assert lay_out(run_of(tmp_path, references=(source,)), Here()).count == 2 * 2 * 2 + 2 * 2
    assert [path.name for path in read] == ["a.mp4", "b.mp4"]


def test_a_run_goes_on_where_it_was(tmp_path: Path):
    run = run_of(tmp_path)
    assert len(measured(run)) == 12 and measured(run) == []
    more = run_of(tmp_path, references=(World(3),))
    assert {record["reference"] for record in measured(more)} == {"0002"}
    path = tmp_path / "run" / cells.RECORDS
    path.write_bytes(path.read_bytes()[:-3])
    assert lay_out(more, Here()).lost == 1
    assert len(measured(more)) == 1 and len(read_lines(path).records) == 18


def test_weights_or_metrics_that_are_others_are_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = run_of(tmp_path, models=("plain",), methods=METHODS[:1])
    measured(run)
    assert len(measured(run_of(tmp_path, models=("plain",), methods=METHODS[:1], measuring=Measuring(("truth",))))) == 4
    monkeypatch.setattr(
        cells, "surveyed", lambda model, *_: Survey(16, {"none": {"fingerprint": "new", "defaults": ""}}, {})
    )
    assert len(measured(run_of(tmp_path, models=("plain",), methods=METHODS[:1]))) == 4


def test_other_code_is_measured_anew_and_unknown_code_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = run_of(tmp_path, models=("plain",), methods=METHODS[:1], seeds=(0,))
    assert len(measured(run)) == 2 and measured(run) == []
    state = {"fingerprint": "plain", "defaults": "none", "code": "d"}
    monkeypatch.setattr(cells, "surveyed", lambda model, *_: Survey(16, {"none": state}, {}))
    assert len(measured(run)) == 2 and measured(run) == []
    path = tmp_path / "run" / cells.RECORDS
    records = [{name: value for name, value in each.items() if name != "code"} for each in read_lines(path).records]
    path.unlink()
    for record in records:
        append_record(path, record)
    assert measured(run) == [], "from before records named their code"
    assert len(measured(run, again=True)) == 2 and measured(run, again=True) == []


def test_cells_that_failed_wait_until_asked_for(tmp_path: Path):
    def fails(each: Cell) -> Any:
        if each.seed == 5:
            raise InputError("this video is damaged")
        return {"figures": {}}

    run = run_of(tmp_path, models=("plain",), methods=METHODS[:1])
    records = measured(run, measure=fails)
    assert [record.get("error") for record in records] == [None, "this video is damaged"] * 2
    assert measured(run) == []
    assert [record["seed"] for record in measured(run, again=True)] == [5, 5]


def test_a_full_disk_stops_the_run_and_is_no_fault_of_a_cell(tmp_path: Path):
    def full(_: Cell) -> Any:
        raise OutputError("the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        measured(run_of(tmp_path), measure=full)
    assert read_lines(tmp_path / "run" / cells.RECORDS).records == []


def test_what_is_refused_before_anything_runs(tmp_path: Path):
    with pytest.raises(SettingError, match="ditflow target=positions: has no positions"):
        lay_out(run_of(tmp_path, models=("plain",), methods=METHODS[1:]), Here())
    with pytest.raises(ModelError, match="'gone' is not to be had"):
        lay_out(run_of(tmp_path, models=("both", "gone")), Here())
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        lay_out(run_of(tmp_path, output=tmp_path / "file" / "run"), Here())


def test_what_somebody_wrote_under_the_names_of_a_run_is_refused(tmp_path: Path):
    (tmp_path / "run" / "videos").mkdir(parents=True)
    records = tmp_path / "run" / cells.RECORDS
    for text in ("mine\n", '{"notes": "mine"}\n', '[1]\n{"model": "mine"}\n', "\n"):
        records.write_text(text)
        with pytest.raises(OutputError, match=r"records.jsonl: the file that is there is no file of records"):
            lay_out(run_of(tmp_path), Here())
        assert records.read_text() == text
    for text in ("", '{"model": "bo'):
        records.write_text(text)
        assert lay_out(run_of(tmp_path), Here()).waiting, "nothing yet, or cut off in the first line"
    each = lay_out(run_of(tmp_path), Here()).waiting[-1]
    video = tmp_path / "run" / "videos" / cell.file_names(each, 16)["video"]
    video.write_text("mine")
    with pytest.raises(OutputError, match=rf"{video.name}: the file that is there is no clip"):
        lay_out(run_of(tmp_path), Here())
    assert video.read_text() == "mine"


def test_too_many_cells(tmp_path: Path):
    wanted = run_of(tmp_path, references=(World(10_000, prompts=2),))
    with pytest.raises(SettingError) as refusal, at_work(wanted, Workers(1)):
        raise AssertionError("it began")
    assert "asks for 160000 cells (2 models x 2 methods x 20000 prompts of references x 2 seeds)" in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_two_runs_do_not_share_a_folder(tmp_path: Path):
    with (
        held(tmp_path / "run"),
        pytest.raises(OutputError, match="another run is at work"),
        at_work(run_of(tmp_path), Workers(1)),
    ):
        raise AssertionError("it began")


@pytest.mark.slow
def test_a_survey_of_the_bundled_models():
    found = surveyed(ModelRun("tiny-unet"), (*METHODS, MethodRun("ditflow", {"block": [99]})))
    cell.kept.cache_clear()
    assert found.frames == 16 and list(found.states) == ["none"]
    assert "no positional tensors" in found.refused[METHODS[1].title]
    assert "block 99 does not exist" in found.refused["ditflow block=99"]
    assert len(found.states["none"]["fingerprint"]) == len(found.states["none"]["defaults"]) == 12


def test_words_that_a_model_does_not_know_are_told_once(tmp_path: Path):
    source = replace(files(tmp_path / "clips", a=b"1"), prompts=("A star.", "a zebra", "a zebra and a quagga"))
    methods = (METHODS[0], MethodRun("none", {"negative_prompt": "ugly"}))
    found = surveyed(ModelRun("tiny-dit"), methods, (source,))
    cell.kept.cache_clear()
    assert found.unknown.startswith(
        "tiny-dit does not know the word(s) zebra, quagga, ugly; zebra, quagga, ugly: it knows"
    )


def test_the_file_may_be_appended_by_hand(tmp_path: Path):
    run = run_of(tmp_path, models=("plain",), methods=METHODS[:1])
    (first, *others) = lay_out(run, Here()).waiting
    append_record(tmp_path / "run" / cells.RECORDS, {**first.stated(), "figures": {}, "note": "by hand"})
    assert lay_out(run, Here()).waiting == tuple(others)


def test_a_clip_model_or_tracker_that_is_not_there_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    nowhere = str(tmp_path / "clip")
    for asked, told in (
        (Measuring(clip_model=nowhere), "clip"),
        (Measuring(tracker="cotracker"), "CoTracker is not here"),
    ):
        with pytest.raises(ModelError, match=told):
            lay_out(run_of(tmp_path, measuring=asked), Here())
    assert not (tmp_path / "run").exists()


def test_references_of_which_too_little_is_said_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each of these failed in every cell, or was tuned with an empty caption."""
    monkeypatch.setattr(cells, "surveyed", surveyed)
    clips = files(tmp_path / "clips", a=b"1", b=b"2")
    methods = tuple(MethodRun(name, {}) for name in ("none", "vmc", "motionmatcher", "motionflow"))
    run = run_of(tmp_path, models=("tiny-dit",), methods=methods, references=(World(1), clips), seeds=(0,))
    laid = lay_out(run, Here())
    told = [(each.source.kind, each.method.name) for each in laid.waiting]
    assert told == [("world", each.name) for each in methods] + [("folder", "none")] * 2
    advice = "it must be told what the reference shows: give folder a table with the columns clip and caption"
    assert [line.startswith(f"{name} on tiny-dit, folder: {advice}") for name, line in zip(
        ("vmc", "motionmatcher", "motionflow"), laid.left_out, strict=True)] == [True] * 3  # fmt: skip
    with pytest.raises(SettingError, match="vmc: it must be told what the reference shows"):
        lay_out(run_of(tmp_path, models=("tiny-dit",), methods=methods[:2], references=(clips,)), Here())
    cell.kept.cache_clear()


def test_a_word_that_is_not_in_its_caption_leaves_out_that_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cells, "surveyed", surveyed)
    files(tmp_path / "clips", a=b"1", b=b"2")
    table = tmp_path / "captions.csv"
    table.write_text(
        "clip,caption,subjects\na.mp4,a red star on a grey plain background,red star\n"
        "b.mp4,a blue bar on a grey plain background,red star\n"
    )
    prompt = "a green ring on a blue plain background"
    source = Folder(tmp_path / "clips", (prompt,), table, ((prompt, ("green ring",)),))
    flow = (MethodRun("motionflow", {}),)
    laid = lay_out(run_of(tmp_path, models=("tiny-dit",), methods=flow, references=(source,), seeds=(0,)), Here())
    cell.kept.cache_clear()
    assert [each.asked.reference for each in laid.waiting] == ["a.mp4"]
    (line,) = laid.left_out
    assert line.startswith("motionflow on tiny-dit, folder (1 of 2 prompts): red star is not in the source prompt")
