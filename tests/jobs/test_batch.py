"""A batch: what waits, what is lifted once, and what is gone on with."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from motionlift.cli.main import run
from motionlift.errors import InputError, OutputError
from motionlift.jobs import batch, work
from motionlift.jobs.batch import RECORDS, lay_out, standing, turns
from motionlift.jobs.job import INPUTS, Contents, Job, content_of
from motionlift.jobs.planning import PROCESS, forecast, needs
from motionlift.jobs.records import read_records
from motionlift.jobs.runner import DIED
from motionlift.jobs.stores import deliver, fetched
from motionlift.jobs.work import HERE, Placed, Where, asked_of, command_of, finished, record_of
from motionlift.jobs.workers import Workers
from motionlift.video.clip import Clip
from motionlift.video.files import hash_of_file
from motionlift.world.scenes import render, sample
from motionlift.world.truth import write_world
from tests import twins
from tests.jobs.counting import Counted
from tests.jobs.flaky_store import Flaky
from tests.jobs.third_store import FOLDER, Moving

RED, GREEN = "a red star on a blue plain background", "a green ring on a grey plain background"
FEW = {"steps": 2}


class Here:
    """A pool of this process alone, which counts what it is given."""

    def __init__(self, dies: str = ""):
        """Nothing is done yet; where an output ends so, its process is said to have died."""
        self.rounds: list[list[str]] = []
        self._dies = dies

    def each(self, work: Callable[[Any], Any], items: Iterable[Any], died: Callable[[Any], Any]) -> Iterator[Any]:
        items = list(items)
        self.rounds.append([item.job.output for item in items])
        for item in items:
            yield died(item) if self._dies and item.job.output.endswith(self._dies) else work(item)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of the world."""
    folder = tmp_path_factory.mktemp("clips")
    write_world(folder, 2, 0, 17, 32)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pipeline in a folder, whose text window takes the prompts."""
    folder = tmp_path_factory.mktemp("models") / "twin"
    twins.cogvideox(window=32).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def _nothing_stays_loaded() -> Iterator[None]:
    yield
    work._held.cache_clear()


@pytest.fixture
def jobs(clips: Path, model: str) -> list[Job]:
    """Four jobs of two motions, which follow none, in two steps."""
    return [
        Job(str(clips / f"{clip}.mp4"), prompt, 0, "none", model, FEW, f"{clip}-{number}.mp4", place=f"line {clip}")
        for clip in ("0000", "0001")
        for number, prompt in enumerate((RED, GREEN))
    ]


@pytest.mark.slow
def test_jobs_are_done_once_and_each_has_its_record(jobs: list[Job], tmp_path: Path):
    pool = Here()
    records = list(lay_out(jobs, tmp_path).done(pool))
    assert pool.rounds == [["0000-0.mp4", "0001-0.mp4"], ["0000-1.mp4", "0001-1.mp4"]]
    assert read_records(tmp_path / RECORDS) == [json.loads(json.dumps(record)) for record in records]
    for job, record in zip(sorted(jobs, key=lambda job: job.output[-5]), records, strict=True):
        assert (record["output"], record["prompt"]) == (job.output, job.prompt)
        assert record["sha256"] == hash_of_file(tmp_path / job.output)
        assert record["content"] == content_of(job.reference)
    again = lay_out(jobs, tmp_path)
    assert (again.count, again.waiting, again.failed) == (4, (), ())


@pytest.fixture
def done(jobs: list[Job], tmp_path: Path) -> Path:
    """A folder where one job is done."""
    list(lay_out(jobs[:1], tmp_path).done(Here()))
    return tmp_path


@pytest.mark.slow
def test_a_video_that_is_gone_is_made_again_and_is_the_same(jobs: list[Job], done: Path):
    video = done / jobs[0].output
    before = hash_of_file(video)
    video.unlink()
    (placed,) = lay_out(jobs[:1], done).waiting
    assert record_of(placed)["sha256"] == before
    assert read_records(done / RECORDS) == [], "each job has one record"
    assert hash_of_file(video) == before


@pytest.mark.slow
def test_a_video_whose_record_was_never_written_is_not_made_again(
    jobs: list[Job], done: Path, monkeypatch: pytest.MonkeyPatch
):
    (done / RECORDS).unlink()
    (placed,) = lay_out(jobs[:1], done).waiting
    monkeypatch.setattr("motionlift.jobs.work._made", lambda _: pytest.fail("made again"))
    assert record_of(placed)["sha256"] == hash_of_file(done / jobs[0].output)


@pytest.mark.slow
@pytest.mark.parametrize("spoiled", ["video", "record", "seed"])
def test_what_is_not_whole_or_of_another_job_is_made_again(jobs: list[Job], done: Path, spoiled: str):
    (done / RECORDS).unlink()
    job = replace(jobs[0], seed=1) if spoiled == "seed" else jobs[0]
    (placed,) = lay_out([job], done, overwrite=True).waiting
    place = done / job.output
    if spoiled == "video":
        place.write_bytes(place.read_bytes()[:-10])
    if spoiled == "record":
        place.with_suffix(".json").write_text("{", encoding="utf-8")
    assert finished(placed) is None


@pytest.mark.slow
def test_what_another_job_made_stays_unless_it_may_be_replaced(jobs: list[Job], done: Path):
    other = replace(jobs[0], seed=1)
    before = hash_of_file(done / other.output)
    laid = lay_out([other], done)
    assert (laid.waiting, [placed.job for placed in laid.taken]) == ((), [other])
    (record,) = lay_out([other], done, overwrite=True).done(Here())
    assert hash_of_file(done / other.output) == record["sha256"] != before


@pytest.mark.slow
def test_what_was_asked_for_before_another_job_took_its_place_is_made_again(jobs: list[Job], done: Path):
    """The record of the first says nothing of the video that is there now."""
    list(lay_out([replace(jobs[0], seed=1)], done, overwrite=True).done(Here()))
    assert len(read_records(done / RECORDS)) == 1, "of each output there is one record"
    first = lay_out(jobs[:1], done, overwrite=True)
    assert [placed.job for placed in first.waiting] == jobs[:1]
    assert [placed.job for placed in lay_out(jobs[:1], done).taken] == jobs[:1]


def test_a_folder_of_one_s_own_that_is_called_as_ours_stays(jobs: list[Job], done: Path):
    own = done / INPUTS / "mine.mp4"
    own.parent.mkdir()
    own.touch()
    (done / INPUTS / ("a" * 64)).mkdir()
    assert lay_out(jobs[:1], done).waiting == ()
    assert [path.name for path in (done / INPUTS).iterdir()] == ["mine.mp4"]


@pytest.mark.slow
def test_a_plan_says_what_would_be_left_out_and_what_replaced(jobs: list[Job], done: Path):
    others = [replace(job, seed=1) for job in jobs[:2]]
    before = sorted(done.rglob("*"))
    assert [
        (each.waiting, each.taken)
        for each in (forecast(others, done, HERE), forecast(others, done, HERE, overwrite=True))
    ] == [
        (1, 1),
        (2, 0),
    ]
    assert sorted(done.rglob("*")) == before


@pytest.mark.slow
def test_workers_have_as_many_gpus_as_tune_one_motion(jobs: list[Job], tmp_path: Path):
    several = [jobs[0], replace(jobs[1], processes=4)]
    assert needs(several, tmp_path, HERE, has_gpus=True).gpus == 4
    assert needs([], tmp_path, HERE, has_gpus=True).gpus == 1
    assert needs(several, tmp_path, Where(device="cuda")).gpus == 4, "the GPUs need not be here"
    assert needs(jobs[:1], tmp_path, Where(device="cpu"), has_gpus=True).gpus == 0


@pytest.mark.slow
def test_what_waits_in_main_memory_beside_a_gpu_is_asked_for(jobs: list[Job], tmp_path: Path):
    """Where it is said what a GPU has, by which is known what of a model waits there."""
    card = replace(HERE, memory="12GB")
    (kind,) = forecast(jobs[:1], tmp_path, Where(device="cuda", memory="12GB")).kinds
    assert kind.plan is not None
    alone = needs(jobs[:1], tmp_path, card, has_gpus=True)
    assert (alone.gpus, alone.memory) == (1, PROCESS + round(kind.plan.main_need(kind.plan.largest)))
    assert needs(jobs[:1], tmp_path, HERE, has_gpus=True).memory == 0, "what its GPUs have is not known"


@pytest.mark.slow
@pytest.mark.parametrize("where", [Where(device="cpu"), Where(device="cuda", memory="12GB")])
def test_processes_that_tune_together_take_memory_of_their_own(where: Where, jobs: list[Job], tmp_path: Path):
    one, two = (needs([replace(jobs[0], processes=count)], tmp_path, where).memory for count in (1, 2))
    assert two == 3 * one > 0, "that of the worker that waits for them, too"


@pytest.mark.slow
def test_what_cannot_be_planned_fails_by_itself_and_the_others_say_what_a_worker_needs(
    jobs: list[Job], clips: Path, store: str, tmp_path: Path
):
    fsspec.filesystem("memory").pipe_file("/clips/one.mp4", (clips / "0000.mp4").read_bytes())
    unasked, unfit = replace(jobs[0], settings={"steps": 0}), replace(jobs[1], frames=10)
    there = replace(jobs[2], reference="memory://clips/one.mp4")
    folder, where = tmp_path / "out", Where(memory="2GB")
    folder.mkdir()
    alone = needs([there], folder, where)
    assert alone.memory > 0 and needs([unasked, unfit, there], folder, where) == alone
    assert needs([unasked, unfit], folder, where).memory == 0
    assert [path.name for path in folder.iterdir()] == [INPUTS], "workers of this machine need not read it again"
    (kind, first, second) = forecast([there, unfit, unasked], folder, where).kinds
    assert kind.plan is not None and "10 frames do not fit" in first.reason and "steps is 0" in second.reason


@pytest.mark.slow
def test_what_failed_before_counts_for_a_worker_only_where_it_is_tried_again(jobs: list[Job], tmp_path: Path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all")
    list(lay_out([replace(jobs[0], reference=str(bad))], tmp_path / "out").done(Here()))
    failed = [replace(jobs[0], reference=str(bad))]
    assert [len(forecast(failed, tmp_path / "out", HERE, retry).kinds) for retry in (False, True)] == [0, 1]


def test_what_is_made_where_nobody_sees_it_ends_the_batch(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As by workers on machines that do not share the folder."""
    elsewhere = tmp_path / "elsewhere"

    class There(Here):
        def each(self, work: Callable[[Any], Any], items: Iterable[Any], died: Callable[[Any], Any]) -> Iterator[Any]:
            return super().each(work, [replace(item, folder=elsewhere) for item in items], died)

    monkeypatch.setattr(batch, "SEEN_WITHIN", 0.0)
    there = There()
    with pytest.raises(OutputError, match="made on another machine and is not seen here: let all machines share"):
        list(lay_out(jobs, tmp_path / "out").done(there))
    assert len([*elsewhere.glob("*.mp4")]) == 1, "it ends with the first"


