"""Places in stores, by a store in memory: whole or not there, read once, tried again."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from motionlift.errors import InputError, OutputError
from motionlift.jobs import stores
from motionlift.jobs.stores import check_store, deliver, exists, fetched
from motionlift.video import writing
from tests.jobs.closed_store import NoCredentialsError
from tests.jobs.flaky_store import Flaky


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Without waiting; what would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr("motionlift.jobs.stores.time.sleep", waited.append)
    Flaky.empty()
    MemoryFileSystem.store.clear()
    yield waited


def local(folder: Path, content: bytes = b"a video") -> Path:
    path = folder / "local.mp4"
    path.write_bytes(content)
    return path


def in_memory(name: str, content: bytes) -> str:
    MemoryFileSystem().pipe_file(f"/{name}", content)
    return f"memory://{name}"


def test_a_path_is_itself(tmp_path: Path):
    path = local(tmp_path)
    assert fetched(path, tmp_path / "cache") == path
    assert fetched(str(path), tmp_path / "cache") == path
    assert exists(path) and not exists(tmp_path / "none") and not exists(tmp_path)
    check_store(path)


def test_what_is_read_is_kept_under_its_own_name_and_read_once(tmp_path: Path):
    MemoryFileSystem.pipe_file(Flaky(), "/clips/a clip.mp4", b"moving")
    place = "flaky://clips/a clip.mp4"
    found = fetched(place, tmp_path)
    assert (found.name, found.read_bytes()) == ("a clip.mp4", b"moving")
    assert fetched(place, tmp_path) == found and Flaky.reads == 1
    assert [*found.parent.iterdir()] == [found], "neither a part nor a lock stays"


def test_ten_workers_of_a_machine_read_it_once(tmp_path: Path):
    MemoryFileSystem.pipe_file(Flaky(), "/one.mp4", b"x" * 3 * stores.AT_ONCE)
    found: list[Path] = []
    workers = [threading.Thread(target=lambda: found.append(fetched("flaky://one.mp4", tmp_path))) for _ in range(10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 10 and len({*found}) == 1 and Flaky.reads == 1
    assert found[0].stat().st_size == 3 * stores.AT_ONCE


def test_another_content_of_the_name_is_another_file(tmp_path: Path):
    first = fetched(in_memory("clip.mp4", b"first"), tmp_path)
    second = fetched(in_memory("clip.mp4", b"other"), tmp_path)
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"other")


def test_what_a_killed_process_left_half_read_is_read_anew(tmp_path: Path):
    place = in_memory("clip.mp4", b"whole")
    kept = fetched(place, tmp_path)
    kept.unlink()
    (kept.parent / "part").write_bytes(b"half of what was longer")
    assert fetched(place, tmp_path).read_bytes() == b"whole"
    assert [*kept.parent.iterdir()] == [kept]


def test_a_store_that_fails_now_and_then_is_asked_again_with_growing_waits(tmp_path: Path, waits: list[float]):
    MemoryFileSystem.pipe_file(Flaky(), "/clip.mp4", b"whole")
    Flaky.fail_reads = 3
    assert fetched("flaky://clip.mp4", tmp_path).read_bytes() == b"whole"
    assert waits == [0.5, 1.0, 2.0]
    Flaky.fail_reads = 99
    MemoryFileSystem.pipe_file(Flaky(), "/other.mp4", b"whole")
    with pytest.raises(InputError, match=r"^cannot read flaky://other.mp4: OSError: the store is busy$"):
        fetched("flaky://other.mp4", tmp_path)
    assert Flaky.fail_reads == 99 - len(stores.WAITS) - 1


def test_what_is_too_large_is_not_read(tmp_path: Path):
    place = in_memory("large.mp4", bytes(101))
    with pytest.raises(InputError, match="has 101 bytes; at most 100 are read"):
        fetched(place, tmp_path, most=100)
    assert fetched(place, tmp_path, most=101).stat().st_size == 101


def test_a_store_that_says_a_wrong_size_is_read_to_the_bound_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = in_memory("large.mp4", bytes(101))
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_, **__: {"size": None, "type": "file"})
    with pytest.raises(InputError, match="has more than 100 bytes"):
        fetched(place, tmp_path, most=100)


def test_what_is_not_there_is_said_at_once(tmp_path: Path, waits: list[float]):
    with pytest.raises(InputError, match=r"^cannot read memory://none.mp4: it is not there$"):
        fetched("memory://none.mp4", tmp_path)
    assert waits == []


@pytest.mark.parametrize("place", ["memory://out/video.mp4", "file"])
def test_what_is_delivered_is_there_whole_and_nothing_else_stays(tmp_path: Path, place: str):
    place = (tmp_path / "out" / "video.mp4").as_uri() if place == "file" else place
    assert not exists(place)
    check_store(place)
    assert not exists(place)
    for content in (b"a video", b"another, in its place"):
        deliver(local(tmp_path, content), place)
        assert exists(place)
        assert fetched(place, tmp_path / "cache").read_bytes() == content
    store, path = fsspec.core.url_to_fs(place)
    names = {name.rpartition("/")[2] for name in store.ls(store._parent(path), detail=False)}
    assert names <= {"video.mp4", "video.mp4.done"}


def test_a_path_is_delivered_to_as_well(tmp_path: Path):
    target = tmp_path / "out" / "video.mp4"
    deliver(local(tmp_path), target)
    assert target.read_bytes() == b"a video" and [*target.parent.iterdir()] == [target]


DELIVERED = """
import os, signal, sys
from pathlib import Path
from fsspec.implementations.local import LocalFileSystem
from motionlift.jobs.stores import deliver
def moved(store, beside, path):
    print(beside, flush=True)
    if sys.argv[3] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
