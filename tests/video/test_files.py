"""What is said of files that are no videos, by their first bytes."""

import zipfile

import pytest

from motionlift.errors import InputError
from motionlift.video.clip import Clip
from tests.video.made import SQUARE

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"
MANIFEST = '<?xml version="1.0"?>\n<!-- made -->\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>'


@pytest.mark.parametrize(("content", "told"), [
    ("<!DOCTYPE html><html><body>404</body></html>", "it is a web page, .*: download the video itself"),
    ("\ufeff\n <html lang='de'>", "it is a web page"),
    ('<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML">', "it is a web page"),
    ('{"error": "not found"}', "it is JSON, .*: download the video again"),
    ('[{"error": 404}]', "it is JSON"),
    (LFS, r"it is a pointer of Git LFS: .* \(git lfs pull\)"),
    ("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nbase.mp4\n", "it is a playlist, .*: give one of those"),
    ("ffconcat version 1.0\nfile base.mp4\n", "it is a playlist"),
    ("[playlist]\nFile1=a.mp4\n", "it is a playlist"),
    (MANIFEST, "it is a playlist"),
    ("%PDF-1.4\n" + "a" * 500, "it is a PDF"),
    ("ein Satz mit Umlauten: äöü\n" * 100, "it is text"),
    ("\0" * 5000, "it begins with zeros alone"),
    ("\x01\x02", "not a video file, damaged, or cut short"),
])  # fmt: skip
def test_what_lies_where_a_video_was_meant_is_named(tmp_path, content, told):
    path = tmp_path / "a.mp4"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=f"a.mp4 is no video that can be read: {told}") as caught:
        Clip.read(path, frames=5, fps=8, aspect=SQUARE)
    assert "\n" not in str(caught.value)


def test_a_text_whose_last_letter_is_cut_is_a_text(tmp_path):
    (tmp_path / "a.mp4").write_text("a" + "ä" * 2000, encoding="utf-8")
    with pytest.raises(InputError, match="it is text"):
        Clip.read(tmp_path / "a.mp4", frames=5, fps=8, aspect=SQUARE)


def test_an_empty_archive_has_nothing_to_unpack(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    with pytest.raises(InputError, match=r"is an archive \(zip\) in which nothing is"):
        Clip.read(tmp_path / "a.zip", frames=5, fps=8, aspect=SQUARE)
