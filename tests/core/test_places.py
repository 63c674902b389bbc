"""Files are looked for before anything heavy is imported."""

import os
import re
from pathlib import Path

import pytest

from motionlift.core.places import check_there
from motionlift.errors import InputError


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("https://x.org/a.mp4", "https://x.org/a.mp4 is an address on the web"),
        (Path("https://x.org/a.mp4"), "https://x.org/a.mp4 is an address on the web"),
        ("S3://bucket/a.mp4", "S3://bucket/a.mp4 is an address on the web"),
        (Path("file:///home/a.mp4"), r"file://home/a.mp4 is an address; give the path alone: /home/a.mp4"),
        ("bear.mp4", "bear.mp4 does not exist; give a video file"),
        ("two", r"two does not exist \(did you mean two.json or two.mp4\?\); give"),
        ("tw.mp4", r"tw.mp4 does not exist \(did you mean two.mp4\?\); give"),
        ("no/none.mp4", "no/none.mp4 does not exist; give a video file"),
        ("on.mp4", r"on.mp4 does not exist \(did you mean one.mp4\?\); give a video file"),
        ("one.mp4", "one.mp4 is empty; give a video file"),
        ("a\0b", "does not exist; give a video file"),
        ("-", "- stands for standard input, which is not read here; give a video file"),
    ],
)
def test_what_is_not_there_is_told(given: str | Path, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one.mp4", "two.json", "two.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=words):
        check_there(given)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("none.pth", ["nones.pth"]),
        ("noise.mp5", ["noise.mp4"]),
        ("noises.gif", ["noise.gif"]),
        ("noises.mov", ["noise.gif", "noise.mp4", "noisy"]),
        ("nois.safetensor", ["noise.safetensors"]),
        ("nois.safetensors", ["noise.safetensors"]),
        ("noise.json", []),
        ("noise.jsonl", []),
        ("nois.yml", ["noise.yaml"]),
        ("noise.zip", []),
        ("noises.txt", []),
    ],
)
def test_what_is_proposed_serves_the_same(given: str, meant: list[str], tmp_path: Path):
    """Weights are not meant by the name of a video, nor a table by that of a motion."""
    for name in ("noise.mp4", "noise.gif", "nones.pth", "noise.safetensors", "noise.yaml", "noise"):
        (tmp_path / name).touch()
    (tmp_path / "noisy").mkdir()
    with pytest.raises(InputError) as refused:
        check_there(tmp_path / given)
    told = re.search(r"\(did you mean (.*)\?\)", str(refused.value))
    assert (sorted(told[1].split(" or ")) if told else []) == meant


def test_what_may_never_end_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for place in (tmp_path / "pipe.mp4", Path(os.devnull), Path("/dev/zero")):
        with pytest.raises(InputError, match=f"{place} is not a regular file; give a video file"):
            check_there(place)


def test_links_that_lead_nowhere_are_told(tmp_path: Path):
    for name, target in (("loop1.mp4", "loop2.mp4"), ("loop2.mp4", "loop1.mp4"), ("own.mp4", "own.mp4")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "lost.mp4").symlink_to("gone.mp4")
    for name in ("loop1.mp4", "own.mp4"):
        told = f"{tmp_path / name} is a link that leads back to itself; give a video file"
        with pytest.raises(InputError, match=re.escape(told)):
            check_there(tmp_path / name)
    told = f"{tmp_path / 'lost.mp4'} is a link to gone.mp4, which does not exist; give a video file"
    with pytest.raises(InputError, match=re.escape(told)):
        check_there(tmp_path / "lost.mp4")


@pytest.mark.parametrize("name", ["one:two.mp4", "c:one.mp4", "https"])
def test_what_is_there_is_let_through(name: str, tmp_path: Path):
    (tmp_path / name).write_text("x")
    check_there(tmp_path / name)
    check_there(tmp_path)
