"""How much moves in what was lifted, and whether videos move alike."""

from dataclasses import replace

import pytest
import torch

from motionlift.core.lattice import Lattice, Shape
from motionlift.core.windows import Windows
from motionlift.motion.file import Motion, Source
from motionlift.video.clip import Clip
from motionlift.work.moved import UNLIKE, found_lines, likeness, unlike_lines
from motionlift.world import scenes


def motion_of(displacement: torch.Tensor, **settings: str) -> Motion:
    return Motion(
        tensors={"displacement.1": displacement},
        method="ditflow",
        settings=settings,
        model="tiny-dit",
        identity="",
        lattice=Lattice(3, 8, 8),
        source=Source("", 8.0, Shape(9, 64, 64)),
        version="",
        fingerprint="",
    )


def displaced(places: int, by: float = 1.0) -> torch.Tensor:
    found = torch.zeros(3, 3, 64, 2)
    found[1, 2, :places, 0] = by
    return found


def moving(right: float, down: float, seed: int = 0) -> Clip:
    """A picture that is pushed over the frame, so many pixels in all."""
    picture = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(seed))
    picture = torch.nn.functional.interpolate(picture, (192, 192), mode="bicubic").clamp(0, 1)
    frames = []
    for number in range(9):
        top, left = round(64 - down * number / 8), round(64 - right * number / 8)
        frames.append(picture[0, :, top : top + 64, left : left + 64].permute(1, 2, 0))
    return Clip.of((torch.stack(frames) * 255).to(torch.uint8), 8.0)


@pytest.mark.parametrize(
    ("places", "words"), [(0, "none of 64 places moves "), (1, "1 of 64 places moves "), (3, "3 of 64 places move ")]
)
def test_next_to_nothing_is_told_with_what_to_try(places: int, words: str):
    (line,) = found_lines(motion_of(displaced(places), read="attention"), moving(24, 0))
    assert line.startswith(words) and "try --read flow; motionlift inspect" in line
    (line,) = found_lines(motion_of(displaced(places), read="flow"), moving(24, 0))
    assert line.startswith(words) and "try another clip, or another part of it" in line


def test_what_moves_enough_is_not_spoken_of_nor_what_is_no_displacement():
    assert found_lines(motion_of(displaced(4)), moving(0, 0)) == []
    assert len(found_lines(motion_of(displaced(64, by=0.2)), moving(24, 0))) == 1
    unknown = displaced(4)
    unknown[1, 2, 0] = torch.nan
    assert len(found_lines(motion_of(unknown), moving(24, 0))) == 1


@pytest.mark.slow
def test_of_what_is_no_displacement_the_reference_is_looked_at():
    other = replace(motion_of(displaced(0)), tensors={"means.1": torch.zeros(3, 4)}, method="smm")
    assert found_lines(other, moving(24, 0)) == []
    (line,) = found_lines(other, moving(0, 0))
    assert line.startswith("none of 64 places moves in the reference, by optical flow") and "try another clip" in line
    noise = torch.randint(0, 256, (9, 64, 64, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert found_lines(other, Clip.of(noise, 8.0)) == [], "of what flow cannot follow nothing is said"
    assert found_lines(replace(other, method="none"), moving(0, 0)) == []
    assert found_lines(other, Clip.of(noise[:4], 8.0)) == []


@pytest.mark.slow
def test_likeness_of_known_motions():
    right = moving(24, 0)
    for other, low, high in (
        (right, 0.99, 1.01),
        (moving(24, 0, seed=1), 0.9, 1.01),
        (moving(12, 0, seed=1), 0.9, 1.01),
        (moving(0, 24, seed=1), -0.2, 0.2),
        (moving(-24, 0, seed=1), -1.01, -0.9),
    ):
        found = likeness(right, other)
        assert found is not None and low <= found <= high


@pytest.mark.slow
def test_a_reference_that_stands_and_another_length_are_not_compared():
    right, still = moving(24, 0), moving(0, 0)
    assert likeness(still, right) is None and likeness(still, still) is None
    assert likeness(right, Clip.of(right.frames[:8], 8.0)) is None


@pytest.mark.slow
def test_a_reference_that_flow_mostly_cannot_follow_is_no_measure():
    """A part that is new in each frame cannot be followed, and what little is left says nothing of the video."""
    pushed, other = moving(24, 0), moving(-24, 0, seed=1)
    frames = pushed.frames.clone()
    frames[:, :, 24:] = torch.randint(0, 256, frames[:, :, 24:].shape, generator=torch.Generator().manual_seed(0))
    assert likeness(pushed, other) is not None
    assert likeness(Clip.of(frames, 8.0), other) is None


@pytest.mark.slow
def test_an_unlike_video_is_told():
    right = moving(24, 0)
    other = motion_of(displaced(4))
    (line,) = unlike_lines(other, right, moving(-24, 0, seed=1))
    assert "hardly moves like its motion" in line and f"{UNLIKE:g} is reached by chance" in line
    assert unlike_lines(other, right, moving(24, 4, seed=1)) == []


@pytest.mark.slow
def test_a_video_that_stands_still_is_told():
    right, other = moving(24, 0), motion_of(displaced(4))
    for still in (moving(0, 0), moving(1, 0, seed=1), Clip.of(torch.full((9, 64, 64, 3), 90, dtype=torch.uint8), 8.0)):
        assert likeness(right, still) == 0
        (line,) = unlike_lines(other, right, still)
        assert line.startswith("the video stands still, by optical flow, and its motion does not. Try another seed")
    assert unlike_lines(other, moving(8, 0), moving(4, 0, seed=1)) == [], "slow ones are not said to stand"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_of_scenes_that_move_those_that_stand_are_told_and_those_of_other_looks_are_not(number: int):
    scene = scenes.sample(21, number, motion="arc", camera="still", objects=1)
    looks = scenes.sample(22, number, objects=1)
    (thing,), (look,) = scene.objects, looks.objects
    other = replace(scene, background=looks.background, objects=(replace(thing, colour=look.colour),))
    reference, same = (Clip.of(scenes.render([each]).frames[0], 8.0) for each in (scene, other))
    still = Clip.of(reference.frames[:1].expand(17, -1, -1, -1).contiguous(), 8.0)
    motion = replace(motion_of(displaced(0)), tensors={}, method="smm")
    assert "stands still" in unlike_lines(motion, reference, still)[0] and len(found_lines(motion, still)) == 1
    assert unlike_lines(motion, reference, same) == [] and found_lines(motion, reference) == []


@pytest.mark.slow
def test_what_has_windows_is_compared_in_spans_of_their_length():
    """To and fro in each window: over the whole video, both begin and end each moment where they did before."""
    there = moving(24, 0).frames
    swings = Clip.of(torch.cat([there, there.flip(0)] * 4), 8.0)
    turned = Clip.of(torch.cat([there.flip(0), there] * 4), 8.0)
    windows = Windows(Shape(9, 64, 64), 24, 3, tuple(range(0, 22, 3)))
    motion = replace(motion_of(displaced(4)), windows=windows)
    assert likeness(swings, turned, 9) == pytest.approx(-1, abs=0.2)
    assert "hardly moves like" in unlike_lines(motion, swings, turned)[0]
    assert unlike_lines(motion, swings, swings) == []
