"""Kept motions are found again, thrown out when there are too many, and never a reason to fail."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from motionlift.errors import OutputError, SettingError
from motionlift.motion import cache, run_files
from motionlift.motion.file import Motion
from motionlift.motion.lock import held
from motionlift.video import writing
from motionlift.video.clip import Clip
from motionlift.video.marks import CHECKPOINT, KEY
from motionlift.video.sheets import contact_sheet
from tests.motion.test_file import FULL, a_motion, assert_same


@pytest.fixture
def most_bytes(monkeypatch: pytest.MonkeyPatch):
    return lambda number: monkeypatch.setenv("MOTIONLIFT_CACHE_BYTES", str(number))


def key(word: str) -> str:
    """What the cache names a thing, for a word."""
    return cache.key({"word": word})


def kept_file(word: str) -> Path:
    return cache.folder() / f"{key(word)}.safetensors"


def keep(word: str, motion: Motion | None = None) -> None:
    """Keep a motion of which nothing is to be told."""
    assert cache.keep(key(word), motion or a_motion()) == ()


def find(word: str) -> Motion | None:
    """A motion of which nothing is to be told."""
    found = cache.find(key(word))
    assert found.notices == ()
    return found.motion


def used_at(word: str, seconds: int) -> None:
    os.utime(kept_file(word), (seconds, seconds))


def file_size() -> int:
    """Bytes of the file of a motion."""
    keep("size")
    size = kept_file("size").stat().st_size
    cache.clear()
    return size


def kept_words() -> set[str]:
    """Of the motions that are kept, and of anything else the name."""
    words = {key(word): word for word in ("walk", "run", "first", "second", "third", "fourth", "large", "size")}
    return {words.get(path.stem, path.name) for path in cache.folder().iterdir() if path.name != cache.TAG}


def test_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "elsewhere"))
    assert cache.folder() == tmp_path / "elsewhere" / "motions"
    monkeypatch.delenv("MOTIONLIFT_CACHE")
    assert cache.folder().parent.name == "motionlift"


def test_kept_motions_are_found():
    assert find("walk") is None
    motion = a_motion()
    keep("walk", motion)
    found = find("walk")
    assert found is not None
    assert_same(found, motion)
    assert find("run") is None


def test_keys_tell_contents_apart():
    content = {"source": {"fps": 8.0, "frames": 9}, "settings": {"block": (4,), "lr": 0.1}}
    same = {"settings": {"lr": 0.1, "block": [4]}, "source": {"frames": 9, "fps": 8.0}}
    other = {"source": {"fps": 8.0, "frames": 9}, "settings": {"block": (5,), "lr": 0.1}}
    assert cache.key(content) == cache.key(same) != cache.key(other)


@pytest.mark.parametrize("content", [b"", b"no motion", None])
def test_damaged_files_count_as_none(content: bytes | None):
    keep("walk")
    path = kept_file("walk")
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    found = cache.find(key("walk"))
    assert found.motion is None
    assert found.notices == (f"{path} is not the motion that was kept there; it is lifted anew",)
    keep("walk")
    assert find("walk") is not None


def test_the_longest_unused_go_first(most_bytes):
    size = file_size()
    most_bytes(3 * size)
    for number, name in enumerate(("first", "second", "third")):
        keep(name)
        used_at(name, 1000 + number)
    find("first")
    keep("fourth")
    assert kept_words() == {"first", "third", "fourth"}
    most_bytes(3 * size - 1)
    keep("fourth")
    assert kept_words() == {"first", "fourth"}


def test_a_motion_larger_than_the_cap(most_bytes):
    size = file_size()
    keep("walk")
    most_bytes(size)
    large = replace(a_motion(), tensors={**a_motion().tensors, "more": torch.zeros(10_000)})
    keep("large", large)
    assert kept_words() == {"walk"}, "it pushes none out"
    most_bytes(10)
    keep("run")
    assert kept_words() == {"walk"}
    assert cache.clear().files == 1
    most_bytes(0)
    keep("walk")
    assert cache.state().files == 0


@pytest.mark.parametrize("cap", ["", "many", "-1", "1.5", "1e9", "4 GB", "9" * 5000, "²"])
def test_caps_that_are_no_numbers(most_bytes, cap: str):
    most_bytes(cap)
    for act in (cache.most_bytes, cache.state, cache.clear, lambda: keep("walk")):
        with pytest.raises(SettingError, match=r"MOTIONLIFT_CACHE_BYTES is .*; allowed is a whole number") as caught:
            act()
        assert len(str(caught.value)) < 150
    assert not cache.folder().exists()


def test_state_and_clear(most_bytes):
    most_bytes(10**6)
    assert cache.state() == cache.CacheState(cache.folder(), 0, 0, 10**6, 0, 0)
    keep("walk")
    keep("run", a_motion(method="smm"))
    stranger = cache.folder() / "notes.txt"
    stranger.write_text("mine")
    sizes = [path.stat().st_size for path in cache.folder().glob("*.safetensors")]
    before = cache.CacheState(cache.folder(), 2, sum(sizes), 10**6, 0, 0)
    assert cache.state() == before
    assert cache.clear() == before
    assert cache.state() == replace(before, files=0, bytes=0)
    assert stranger.read_text() == "mine"
    assert cache.clear().files == 0


def a_run(word: str, size: int, days: float = 0) -> Path:
    """The folder of a run that was stopped so many days ago."""
    cache._claim(cache.runs())
    place = cache.runs() / key(word)
    place.mkdir()
    run_files.claim(place)
    (place / "previews").mkdir()
    save_file({"x": torch.zeros(1)}, place / run_files.CHECKPOINT, {KEY: CHECKPOINT.name})
    contact_sheet(Clip.of(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), 8), place / "previews" / "000001.png")
    log, rest = "step,loss,seconds\n", sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    (place / run_files.LOSSES).write_text(log + "x" * (size - rest - len(log)))
    then = time.time() - days * 24 * 3600
    for path in (*place.rglob("*"), place):
        os.utime(path, (then, then))
    return place


def runs_left() -> set[str]:
    """Of the runs that are kept the word, and of anything else the name."""
    words = {
        key(word): word for word in ("walk", "run", "busy", "new", "old", "wanted", "fresh", "first", "second", "third")
    }
    return {words.get(path.name, path.name) for path in cache.runs().iterdir() if path.name != cache.TAG}


def test_stopped_runs_are_counted_and_cleared():
    for word, size in (("walk", 1000), ("run", 700)):
        a_run(word, size)
    keep("walk")
    before = cache.state()
    assert (before.files, before.runs, before.run_bytes) == (1, 2, 1700)
    assert cache.clear() == before
    assert (cache.state().runs, cache.state().run_bytes) == (0, 0) and runs_left() == set()


def test_a_run_at_work_is_neither_cleared_nor_shrunk(most_bytes):
    with held(a_run("busy", 1000, days=20)):
        a_run("walk", 700)
        most_bytes(10)
        assert cache.run_place(key("new")) == cache.runs() / key("new")
        assert runs_left() == {"busy", "walk"}
        assert cache.clear().runs == 1
        assert runs_left() == {"busy"} and (cache.runs() / key("busy") / "checkpoint.safetensors").exists()
        assert cache.state().run_bytes == 1000


def test_runs_of_long_ago_go_when_another_begins():
    for name, days in (("old", cache.MOST_DAYS + 1), ("wanted", cache.MOST_DAYS + 1), ("fresh", cache.MOST_DAYS - 1)):
        a_run(name, 700, days)
    cache.run_place(key("wanted"))
    assert runs_left() == {"wanted", "fresh"}


def test_runs_beyond_the_cap_go_oldest_first_but_not_the_newest(most_bytes):
    for word, days in (("first", 3), ("second", 2), ("third", 1)):
        a_run(word, 1000, days)
    most_bytes(2000)
    cache.run_place(key("new"))
    assert runs_left() == {"second", "third"}
    most_bytes(10)
    cache.run_place(key("new"))
    assert runs_left() == {"third"}, "it may be larger than all that is allowed"
    keep("walk")
    assert runs_left() == {"third"}


def test_a_folder_that_cannot_be_written_is_no_failure(motion_cache: Path):
    motion_cache.write_text("a file where the folder should be")
    (told,) = cache.keep(key("walk"), a_motion())
    assert re.fullmatch(rf"the cache in {cache.folder()} is not used: .*; MOTIONLIFT_CACHE names another folder", told)
    assert find("walk") is None
    assert cache.state().files == 0
    assert motion_cache.read_text() == "a file where the folder should be"


def test_a_folder_that_is_read_only_is_no_failure():
    cache.folder().mkdir(parents=True)
    cache.folder().chmod(0o555)
    (told,) = cache.keep(key("walk"), a_motion())
    assert str(cache.folder()) in told and "read-only" in told
    assert kept_words() == set()
    cache.folder().chmod(0o755)


def test_a_full_disk_is_no_failure(monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise SafetensorError(FULL)

    monkeypatch.setattr("motionlift.motion.file.save_file", full)
    (told,) = cache.keep(key("walk"), a_motion())
    assert "the motion is not kept in the cache" in told and "the disk is full" in told
    assert kept_words() == set()


def test_files_that_vanish_meanwhile():
    """Two runs may clear one cache."""
    keep("walk")
    gone = kept_file("gone")
    gone.symlink_to(cache.folder() / "nowhere")
    assert cache.state().files == 1
    keep("run")
    assert cache.clear().files == 2
    assert gone.is_symlink(), "the cache writes no links"


def test_files_that_cannot_be_removed(monkeypatch: pytest.MonkeyPatch):
    keep("walk")

    def denied(_path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(OutputError, match=rf"cannot remove .*{key('walk')}.safetensors: Permission denied"):
        cache.clear()


def test_what_is_found_is_a_motion_file():
    """Anyone may copy it out of the cache."""
    keep("walk")
    assert_same(Motion.load(kept_file("walk")), a_motion())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def a_project(folder: Path) -> dict[str, bytes]:
    """Somebody's own folder with names like the cache's."""
    a_motion().save(folder / "walk.safetensors")
    a_motion().save(folder / f"{key('walk')}.safetensors")
    motion = (folder / "walk.safetensors").read_bytes()
    files = {
        "motions/walk.safetensors": motion,
        f"motions/{key('walk')}.safetensors": motion,
        "runs/mine/records.jsonl": b"{}",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return contents(folder)


def test_somebodys_own_folders_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bytes):
    """As where a project's folder is named as the cache."""
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "project"))
    before = a_project(tmp_path / "project")
    most_bytes(10**4)
    for _ in range(2):
        (told,) = cache.keep(key("run"), a_motion())
        assert "motions is not used: it holds walk.safetensors, which motionlift did not put there" in told
        assert cache.find(key("run")) == cache.find(key("walk")) == cache.Found(None)
        with pytest.raises(OutputError, match=r"runs is not used: it holds mine, which motionlift did not put there"):
            cache.run_place(key("run"))
        state = cache.clear()
        assert (state.files, state.runs) == (0, 0)
        assert [re.search("it holds ([^,]*)", notice)[1] for notice in state.notices] == ["walk.safetensors", "mine"]
    assert contents(tmp_path / "project") == before


