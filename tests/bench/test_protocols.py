"""The bundled table of DAVIS, and what is said of folders that do not hold a protocol's clips."""

import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.bench import cell
from motionlift.bench.cell import measured_cell, record_of, surveyed
from motionlift.bench.cells import lay_out
from motionlift.bench.measures import Measuring
from motionlift.bench.mtbench import MTBench
from motionlift.bench.protocols import davis_faults, mtbench_faults
from motionlift.bench.run_file import MethodRun, ModelRun, RunFile
from motionlift.bench.sources import DAVIS_TABLE, KINDS, Davis, davis_table, several
from motionlift.bench.words import untold
from motionlift.cli import main
from motionlift.errors import InputError
from motionlift.methods import methods
from motionlift.methods.captions import subject_and_action
from motionlift.models.families.animatediff import AnimateDiff
from motionlift.work.keeping import Kept
from tests.bench.test_cells import Here
from tests.bench.test_mtbench import made
from tests.twins.animatediff import animatediff

CLIPS_2016 = """
bear blackswan bmx-bumps bmx-trees boat breakdance breakdance-flare bus camel car-roundabout car-shadow car-turn cows dance-jump
dance-twirl dog dog-agility drift-chicane drift-straight drift-turn elephant flamingo goat hike hockey horsejump-high horsejump-low
kite-surf kite-walk libby lucia mallard-fly mallard-water motocross-bumps motocross-jump motorbike paragliding paragliding-launch
parkour rhino rollerblade scooter-black scooter-gray soapbox soccerball stroller surf swing tennis train
"""
"""The list of DAVIS 2016, as its own evaluation program has it."""
ROWS = davis_table(DAVIS_TABLE)
RUNS = tuple(MethodRun(name, {}) for name in sorted(methods()))


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up frames under the names of DAVIS: the same 24 in every clip."""
    folder = tmp_path_factory.mktemp("davis") / "JPEGImages" / "480p"
    first = folder / ROWS[0]["clip"]
    first.mkdir(parents=True)
    for number in range(24):
        picture = np.full((24, 40, 3), 90, np.uint8)
        picture[8:16, number : number + 8] = 200
        Image.fromarray(picture).save(first / f"{number:05d}.jpg")
    for row in ROWS[1:]:
        shutil.copytree(first, folder / row["clip"], copy_function=os.link)
    return folder


def test_the_table_has_the_clips_of_davis_2016():
    assert [row["clip"] for row in ROWS] == CLIPS_2016.split() and len(ROWS) == 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["clip"])
def test_every_line_says_what_a_method_may_ask_for(row: dict[str, str]):
    caption, subject, scene = (row[kind] for kind in KINDS)
    assert len({caption, subject, scene}) == 3
    subjects, targets = several(row["subjects"]), several(row["targets"])
    assert len(subjects) == len(targets) >= 1
    for word in subjects:
        assert f" {word} " in f" {caption} ", "the subject is in the caption as it is"
    for word in targets:
        assert all(f" {word} " in f" {prompt} " for prompt in (subject, scene))
        assert f" {word} " not in f" {caption} "
    reduced = subject_and_action(caption).split()
    assert {"is", "are"} & set(reduced) and len(reduced) <= 6, "a subject and what it does are left, and no place"
    assert all(len(prompt.split()) < 20 and prompt == prompt.strip() for prompt in (caption, subject, scene))


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_method_is_told_what_it_needs(davis: Path, name: str):
    """MotionFlow, which asks for the most, of every prompt; its cells all failed where the table named no subjects."""
    asks = "subjects" in {item.name for item in fields(methods()[name].Settings)}
    source = Davis(davis, clips=50 if asks else 1)
    asked = source.asked(17)
    assert len(asked) == source.size() == (150 if asks else 3)
    for each in asked:
        told = source.told(each, name, {}, 17)
        assert untold(name, told) is None, each
        assert {"subjects", "targets"} <= told.keys() or not asks


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model that reads letters: the bundled ones' few words and short windows are not for DAVIS."""
    model = AnimateDiff(animatediff(), "twin", torch.device("cpu"))
    kept = Kept("twin")
    kept.model = model
    monkeypatch.setattr(cell, "kept", lambda *_: kept)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "clips"), [(RUNS, 1), ((MethodRun("motionflow", {}),), 50)])
def test_no_cell_is_left_out_when_a_run_is_laid_out(davis: Path, twin: Any, runs: tuple[MethodRun, ...], clips: int):
    """All that a model finds out before it runs: that prompts fit, subjects are in the caption and targets in the prompt."""
    survey = surveyed(ModelRun("twin"), runs, (Davis(davis, clips=clips),))
    assert not survey.refused and not any(survey.refused_cells.values())


