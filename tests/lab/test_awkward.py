"""Clips of a folder through the commands: a readable one, one that is none, and a folder of frames."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.awkward import SHOWN, SIDE, TABLE, TILE, clips_in, main
from motionlift.cli.main import run
from motionlift.errors import InputError
from tests import twins


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "twin"
    twins.cogvideox(window=32).save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
def test_every_clip_is_tried_and_shown(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clips, output = tmp_path / "clips", tmp_path / "out"
    assert run(["world", str(clips), "--count", "1", "--size", "32"]) == 0
    (clips / "0000.json").unlink()
    (clips / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4096))
    capsys.readouterr()
    assert main([str(clips), "--output", str(output), "--model", model, "--steps", "1"]) == 0
    told = capsys.readouterr()
    assert "0000.mp4: inspect worked, transfer worked" in told.out
    assert "noise.mp4: inspect was refused, transfer was refused" in told.out and told.err == ""
    rows = (output / TABLE).read_text().splitlines()
    assert len(rows) == 2 + 4 and sum("no video" in row for row in rows) == 2
    with Image.open(output / TILE) as tile:
        picture = np.asarray(tile)
    first, second = np.array_split(picture, 2)
    assert picture.shape[1] == 2 * SHOWN * SIDE
    assert (first[20:] != 255).any() and (second[20:] == 255).all(), "of what is refused only the name is there"


def test_what_is_no_folder_of_clips_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "clip.mp4").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, words in (("clips", "does not exist"), ("clip.mp4", "is no folder"), ("empty", "is empty")):
        with pytest.raises(InputError, match=words):
            clips_in(tmp_path / name)
        assert main([str(tmp_path / name)]) == 1
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith("error: ") and told.err.count("\n") == 1


def test_a_stop_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lab.awkward.run", lambda _: 130)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_text("x")
    with pytest.raises(KeyboardInterrupt):
        main([str(tmp_path / "clips"), "--output", str(tmp_path / "out")])


def test_what_breaks_down_is_told_and_the_others_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def broken(arguments: list[str]) -> int:
        if arguments[0] == "inspect":
            raise ZeroDivisionError("of our own")
        return 1

    monkeypatch.setattr("lab.awkward.run", broken)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a|b.mp4").write_text("x")
    assert main([str(tmp_path / "clips"), "--output", str(tmp_path / "out")]) == 1
    assert "inspect broke down, transfer was refused" in capsys.readouterr().out
    assert "ZeroDivisionError: of our own" in (tmp_path / "out" / TABLE).read_text()
    assert "a\\|b.mp4" in (tmp_path / "out" / TABLE).read_text()
