"""The strip of a clip: what is read is bright, and a touch moves the nearer end."""

from pathlib import Path

import numpy as np
import pytest
import torch

from motionlift.app.film import DIM, SIDE, film, touched
from motionlift.errors import InputError
from motionlift.video.clip import Clip


def test_what_is_read_is_bright(tmp_path: Path):
    Clip.of(torch.full((24, 96, 160, 3), 200, dtype=torch.uint8), 8).save(tmp_path / "bright.mp4")
    strip, seconds = film(tmp_path / "bright.mp4", 0.75, 1.5)
    assert seconds == pytest.approx(3.0) and strip.shape == (96, 5 * SIDE, 3)
    bright = np.flatnonzero(strip.mean(axis=(0, 2)) > 200 / DIM + 20)
    assert bright[[0, -1]] / strip.shape[1] == pytest.approx([0.25, 0.75], abs=0.01)
    whole, _ = film(tmp_path / "bright.mp4", 0.0, None)
    assert (whole > 150).all()
    beyond, _ = film(tmp_path / "bright.mp4", 5.0, None)
    assert (beyond < 80).all(), "nothing is read"


def test_of_few_frames_each_is_shown(tmp_path: Path):
    Clip.of(torch.zeros(3, 64, 64, 3, dtype=torch.uint8), 8).save(tmp_path / "short.mp4")
    assert film(tmp_path / "short.mp4", 0.0, None)[0].shape == (64, 3 * 64, 3)


def test_what_is_no_clip_is_refused(tmp_path: Path):
    with pytest.raises(InputError):
        film(tmp_path / "gone.mp4", 0.0, None)


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