@pytest.mark.slow
def test_every_method_makes_a_video_of_a_clip(davis: Path, twin: Any, tmp_path: Path):
    small = {"steps": 2, "tuning_steps": 1, "inner": 1}
    runs = tuple(
        MethodRun(name, {key: value for key, value in small.items() if hasattr(own.Settings(), key)})
        for name, own in sorted(methods().items())
    )
    asked: dict[str, Any] = {"models": (ModelRun("twin"),), "methods": runs, "seeds": (0,)}
    source, measuring = Davis(davis, frames=8, clips=1), Measuring(metrics=("motion_fidelity",))
    run = RunFile(**asked, references=(source,), measuring=measuring, output=tmp_path / "run")
    waiting = [each for each in lay_out(run, Here()).waiting if each.asked.kind == "subject"]
    records = [record_of(each, measured_cell) for each in waiting]
    assert {record["method"] for record in records} == methods().keys()
    assert not [(record["method"], record["error"]) for record in records if "error" in record]
    assert all(record["frames"] == 8 for record in records)
    for record in records:
        assert record["measured_by"] == {"tracker": {"name": "flow", "grid": 50, "opencv": cv2.__version__}}


def test_a_whole_folder_has_no_faults(davis: Path, capsys: pytest.CaptureFixture[str]):
    assert list(davis_faults(Davis(davis, clips=5))) == []
    assert main.run(["protocol", "davis", str(davis)]) == 0
    assert "holds all of davis: 150 prompts" in " ".join(capsys.readouterr().out.split())


def test_each_clip_that_cannot_be_used_has_a_line(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "480p"
    for name in ("bear", "boat", "bus", "dog"):
        shutil.copytree(davis / name, folder / name)
    shutil.copytree(davis / "bear", folder / "Black_Swan")
    shutil.copytree(davis / "bear", folder / "rallye")
    (folder / "boat" / "00011.jpg").unlink()
    for number in range(20, 24):
        (folder / "bus" / f"{number:05d}.jpg").unlink()
    (folder / "dog" / "00003.jpg").write_text("no picture")
    found = dict(line.split(": ", 1) for line in davis_faults(Davis(folder)))
    assert len(found) == 50 - 1 and "bear" not in found and "rallye" not in found
    assert found["blackswan"] == "is not there; Black_Swan has nearly that name: rename it"
    assert found["camel"] == "is not there"
    assert found["boat"].endswith("holds 23 JPEG files; 24 are needed")
    assert found["bus"].endswith("holds 20 JPEG files; 24 are needed")
    assert "00003.jpg is no JPEG picture that can be read" in found["dog"]
    assert "bus" not in dict(line.split(": ", 1) for line in davis_faults(Davis(folder, frames=20)))
    assert main.run(["protocol", "davis", str(folder)]) != 0
    told = capsys.readouterr()
    assert "car-turn: is not there" in told.out.splitlines()
    assert "does not hold all of davis: 49 clips" in " ".join(told.err.split())


@pytest.mark.parametrize("within", [".", "..", "../.."])
def test_the_folder_that_is_meant_is_named(davis: Path, within: str):
    given = davis / within
    if within == ".":
        assert not list(davis_faults(Davis(given, clips=1)))
        return
    told = r"holds none of the 50 clips that davis\.csv names; give "
    with pytest.raises(InputError, match=told + (r".*JPEGImages/480p$" if within == "../.." else "the folder")):
        list(davis_faults(Davis(given)))


def test_faults_of_mtbench(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made(tmp_path, "snowboard", "surf", "train", "walk")
    assert list(mtbench_faults(MTBench(tmp_path))) == []
    (tmp_path / "surf" / "videos" / "surf.mp4").unlink()
    (tmp_path / "train" / "prompts.txt").write_text("\n")
    (tmp_path / "walk" / "eval_prompts.txt").unlink()
    (tmp_path / ".cache").mkdir()
    found = dict(line.split(": ", 1) for line in mtbench_faults(MTBench(tmp_path, frames=5)))
    assert found["surf"].endswith("surf.mp4 is not there") and "holds no prompt" in found["train"]
    assert found["walk"] == "has no eval_prompts.txt" and found["snowboard"].endswith("has 4 frames; 5 are needed")
    assert found.keys() == {"snowboard", "surf", "train", "walk"}
    assert main.run(["protocol", "mtbench", str(tmp_path)]) != 0
    assert "3 clips, named above" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["youtube", "."], "the protocol is 'youtube'; allowed are davis and mtbench"),
        (["mtbench", ".", "--prompts", "a.csv"], "--prompts is of no use to mtbench"),
        (["davis", "nowhere"], "nowhere does not exist; give the folder that holds the clips' folders"),
        (["mtbench", "nowhere"], "nowhere does not exist; give the folder that holds the clips' folders"),
    ],
)
def test_what_is_no_protocol_is_refused(more: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert main.run(["protocol", *more]) != 0
    assert told in " ".join(capsys.readouterr().err.split())
