"""``motionlift batch`` at the command line."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from motionlift.cli import batch
from motionlift.cli.main import run
from motionlift.errors import InputError
from motionlift.jobs import batch as jobs_batch
from motionlift.jobs import watching
from motionlift.jobs.batch import RECORDS
from motionlift.jobs.records import read_records
from motionlift.jobs.runner import Record
from motionlift.jobs.work import STATED, Placed
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.video.marks import RECORD, VIDEO, seal
from motionlift.video.writing import companion, replacing, write_json
from tests.cli.calls import refused
from tests.cli.test_kills import BATCH_KILLS
from tests.cli.test_on_ray import STARTS
from tests.jobs.closed_store import Closed, Unsigned
from tests.jobs.test_batch import RED, Here

FILE = f"""
method: none
settings: {{steps: 2}}
jobs:
  - {{reference: 'clips/*.mp4', prompt: {RED}, seeds: [0, 1], output: "{{reference}}-{{seed}}.mp4"}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two clips and a job file, where processes are this one."""
    monkeypatch.chdir(tmp_path)
    assert run(["world", "clips", "--count", "2", "--quiet"]) == 0
    Path("night.yaml").write_text(FILE, encoding="utf-8")

    class Held(Here):
        def __init__(self, _: int):
            super().__init__()

        def __enter__(self) -> "Held":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("motionlift.jobs.pools.Workers", Held)
    return tmp_path


@pytest.mark.slow
def test_a_batch_is_done_and_then_is_there(here: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert run(["batch", "night.yaml"]) == 0
    out, err = capsys.readouterr()
    assert out == f"did 4 of 4 jobs, 0 were there; records in {Path('night') / RECORDS}\n"
    assert re.search(r"^2 of 4: 0001-0.mp4, \d+ seconds left$", err, re.M), err
    assert "4 of 4: 0001-1.mp4\n" in err
    assert sorted(path.name for path in Path("night").glob("*.mp4")) == [
        "0000-0.mp4",
        "0000-1.mp4",
        "0001-0.mp4",
        "0001-1.mp4",
    ]
    assert run(["batch", "night.yaml"]) == 0
    assert "did 0 of 4 jobs, 4 were there" in capsys.readouterr().out


@pytest.mark.slow
def test_a_job_that_fails_is_told_and_makes_the_exit_code_one(here: Path, capsys: pytest.CaptureFixture[str]):
    Path("clips/0000.mp4").write_bytes(b"no video at all")
    assert run(["batch", "night.yaml", "-o", "out"]) == 1
    err = capsys.readouterr().err
    assert "2 of them failed and were recorded so (--retry tries them once more); the first: 0000-0.mp4: " in err
    assert run(["batch", "night.yaml", "-o", "out"]) == 1
    out, err = capsys.readouterr()
    assert (
        "did 0 of 4 jobs" in out
        and "2 of those before had failed (--retry tries them once more); the first: 0000-" in err
    )
    shutil.copy("clips/0001.mp4", "clips/0000.mp4")
    assert run(["batch", "night.yaml", "-o", "out", "--retry"]) == 0


@pytest.mark.slow
def test_a_dry_run_says_what_would_run_and_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]):
    before = sorted(here.rglob("*"))
    assert run(["batch", "night.yaml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "4 of 4 jobs would run, 0 are done or failed" in out
    first = out.splitlines()[0]
    assert first.startswith(f"{DEFAULT_MODEL}, none steps=2: 4 jobs of 2 motions, 17 frames of 64x64; of one ")
    assert re.search(r"of one \d+ passes forward and 0 back, \d+ MB", first)
    assert sorted(here.rglob("*")) == before


@pytest.mark.slow
def test_a_dry_run_says_what_cannot_run(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["batch", "night.yaml", "--dry-run", "--memory", "1MB"]) == 1
    err = capsys.readouterr().err
    assert (
        f"{DEFAULT_MODEL}, none steps=2, 4 jobs: it does not fit" in err
        and "error: not all of it can run, as said above" in err
    )


@pytest.mark.slow
def test_what_cannot_be_is_refused_at_once(here: Path, capsys: pytest.CaptureFixture[str]):
    Path("bad.yaml").write_text(FILE.replace("seeds", "sedes"), encoding="utf-8")
    for arguments, words in {
        (): "JOBS is lacking; give a job file, or --watch FOLDER",
        ("none.yaml",): "none.yaml does not exist",
        ("bad.yaml",): "bad.yaml, line 5: unknown key 'sedes'",
        ("clips",): "clips is no job file",
        ("night.yaml", "--dry-run", "--watch", "clips"): "leave --watch out",
        ("night.yaml", "--watch", "none"): "is no folder",
        (
            "night.yaml",
            "--store",
            "bucket/night",
        ): "the store is 'bucket/night'; give an address such as s3://bucket/night",
        ("night.yaml", "--watch", "clips", "-o", "clips"): "--output and --watch are one folder",
    }.items():
        assert words in refused(capsys, 1, "batch", *arguments)


NO_ENTRY = {
    Closed.protocol: "the store does not allow it (Access Denied)",
    Unsigned.protocol: "there are no credentials for this store; set them as its own tools want them",
}
"""What is said of stores that let nobody in."""


@pytest.fixture
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """No job is begun, and no store is asked twice."""
    monkeypatch.setattr("motionlift.jobs.batch.record_of", lambda placed: pytest.fail(f"began {placed}"))
    monkeypatch.setattr("motionlift.jobs.stores.time.sleep", lambda _: pytest.fail("waited"))


@pytest.mark.parametrize("store", NO_ENTRY)
@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("more.yaml", f"{FILE}  - {{reference: PLACE, prompt: {RED}}}\n", 6),
        ("more.csv", f"reference,prompt\nclips/0000.mp4,{RED}\nPLACE,{RED}\n", 3),
        ("more.jsonl", "\n" + json.dumps({"reference": "PLACE", "prompt": RED}), 2),
    ],
)
def test_a_reference_in_a_store_that_lets_nobody_in_is_refused_with_its_line(
    here: Path, no_job: None, store: str, name: str, text: str, line: int, capsys: pytest.CaptureFixture[str]
):
    place = f"{store}://bucket/clip.mp4"
    Path(name).write_text(text.replace("PLACE", place), encoding="utf-8")
    assert refused(capsys, 1, "batch", name) == f"error: {name}, line {line}: cannot read {place}: {NO_ENTRY[store]}\n"


@pytest.mark.parametrize("store", NO_ENTRY)
def test_a_store_that_lets_nobody_in_is_refused_before_the_first_job(
    here: Path, no_job: None, store: str, capsys: pytest.CaptureFixture[str]
):
    address = f"{store}://bucket/night"
    for more, doing in (
        ((), f"cannot write {address}/{RECORDS}"),
        (("--dry-run",), f"cannot look at {address}/0000-0.mp4"),
    ):
        capsys.readouterr()
        assert run(["batch", "night.yaml", "--quiet", "--store", address, *more]) == 1
        assert capsys.readouterr() == ("", f"error: {doing}: {NO_ENTRY[store]}\n")
    assert not Path("night").exists(), "nothing was made"


def test_two_of_one_folder_are_refused(here: Path, capsys: pytest.CaptureFixture[str]):
    from motionlift.motion.lock import held

    with held(Path("night")):
        assert run(["batch", "night.yaml"]) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.slow
def test_clips_and_job_files_are_taken_as_they_arrive(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The rounds that a watch makes, with the clips put there between its looks."""
    Path("in").mkdir()
    Path("each.yaml").write_text(FILE.replace("reference: 'clips/*.mp4', ", ""), encoding="utf-8")
    looks = 0

    def arrives(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            shutil.copy("clips/0000.mp4", "in/walk.mp4")
        if looks == 2:
            Path("in/more.jsonl").write_text(
                json.dumps({"reference": "clips/0001.mp4", "prompt": RED, "method": "none", "settings": {"steps": 2}})
            )
            Path("in/bad.csv").write_text("speed\n")
            bad = {"reference": "clips/0001.mp4", "prompt": RED, "method": "none", "output": "notes.txt"}
            Path("in/worse.jsonl").write_text(json.dumps(bad))
        if looks == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(batch.time, "sleep", arrives)
    monkeypatch.setattr("motionlift.jobs.watching.STILL", 0.0)
    assert run(["batch", "each.yaml", "--watch", "in", "-o", "out"]) == 130
    err = capsys.readouterr().err
    assert err.count("bad.csv is left out: in/bad.csv, line 1: unknown key 'speed'") == 1
    assert err.count("worse.jsonl is left out: in/worse.jsonl, line 1: cannot write") == 1
    assert "what is done stays in out; the same command goes on from there" in err
    made = sorted(record["output"] for record in read_records(Path("out") / RECORDS))
    assert made == ["0001-a-red-star-on-a-blue-plain-background-0.mp4", "walk-0.mp4", "walk-1.mp4"]


class Made(dict[str, list[bytes]]):
    """Stands in for the making of videos: what the reference of each output held each time it was made."""

    fails = False

    def __call__(self, placed: Placed) -> Record:
        self.setdefault(placed.job.output, []).append(placed.reference().read_bytes())
        if self.fails:
            return {**placed.stated, "error": "no"}
        with replacing(placed.output, VIDEO) as place:
            place.write_bytes(b"a video")
            seal(place, VIDEO, ".mp4")
        write_json(companion(placed.output, ".json"), RECORD, {STATED: placed.stated}, 1)
        return {**placed.stated, "sha256": "0"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    own = Made()
    monkeypatch.setattr("motionlift.jobs.batch.record_of", own)
    return own


@pytest.fixture
def watched(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Watches a folder, ``in``, by a clock that only sleeping moves, and does something at the end of each look."""
    now, watch = [0.0], watching.Watch
    Path("in").mkdir()
    monkeypatch.setattr(watching, "Watch", lambda folder: watch(folder, lambda: now[0]))

    def run_so(events: Sequence[Callable[[], object]], *words: str) -> None:
        left = iter(events)

        def sleep(seconds: float) -> None:
            now[0] += seconds
            event = next(left, None)
            if event is None:
                raise KeyboardInterrupt
            event()

        with monkeypatch.context() as patch:
            patch.setattr(batch.time, "sleep", sleep)
            assert run(["batch", *words, "--watch", "in", "-o", "out", "--quiet"]) == 130

    return run_so


def test_as_many_moments_of_kills_are_told_as_there_are():
    page = " ".join(Path(__file__).parents[2].joinpath("docs/batch.md").read_text(encoding="utf-8").split())
    assert f"`tests/cli/test_kills.py` kills workers and the program at {2 * BATCH_KILLS} moments of 40 jobs" in page
    assert f"`tests/cli/test_on_ray.py` does the same at {2 * STARTS} moments" in page


def nothing() -> None:
    """Happens at the end of a look."""


def asks(reference: str, output: str) -> str:
    return json.dumps({"reference": reference, "prompt": RED, "method": "none", "output": output})


def test_a_job_file_s_clip_is_taken_once_it_no_longer_grows(watched: Callable[..., None], made: Made):
    clip = Path("in/big.webm")
    clip.write_bytes(b"0")
    Path("in/jobs.jsonl").write_text(asks("in/big.webm", "big.mp4"))

    def grows() -> None:
        clip.write_bytes(clip.read_bytes() + b"0")

    watched([*[grows] * 6, *[nothing] * 4])
    assert made == {"big.mp4": [b"0" * 7]}


def test_a_clip_s_newer_content_replaces_what_the_earlier_made(
    watched: Callable[..., None], made: Made, capsys: pytest.CaptureFixture[str]
):
    """As where a copy stood still for some time."""
    clip = Path("elsewhere.webm")
    clip.write_bytes(b"half")
    Path("in/jobs.jsonl").write_text(asks("elsewhere.webm", "big.mp4"))
    watched([*[nothing] * 5, lambda: clip.write_bytes(b"half and half"), *[nothing] * 4])
    assert made == {"big.mp4": [b"half", b"half and half"]}
    (record,) = read_records(Path("out") / RECORDS)
    assert "error" not in record and "left out" not in capsys.readouterr().err


def test_a_picture_is_waited_for_and_what_begins_with_another_is_made_again(watched: Callable[..., None], made: Made):
    Path("a.mp4").write_bytes(b"a")
    Image.new("RGB", (8, 8)).save("p.png")
    Path("in/jobs.jsonl").write_text(json.dumps({**json.loads(asks("a.mp4", "big.mp4")), "picture": "p.png"}))

    def grows() -> None:
        assert made == {}
        Path("p.png").write_bytes(Path("p.png").read_bytes() + b"0")

    def is_another() -> None:
        assert made == {"big.mp4": [b"a"]}
        Image.new("RGB", (8, 8), (0, 200, 0)).save("p.png")

    watched([*[grows] * 6, *[nothing] * 4, is_another, *[nothing] * 4])
    assert made == {"big.mp4": [b"a", b"a"]}


def test_a_reference_that_goes_stops_no_other_job(
    watched: Callable[..., None], made: Made, capsys: pytest.CaptureFixture[str]
):
    Path("x.mp4").write_bytes(b"x")
    template = json.dumps({"prompt": RED, "method": "none", "output": "{reference}.mp4"})
    Path("jobs.jsonl").write_text(asks("x.mp4", "first.mp4") + "\n" + template)

    def goes() -> None:
        Path("x.mp4").unlink()
        Path("in/a.mp4").write_bytes(b"a")

    def returns() -> None:
        Path("x.mp4").write_bytes(b"another")

    watched([*[nothing] * 4, goes, *[nothing] * 5, returns, *[nothing] * 4], "jobs.jsonl")
    assert made == {"first.mp4": [b"x", b"another"], "a.mp4": [b"a"]}
    assert "first.mp4 is left out: jobs.jsonl, line 1: x.mp4 cannot be read" in capsys.readouterr().err


def test_a_round_that_a_clip_fled_is_made_again(
    watched: Callable[..., None], made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    laid, rounds = jobs_batch.lay_out, []

    def flees_once(*given: Any) -> Any:
        rounds.append(given)
        if len(rounds) == 1:
            raise InputError("a clip is gone")
        return laid(*given)

    monkeypatch.setattr(jobs_batch, "lay_out", flees_once)
    Path("in/a.mp4").write_bytes(b"a")
    Path("each.jsonl").write_text(json.dumps({"prompt": RED, "method": "none", "output": "{reference}.mp4"}))
    watched([nothing] * 5, "each.jsonl")
    assert made == {"a.mp4": [b"a"]} and capsys.readouterr().err.count("a clip is gone") == 1


def test_what_failed_before_a_watch_is_tried_again_once_when_asked(watched: Callable[..., None], made: Made):
    Path("in/a.mp4").write_bytes(b"a")
    Path("each.jsonl").write_text(json.dumps({"prompt": RED, "method": "none", "output": "{reference}.mp4"}))
    made.fails = True
    for more, times in ([], 1), ([], 1), (["--retry"], 2):
        arrives = [*[nothing] * 4, lambda: Path("in/b.mp4").write_bytes(b"b"), *[nothing] * 4]
        watched(arrives, "each.jsonl", *more)
        assert len(made["a.mp4"]) == times
    made.fails = False
    watched([nothing] * 4, "each.jsonl", "--retry")
    assert not any("error" in record for record in read_records(Path("out") / RECORDS))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX")
def test_a_watch_is_ended_by_a_signal(tmp_path: Path):
    """With real processes: what arrives is made, and Ctrl-C leaves nothing behind."""
    command = [sys.executable, "-m", "motionlift"]
    subprocess.run([*command, "world", "clips", "--count", "1", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "each.yaml").write_text(FILE.replace("reference: 'clips/*.mp4', ", ""), encoding="utf-8")
    asked = [*command, "batch", "each.yaml", "--watch", "in", "-o", "out", "--workers", "1"]
    with subprocess.Popen(asked, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        shutil.copy(tmp_path / "clips/0000.mp4", tmp_path / "in/walk.mp4")
        records, until = tmp_path / "out" / RECORDS, time.monotonic() + 300
        while len(read_records(records)) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [RECORDS, *(f"walk-{seed}.{suffix}" for seed in (0, 1) for suffix in ("json", "mp4"))]
    )
