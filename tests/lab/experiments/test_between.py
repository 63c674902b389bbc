"""What is said of frames between latent frames, of clips whose smear is known."""

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from lab.experiments import ghosts
from lab.experiments.between import (
    Frames,
    certainty,
    period_of,
    seen_of,
    shared_out,
    steepness,
    stretches,
)
from motionlift.bench.report.estimates import FEWEST
from motionlift.core.lattice import Shape
from motionlift.world import scenes
from motionlift.world.judge import judge_of

SQUARE, GROUND = 200, 40


def square(left: int, side: int = 16) -> Frames:
    """A frame of a bright square on a dark ground, and its mask."""
    frame = torch.full((1, 64, 64, 3), GROUND, dtype=torch.uint8)
    frame[:, 20 : 20 + side, left : left + side] = SQUARE
    return frame


def blurred(frame: Frames, width: int) -> Frames:
    planes = functional.avg_pool2d(frame.permute(0, 3, 1, 2).float(), width, 1, width // 2, count_include_pad=False)
    return planes.round().to(torch.uint8).permute(0, 2, 3, 1)


def steep(frame: Frames, like: Frames | None = None) -> float:
    mask = ((frame if like is None else like)[..., 0] > GROUND + 1).float()
    (found,) = steepness(frame, mask)
    assert found is not None
    return found


def test_periods():
    assert [period_of(17, 5), period_of(33, 9), period_of(16, 16), period_of(9, 3), period_of(17, 3)] == [4, 4, 1, 4, 8]


def test_a_crisp_edge_is_as_steep_as_its_contrast():
    """Wherever the object is and however large, but for its corners."""
    contrast = (SQUARE - GROUND) / 255 * 3**0.5
    for left, side in ((5, 16), (31, 16), (10, 30)):
        assert steep(square(left, side)) == pytest.approx(contrast, rel=0.03)


def test_blur_lessens_it_and_so_does_doubling():
    crisp = square(24)
    assert [round(math.log2(steep(blurred(crisp, width)) / steep(crisp)), 1) for width in (3, 5)] == pytest.approx(
        [-math.log2(3), -math.log2(5)], abs=0.15
    )
    double = ((square(10).float() + square(40).float()) / 2).to(torch.uint8)
    assert steep(double) / steep(crisp) == pytest.approx(0.5, rel=0.03)


def test_an_object_that_is_not_seen_has_no_steepness():
    assert steepness(square(24), torch.zeros(1, 64, 64)) == [None]


def test_the_judge_is_certain_of_clean_frames_and_less_of_doubled_ones():
    scene = scenes.sample(6, 0, objects=1, motion="line", unseen=True)
    frames = scenes.render([scene]).frames[0].clone()
    frames[6] = ((frames[0].float() + frames[16].float()) / 2).to(torch.uint8)
    empty = torch.full_like(frames[:1], 128)
    found = certainty(judge_of(), torch.cat([frames, empty]))
    assert min(found[:6] + found[7:17]) > 0.95 and found[6] < 0.9 and found[17] == 0
    assert certainty(judge_of(), empty) == [0.0]


def test_frames_of_another_size_are_seen_as_those_of_the_judge():
    scene = scenes.sample(6, 0, objects=1, motion="line", unseen=True)
    small, large = (seen_of(judge_of(), scenes.render([scene], side, side).frames[0]) for side in (64, 128))
    assert sum(large["steepness"]) == pytest.approx(sum(small["steepness"]), rel=0.25), (
        "shrinking softens edges a little"
    )
    for one, other in zip(small["centres"], large["centres"], strict=True):
        assert one == pytest.approx(other, abs=1)


def record(steep: list[float], places: list[float], sure: list[float] | None = None, period: int = 4) -> dict:
    return {
        "period": period,
        "steepness": steep,
        "certainty": sure or [1.0] * len(steep),
        "centres": [[place, 30.0] for place in places],
    }


def test_stretches_begin_at_the_second_latent_frame():
    """The first is the only one that stands for a single frame, and crisp for that."""
    steep = [9.0] * 5 + [0.25, 0.5, 0.5, 1.0] * 3
    steep[4] = 1.0
    found = stretches(record(steep, [float(place) for place in range(17)], [1.0] * 5 + [0.4, 0.7, 0.7, 1.0] * 3))
    assert [own.pixels for own in found] == [4, 4, 4]
    assert [own.first for own in found] == [-2, -2, -2]
    assert [own.sharpness for own in found] == pytest.approx([-4 / 3] * 3)
    assert [own.certainty for own in found] == pytest.approx([-0.4] * 3)
    assert shared_out(found) == pytest.approx([0.25] * 4)


def test_a_jump_goes_its_whole_way_with_one_frame():
    places = [0.0] * 5 + [8.0] * 4 + [8.0, 8.0, 8.0, 16.0] + [17.0] * 4
    found = stretches(record([1.0] * 17, places))
    assert found[0].shares == (1, 0, 0, 0) and found[1].shares == (0, 0, 0, 1)
    assert all(map(math.isnan, found[2].shares)), "one pixel is too little to be shared out"
    assert shared_out(found) == [0.5, 0, 0, 0.5]
    assert shared_out([]) == []


def test_frames_that_show_nothing_leave_their_stretch_without_a_figure():
    own = record([1.0] * 17, [float(place) for place in range(17)])
    own["steepness"][6] = None
    own["centres"][6] = None
    first, second, third = stretches(own)
    assert math.isnan(first.sharpness) and not math.isnan(first.first) and math.isnan(first.shares[0] + first.shares[1])
    assert second.sharpness == third.sharpness == 0


def test_frames_that_all_stand_alone_are_told_apart_by_a_period_of_their_own():
    found = stretches(record([1.0] * 16, [float(place) for place in range(16)], period=1))
    assert [own.pixels for own in found] == [4, 4]


@pytest.mark.parametrize("world", ghosts.WORLDS.values(), ids=ghosts.WORLDS)
def test_true_scenes_move_as_the_reference_and_look_as_the_prompt(world: Mapping[str, Any]):
    own, wanted = ghosts.asked({**world, "index": 1}, 17)
    still, slow, fast, fastest = (ghosts.true_scene(own, wanted, speed) for speed in ghosts.SPEEDS)
    assert (slow.caption(), fast.caption()) == (wanted.caption(), wanted.caption())
    track = own.tracks()[0]
    assert (slow.tracks()[0] == track).all() and (still.tracks()[0] == track[:1]).all()
    assert (fast.tracks()[0][:9] == track[::2]).all() and (fast.tracks()[0][8:] == track[::-2]).all()
    assert (fastest.tracks()[0][::4] == track[[0, 16, 0, 16, 0]]).all()


class Means:
    """An autoencoder whose latents are the first frame, and the means of groups of four after it."""

    @staticmethod
    def latent_shape(shape: Shape) -> tuple[int, ...]:
        return 1, 3, (shape.frames + 3) // 4, shape.height, shape.width

    @staticmethod
    def encode(pixels: torch.Tensor) -> torch.Tensor:
        means = [pixels[:1], *(group.mean(dim=0, keepdim=True) for group in pixels[1:].split(4))]
        return torch.cat(means).transpose(0, 1)[None]


MEANS: Any = SimpleNamespace(about=SimpleNamespace(shape=Shape(17, 64, 64)), codec=Means)
"""A model with it."""


def test_what_is_left_of_latents_without_pictures_at_rest():
    """The mean of four frames that grow brighter by ten each lies half of that beside the nearest."""
    frames = (torch.arange(17, dtype=torch.uint8) * 10)[:, None, None, None].expand(-1, 64, 64, 3)
    own = Means.encode(frames.permute(0, 3, 1, 2).float() / 127.5 - 1)
    left = ghosts.within(frames, MEANS)
    assert left["within"] == pytest.approx(float((5 / 127.5) ** 2 / own.var()), rel=1e-3)
    assert left["within_scaled"] == pytest.approx(left["within"], rel=1e-3), "its channels are alike"
    still = torch.cat([frames[:1], frames[8:9].expand(16, -1, -1, -1)])
    assert ghosts.within(still, MEANS)["within"] == pytest.approx(0, abs=1e-9)


def test_pictures_at_rest_are_those_that_fall_on_latent_frames():
    scene = ghosts.true_scene(*ghosts.asked({"index": 1}, 17), 1)
    latents = ghosts.MAKERS["stills"]({"index": 1, "speed": 1}, MEANS)
    wanted = scenes.render([scene]).frames[0, ::4].permute(0, 3, 1, 2).float() / 127.5 - 1
    torch.testing.assert_close(latents[0].transpose(0, 1), wanted)


def test_few_videos_are_shown_one_by_one():
    flat = record([1.0] * 17, [float(place) for place in range(17)])
    own = {**flat, "change": 0.5, "lost": 0.02, "kind": "true", "speed": 1}
    text = ghosts.section([{**own, "index": index, "change": 0.5 + index} for index in range(2)])
    assert "| true clips, speed 1 | 2 | 4.0 [4.0 4.0] | - | 0.00 [0 of 2] |" in text
    assert "| true clips, speed 1 | 1.00 [0.50 1.50] | 2.0 [2.0 2.0] | - | - |" in text
    assert "| true clips | - | 0.00 [0 of 2]; 6 of 2 | - | - |" in text
    assert "| true clips | 25 | 25 | 25 | 25 |" in text
    assert "plain sampling" not in text, "nothing was measured of it"
    many = ghosts.section([{**own, "index": index} for index in range(FEWEST)])
    assert f"| true clips, speed 1 | {FEWEST} | 4.0 (4.0 to 4.0) |" in many
