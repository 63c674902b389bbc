"""Where things move, and whether anything does."""

import numpy as np
import pytest
import torch

from motionlift.video.clip import Clip
from motionlift.video.part import Part
from tests.video.made import SQUARE, write


def square_at(places, height: int = 64, width: int = 96, ground: np.ndarray | None = None) -> list[np.ndarray]:
    """Frames with a white square at each place from the left; one that is outside is not there."""
    frames = []
    for place in places:
        image = np.full((height, width, 3), 60, np.uint8) if ground is None else ground.copy()
        image[24:40, max(0, place) : max(0, place + 16)] = 240
        frames.append(image)
    return frames


def notices(frames, fps: float = 8, **options) -> str:
    clip = Clip.of(torch.from_numpy(np.stack(frames)), fps)
    return " | ".join(clip.sampled(**{"frames": len(frames), "fps": fps, "aspect": SQUARE, **options}).notices)


def test_what_crosses_the_edges_of_the_crop_is_told():
    """A square goes through a frame of 160: it is outside the middle 64 at first and at last."""
    assert "what moves lies outside the crop in" in notices(square_at(range(-8, 152, 10), width=160))
    assert "outside" not in notices(square_at(range(50, 90, 4), width=160))
    assert "outside" not in notices(square_at(range(-8, 152, 10), width=160), fit="pad")


def test_a_camera_that_turns_is_not_told():
    """A picture of noise that slides under the frame moves everywhere."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 80, 3), np.uint8).repeat(8, 0).repeat(8, 1)[:64]
    frames = [noise[:, 6 * number : 6 * number + 256] for number in range(12)]
    assert "outside" not in notices(frames)


def test_a_camera_that_follows_something_at_the_side_is_led_there_by_motion():
    """The ground slides by, a square stays at a quarter of the width and turns its colour as a walker does her legs."""
    noise = np.random.default_rng(0).integers(80, 160, (16, 80, 3), np.uint8).repeat(8, 0).repeat(8, 1)[:64]
    frames = []
    for number in range(12):
        image = noise[:, 6 * number : 6 * number + 192].copy()
        image[16:48, 30:54] = 240 if number % 2 else 10
        frames.append(image)
    clip = Clip.of(torch.from_numpy(np.stack(frames)), 8)
    found = clip.sampled(frames=12, fps=8, aspect=SQUARE, part=Part(crop="motion"))
    assert all(((frame == 240) | (frame == 10)).all(-1).sum() == 32 * 24 for frame in found.frames)


@pytest.mark.parametrize("rate", [12, 24, 30, 60])
def test_where_motion_begins_is_told(tmp_path, rate):
    rest, moved = square_at([10])[0], square_at(range(10, 60))
    frames = [rest] * (3 * rate) + moved[1 : rate + 1]
    told = Clip.read(write(tmp_path / "a.mp4", frames, rate=rate), frames=17, fps=8, aspect=SQUARE).notices
    assert "nothing moves in the first 2.1 s; motion begins at 3.0 s: --start 3" in told


def test_rest_that_lasts_is_told_and_noise_of_a_codec_is_no_motion(tmp_path):
    frames = [np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)] * 40
    path = write(tmp_path / "a.mp4", frames, rate=8, preset="veryfast", g="10")
    clip = Clip.read(path, frames=17, fps=8, aspect=SQUARE)
    assert clip.notices == ("nothing moves in the first 2.1 s, nor after that: give a reference that moves",)


def test_a_part_at_rest_is_told_by_its_own_times():
    frames = square_at([10, 20, 30, 40] + [50] * 28 + [60, 70, 80, 80])
    clip = Clip.of(torch.from_numpy(np.stack(frames)), 8)
    told = clip.sampled(frames=9, fps=8, aspect=SQUARE, part=Part(start=1)).notices
    assert "nothing moves from 1 to 2.1 s; motion begins at 4.0 s: --start 4" in told
    assert "nothing" not in " ".join(clip.sampled(frames=9, fps=8, aspect=SQUARE).notices)


def test_a_little_that_moves_is_motion():
    """A dot of a hundredth of the frame's width on a large still picture."""
    frames = []
    for number in range(5):
        image = np.full((480, 480, 3), 60, np.uint8)
        image[200:205, 100 + 5 * number : 105 + 5 * number] = 240
        frames.append(image)
    assert notices(frames) == ""