def test_what_somebody_puts_into_the_cache_stays():
    keep("walk")
    place = a_run("run", 1000)
    save_file({"weight": torch.zeros(2)}, kept_file("other"))
    a_motion().save(cache.folder() / "walk.safetensors")
    (cache.runs() / "mine").mkdir()
    (cache.runs() / "mine" / "checkpoint.safetensors").write_bytes(b"mine")
    (place / "notes.txt").write_text("mine")
    (place / "previews" / "mine.png").write_bytes(b"mine")
    assert (cache.clear().files, cache.state().files) == (1, 0)
    left = {
        f"motions/{kept_file('other').name}",
        "motions/walk.safetensors",
        "motions/CACHEDIR.TAG",
        "runs/CACHEDIR.TAG",
    }
    left |= {
        "runs/mine/checkpoint.safetensors",
        *[f"runs/{place.name}/{name}" for name in ("notes.txt", "previews/mine.png")],
    }
    assert set(contents(cache.folder().parent)) == left


def test_the_folders_are_tagged_as_caches():
    """Backup programs read the tag: https://bford.info/cachedir/"""
    keep("walk")
    cache.run_place(key("run"))
    for place in (cache.folder(), cache.runs()):
        assert (place / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    assert not (cache.folder().parent / "CACHEDIR.TAG").exists(), "it may be anybody's"


def test_the_tag_of_another_program_is_none_of_ours():
    cache.folder().mkdir(parents=True)
    (cache.folder() / cache.TAG).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of another program\n")
    a_motion().save(kept_file("walk"))
    assert "it holds CACHEDIR.TAG" in cache.keep(key("run"), a_motion())[0]
    assert cache.clear().files == 0 and kept_file("walk").exists()


def test_a_cache_of_a_version_without_tags_is_used_and_cleared():
    cache.folder().mkdir(parents=True)
    a_motion().save(kept_file("walk"))
    (cache.runs() / key("run")).mkdir(parents=True)
    save_file({"x": torch.zeros(1)}, cache.runs() / key("run") / "checkpoint.safetensors", {"step": "1", "about": "{}"})
    (cache.runs() / key("new")).mkdir()
    (cache.runs() / key("new") / ".lock").touch()
    assert (cache.state().files, cache.state().runs) == (1, 2)
    assert (cache.clear().files, runs_left(), kept_words()) == (1, set(), set())


def flipped(path: Path, place: int) -> None:
    """Flip a bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", ["first", "name", "middle", "last"])
def test_a_flipped_bit_is_seen(place: str):
    keep("walk")
    data = kept_file("walk").read_bytes()
    flipped(
        kept_file("walk"), {"first": 0, "name": data.index(b"ditflow"), "middle": len(data) // 2, "last": -1}[place]
    )
    found = cache.find(key("walk"))
    assert found.motion is None and "is not the motion that was kept there; it is lifted anew" in found.notices[0]
    keep("walk")
    assert_same(find("walk"), a_motion())


def test_another_motion_under_the_name_is_seen():
    keep("walk")
    keep("run", a_motion(method="smm"))
    kept_file("walk").write_bytes(kept_file("run").read_bytes())
    assert cache.find(key("walk")).motion is None
    a_motion().save(kept_file("run"))
    assert cache.find(key("run")).motion is None, "it was not kept there"


def test_what_an_interrupted_write_left_is_cleared_but_not_what_is_being_written():
    """A process that is killed leaves its temporary file; one that is at work has one too."""
    keep("walk")
    place = a_run("run", 1000)
    code = (
        "import os, signal, sys; from pathlib import Path; from motionlift.video.writing import _beside\n"
        "for place in sys.argv[1:]: _beside(Path(place) / 'x.tmp').write_bytes(b'half')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(cache.folder()), str(place)], timeout=300)
    left = [path for folder in (cache.folder(), place) for path in folder.glob(".motionlift-*.tmp")]
    assert len(left) == 2
    at_work = writing._beside(cache.folder() / "x.tmp")
    at_work.write_bytes(b"half")
    (place / "checkpoint.partial").write_bytes(b"half")
    cache.clear()
    assert [path.name for path in cache.folder().iterdir() if path.name != cache.TAG] == [at_work.name]
    assert runs_left() == set()


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_a_cache_of_another_user_is_named_and_not_used(tmp_path: Path):
    keep("walk")
    a_run("run", 1000)
    cache.folder().chmod(0o700)
    cache.runs().chmod(0o700)
    for path in (tmp_path, *tmp_path.parents):  # ours, so that the other user comes as far as the cache
        if str(path).startswith("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    code = f"""
import os
from motionlift.errors import OutputError
from motionlift.motion import cache
from tests.motion.test_file import a_motion
os.setgid(65534); os.setuid(65534)  # once all is imported, from wherever this user keeps it
print(cache.find({key("walk")!r}).notices)
print(cache.holds({key("walk")!r}))
print(cache.keep({key("walk")!r}, a_motion()))
for act in (lambda: cache.run_place({key("run")!r}), cache.state, cache.clear):
    try:
        act()
    except OutputError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, timeout=120)
    found, held, kept, run, state, clear = done.stdout.splitlines()
    told = f"the cache in {cache.folder()} is not used: Permission denied; MOTIONLIFT_CACHE names another folder"
    assert (found, held, kept) == (repr((told,)), "False", repr((told,)))
    assert run == told.replace("motions", "runs")
    assert (
        state == clear and state.startswith(f"cannot read the cache {cache.folder()}") and "Permission denied" in state
    )
