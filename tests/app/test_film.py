"""The strip of a clip: what is read is bright, and a touch moves the nearer end."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.app.film import DIM, SIDE, film_of, touched
from motionlift.errors import InputError
from motionlift.video.clip import Clip


def test_what_is_read_is_bright(tmp_path: Path):
    Clip.of(torch.full((24, 96, 160, 3), 200, dtype=torch.uint8), 8).save(tmp_path / "bright.mp4")
    found = film_of(tmp_path / "bright.mp4")
    assert found is not None and found.seconds == pytest.approx(3.0)
    strip = found.strip(0.75, 1.5)
    assert strip.shape == (96, 5 * SIDE, 3)
    bright = np.flatnonzero(strip.mean(axis=(0, 2)) > 200 / DIM + 20)
    assert bright[[0, -1]] / strip.shape[1] == pytest.approx([0.25, 0.75], abs=0.01)
    assert (found.strip(0.0, None) > 150).all()
    assert (found.strip(5.0, None) < 80).all(), "nothing is read"


def test_of_few_frames_each_is_shown(tmp_path: Path):
    Clip.of(torch.zeros(3, 64, 64, 3, dtype=torch.uint8), 8).save(tmp_path / "short.mp4")
    found = film_of(tmp_path / "short.mp4")
    assert found is not None and found.frames.shape == (3, SIDE, SIDE, 3)


def test_a_strip_goes_by_time_and_not_by_frames(tmp_path: Path):
    """Of a picture that stands for three seconds, and thirty that pass in the fourth."""
    pictures = [Image.new("RGB", (64, 64), (grey, grey, grey)) for grey in (250, *[5] * 30)]
    pictures = [each if not number else _marked(each, number) for number, each in enumerate(pictures)]
    times = [3000, *[33] * 30]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=times, loop=0)
    found = film_of(tmp_path / "a.gif")
    assert found is not None and found.seconds == pytest.approx(4.0, abs=0.15)
    bright = found.frames.mean(axis=(1, 2, 3)) > 128
    assert bright.tolist() == [True] * 6 + [False] * 2


def _marked(picture: Image.Image, number: int) -> Image.Image:
    """The same with a point of its own: pictures that are alike are one in a GIF."""
    picture.putpixel((number % 64, 0), (90, 90, 90))
    return picture


@pytest.mark.slow
def test_many_frames_are_held_thinly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    grey = (torch.arange(200) // 25 * 30).to(torch.uint8)
    Clip.of(grey[:, None, None, None].expand(200, 64, 64, 3).contiguous(), 24).save(tmp_path / "long.mp4")
    monkeypatch.setattr("motionlift.app.film.MOST_HELD", 20)
    found = film_of(tmp_path / "long.mp4")
    assert found is not None and len(found.frames) == 8
    assert found.frames.mean(axis=(1, 2, 3)) == pytest.approx(30 * np.arange(8), abs=31)
    monkeypatch.setattr("motionlift.app.film.LONGEST", 5.0)
    assert film_of(tmp_path / "long.mp4") is None


def test_what_is_no_clip_is_refused(tmp_path: Path):
    with pytest.raises(InputError):
        film_of(tmp_path / "gone.mp4")


@pytest.mark.parametrize(
    ("share", "part", "found"),
    [
        (0.25, (0.0, None), (1.0, 0.0)),
        (0.75, (0.0, None), (0.0, 3.0)),
        (0.5, (1.0, 2.5), (2.0, 1.5)),
        (0.1, (1.0, 2.0), (0.4, 2.6)),
        (0.95, (1.0, 2.0), (1.0, 2.8)),
        (0.9, (1.0, 9.0), (1.0, 2.6)),
    ],
)
def test_the_nearer_end_moves_to_the_touch(share: float, part: tuple[float, float | None], found: tuple[float, float]):
    assert touched(share, *part, 4.0) == found
