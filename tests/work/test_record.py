"""What a run tells, and how its video and record are written."""

import hashlib
import json
import logging
import math
import time
from pathlib import Path

import pytest

from motionlift.core.cost import Step
from motionlift.core.model import Model
from motionlift.errors import OutputError
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.marks import KEY
from motionlift.work.cast import cast, transfer
from motionlift.work.lift import lift
from tests.work.trials import PROMPT, QUICK, a_clip, refusal


@pytest.mark.slow
def test_the_record(model: Model, tmp_path: Path):
    steps: list[Step] = []
    video = transfer(a_clip(), PROMPT, model, seed=2, settings=QUICK, cached=False, advance=steps.append)
    record = json.loads(json.dumps(video.record, allow_nan=False))
    assert record["settings"]["steps"] == 3 and record["settings"]["block"] == [1]
    assert (record["prompt"], record["seed"], record["method"], record["frames"]) == (PROMPT, 2, "ditflow", 9)
    assert record["model"] == {
        "name": model.about.name,
        "identity": model.about.identity,
        "fingerprint": model.about.fingerprint,
        "dtype": "fp32",
        "measures": [],
    }
    assert record["source"]["sha256"] == a_clip().sha256
    assert record["motion_sha256"] == lift(a_clip(), model, settings=QUICK).digest()
    assert {"motionlift", "torch", "diffusers", "python"} <= record["versions"].keys()
    assert record["peak_memory_bytes"] > 2**20
    assert len(record["losses"]) == 2 and all(map(math.isfinite, record["losses"]))
    # One pass to lift; in each of two guided steps one to inject and one to optimise; two for each of three steps.
    assert (record["passes"]["forward"], record["passes"]["backward"]) == (1 + 2 * 2 + 2 * 3, 2)
    whole, first = model.share(1), model.share(0)
    assert record["passes"]["work"] == pytest.approx(whole + 2 * (first + whole + 2 * whole) + 2 * 3)
    assert [step.phase for step in steps] == ["lift", "guide", "sample", "guide", "sample", "sample"]
    assert all(0 <= step.index < step.total for step in steps)


@pytest.mark.slow
def test_phases_add_up(model: Model):
    started = time.perf_counter()
    video = transfer(a_clip(), PROMPT, model, settings=QUICK, cached=False)
    elapsed = time.perf_counter() - started
    record = video.record
    assert [phase["name"] for phase in record["phases"]] == ["read", "lift", "cast", "decode"]
    assert record["seconds"] == pytest.approx(sum(phase["seconds"] for phase in record["phases"]), abs=1e-3)
    assert 0 < record["seconds"] <= elapsed
    for kind in ("forward", "backward"):
        assert record["passes"][kind] == sum(phase["passes"][kind] for phase in record["phases"])
    assert [phase["passes"]["forward"] for phase in record["phases"]] == [0, 1, 10, 0]


@pytest.mark.slow
def test_saving_writes_both_files(model: Model, motion: Motion, tmp_path: Path):
    video = cast(motion, PROMPT, model)
    video.save(tmp_path / "out.mp4")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"out.mp4", "out.json"}
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["output"] == {
        "path": str(tmp_path / "out.mp4"),
        "sha256": hashlib.sha256((tmp_path / "out.mp4").read_bytes()).hexdigest(),
    }
    assert {name: record[name] for name in record if name not in ("output", KEY)} == json.loads(
        json.dumps(video.record)
    )
    assert Clip.read(tmp_path / "out.mp4", frames=9, fps=8, aspect=(32, 32)).frames.shape == (9, 32, 32, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.avi", "none/out.mp4", "folder.mp4"])
def test_saving_where_it_cannot_be(model: Model, motion: Motion, tmp_path: Path, name: str):
    (tmp_path / "folder.mp4").mkdir()
    video = cast(motion, PROMPT, model, settings={"steps": 1})
    refusal(OutputError, lambda: video.save(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.slow
def test_nothing_is_written_where_the_record_cannot_be(
    model: Model, motion: Motion, tmp_path: Path, motion_cache: Path
):
    (tmp_path / "out.json").mkdir()
    video = cast(motion, PROMPT, model, settings={"steps": 1})
    refusal(OutputError, lambda: video.save(tmp_path / "out.mp4"))
    assert {*tmp_path.iterdir()} - {motion_cache} == {tmp_path / "out.json"}


@pytest.mark.slow
def test_the_log_tells_phases_notices_and_what_was_read_and_written(
    model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    a_clip().save(tmp_path / "reference.mp4")
    with caplog.at_level(logging.INFO, "motionlift"), pytest.warns(UserWarning, match="purple"):
        video = transfer(tmp_path / "reference.mp4", "a purple star", model, settings=QUICK, cached=False)
        video.save(tmp_path / "out.mp4")
    told = [record.getMessage() for record in caplog.records]
    phases = ["read", "lift", "cast", "guide", "sample", "decode"]
    assert [line for line in told if line.startswith("phase: ")] == [f"phase: {phase}" for phase in phases]
    for path in ("out.mp4", "out.json"):
        assert f"wrote {tmp_path / path}" in told
    assert sum(line.startswith(f"read {tmp_path / 'reference.mp4'}: 9 frames, ") for line in told) == 1
    assert sum(line.startswith("note: ") and "purple" in line for line in told) == 1
    assert {record.name.partition(".")[0] for record in caplog.records} == {"motionlift"}
    assert logging.getLogger("motionlift").handlers == [], "how a log is shown is for the program to say"
