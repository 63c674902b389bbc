"""What is shown before a lift is what the lift reads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from motionlift.models.loading import load
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.video.clip import Clip
from motionlift.video.part import Part
from motionlift.work.lift import read_reference
from motionlift.work.looking import look


@pytest.mark.slow
def test_it_is_what_a_lift_reads(tmp_path: Path):
    frames = np.random.default_rng(0).integers(0, 255, (20, 48, 96, 3), np.uint8)
    Clip.of(frames, 8).save(tmp_path / "clip.mp4")
    part = Part(0.25, crop=(0.2, 0.5))
    found = look(tmp_path / "clip.mp4", DEFAULT_MODEL, "ditflow", part=part)
    model = load(DEFAULT_MODEL, "cpu")
    shape = model.about.shape
    assert found.size == (shape.height, shape.width) and found.outline is not None
    read = read_reference(tmp_path / "clip.mp4", model, shape, part=part)
    assert torch.equal(found.clip.frames, read.frames) and found.clip.notices == read.notices


@pytest.mark.slow
def test_where_nothing_moves_it_says_so(tmp_path: Path):
    still = np.full((20, 48, 96, 3), 80, np.uint8)
    still[1] = 82
    Clip.of(still, 8).save(tmp_path / "clip.mp4")
    found = look(tmp_path / "clip.mp4", DEFAULT_MODEL, "ditflow")
    assert any("nothing moves" in notice for notice in found.clip.notices)
