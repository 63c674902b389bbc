"""Large videos are shown as small copies, real ones where that is asked for, and what cannot be shown says so."""

import base64
import os
from pathlib import Path

import pytest
import torch

from motionlift.app import showing
from motionlift.app.outcome import outcome
from motionlift.app.overlay import overlay
from motionlift.app.player import player, player_of_files
from motionlift.app.showing import TOO_LARGE, as_it_is, embedded, thumbnail
from motionlift.app.words import library_of
from motionlift.app.workspace import SMALL, Workspace
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from tests.app.test_outcome import item

LIMIT = 20_000


def noise(path: Path, height: int = 128, width: int = 192) -> Path:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randint(0, 256, (5, height, width, 3), generator=generator, dtype=torch.uint8)
    Clip.of(frames, 8).save(path)
    return path


def content(address: str) -> bytes:
    return base64.b64decode(address.partition("base64,")[2])


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "MOST_EMBEDDED", LIMIT)
    monkeypatch.setattr(showing, "MOST_THUMBNAIL", LIMIT // 2)


@pytest.mark.slow
def test_of_a_large_video_a_small_copy_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    large = noise(tmp_path / "large.mp4")
    assert large.stat().st_size > 2 * LIMIT
    address = embedded(large)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(content(address))
    assert 0 < copy.stat().st_size <= LIMIT and Footage.of(copy).frames == 5 and Footage.of(copy).fps == 8
    assert len(content(thumbnail(large))) <= LIMIT // 2
    monkeypatch.setattr(showing, "smaller", lambda *_: pytest.fail("it is made again"))
    large.rename(tmp_path / "renamed.mp4")
    assert embedded(tmp_path / "renamed.mp4") == address


@pytest.mark.slow
def test_copies_go_with_their_videos(tmp_path: Path):
    own = Workspace(tmp_path)
    for name in ("one.mp4", "two.mp4"):
        embedded(noise(tmp_path / name, 128 if name == "one.mp4" else 144))
    assert len(list((tmp_path / SMALL).iterdir())) == 2
    own.discard(["two.mp4"])
    assert len(list((tmp_path / SMALL).iterdir())) == 1 and (tmp_path / "one.mp4").is_file()


def test_what_cannot_be_shown_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wrong = tmp_path / "star drawn.mp4"
    wrong.write_bytes(os.urandom(2 * LIMIT))
    assert embedded(wrong) == "" and TOO_LARGE in player([("wrong", wrong)])
    assert TOO_LARGE in library_of(["star.safetensors"], tmp_path)
    monkeypatch.setattr(showing, "smaller", lambda *_: None)
    both = noise(tmp_path / "a.mp4"), noise(tmp_path / "b.mp4", 160)
    assert overlay(*both).count(TOO_LARGE) == 2


def test_results_that_are_large_are_seen(tmp_path: Path):
    noise(tmp_path / "1.mp4")
    assert "src=&#x27;data:video/mp4;base64,AAAA" in outcome([item(1)], tmp_path).html


def test_a_study_shows_the_very_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    large, small = noise(tmp_path / "large.mp4"), tmp_path / "small.mp4"
    Clip.of(torch.zeros(3, 32, 32, 3, dtype=torch.uint8), 8).save(small)
    assert content(as_it_is(small)) == small.read_bytes()
    served = as_it_is(large)
    place = Path(served.removeprefix("gradio_api/file="))
    assert place.is_relative_to(tmp_path / "gradio") and place.read_bytes() == large.read_bytes()
    assert served in player_of_files([("A", large)]) and "allow-same-origin" in player_of_files([("A", large)])
    assert "allow-same-origin" not in player_of_files([("A", small)]) + player([("<b>", large)])
