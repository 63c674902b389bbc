"""Motions that are edited in the library."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionlift.app.editing import edited
from motionlift.app.grey import drawn_on_grey
from motionlift.app.library_tab import CHANGES
from motionlift.app.uploads import taken_motion
from motionlift.app.workspace import DRAWN, MOTION, REFERENCE, Workspace
from motionlift.core.lattice import Shape
from motionlift.errors import InputError
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from motionlift.video.marks import DRAWING
from motionlift.work.lift import lift
from motionlift.world.scenes import render, sample
from tests import twins


@pytest.fixture(scope="module")
def motion() -> Motion:
    clip = Clip.of(render([sample(3, 1, 9, motion="line", camera="still")], 32, 32).frames[0], 8)
    return lift(clip, twins.cogvideox(), "ditflow", settings={"steps": 2}, cached=False)


@pytest.mark.slow
def test_an_edited_motion_stands_beside_the_other_with_its_pictures(tmp_path: Path, motion: Motion):
    own = Workspace(tmp_path)
    motion.save(own.new("to the side", MOTION))
    clip = Clip.of(torch.arange(9 * 32 * 32 * 3).reshape(9, 32, 32, 3).remainder(200).to(torch.uint8), 8)
    half = clip.frames.clone()
    half[:, :, 16:] = 0
    Clip.of(half, 8).save(own.folder / f"to the side{REFERENCE}", DRAWING)
    name = edited(own, f"to the side{MOTION}", "mirror")
    assert name == f"to the side mirror{MOTION}" and set(own.motions()) == {name, f"to the side{MOTION}"}
    made = Motion.load(own.kept(name))
    assert made.edits == ("mirror",)
    (frame, *_) = Footage.of(own.folder / f"to the side mirror{REFERENCE}")
    assert frame[:, :14].mean() < 20 < frame[:, 18:].mean(), "its clip is mirrored, too"
    assert (own.folder / f"to the side mirror{DRAWN}").is_file()


@pytest.mark.slow
def test_every_button_edits_the_motion_that_is_chosen(tmp_path: Path):
    own = Workspace(tmp_path)
    clip = Clip.of(torch.zeros(9, 128, 128, 3, dtype=torch.uint8), 8)
    lift(clip, twins.cogvideox(), "none", size=(128, 128), settings={"steps": 2}, cached=False).save(
        own.new("it", MOTION)
    )
    for by in CHANGES:
        name = edited(own, f"it{MOTION}", by)
        assert name == f"it {by.replace('=', ' ').replace(',', ' ')}{MOTION}"
        assert Motion.load(own.kept(name)).edits == (by,)


@pytest.mark.slow
def test_one_without_a_clip_is_drawn_on_grey(tmp_path: Path, motion: Motion):
    own, upload = Workspace(tmp_path / "own"), tmp_path / "bare.safetensors"
    motion.save(upload)
    edited(own, taken_motion(upload, own), "mirror")
    assert {each.name for each in own.entries()} == {
        f"bare{edit}{kind}" for edit in ("", " mirror") for kind in (MOTION, DRAWN)
    }
    pictures = [Footage.of(own.folder / f"bare{edit}{DRAWN}") for edit in ("", " mirror")]
    assert [each.frames for each in pictures] == [9, 9]
    one, other = (next(iter(each)).astype(int) for each in pictures)
    assert one.max() > 200 > 130 > np.median(one) > 90, "arrows on grey"
    assert np.abs(one - other).max() > 50, "they are mirrored, too"


@pytest.mark.slow
def test_of_what_would_take_long_nothing_is_drawn(motion: Motion):
    assert drawn_on_grey(replace(motion, source=replace(motion.source, shape=Shape(9999, 16384, 16384)))) is None
    assert drawn_on_grey(replace(motion, tensors={})) is None


def test_what_is_gone_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="is no file of yours"):
        edited(Workspace(tmp_path), "gone.safetensors", "mirror")