LocalFileSystem.mv = moved
deliver(Path(sys.argv[1]), sys.argv[2])
"""


def delivering(path: Path, place: str, how: str) -> tuple[subprocess.Popen[str], Path]:
    """A process that dies, or waits, once a file lies in a store under another name; and that name."""
    words = [sys.executable, "-c", DELIVERED, str(path), place, how]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX")
@pytest.mark.parametrize("write", [deliver, lambda _, place: check_store(place)], ids=["deliver", "check_store"])
def test_what_a_killed_process_left_in_a_store_goes_with_the_next_write(tmp_path: Path, write: Any):
    stores._clean_once.cache_clear()
    out, place = tmp_path / "out", (tmp_path / "out" / "video.mp4").as_uri()
    waiting, written = delivering(local(tmp_path), place, "wait")
    killed, left = delivering(local(tmp_path), place, "die")
    killed.communicate(timeout=60)
    assert {*out.iterdir()} == {written, left}
    write(local(tmp_path), place)
    assert not left.exists(), "of a process that is gone"
    assert written.exists(), "of one at work"
    waiting.kill()
    waiting.communicate(timeout=60)
    stores._clean_once.cache_clear()
    write(local(tmp_path), place)
    assert {path.name for path in out.iterdir()} <= {"video.mp4"}


def test_what_others_wrote_or_may_be_writing_in_a_store_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stores, "machine", lambda: "01234567")
    stores._clean_once.cache_clear()
    nobody, words = 2**22 - 1, "0123456789abcdef"
    names = {
        f".motionlift-01234567-{nobody}-{words}.tmp": False,
        f".motionlift-89abcdef-{nobody}-{words}.tmp": False,
        f".motionlift-89abcdef-{nobody}-{words[::-1]}.tmp": True,
        f".motionlift-01234567-{os.getpid()}-{words}.tmp": True,
        f".motionlift-01234567-{nobody}-{words}.tmp.mp4": True,
        f"video.mp4.{words}.part": True,
        ".motionlift-notes.tmp": True,
    }
    day = time.time() - writing.STALE_AFTER - 60
    for name in names:
        (tmp_path / name).write_bytes(b"half")
        if name.endswith((f"89abcdef-{nobody}-{words}.tmp", ".mp4", ".part", "notes.tmp")):
            os.utime(tmp_path / name, (day, day))
    folder = tmp_path / f".motionlift-01234567-{nobody}-{words[::-1]}.tmp"
    folder.mkdir()
    check_store((tmp_path / "video.mp4").as_uri())
    assert {path.name for path in tmp_path.iterdir()} == {
        folder.name,
        *(name for name, stays in names.items() if stays),
    }


def test_what_a_killed_trial_left_in_a_store_goes_with_the_next():
    left = f"/out/jobs.jsonl{stores.TRIAL}"
    MemoryFileSystem().pipe_file(left, b"motionlift")
    check_store("memory://out/jobs.jsonl")
    assert not MemoryFileSystem().exists(left)


def test_a_marker_that_fails_is_written_again_and_not_the_file(tmp_path: Path):
    Flaky.writes = 1
    deliver(local(tmp_path), "flaky://video.mp4")
    assert Flaky.writes == 4 and exists("flaky://video.mp4"), "the file, a marker that failed, and a marker"


def test_what_is_half_written_is_not_there():
    store = MemoryFileSystem()
    store.pipe_file("/video.mp4", b"half")
    assert not exists("memory://video.mp4"), "no marker"
    store.pipe_file("/video.mp4.done", b'{"size": 9, "version": "size=9"}')
    assert not exists("memory://video.mp4"), "a marker of another content"
    store.pipe_file("/video.mp4.done", b'{"size"')
    assert not exists("memory://video.mp4"), "half a marker"


def test_a_store_that_fails_every_third_write_gets_all_outputs_whole(tmp_path: Path, waits: list[float]):
    for number in range(12):
        deliver(local(tmp_path, b"video %d" % number), f"flaky://out/{number}.mp4")
    assert Flaky.writes > 24 and waits
    for number in range(12):
        assert exists(f"flaky://out/{number}.mp4")
        assert fetched(f"flaky://out/{number}.mp4", tmp_path / "cache").read_bytes() == b"video %d" % number


def test_an_address_with_one_slash_is_that_of_the_store(tmp_path: Path):
    """A shell or a path may have made one of two; else all would go into a folder here."""
    deliver(local(tmp_path), "memory:/night/video.mp4")
    assert exists("memory://night/video.mp4") and [path.name for path in tmp_path.iterdir()] == ["local.mp4"]


def test_a_store_that_fails_always_has_nothing_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
):
    def full(*_: Any, **__: Any) -> None:
        raise OSError("no room")

    deliver(local(tmp_path), "flaky://video.mp4")
    monkeypatch.setattr(Flaky, "put_file", full)
    with pytest.raises(OutputError, match=r"^cannot write flaky://video.mp4: OSError: no room$"):
        deliver(local(tmp_path, b"another"), "flaky://video.mp4")
    assert waits == [*stores.WAITS] and not exists("flaky://video.mp4")


def test_without_credentials_that_is_said_at_once(monkeypatch: pytest.MonkeyPatch, waits: list[float]):
    def refused(*_: Any, **__: Any) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refused)
    with pytest.raises(OutputError, match=r"^cannot write memory://video.mp4: there are no credentials for this store"):
        check_store("memory://video.mp4")
    assert waits == []


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nowhere://x/video.mp4", "there is no kind of store called 'nowhere'"),
        ("simplecache::s3://x/video.mp4", "is an address through another"),
        ("memory://", "names no file in the store"),
    ],
)
def test_other_addresses_are_refused(place: str, told: str):
    with pytest.raises(OutputError, match=told):
        check_store(place)


def test_a_package_that_a_store_needs_is_named(monkeypatch: pytest.MonkeyPatch):
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(stores, "url_to_fs", missing)
    with pytest.raises(OutputError, match=r"^s3:// needs a package more \(Install s3fs to access S3\)$"):
        check_store("s3://bucket/video.mp4")
