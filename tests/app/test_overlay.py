from pathlib import Path

import torch

from motionlift.app.overlay import overlay
from motionlift.video.clip import Clip


def saved(path: Path, frames: int, height: int, width: int) -> Path:
    Clip.of(torch.zeros(frames, height, width, 3, dtype=torch.uint8), 8).save(path)
    return path


def test_a_drawing_of_the_same_shape_lies_over_its_reference(tmp_path: Path):
    page = overlay(saved(tmp_path / "a.mp4", 5, 32, 48), saved(tmp_path / "b.mp4", 5, 128, 192))
    assert "1 of 5" in page and "Drawing" in page and "sandbox" in page


def test_one_of_another_shape_stands_beside_it(tmp_path: Path):
    page = overlay(saved(tmp_path / "a.mp4", 5, 32, 48), saved(tmp_path / "b.mp4", 5, 128, 128))
    assert "what was lifted" in page and "Drawing" not in page
