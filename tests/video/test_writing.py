"""Clips written to files."""

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.errors import OutputError
from motionlift.video import encoding, writing
from motionlift.video.clip import Clip
from motionlift.video.marks import CLIP, RECORD, hash_of
from motionlift.video.writing import check_output, companion, replacing
from tests.video.made import levels


def test_outputs_that_cannot_be_are_refused_before_and_after(tmp_path):
    clip = Clip.of(torch.from_numpy(np.stack(levels(2))), 8)
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    (tmp_path / "locked.mp4").touch(mode=0o444)
    os.mkfifo(tmp_path / "pipe.mp4")
    before = sorted(tmp_path.rglob("*"))
    for path, told in [
        (
            tmp_path / "a.avi",
            r"must end in \.mp4 or \.mov or \.webm or \.gif or \.webp; a name that ends in none is a folder",
        ),
        (tmp_path, "is a folder that holds other things than frames"),
        (tmp_path / "folder.mp4", "is a folder"),
        (tmp_path / "none" / "a.mp4", "there is no folder"),
        (tmp_path / "file" / "a.mp4", "there is no folder|Not a directory"),
        (locked / "a.mp4", "is read-only"),
        (tmp_path / "locked.mp4", "is read-only"),
        (tmp_path / "pipe.mp4", "is not a regular file"),
        (tmp_path / ("x" * 300 + ".mp4"), "name too long"),
        (tmp_path / "a\0.mp4", "null"),
    ]:
        with pytest.raises(OutputError, match=told):
            check_output(path)
        with pytest.raises(OutputError, match=told):
            clip.save(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (".", "cannot write '.': that names no file; give the name of one"),
        ("", "that names no file"),
        ("..", "cannot write '..': that names no file"),
        ("x/..", "that names no file"),
        ("/", "cannot write '/': that names no file"),
        ("https://a.b/x.mp4", "cannot write https://a.b/x.mp4: it is an address, and results go to files here"),
        ("s3://bucket/x", "cannot write s3://bucket/x: it is an address"),
        (Path("file:///x.mp4"), "cannot write file://x.mp4: it is an address"),
    ],
)
def test_what_names_no_file_is_refused(place: str | Path, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the folder is empty too, of which pictures might take the place."""
    monkeypatch.chdir(tmp_path)
    clip = Clip.of(torch.from_numpy(np.stack(levels(2))), 8)
    for write in (check_output, clip.save, lambda place: companion(place, ".json")):
        with pytest.raises(OutputError, match=re.escape(told)):
            write(place)
    assert not [*tmp_path.iterdir()]


def saved_clip(path: Path) -> bytes:
    """A clip that was written; its bytes."""
    Clip.of(torch.from_numpy(np.stack(levels(3))), 8).save(path)
    return path.read_bytes()


def test_a_good_output_is_left_as_it_was(tmp_path):
    check_output(tmp_path / "a.mp4")
    check_output(tmp_path / "a.json", RECORD)
    assert list(tmp_path.iterdir()) == []
    data = saved_clip(tmp_path / "a.mp4")
    check_output(tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == data


def test_a_full_disk_is_said_beforehand(tmp_path, monkeypatch):
    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="the disk is full"):
        check_output(tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (av.error.ExternalError(-542398533, "Generic error in an external library"), OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (RuntimeError("a bug"), RuntimeError),
    ],
)
def test_a_write_that_fails_midway_leaves_the_old_file_alone(tmp_path, monkeypatch, error, raised):
    made = []

    def failing(image, format):
        made.append(image)
        if len(made) == 5:
            raise error
        return av.VideoFrame.from_ndarray(image, format=format)

    data = saved_clip(tmp_path / "a.mp4")
    monkeypatch.setattr(encoding, "VideoFrame", SimpleNamespace(from_ndarray=failing))
    with pytest.raises(raised):
        Clip.of(torch.from_numpy(np.stack(levels(9))), 8).save(tmp_path / "a.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == data


@pytest.mark.parametrize("how", ["checked", "written", "stopped"])
def test_a_stop_while_the_temporary_file_is_removed_leaves_none(tmp_path, monkeypatch, how):
    unlink, stops = Path.unlink, [KeyboardInterrupt()]

    def stopped(path: Path, missing_ok: bool = False) -> None:
        if stops:
            raise stops.pop()
        unlink(path, missing_ok)

    target = tmp_path / "x.mp4"
    monkeypatch.setattr(Path, "unlink", stopped)
    with pytest.raises(KeyboardInterrupt):
        if how == "checked":
            writing.check_output(target)
        with writing.replacing(target) as temporary:
            temporary.write_bytes(b"half")
            if how == "stopped":
                raise KeyboardInterrupt
    assert not stops and [path for path in tmp_path.iterdir() if path != target] == []


def test_a_link_keeps_pointing_at_the_new_file(tmp_path):
    saved_clip(tmp_path / "real.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "real.mp4")
    (tmp_path / "other name.mp4").hardlink_to(tmp_path / "real.mp4")
    old = (tmp_path / "real.mp4").read_bytes()
    with replacing(tmp_path / "link.mp4") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.mp4").is_symlink()
    assert (tmp_path / "real.mp4").read_text() == "new"
    assert (tmp_path / "other name.mp4").read_bytes() == old, "a hard link keeps what it named"


def test_what_others_wrote_is_refused_before_and_after(tmp_path):
    """Whatever leads to it, and whatever it holds; and what comes into the place while a file is written."""
    clip = Clip.of(torch.from_numpy(np.stack(levels(2))), 8)
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "mine.mp4").write_text("mine")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "mine")
    (tmp_path / "hard.MP4").hardlink_to(tmp_path / "mine")
    for name in ("mine.mp4", "empty.mp4", "link.mp4", "hard.MP4"):
        for write in (check_output, clip.save):
            with pytest.raises(
                OutputError, match=rf"{name}: the file that is there is no clip as motionlift wrote it; choose"
            ):
                write(tmp_path / name)
    with pytest.raises(OutputError, match=r"late.mp4: the file that is there"), replacing(tmp_path / "late.mp4"):
        (tmp_path / "late.mp4").write_text("mine")
    assert all(path.read_text() == "mine" * (path.name != "empty.mp4") for path in tmp_path.iterdir())


def test_a_companion_belongs_to_one_video(tmp_path):
    assert companion(tmp_path / "x.mp4", ".json") == companion(tmp_path / "x.MP4", ".json") == tmp_path / "x.json"
    (tmp_path / "x.mp4").touch()
    assert companion(tmp_path / "x.MP4", ".json") == tmp_path / "x.json"
    (tmp_path / "x.json").touch()
    assert companion(tmp_path / "x.mp4", ".json") == tmp_path / "x.json"
    with pytest.raises(OutputError, match=r"x.json: it goes with x.mp4; choose another name than x.MP4"):
        companion(tmp_path / "x.MP4", ".json")


LEFT = """
import os, signal, sys
from pathlib import Path
from motionlift.video.writing import replacing
with replacing(sys.argv[1]) as partial:
    partial.write_bytes(b"half")
    print(partial.name, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def at_work(path: Path, how: str) -> tuple[subprocess.Popen[str], Path]:
    """A process that dies, or waits, while it writes a file; and what it writes."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", LEFT, str(path), how], text=True, **pipes)
    assert process.stdout is not None
    return process, path.with_name(process.stdout.readline().strip())


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    killed, left = at_work(tmp_path / "a.mp4", "die")
    killed.wait(60)
    waiting, written = at_work(tmp_path / "b.mp4", "wait")
    old, new = tmp_path / ".motionlift-0123456789abcdef.tmp", tmp_path / ".motionlift-fedcba9876543210.tmp"
    mine = [
        tmp_path / name for name in (".motionlift-notes.tmp", "motionlift.tmp", ".motionlift-0123456789abcdef.tmp.txt")
    ]
    for path in (old, new, *mine):
        path.write_bytes(b"half")
    day = time.time() - writing.STALE_AFTER - 60
    os.utime(old, (day, day))
    for path in mine:
        os.utime(path, (day, day))
    check_output(tmp_path / "c.mp4")
    assert not left.exists() and not old.exists(), "of a process that is gone, or of long ago"
    assert written.exists() and new.exists(), "of one at work, or of one that may be"
    assert all(path.exists() for path in mine)
    waiting.kill()
    waiting.communicate(timeout=300)


def test_on_another_machine_a_process_may_be_at_work(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "machine", lambda: "01234567")
    left = tmp_path / f".motionlift-89abcdef-{2**22 - 1}-0123456789abcdef.tmp"
    left.write_bytes(b"half")
    writing.remove_leftovers(tmp_path)
    assert left.exists()
    day = time.time() - writing.STALE_AFTER - 60
    os.utime(left, (day, day))
    writing.remove_leftovers(tmp_path)
    assert not left.exists()


def a_clip(count: int) -> Clip:
    return Clip.of(torch.from_numpy(np.stack(levels(count))), 8)


def test_a_folder_of_frames_takes_the_place_of_one_of_ours_whole(tmp_path):
    for count in (5, 3):
        a_clip(count).save(tmp_path / "frames")
        assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == [
            f"{number:05d}.png" for number in range(count)
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["frames"], "nothing is left over"
    (tmp_path / "empty").mkdir()
    a_clip(2).save(tmp_path / "empty")


def test_a_folder_of_other_things_stays(tmp_path):
    folder = tmp_path / "frames"
    a_clip(3).save(folder)
    for change in (
        lambda: (folder / "notes.txt").write_text("mine"),
        lambda: (folder / "00001.png").unlink(),
        lambda: Image.new("RGB", (4, 4)).save(folder / "00001.png"),
    ):
        change()
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(OutputError, match="holds other things than frames as motionlift wrote them"):
            a_clip(3).save(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        (folder / "notes.txt").unlink(missing_ok=True)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_folder_that_fails_midway_leaves_the_old_one(tmp_path, monkeypatch, error):
    a_clip(4).save(tmp_path / "frames")
    old, real, saved = hash_of(tmp_path / "frames"), Image.Image.save, []

    def failing(image, path, **how):
        saved.append(path)
        if len(saved) == 2:
            raise error
        real(image, path, **how)

    monkeypatch.setattr(Image.Image, "save", failing)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        a_clip(3).save(tmp_path / "frames")
    assert [path.name for path in tmp_path.iterdir()] == ["frames"] and hash_of(tmp_path / "frames") == old


def test_a_folder_that_a_killed_process_left_goes_too(tmp_path):
    left = tmp_path / ".motionlift-0123456789abcdef.tmp"
    left.mkdir()
    (left / "00000.png").touch()
    day = time.time() - writing.STALE_AFTER - 60
    os.utime(left, (day, day))
    check_output(tmp_path / "a.mp4")
    assert not left.exists()


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames"])
def test_what_is_there_stays_unless_it_may_be_overwritten(tmp_path, name):
    check_output(tmp_path / name, CLIP, overwrite=False)
    a_clip(3).save(tmp_path / name)
    before = hash_of(tmp_path / name)
    with pytest.raises(OutputError, match="it is there already; choose another name, or give --overwrite"):
        check_output(tmp_path / name, CLIP, overwrite=False)
    with pytest.raises(OutputError, match="already"), replacing(tmp_path / name, CLIP, overwrite=False):
        pass
    assert hash_of(tmp_path / name) == before
    check_output(tmp_path / name, CLIP)


def test_what_goes_with_a_video_is_named_after_it(tmp_path):
    names = {"x.mp4": "x.json", "x.gif": "x.gif.json", "x.v2.webm": "x.v2.webm.json", "frames": "frames.json"}
    assert {name: companion(tmp_path / name, ".json").name for name in names} == names
