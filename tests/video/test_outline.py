"""A crop is shown on the whole frame where it lies."""

from pathlib import Path

import numpy as np
import pytest

from motionlift.video.clip import Clip
from motionlift.video.outline import DIM, outline
from motionlift.video.part import Part


def wide(place: Path, left: int = 0) -> Path:
    """Eight frames, twice as wide as high, in which a white square goes down."""
    frames = np.full((8, 64, 128, 3), 80, np.uint8)
    for number, frame in enumerate(frames):
        frame[6 * number : 6 * number + 12, left : left + 12] = 250
    Clip.of(frames, 8).save(place)
    return place


@pytest.mark.parametrize(
    ("crop", "columns"), [(None, (0.25, 0.75)), ((0.0, 0.5), (0.0, 0.5)), ((0.9, 0.5), (0.5, 1.0))]
)
def test_a_square_is_cut_out_of_what_is_wide(tmp_path: Path, crop, columns):
    found = outline(wide(tmp_path / "wide.mp4"), frames=8, fps=8, aspect=(64, 64), part=Part(crop=crop))
    assert (found.rows, found.columns) == ((0, 1), columns)
    assert found.picture.shape == (64, 128, 3)


@pytest.mark.parametrize("fps", [8, None])
def test_it_lies_where_things_move(tmp_path: Path, fps):
    found = outline(wide(tmp_path / "wide.mp4", 110), frames=8, fps=fps, aspect=(64, 64), part=Part(crop="motion"))
    assert found.columns[1] > 0.95


def test_what_is_left_out_is_dark(tmp_path: Path):
    found = outline(wide(tmp_path / "wide.mp4"), frames=8, fps=8, aspect=(64, 64))
    assert np.array_equal(found.dimmed[:, 32:96], found.picture[:, 32:96])
    assert np.array_equal(found.dimmed[:, :32], found.picture[:, :32] // DIM)
