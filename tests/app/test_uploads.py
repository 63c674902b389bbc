"""What comes in is a clip or pictures, small enough, under a plain name; all else is refused in a line and leaves nothing."""

import errno
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motionlift.app import uploads, workspace
from motionlift.app.uploads import taken_clip, taken_motion
from motionlift.app.workspace import Workspace
from motionlift.errors import InputError, MotionliftError, OutputError
from motionlift.video.clip import Clip
from motionlift.world.scenes import render, sample


@pytest.fixture
def own(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "own")


def picture(shade: int, side: int = 32) -> bytes:
    written = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), shade, np.uint8)).save(written, "PNG")
    return written.getvalue()


def packed(place: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return place


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webp"])
def test_clips_get_plain_names(own: Workspace, tmp_path: Path, suffix: str):
    clip = tmp_path / f"a <i>clip{suffix}"
    Clip.of(render([sample(3, 1)]).frames[0], 8).save(clip)
    name = taken_clip(clip, own)
    assert name == f"a -i-clip{suffix}" and own.kept(name).read_bytes() == clip.read_bytes()


def test_a_zip_of_pictures_is_a_folder_that_can_be_read(own: Workspace, tmp_path: Path):
    files = {f"frames/{number:03}.png": picture(20 * number) for number in range(9)}
    name = taken_clip(packed(tmp_path / "frames.zip", files), own)
    assert len(Clip.read(own.kept(name), frames=9, fps=8, aspect=(1, 1)).frames) == 9


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.png": picture(1), "run.sh": b"rm"}, "run.sh"),
        ({}, "nothing"),
        ({"a.png": b"no picture", "b.png": b"none"}, "a.png"),
        ({"a.png": picture(1)}, "one"),
    ],
)
def test_zips_of_other_things_leave_nothing(own: Workspace, tmp_path: Path, files: dict[str, bytes], message: str):
    with pytest.raises(MotionliftError, match=message):
        taken_clip(packed(tmp_path / "frames.zip", files), own)
    assert list(own.folder.iterdir()) == []


def test_what_a_system_puts_beside_pictures_is_left_out(own: Workspace, tmp_path: Path):
    files = {f"frames/{number:03}.png": picture(20 * number) for number in range(3)}
    others = ("frames/.DS_Store", "__MACOSX/frames/._000.png", "frames/._001.png", "frames/Thumbs.db", "desktop.ini")
    name = taken_clip(packed(tmp_path / "frames.zip", files | dict.fromkeys(others, b"none")), own)
    assert sorted(place.name for place in own.kept(name).iterdir()) == ["000.png", "001.png", "002.png"]


def test_long_names_of_pictures_keep_their_numbers(own: Workspace, tmp_path: Path):
    files = {f"{'a holiday in the mountains, ' * 5}{number}.PNG": picture(20 * number) for number in range(12)}
    name = taken_clip(packed(tmp_path / "frames.zip", files), own)
    shades = Clip.read(own.kept(name), frames=12, fps=24, aspect=(1, 1)).frames[:, 0, 0, 0].tolist()
    assert shades == [20 * number for number in range(12)]
    with pytest.raises(InputError, match="a name of more than 240 bytes"):
        taken_clip(
            packed(tmp_path / "long.zip", {f"{'ä' * 200}{number}.png": picture(number) for number in (1, 2)}), own
        )


def test_a_zip_that_is_damaged_says_so(own: Workspace, tmp_path: Path):
    upload = packed(tmp_path / "frames.zip", {f"{number}.png": picture(number, 64) for number in range(3)})
    content = bytearray(upload.read_bytes())
    content[40:60] = b"\xff" * 20
    upload.write_bytes(content)
    with pytest.raises(InputError, match=r"frames\.zip cannot be unpacked"):
        taken_clip(upload, own)
    assert list(own.folder.iterdir()) == []


def test_a_zip_takes_no_more_room_than_there_is(own: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    upload = packed(tmp_path / "frames.zip", {"a.bmp": bytes(2**20), "b.bmp": bytes(2**20)})
    monkeypatch.setattr(workspace, "MOST_KEPT", 2**20)
    with pytest.raises(InputError, match="your files may have 1 MB: delete"):
        taken_clip(upload, own)
    assert list(own.folder.iterdir()) == []


def test_what_is_too_large_too_long_or_no_motion_is_refused(
    own: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clip, text = tmp_path / "clip.mp4", tmp_path / "text.safetensors"
    Clip.of(render([sample(3, 1)]).frames[0], 8).save(clip)
    text.write_text("<html>")
    monkeypatch.setattr(uploads, "MOST_SECONDS", 1.0)
    with pytest.raises(InputError, match="lasts longer than the 1 seconds"):
        taken_clip(clip, own)
    monkeypatch.setattr(uploads, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="allowed are 0: cut it first"):
        taken_clip(clip, own)
    with pytest.raises(MotionliftError) as found:
        taken_motion(text, own)
    assert "text.safetensors" in str(found.value) and str(tmp_path) not in str(found.value)
    assert not own.folder.exists()


class Full:
    """A disk that is full in the middle of a file."""

    def __init__(self, own: Workspace):
        self.own, self.listed = own, []

    def copyfile(self, _: Path, place: Path) -> None:
        place.write_bytes(b"half")
        self.listed += self.own.motions()
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("kind", ["clip", "motion"])
def test_on_a_full_disk_nothing_half_is_left(
    own: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    clip, disk = tmp_path / "walk.mp4", Full(own)
    Clip.of(render([sample(3, 1)]).frames[0], 8).save(clip)
    monkeypatch.setattr(shutil, "copyfile", disk.copyfile)
    monkeypatch.setattr(uploads.Motion, "load", lambda place: None)
    monkeypatch.setattr(uploads, "drawn_on_grey", lambda motion: None)
    with pytest.raises(OutputError, match=r"cannot write walk.* the disk is full") as found:
        (taken_clip if kind == "clip" else taken_motion)(clip, own)
    assert str(tmp_path) not in str(found.value)
    assert disk.listed == [] and list(own.folder.iterdir()) == []
