"""A watched folder: what is taken, and when."""

from pathlib import Path

import pytest

from motionlift.errors import InputError
from motionlift.jobs.watching import STILL, Watch


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_file_is_taken_once_it_no_longer_grows(tmp_path: Path):
    clock = Clock()
    watch, clip = Watch(tmp_path, clock), tmp_path / "one.mp4"
    clip.write_bytes(b"half")
    assert watch.look().clips == () and watch.look().unfinished == 1
    clock.now = STILL - 0.1
    assert watch.look().clips == ()
    clip.write_bytes(b"half and more")
    clock.now = STILL + 0.1
    assert watch.look().clips == ()
    clock.now = 2 * STILL + 0.2
    assert watch.look().clips == (clip,)
    assert watch.look().files == watch.look().files


def test_a_file_that_changes_is_another(tmp_path: Path):
    clock, clip = Clock(), tmp_path / "one.mp4"
    clip.write_bytes(b"first")
    watch = Watch(tmp_path, clock)
    watch.look()
    clock.now = STILL
    before = watch.look()
    clip.write_bytes(b"second")
    assert watch.look().clips == ()
    clock.now = 2 * STILL
    after = watch.look()
    assert after.clips == before.clips and after.files != before.files


def test_only_whole_clips_and_job_files_are_taken(tmp_path: Path):
    clock = Clock()
    for name in ("a.mp4", "b.GIF", "c.mp4.part", ".d.mp4", "e.txt", "f.yaml", "g.csv", "h.jsonl"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    watch = Watch(tmp_path, clock)
    watch.look()
    clock.now = STILL
    found = watch.look()
    assert [path.name for path in found.clips] == ["a.mp4", "b.GIF"]
    assert [path.name for path in found.job_files] == ["f.yaml", "g.csv", "h.jsonl"]


def test_a_reference_elsewhere_is_whole_once_it_no_longer_grows(tmp_path: Path):
    """A clip or a folder of pictures that a job file names; when it changes, or goes, a look tells."""
    clock, clip, pictures = Clock(), tmp_path / "refs" / "big.webm", tmp_path / "refs" / "frames"
    (tmp_path / "in").mkdir()
    pictures.mkdir(parents=True)
    watch = Watch(tmp_path / "in", clock)
    before = watch.look().files
    for size in range(3):
        clip.write_bytes(bytes(size))
        (pictures / f"{size}.png").write_bytes(b"x")
        clock.now += STILL / 2
        assert not watch.is_still(clip) and not watch.is_still(pictures) and watch.look().files == before
    clock.now += STILL
    after = watch.look().files
    assert after != before and watch.is_still(clip) and watch.is_still(pictures)
    clip.unlink()
    assert watch.look().files != after and not watch.is_still(clip)
    clock.now += STILL
    assert watch.is_still(clip), "it is gone"
    watch.keep([])
    assert watch.look().files == before


def test_a_clock_that_the_day_sets_back_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    clock, clip = Clock(), tmp_path / "one.mp4"
    clip.write_bytes(b"whole")
    watch = Watch(tmp_path, clock)
    watch.look()
    clock.now = STILL
    assert watch.look().clips == (clip,)


def test_what_is_no_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="is no folder"):
        Watch(tmp_path / "none")