@pytest.mark.slow
def test_a_video_whose_record_was_not_yet_written_is_nobody_s(jobs: list[Job], done: Path):
    (done / jobs[0].output).with_suffix(".json").unlink()
    assert len(lay_out([replace(jobs[0], seed=1)], done).waiting) == 1


@pytest.mark.slow
def test_a_line_that_was_cut_off_is_no_record(jobs: list[Job], done: Path):
    records = done / RECORDS
    records.write_bytes(records.read_bytes()[:-20])
    laid = lay_out(jobs[:1], done)
    assert (len(laid.waiting), laid.lost) == (1, 1)
    list(laid.done(Here()))
    assert [len(read_records(records)), len(records.read_bytes().splitlines())] == [1, 1]


@pytest.mark.slow
def test_records_of_other_jobs_stay(jobs: list[Job], done: Path):
    list(lay_out(jobs[1:2], done).done(Here()))
    (done / jobs[1].output).unlink()
    list(lay_out(jobs[1:2], done).done(Here()))
    assert [record["output"] for record in read_records(done / RECORDS)] == [job.output for job in jobs[:2]]


@pytest.mark.slow
def test_a_full_disk_stops_the_batch_and_is_no_fault_of_a_job(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "out"
    laid = lay_out(jobs, folder)
    with monkeypatch.context() as patch:
        patch.setattr("motionlift.work.video.write_video", _full)
        with pytest.raises(OutputError, match="the disk is full"):
            list(laid.done(Here()))
    assert not any(folder.iterdir()), "nothing half written stays"
    assert len(list(lay_out(jobs, folder).done(Here()))) == 4


def _full(*_: Any) -> list[str]:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.slow
def test_a_clock_that_is_set_back_changes_nothing(jobs: list[Job], done: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert [placed.job for placed in lay_out(jobs, done).waiting] == jobs[1:]
    assert len(list(lay_out(jobs, done).done(Here()))) == 3
    assert lay_out(jobs, done).waiting == ()


@pytest.mark.slow
def test_a_clip_that_changed_makes_another_job(jobs: list[Job], clips: Path, tmp_path: Path):
    clip = tmp_path / "own.mp4"
    shutil.copy(clips / "0000.mp4", clip)
    job, contents = replace(jobs[0], reference=str(clip)), Contents()
    folder = tmp_path / "out"
    list(lay_out([job], folder, contents=contents).done(Here()))
    assert lay_out([job], folder, contents=contents).waiting == ()
    shutil.copy(clips / "0001.mp4", clip)
    assert len(lay_out([job], folder, contents=contents).taken) == 1


@pytest.fixture
def begun(tmp_path: Path) -> Job:
    """A job whose video begins with a picture, of a wide clip."""
    scene = render([sample(3, 1, 17, motion="line", camera="still")], 64, 128).frames[0]
    Clip.of(scene, 8).save(tmp_path / "wide.mp4")
    Image.new("RGB", (64, 64), (200, 0, 0)).save(tmp_path / "photo.png")
    clip, photo = str(tmp_path / "wide.mp4"), str(tmp_path / "photo.png")
    settings = {"steps": 2, "share": 1.0, "inner": 1}
    return Job(clip, "a red car on a grey road", 0, "ditflow", "tiny-wan", settings, "begun.mp4", picture=photo)


def frames_of(place: Path) -> Any:
    return Clip.read(place, frames=17, fps=8, aspect=(1, 1)).frames


@pytest.mark.slow
def test_a_job_with_a_picture_makes_what_its_command_makes(begun: Job, tmp_path: Path):
    """The same with another picture, or none, or cropped elsewhere, is another job; jobs that differ in pictures share a motion."""
    others = [replace(begun, picture="", output="bare.mp4"), replace(begun, crop="0,0.5", output="cut.mp4")]
    assert begun.lifted_by() == others[0].lifted_by() != others[1].lifted_by()
    made, bare, cut = list(lay_out([begun, *others], tmp_path / "b").done(Here()))
    assert len({made["sha256"], bare["sha256"], cut["sha256"]}) == 3
    assert made["picture_content"] == content_of(begun.picture)
    assert lay_out([begun, *others], tmp_path / "b").waiting == ()
    command = command_of(Placed(replace(others[1], output="alone.mp4"), {}, tmp_path))
    assert run(command[1:]) == 0
    places = (tmp_path / "alone.mp4", tmp_path / "b" / "cut.mp4", tmp_path / "b" / "begun.mp4")
    alone, same, whole = map(frames_of, places)
    assert alone.equal(same) and not alone.equal(whole)


@pytest.mark.slow
def test_a_picture_that_changed_makes_another_job_which_may_take_its_place(begun: Job, tmp_path: Path):
    list(lay_out([begun], tmp_path / "b").done(Here()))
    Image.new("RGB", (64, 64), (0, 200, 0)).save(begun.picture)
    laid = lay_out([begun], tmp_path / "b")
    assert [placed.job for placed in laid.taken] == [begun] and laid.waiting == ()
    laid = lay_out([begun], tmp_path / "b", renew=True)
    assert [placed.job for placed in laid.waiting] == [begun], "as a watch does it"


@pytest.mark.slow
def test_a_picture_is_read_of_a_store(begun: Job, store: str, tmp_path: Path):
    fsspec.filesystem("memory").pipe("/night/photo.png", Path(begun.picture).read_bytes())
    stored = replace(begun, picture=f"{store}/photo.png")
    (record,) = lay_out([stored], tmp_path / "b").done(Here())
    assert "error" not in record and record["picture"] == stored.picture
    list(lay_out([begun], tmp_path / "c").done(Here()))
    assert frames_of(tmp_path / "b" / "begun.mp4").equal(frames_of(tmp_path / "c" / "begun.mp4"))


@pytest.mark.slow
def test_a_picture_that_is_none_spoils_no_other_job_s_plan(begun: Job, tmp_path: Path):
    (tmp_path / "bad.png").write_text("no picture")
    bad = replace(begun, picture=str(tmp_path / "bad.png"), output="bad.mp4")
    for jobs in ([bad, begun], [begun, bad]):
        kinds = forecast(jobs, tmp_path / "b", HERE).kinds
        assert sorted((each.plan is not None, "is no picture" in (each.reason or "")) for each in kinds) == [
            (False, True),
            (True, False),
        ]
    (record,) = lay_out([bad], tmp_path / "b").done(Here())
    assert "bad.png is no picture" in record["error"]


@pytest.mark.slow
def test_what_fails_is_recorded_and_tried_again_when_asked(jobs: list[Job], clips: Path, tmp_path: Path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all")
    mixed = [replace(jobs[0], reference=str(bad)), *jobs[1:2]]
    first, second = lay_out(mixed, tmp_path / "out").done(Here())
    assert "error" in first and "bad.mp4" in first["error"] and "\n" not in first["error"]
    assert "sha256" in second
    later = lay_out(mixed, tmp_path / "out")
    assert later.waiting == () and [record["output"] for record in later.failed] == [jobs[0].output]
    retried = lay_out(mixed, tmp_path / "out", retry=True)
    assert [placed.job for placed in retried.waiting] == mixed[:1]
    list(retried.done(Here()))
    assert [record["output"] for record in read_records(tmp_path / "out" / RECORDS)] == ["0000-1.mp4", "0000-0.mp4"]


@pytest.mark.slow
def test_a_process_that_dies_is_recorded_so(jobs: list[Job], tmp_path: Path):
    records = list(lay_out(jobs[:2], tmp_path).done(Here(dies="-0.mp4")))
    assert [record.get("error") for record in records] == [DIED, None]


def test_those_of_one_model_come_together(jobs: list[Job]):
    other = [replace(job, model="tiny-unet", output=f"u-{job.output}") for job in jobs]
    mixed = [job for pair in zip(jobs, other, strict=True) for job in pair]
    rounds = [[(placed.job.model, placed.job.output) for placed in own] for own in turns(_placed(mixed))]
    assert [{model for model, _ in own} for own in rounds] == [{jobs[0].model}] * 2 + [{"tiny-unet"}] * 2


def _placed(jobs: list[Job]) -> list[Placed]:
    return [Placed(job, {}, Path()) for job in jobs]


@pytest.mark.slow
def test_each_reference_is_lifted_once_and_each_process_loads_its_model_once(
    jobs: list[Job], clips: Path, tmp_path: Path
):
    """With real processes: six jobs of two motions."""
    third = [
        replace(jobs[0], reference=str(clips / f"{clip}.mp4"), seed=1, output=f"{clip}-2.mp4")
        for clip in ("0000", "0001")
    ]
    lifting = [replace(job, method="moft") for job in (*jobs, *third)]
    (tmp_path / "notes").mkdir()
    with Workers(2) as workers:
        pool = Counted(workers, tmp_path / "notes")
        records = list(lay_out(lifting, tmp_path / "out").done(pool))
    assert len(records) == 6 and not any("error" in record for record in records)
    assert len(pool.lifted()) == len({*pool.lifted()}) == 2, "each once"
    assert 1 <= len(pool.loaded()) == len({*pool.loaded()}) <= 2, "each process once"


def test_settings_of_casting_leave_the_motion_as_it_is(jobs: list[Job]):
    job = replace(jobs[0], method="ditflow", settings={"steps": 5})
    assert replace(job, settings={"steps": 5, "lr": 0.1}).lifted_by() == job.lifted_by()
    for other in ({"settings": {"steps": 5, "read": "flow"}}, {"start": 1.0}, {"frames": 9}, {"model": "tiny-unet"}):
        assert replace(job, **other).lifted_by() != job.lifted_by()


def test_what_is_in_the_way_is_refused_with_its_line(jobs: list[Job], tmp_path: Path):
    (tmp_path / jobs[0].output).write_bytes(b"somebody's own")
    with pytest.raises(OutputError, match=r"line 0000: cannot write .*0000-0\.mp4"):
        lay_out(jobs, tmp_path)
    (tmp_path / jobs[0].output).unlink()
    with pytest.raises(OutputError, match=r"line 0000: cannot write .*0000-0\.txt"):
        lay_out([replace(jobs[0], output="0000-0.txt")], tmp_path)
    (tmp_path / RECORDS).write_text("mine\n", encoding="utf-8")
    with pytest.raises(OutputError, match=r"jobs\.jsonl"):
        lay_out(jobs, tmp_path)


def test_a_reference_that_went_is_refused_with_its_line(jobs: list[Job], tmp_path: Path):
    with pytest.raises(InputError, match=r"line 0000: .*gone\.mp4 cannot be read"):
        standing([replace(jobs[0], reference="gone.mp4")], tmp_path)


def test_looking_writes_nothing(jobs: list[Job], tmp_path: Path):
    assert len(standing(jobs, tmp_path / "none").waiting) == 4
    assert not (tmp_path / "none").exists()


def test_a_record_says_what_makes_the_video_alone(jobs: list[Job], tmp_path: Path):
    job = replace(jobs[0], frames=9, size=(96, 64), start=0.5, duration=2.0, settings={"steps": 2, "dynamic_cfg": True})
    command = command_of(Placed(job, {}, tmp_path))
    assert command[:2] == ["motionlift", "transfer"] and command[-1] == job.reference
    wanted = {"--frames=9", "--size=96x64", "--start=0.5", "--duration=2.0", "--set=steps=2", "--set=dynamic_cfg=true"}
    assert wanted | {f"--output={tmp_path / job.output}", "--method=none", f"--model={job.model}", "--seed=0"} <= {
        *command
    }


def test_how_weights_are_held_is_of_each_job(jobs: list[Job], tmp_path: Path):
    placed = Placed(jobs[0], {}, tmp_path, Where(weights="fp8"))
    assert asked_of(placed).weights == "fp8" and "--weights=fp8" in command_of(placed)
    assert asked_of(replace(placed, where=HERE)).weights is None


def test_every_record_says_all_of_its_job(jobs: list[Job]):
    assert jobs[0].stated("").keys() == batch.STATED


@pytest.fixture
def store() -> Iterator[str]:
    """A store in memory, which holds a clip."""
    MemoryFileSystem.store.clear()
    yield "memory://night"
    MemoryFileSystem.store.clear()


@pytest.mark.slow
def test_what_is_read_of_a_store_and_put_there(jobs: list[Job], clips: Path, store: str, tmp_path: Path):
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/clips/one.mp4", (clips / "0000.mp4").read_bytes())
    wanted = [replace(job, reference="memory://clips/one.mp4", output=f"in/{job.output}") for job in jobs[:2]]
    records = list(lay_out(wanted, tmp_path / "here", store=store).done(Here()))
    assert [record.get("error") for record in records] == [None, None]
    for record in records:
        name = record["output"]
        assert hashlib.sha256(memory.cat_file(f"/night/{name}")).hexdigest() == record["sha256"]
        told = json.loads(memory.cat_file(f"/night/{name.replace('mp4', 'json')}"))
        assert told["job"]["reference"] == "memory://clips/one.mp4"
    assert not (tmp_path / "here" / INPUTS).exists(), "nothing waits for it any more"
    assert lay_out(wanted, tmp_path / "here", store=store).waiting == ()
    memory.rm_file(f"/night/{wanted[0].output}")
    assert [placed.job for placed in lay_out(wanted, tmp_path / "here", store=store).waiting] == wanted[:1]


def test_what_was_read_of_a_store_goes_on_every_machine(jobs: list[Job], store: str, tmp_path: Path):
    there = tmp_path / "there" / INPUTS / ("0" * 64)
    there.mkdir(parents=True)

    class Far(Here):
        def everywhere(self, work: Callable[[Any], object], item: Any) -> None:
            assert item == tmp_path / "here" / INPUTS
            work(tmp_path / "there" / INPUTS)

    list(lay_out(jobs[:1], tmp_path / "here").done(Far()))
    assert not there.parent.exists()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a store in memory is asked, by the names of its methods."""
    found: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        own = getattr(MemoryFileSystem, name)

        def noted(self: MemoryFileSystem, *given: Any, **named: Any) -> Any:
            found.append(name)
            return own(self, *given, **named)

        return noted

    for name in ("info", "ls", "cat_ranges", "cat_file"):
        monkeypatch.setattr(MemoryFileSystem, name, noting(name))
    return found


@pytest.mark.slow
def test_a_store_is_asked_little_before_the_first_of_many_jobs(
    jobs: list[Job], clips: Path, store: str, asked: list[str], tmp_path: Path
):
    """What a clip is once, and what of a folder is whole once, however many jobs there are."""
    fsspec.filesystem("memory").pipe_file("/clips/one.mp4", (clips / "0000.mp4").read_bytes())
    job, contents = replace(jobs[0], reference="memory://clips/one.mp4"), Contents()
    many = [replace(job, seed=seed, output=f"{seed}.mp4") for seed in range(50)]
    assert len(lay_out(many, tmp_path, store=store, contents=contents).waiting) == 50
    assert len(asked) <= 5, asked
    list(lay_out(many[:2], tmp_path, store=store).done(Here()))
    asked.clear()
    laid = lay_out(many, tmp_path, store=store, contents=contents)
    assert len(laid.waiting) == 48 and asked.count("cat_ranges") == 1 and asked.count("info") <= 2, asked
    asked.clear()
    needs(many, tmp_path, HERE, store=store, contents=contents)
    assert asked.count("info") <= 5, asked


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store that fails every third write; nobody waits for it."""
    monkeypatch.setattr("motionlift.jobs.stores.time.sleep", lambda _: None)
    Flaky.empty()
    yield "flaky://night"
    Flaky.empty()


@pytest.mark.slow
def test_a_store_that_fails_every_third_write_gets_every_video_whole(jobs: list[Job], flaky: str, tmp_path: Path):
    records = list(lay_out(jobs, tmp_path, store=flaky).done(Here()))
    assert [record["sha256"] for record in records] and not any("error" in record for record in records)
    assert Flaky.writes > 2 * len(jobs), "some were written again"
    for job in jobs:
        assert fetched(f"{flaky}/{job.output}", tmp_path / "cache").read_bytes() == (tmp_path / job.output).read_bytes()
    assert lay_out(jobs, tmp_path, store=flaky).waiting == ()


@pytest.mark.slow
def test_a_store_that_fails_for_good_stops_the_batch_which_goes_on_later(
    jobs: list[Job], flaky: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def gone(*_: Any, **__: Any) -> None:
        raise OSError("no room")

    laid = lay_out(jobs, tmp_path, store=flaky)
    with monkeypatch.context() as patch:
        patch.setattr(Flaky, "put_file", gone)
        with pytest.raises(OutputError, match=r"cannot write flaky://night/.*no room"):
            list(laid.done(Here()))
    assert read_records(tmp_path / RECORDS) == [], "what is nowhere it belongs is not done"
    (first,) = (job for job in jobs if (tmp_path / job.output).exists())
    before = (tmp_path / first.output).stat().st_mtime_ns
    records = list(lay_out(jobs, tmp_path, store=flaky).done(Here()))
    assert len(records) == len(jobs) and not any("error" in record for record in records)
    assert (tmp_path / first.output).stat().st_mtime_ns == before, "what was made is not made again"


@pytest.mark.slow
def test_what_is_whole_in_the_store_is_done(jobs: list[Job], store: str, tmp_path: Path):
    """As on another machine, which has nothing of it."""
    list(lay_out(jobs[:2], tmp_path / "here", store=store).done(Here()))
    there = lay_out(jobs[:2], tmp_path / "there", store=store)
    assert there.waiting == there.taken == ()
    (first, _) = read_records(tmp_path / "there" / RECORDS)
    assert (first["output"], first["sha256"]) == (jobs[0].output, hash_of_file(tmp_path / "here" / jobs[0].output))
    assert lay_out(jobs[:2], tmp_path / "there", store=store).stored == ()


@pytest.mark.slow
def test_what_another_job_put_into_the_store_stays_unless_it_may_be_replaced(
    jobs: list[Job], store: str, tmp_path: Path
):
    list(lay_out(jobs[:1], tmp_path / "here", store=store).done(Here()))
    other = replace(jobs[0], seed=1)
    laid = lay_out([other], tmp_path / "there", store=store)
    assert (laid.waiting, [placed.job for placed in laid.taken]) == ((), [other])
    assert [placed.job for placed in lay_out([other], tmp_path / "there", store=store, overwrite=True).waiting] == [
        other
    ]
    MemoryFileSystem().rm_file(f"/night/{Path(jobs[0].output).stem}.json")
    assert len(lay_out([other], tmp_path / "there", store=store).taken) == 1, "what is there is of others"


@pytest.fixture(params=["flaky", "moving"])
def either(
    request: pytest.FixtureRequest, flaky: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Callable[[str], bytes]]:
    """A store with markers and one that renames, and what reads of it."""
    if request.param == "flaky":
        return flaky, lambda name: Flaky().cat_file(f"/night/{name}")
    fsspec.register_implementation("moving", Moving, clobber=True)
    monkeypatch.setenv(FOLDER, str(tmp_path / "store"))
    return "moving://night", lambda name: (tmp_path / "store" / "night" / name).read_bytes()


@pytest.mark.slow
def test_what_was_cut_off_between_a_record_and_its_video_is_delivered_later(
    jobs: list[Job], either: tuple[str, Callable[[str], bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An earlier job's video in the store is not taken for what was to replace it."""
    (store, read), other = either, replace(jobs[0], seed=1)
    list(lay_out(jobs[:1], tmp_path / "out", store=store).done(Here()))

    def cut_off(local: Path, place: str) -> None:
        if local.suffix == ".mp4":
            raise OutputError("the store is gone")
        deliver(local, place)

    with monkeypatch.context() as patch:
        patch.setattr(work, "deliver", cut_off)
        with pytest.raises(OutputError, match="the store is gone"):
            list(lay_out([other], tmp_path / "out", store=store, overwrite=True).done(Here()))
    laid = lay_out([other], tmp_path / "out", store=store)
    assert [placed.job for placed in laid.waiting] == [other] and laid.stored == ()
    (record,) = laid.done(Here())
    assert hashlib.sha256(read(other.output)).hexdigest() == record["sha256"]


def test_a_folder_of_pictures_is_put_into_no_store(jobs: list[Job], store: str, tmp_path: Path):
    with pytest.raises(OutputError, match="line 0000: frames is a folder of pictures"):
        lay_out([replace(jobs[0], output="frames")], tmp_path, store=store)


def test_a_disk_that_is_full_while_a_clip_is_read_is_no_fault_of_a_job(
    jobs: list[Job], clips: Path, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    MemoryFileSystem().pipe_file("/clips/one.mp4", (clips / "0000.mp4").read_bytes())
    laid = lay_out([replace(jobs[0], reference="memory://clips/one.mp4")], tmp_path)
    monkeypatch.setattr("motionlift.jobs.stores.os.replace", _full)
    with pytest.raises(OutputError, match=r"cannot write .*No space left"):
        list(laid.done(Here()))
    assert read_records(tmp_path / RECORDS) == []


def test_a_clip_of_a_store_that_changed_makes_another_job(jobs: list[Job], clips: Path, store: str, tmp_path: Path):
    memory = fsspec.filesystem("memory")
    job = replace(jobs[0], reference="memory://clips/one.mp4")
    contents = []
    for name in ("0000", "0001"):
        memory.pipe_file("/clips/one.mp4", (clips / f"{name}.mp4").read_bytes())
        contents.append(standing([job], tmp_path).waiting[0].stated["content"])
    assert len({*contents}) == 2


def test_a_clip_that_a_store_has_not_is_refused_with_its_line(jobs: list[Job], store: str, tmp_path: Path):
    with pytest.raises(InputError, match=r"line 0000: .*memory://clips/none\.mp4"):
        standing([replace(jobs[0], reference="memory://clips/none.mp4")], tmp_path)
