"""Kept motions are found again, thrown out when there are too many, and never a reason to fail."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from motionlift.errors import OutputError, SettingError
from motionlift.motion import cache
from motionlift.motion.file import Motion
from motionlift.motion.lock import held
from tests.motion.test_file import FULL, a_motion, assert_same


@pytest.fixture
def most_bytes(monkeypatch: pytest.MonkeyPatch):
    return lambda number: monkeypatch.setenv("MOTIONLIFT_CACHE_BYTES", str(number))


def used_at(name: str, seconds: int) -> None:
    os.utime(cache.folder() / f"{name}.safetensors", (seconds, seconds))


def file_size() -> int:
    """Bytes of the file of a motion."""
    cache.keep("size", a_motion())
    size = (cache.folder() / "size.safetensors").stat().st_size
    cache.clear()
    return size


def kept_names() -> set[str]:
    return {path.stem for path in cache.folder().iterdir()}


def test_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "elsewhere"))
    assert cache.folder() == tmp_path / "elsewhere" / "motions"
    monkeypatch.delenv("MOTIONLIFT_CACHE")
    assert cache.folder().parent.name == "motionlift"


def test_kept_motions_are_found():
    assert cache.find("walk") is None
    motion = a_motion()
    cache.keep("walk", motion)
    found = cache.find("walk")
    assert found is not None
    assert_same(found, motion)
    assert cache.find("run") is None


def test_keys_tell_contents_apart():
    content = {"source": {"fps": 8.0, "frames": 9}, "settings": {"block": (4,), "lr": 0.1}}
    same = {"settings": {"lr": 0.1, "block": [4]}, "source": {"frames": 9, "fps": 8.0}}
    other = {"source": {"fps": 8.0, "frames": 9}, "settings": {"block": (5,), "lr": 0.1}}
    assert cache.key(content) == cache.key(same) != cache.key(other)


@pytest.mark.parametrize("content", [b"", b"no motion", None])
def test_damaged_files_count_as_none(content: bytes | None):
    cache.keep("walk", a_motion())
    path = cache.folder() / "walk.safetensors"
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    assert cache.find("walk") is None
    cache.keep("walk", a_motion())
    assert cache.find("walk") is not None


def test_the_longest_unused_go_first(most_bytes):
    size = file_size()
    most_bytes(3 * size)
    for number, name in enumerate(("first", "second", "third")):
        cache.keep(name, a_motion())
        used_at(name, 1000 + number)
    cache.find("first")
    cache.keep("fourth", a_motion())
    assert kept_names() == {"first", "third", "fourth"}
    most_bytes(3 * size - 1)
    cache.keep("fourth", a_motion())
    assert kept_names() == {"first", "fourth"}


def test_a_motion_larger_than_the_cap(most_bytes):
    size = file_size()
    cache.keep("walk", a_motion())
    most_bytes(size)
    large = replace(a_motion(), tensors={**a_motion().tensors, "more": torch.zeros(10_000)})
    cache.keep("large", large)
    assert kept_names() == {"walk"}, "it pushes none out"
    most_bytes(10)
    cache.keep("run", a_motion())
    assert kept_names() == {"walk"}
    assert cache.clear().files == 1
    most_bytes(0)
    cache.keep("walk", a_motion())
    assert cache.state().files == 0


@pytest.mark.parametrize("cap", ["", "many", "-1", "1.5", "1e9", "4 GB", "9" * 5000, "²"])
def test_caps_that_are_no_numbers(most_bytes, cap: str):
    most_bytes(cap)
    for act in (cache.most_bytes, cache.state, cache.clear, lambda: cache.keep("walk", a_motion())):
        with pytest.raises(SettingError, match=r"MOTIONLIFT_CACHE_BYTES is .*; allowed is a whole number") as caught:
            act()
        assert len(str(caught.value)) < 150
    assert not cache.folder().exists()


def test_state_and_clear(most_bytes):
    most_bytes(10**6)
    assert cache.state() == cache.CacheState(cache.folder(), 0, 0, 10**6, 0, 0)
    cache.keep("walk", a_motion())
    cache.keep("run", a_motion(method="smm"))
    stranger = cache.folder() / "notes.txt"
    stranger.write_text("mine")
    sizes = [path.stat().st_size for path in cache.folder().glob("*.safetensors")]
    before = cache.CacheState(cache.folder(), 2, sum(sizes), 10**6, 0, 0)
    assert cache.state() == before
    assert cache.clear() == before
    assert cache.state() == replace(before, files=0, bytes=0)
    assert stranger.read_text() == "mine"
    assert cache.clear().files == 0


def a_run(name: str, size: int, days: float = 0) -> Path:
    """The folder of a run that was stopped so many days ago."""
    (cache.runs() / name / "previews").mkdir(parents=True)
    (cache.runs() / name / "checkpoint.safetensors").write_bytes(bytes(size - 1))
    (cache.runs() / name / "previews" / "000001.png").write_bytes(b"x")
    then = time.time() - days * 24 * 3600
    for path in (*(cache.runs() / name).rglob("*"), cache.runs() / name):
        os.utime(path, (then, then))
    return cache.runs() / name


def runs_left() -> set[str]:
    return {path.name for path in cache.runs().iterdir()}


def test_stopped_runs_are_counted_and_cleared():
    for name, size in (("walk", 1000), ("run", 500)):
        a_run(name, size)
    cache.keep("walk", a_motion())
    before = cache.state()
    assert (before.files, before.runs, before.run_bytes) == (1, 2, 1500)
    assert cache.clear() == before
    assert (cache.state().runs, cache.state().run_bytes) == (0, 0) and runs_left() == set()


def test_a_run_at_work_is_neither_cleared_nor_shrunk(most_bytes):
    with held(a_run("busy", 1000, days=20)):
        a_run("walk", 300)
        most_bytes(10)
        assert cache.run_place("new") == cache.runs() / "new"
        assert runs_left() == {"busy", "walk"}
        assert cache.clear().runs == 1
        assert runs_left() == {"busy"} and (cache.runs() / "busy" / "checkpoint.safetensors").exists()
        assert cache.state().run_bytes == 1000


def test_runs_of_long_ago_go_when_another_begins():
    for name, days in (("old", cache.MOST_DAYS + 1), ("wanted", cache.MOST_DAYS + 1), ("fresh", cache.MOST_DAYS - 1)):
        a_run(name, 10, days)
    cache.run_place("wanted")
    assert runs_left() == {"wanted", "fresh"}


def test_runs_beyond_the_cap_go_oldest_first_but_not_the_newest(most_bytes):
    for name, days in (("first", 3), ("second", 2), ("third", 1)):
        a_run(name, 1000, days)
    most_bytes(2000)
    cache.run_place("new")
    assert runs_left() == {"second", "third"}
    most_bytes(10)
    cache.run_place("new")
    assert runs_left() == {"third"}, "it may be larger than all that is allowed"
    cache.keep("walk", a_motion())
    assert runs_left() == {"third"}


def test_a_folder_that_cannot_be_written_is_no_failure(motion_cache: Path):
    motion_cache.write_text("a file where the folder should be")
    cache.keep("walk", a_motion())
    assert cache.find("walk") is None
    assert cache.state().files == 0
    assert motion_cache.read_text() == "a file where the folder should be"


def test_a_folder_that_is_read_only_is_no_failure():
    cache.folder().mkdir(parents=True)
    cache.folder().chmod(0o555)
    cache.keep("walk", a_motion())
    assert kept_names() == set()
    cache.folder().chmod(0o755)


def test_a_full_disk_is_no_failure(monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise SafetensorError(FULL)

    monkeypatch.setattr("motionlift.motion.file.save_file", full)
    cache.keep("walk", a_motion())
    assert kept_names() == set()


def test_files_that_vanish_meanwhile():
    """Two runs may clear one cache."""
    cache.keep("walk", a_motion())
    (cache.folder() / "gone.safetensors").symlink_to(cache.folder() / "nowhere")
    assert cache.state().files == 1
    cache.keep("run", a_motion())
    assert cache.clear().files == 2


def test_files_that_cannot_be_removed(monkeypatch: pytest.MonkeyPatch):
    cache.keep("walk", a_motion())

    def denied(_path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(OutputError, match=r"cannot remove .*walk.safetensors: Permission denied"):
        cache.clear()


def test_what_is_found_is_a_motion_file():
    """Anyone may copy it out of the cache."""
    cache.keep("walk", a_motion())
    assert_same(Motion.load(cache.folder() / "walk.safetensors"), a_motion())
