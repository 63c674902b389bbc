"""Figures that were left out, and are measured once what they need is there."""

from pathlib import Path
from typing import Any

import pytest

from motionlift.bench import cells
from motionlift.bench.cell import Cell, Survey, ended
from motionlift.bench.cells import lay_out
from motionlift.bench.completing import OF_FILES, at_hand, completable, completed, left_to_measure
from motionlift.bench.measures import Measuring
from motionlift.bench.run_file import MethodRun, ModelRun, RunFile
from motionlift.bench.sources import World
from motionlift.errors import ModelError
from motionlift.jobs.records import read_lines
from motionlift.measure import leakage, reward
from tests.bench.made_records import record, video
from tests.bench.test_cells import Here


def lacking() -> Any:
    raise ModelError("its weights are not there")


@pytest.fixture(autouse=True)
def _nothing_at_hand(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leakage, "_lpips", lacking)
    monkeypatch.setattr(reward, "_reward", lacking)
    state = {"fingerprint": "f", "defaults": "d", "code": "c"}
    monkeypatch.setattr(cells, "surveyed", lambda model, *_: Survey(17, {"none": state}, {}))


def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that says how far apart colours are."""
    monkeypatch.setattr(leakage, "_lpips", lambda: lambda one, other: (one - other).abs().mean().reshape(1))


def run_of(folder: Path) -> RunFile:
    return RunFile((ModelRun("tiny"),), (MethodRun("none", {}),), (World(2),), (0,), Measuring(), folder / "run")


def measure(cell: Cell) -> dict[str, Any]:
    """As of a run in which nothing was at hand; both videos are there."""
    names = {"video": f"videos/{cell.asked.reference}.mp4", "reference_video": "videos/reference.mp4"}
    for name in names.values():
        video(cell.folder / name)
    left_out = dict.fromkeys(("lpips", "image_reward"), "its weights are not there")
    return {"figures": {"ssim": 0.5}, "left_out": left_out, **names}


def measured(folder: Path) -> list[dict[str, Any]]:
    return list(lay_out(run_of(folder), Here()).measured(Here(), measure))


def test_what_may_be_left_out_for_want_of_weights():
    assert set(completable()) == {"lpips", "image_reward"} and at_hand(completable()) == ()


def test_what_was_left_out_is_measured_once_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert len(measured(tmp_path)) == 2 and measured(tmp_path) == []
    before = read_lines(tmp_path / "run" / cells.RECORDS).records
    installed(monkeypatch)
    assert at_hand(completable()) == ("lpips",) and lay_out(run_of(tmp_path), Here()).incomplete == 2
    made = measured(tmp_path)
    assert [each["figures"] for each in made] == [{"ssim": 0.5, "lpips": 0.0}] * 2, (
        "both videos are the same file's likeness"
    )
    for one, other in zip(before, made, strict=True):
        assert other.pop(OF_FILES) == ["lpips"] and other["left_out"].keys() == {"image_reward"}
        changed = ("figures", "left_out", "measured_by")
        assert all(one[name] == value for name, value in other.items() if name not in changed), "nothing is made anew"
    assert measured(tmp_path) == []


@pytest.mark.slow
def test_what_it_was_measured_by_is_added(tmp_path: Path):
    """Of a record of before too, which says nothing of it."""
    for name in ("video", "reference_video"):
        video(tmp_path / f"{name}.mp4")
    files = {"video": "video.mp4", "reference_video": "reference_video.mp4", "prompt": "a star"}
    before = {"figures": {"ssim": 0.5}, "left_out": {"motion_fidelity": "not yet"}, **files}
    clip = {"clip": {"name": "some"}}
    by = {"tracker": "flow", "clip_model": None}
    for known in ({}, {"measured_by": clip}):
        found = completed({**before, **known}, tmp_path, ["motion_fidelity"], by)["measured_by"]
        assert found["tracker"]["grid"] == 50 and found.get("clip") == (clip["clip"] if known else None)


def test_what_cannot_be_measured_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    measured(tmp_path)
    installed(monkeypatch)
    for path in (tmp_path / "run" / "videos").glob("0*.mp4"):
        path.write_bytes(b"nonsense")
    made = measured(tmp_path)
    assert [each["figures"] for each in made] == [{"ssim": 0.5}] * 2 and "error" not in made[0]
    assert "is no video" in made[0]["left_out"]["lpips"] and measured(tmp_path) == []


def test_without_its_video_a_cell_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    measured(tmp_path)
    installed(monkeypatch)
    (tmp_path / "run" / "videos" / "reference.mp4").unlink()
    assert measured(tmp_path) == []


def test_no_file_outside_the_folder_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch)
    video(tmp_path / "secret.mp4")
    strange = {
        **record("none", 0, {}),
        "left_out": {"lpips": ""},
        "video": "../secret.mp4",
        "reference_video": "../secret.mp4",
    }
    found = completed(strange, tmp_path / "run", ["lpips"], {})
    assert found["left_out"] == {"lpips": "its video is not there any more"} and found["figures"] == {}


def test_a_process_that_ends_loses_nothing_that_was_measured(tmp_path: Path):
    (cell, *_) = lay_out(run_of(tmp_path), Here()).waiting
    assert ended(cell, "it died")["error"] == "it died"
    known = {**cell.stated(), **measure(cell)}
    kept = ended(Cell(**{**vars(cell), "record": known, "lacking": ("lpips",)}), "it died")
    assert "error" not in kept and kept["figures"] == {"ssim": 0.5} and kept["left_out"]["lpips"] == "it died"


def test_records_of_which_nothing_is_left_to_measure():
    assert left_to_measure({"error": "no", "left_out": {"lpips": ""}}, ["lpips"]) == []
    assert left_to_measure({"left_out": [1]}, ["lpips"]) == left_to_measure({}, ["lpips"]) == []
    assert left_to_measure({"left_out": {"lpips": ""}}, ["lpips", "ssim"]) == ["lpips"]
