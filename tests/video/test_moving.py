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


@pytest.mark.slow
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


def rested(grain: float = 0, wavering: float = 0) -> list[np.ndarray]:
    """Three seconds of blocks of colour at 8 frames a second, as a camera sees them, then one in which a square goes by."""
    generator = np.random.default_rng(0)
    ground = generator.integers(40, 200, (15, 20, 3)).repeat(8, 0).repeat(8, 1).astype(float)
    frames = []
    for number in range(32):
        image = ground * (1 + wavering * np.sin(1.3 * number))
        image[40:80, 20 + 4 * max(0, number - 23) :][:, :30] = (200, 60, 40)
        frames.append((image + generator.normal(0, grain or 1e-9, image.shape)).clip(0, 255).astype(np.uint8))
    return frames


H264 = {"preset": "veryfast"}
CAMERAS = {
    "H.264, no grain": (0, 0, {**H264, "crf": "30"}),
    "H.264, whole pictures between": (0, 0, {**H264, "crf": "30", "g": "8"}),
    "H.264, little grain": (1, 0, {**H264, "crf": "18"}),
    "H.264, grain": (3, 0, {**H264, "crf": "23"}),
    "H.264, much grain": (6, 0, {**H264, "crf": "30"}),
    "MPEG-4": (1, 0, {"codec": "mpeg4", "qmin": "5", "qmax": "5"}),
    "Motion JPEG": (3, 0, {"codec": "mjpeg", "pixels": "yuvj420p", "full": True, "qmin": "8", "qmax": "8"}),
    "exposure": (1, 0.05, {**H264, "crf": "18"}),
    "exposure, MPEG-4": (0, 0.08, {"codec": "mpeg4", "qmin": "3", "qmax": "3"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("camera", CAMERAS)
def test_rest_before_motion_is_told_of_what_cameras_and_codecs_give(tmp_path, camera):
    grain, wavering, options = CAMERAS[camera]
    path = write(tmp_path / "a.mkv", rested(grain, wavering), **options)
    told = Clip.read(path, frames=17, fps=8, aspect=(120, 160)).notices
    assert "nothing moves in the first 2.1 s; motion begins at 3.0 s: --start 3" in told
    square = " ".join(Clip.read(path, frames=17, fps=8, aspect=SQUARE).notices)
    assert "nothing moves" in square and "outside the crop" not in square


@pytest.mark.parametrize("contrast", [16, 40, -40])
def test_what_is_pale_is_motion_within_grain(contrast):
    generator, frames = np.random.default_rng(0), []
    for number in range(5):
        image = np.full((120, 160, 3), 90.0)
        image[40:64, 20 + 6 * number : 44 + 6 * number] += contrast
        frames.append((image + generator.normal(0, 2, image.shape)).clip(0, 255).astype(np.uint8))
    assert "nothing moves" not in notices(frames)


def test_a_colour_that_moves_among_others_of_its_brightness_is_motion():
    frames = []
    for number in range(5):
        image = np.full((64, 64, 3), (100, 100, 100), np.uint8)
        image[20:40, 4 * number : 20 + 4 * number] = (200, 49, 99)
        frames.append(image)
    assert notices(frames) == ""


@pytest.mark.parametrize("grain", [0, 3])
def test_a_crop_that_is_to_lie_where_things_move_is_in_the_middle_of_what_rests_and_not_said_to_be_led_there(grain):
    generator = np.random.default_rng(0)
    frames = [(generator.normal(0, grain, (64, 160, 3)) + 90).astype(np.uint8) for _ in range(9)]
    clip = Clip.of(torch.from_numpy(np.stack(frames)), 8)
    found = clip.sampled(frames=9, fps=8, aspect=SQUARE, part=Part(crop="motion"))
    assert "nothing moves in the first 1.1 s, nor after that: give a reference that moves" in found.notices
    assert "frames were cropped from 160x64 to 64x64 for the model's shape" in found.notices
    assert found.taken is not None and found.taken.part.crop == (0.5, 0.5)
