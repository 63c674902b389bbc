"""``motionlift batch`` in real processes: disk, store or clock fails, or a second program comes, and all ends as if nothing had."""

import hashlib
import importlib.util
import os
import signal
import time
from pathlib import Path

import pytest

from motionlift.cli.main import run
from motionlift.jobs.batch import RECORDS
from motionlift.jobs.records import read_records
from motionlift.motion.lock import LOCK
from tests.cli.real_runs import JOBS, PATIENCE, RAY, SUFFIXES, WORDS, Place, hashes, wait_for_records
from tests.full_disk import FullDisk
from tests.jobs import third_store

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals and folders of POSIX")]
COUNT = 10
"""Jobs of the batch."""
ROOM = 20
"""Pages of the disk that are enough to begin (16) and for some of the jobs, of which each takes four."""
DAY = 24 * 3600
WITH_RAY = pytest.param(
    RAY, marks=pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"), id="ray"
)
"""Not imported: what Ray is to leave unsaid is told to it in the environment before it is."""


@pytest.fixture(scope="module")
def jobs(clips: Path, model: str) -> str:
    return JOBS.format(model=model, clips=clips, seeds=[*range(COUNT)])


@pytest.fixture(scope="module")
def alone(jobs: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of the videos of a run that was left alone."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "jobs.yaml").write_text(jobs, encoding="utf-8")
    assert run(["batch", str(folder / "jobs.yaml"), "-o", str(folder / "out"), "--workers", "1", "--quiet"]) == 0
    found = hashes(folder / "out")
    assert len(found) == len({*found.values()}) == COUNT
    return found


@pytest.fixture
def place(place: Place, jobs: str) -> Place:
    """The place, with a job file."""
    (place.folder / "jobs.yaml").write_text(jobs, encoding="utf-8")
    return place


@pytest.mark.parametrize("where", [pytest.param((), id="here"), WITH_RAY])
def test_a_disk_that_is_full_ends_a_batch_which_goes_on_once_there_is_room(
    where: tuple[str, ...], place: Place, alone: dict[str, str], full_disk: FullDisk
):
    out = full_disk.folder / "out"
    words = (*WORDS, *where, "-o", str(out))
    with full_disk.left(ROOM):
        _, err = place.done(*words, code=1)
        told = err.splitlines()[-1]
        assert told.startswith("error: cannot write ") and ("the disk is full" in told or "No space left" in told)
        place.check_quiet()
        before = read_records(out / RECORDS)
        assert 0 < len(before) < COUNT and not any("error" in record for record in before), "no fault of a job"
        assert {path.suffix for path in out.iterdir()} == SUFFIXES, "nothing half written stays"
        made = {record["output"]: (out / record["output"]).stat().st_mtime_ns for record in before}
    place.done(*words)
    assert hashes(out) == alone
    assert made == {name: (out / name).stat().st_mtime_ns for name in made}, "what was done stays"
    place.check_clean()


def test_a_disk_that_is_full_at_once_refuses_a_batch(place: Place, full_disk: FullDisk):
    out = full_disk.folder / "out"
    with full_disk.left(4):
        _, err = place.done(*WORDS, "-o", str(out), code=1)
        assert err.splitlines()[-1].startswith("error: cannot write ") and "the disk is full" in err
        assert not out.exists()
    place.check_clean()


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        pytest.param("third", (), id="objects"),
        pytest.param("moving", (), id="files"),
        pytest.param("third", WITH_RAY.values[0], marks=WITH_RAY.marks, id="ray"),
    ],
)
def test_a_store_that_fails_every_third_write_of_all_workers_has_every_video_whole(
    kind: str, where: tuple[str, ...], place: Place, alone: dict[str, str], tmp_path: Path
):
    """One of the workers is killed while it writes there, too."""
    stored = tmp_path / "beside" / "store" / "night"
    stored.mkdir(parents=True)
    place.changed(THIRD_STORE=str(stored.parent))
    words = (*WORDS, "--store", f"{kind}://night")
    (tmp_path / "beside" / third_store.DEADLY).touch()
    place.done(*words, *where, "-o", "out")
    assert hashes(place.folder / "out") == alone
    assert not (tmp_path / "beside" / third_store.DEADLY).exists(), "a worker was killed"
    writes = (tmp_path / "beside" / third_store.WRITES).stat().st_size
    assert writes > 1.4 * COUNT * (4 if kind == "third" else 2), "a third of them failed"
    out, _ = place.done(*words, "-o", "elsewhere")
    assert out.startswith(f"did 0 of {COUNT} jobs, {COUNT} were there"), "by the store alone"
    recorded = read_records(place.folder / "elsewhere" / RECORDS)
    assert {record["output"]: record["sha256"] for record in recorded} == alone and len(recorded) == COUNT
    assert {name: hashlib.sha256((stored / name).read_bytes()).hexdigest() for name in alone} == alone
    beside = {Path(name).with_suffix(".json").name for name in alone}
    marked = {f"{name}.done" for name in (*alone, *beside)} if kind == "third" else set[str]()
    assert {path.name for path in stored.iterdir()} == {*alone, *beside, *marked}, "nothing else stays"
    place.check_clean()


def test_of_two_programs_on_one_folder_the_second_is_refused(place: Place, alone: dict[str, str]):
    words = (*WORDS, "-o", "out")
    with place.started(*words) as first:
        until = time.monotonic() + PATIENCE
        while not (place.folder / "out" / LOCK).exists():
            assert first.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        wait_for_records(place.folder / "out", 1, first)
        first.send_signal(signal.SIGSTOP)  # it holds the folder for as long as the second takes to begin
        _, err = place.done(*words, code=1)
        assert err == "error: another run is at work in out; wait for it, or give another folder\n"
        first.send_signal(signal.SIGCONT)
        out, err = first.communicate(timeout=PATIENCE)
    assert (first.returncode, err) == (0, "")
    assert out.startswith(f"did {COUNT} of {COUNT} jobs, 0 were there")
    assert hashes(place.folder / "out") == alone
    place.check_clean()


def test_a_clock_that_is_set_back_within_a_run_and_between_two_changes_nothing(
    place: Place, alone: dict[str, str], tmp_path: Path
):
    told, out, words = tmp_path / "back", place.folder / "out", (*WORDS, "-o", "out")
    place.changed(SET_BACK=str(told))
    with place.started(*words) as first:
        wait_for_records(out, 1, first)
        told.write_text(str(30 * DAY))
        wait_for_records(out, 3, first)
        first.kill()
        first.communicate(timeout=PATIENCE)
    place.check_quiet()
    saw = {path.name for path in tmp_path.glob("back-*")}
    assert saw, "the program or a worker saw that"
    before = len(read_records(out / RECORDS))
    told.write_text(str(90 * DAY))
    did, _ = place.done(*words)
    assert did.startswith(f"did {COUNT - before} of {COUNT} jobs, {before} were there")
    assert {path.name for path in tmp_path.glob("back-*")} > saw, "and so did those of the second run"
    assert hashes(out) == alone
    place.check_clean()
