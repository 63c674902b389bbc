"""Animated pictures are read with their own times."""

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.errors import InputError
from motionlift.video.animated import UNENDED
from motionlift.video.clip import Clip
from motionlift.video.reading import moments_of
from tests.video.made import SQUARE, grey, levels, numbers

KINDS = ["gif", "png", "webp"]


def animated(path, milliseconds, **options):
    images = [Image.fromarray(image) for image in levels(len(milliseconds))]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=milliseconds, **{"lossless": True, **options}
    )
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_frames_have_their_own_times(tmp_path, kind):
    shown = [100, 300, 50, 550, 40, 200]
    path = animated(tmp_path / f"a.{kind}", shown)
    assert [round(moment.time, 3) for moment in moments_of(path)] == pytest.approx([0, 0.1, 0.4, 0.45, 1.0, 1.04])
    assert numbers(Clip.read(path, frames=6, fps=5, aspect=SQUARE)) == [0, 1, 2, 3, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_no_time_to_speak_of_are_shown_as_browsers_do(tmp_path, kind):
    path = animated(tmp_path / f"a.{kind}", [10, 10, 10, 100])
    assert [round(moment.time, 3) for moment in moments_of(path)] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_suffix_says_nothing(tmp_path):
    path = animated(tmp_path / "a.gif", [100] * 5)
    path.rename(tmp_path / "a.mp4")
    assert numbers(Clip.read(tmp_path / "a.mp4", frames=5, fps=10, aspect=SQUARE)) == [0, 1, 2, 3, 4]


def test_a_picture_for_those_who_show_no_animation_is_no_frame(tmp_path):
    path = animated(tmp_path / "a.png", [125] * 4, default_image=True)
    assert numbers(Clip.read(path, frames=3, fps=8, aspect=SQUARE)) == [1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_is_refused(tmp_path, kind):
    Image.fromarray(levels(1)[0]).save(tmp_path / f"a.{kind}")
    with pytest.raises(InputError, match="holds one frame; a motion needs at least two"):
        Clip.read(tmp_path / f"a.{kind}", frames=2, fps=8, aspect=SQUARE)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_cut_short_is_refused(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)
    whole = io.BytesIO()
    images = [Image.fromarray(image) for image in noise]
    images[0].save(whole, kind.upper(), save_all=True, append_images=images[1:], duration=125, lossless=True)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(whole.getvalue()[: int(0.6 * len(whole.getvalue()))])
    with pytest.raises(InputError, match=r"breaks off after|no frame can be decoded"):
        Clip.read(path, frames=12, fps=8, aspect=SQUARE)


@pytest.mark.parametrize(("kind", "place", "size"), [("gif", 6, "<HH"), ("png", 16, ">II")])
def test_a_header_that_promises_a_huge_picture_is_refused_before_anything_is_decoded(tmp_path, kind, place, size):
    path = animated(tmp_path / f"a.{kind}", [100] * 3)
    data = bytearray(path.read_bytes())
    data[place : place + struct.calcsize(size)] = struct.pack(size, 16000, 16000)
    path.write_bytes(data)
    with pytest.raises(InputError, match="is 16000x16000 pixels; give a video of at most 64 million pixels a frame"):
        Clip.read(path, frames=2, fps=8, aspect=SQUARE)


def test_a_gif_and_a_png_of_one_sprite_lie_on_the_same_background(tmp_path):
    images = []
    for number in range(3):
        sprite = np.zeros((64, 64, 4), np.uint8)
        sprite[16:32, 8 * number : 8 * number + 16] = (200, 40, 30, 255)
        images.append(Image.fromarray(sprite))
    clips = []
    for kind in KINDS:
        path = tmp_path / f"a.{kind}"
        images[0].save(path, save_all=True, append_images=images[1:], duration=125, lossless=True, disposal=2)
        clips.append(Clip.read(path, frames=3, fps=8, aspect=SQUARE).frames.numpy())
    for frames in clips:
        assert np.array_equal(frames, clips[0])
        assert frames[0, 50, 50].tolist() == [128] * 3 and frames[2, 20, 20].tolist() == [200, 40, 30]
    assert grey(0) != 128


def test_a_gif_without_its_last_byte_is_taken_and_one_that_ends_within_a_picture_is_not(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    images = [Image.fromarray(image) for image in noise]
    path, cut = tmp_path / "a.gif", tmp_path / "cut.gif"
    images[0].save(path, save_all=True, append_images=images[1:], duration=125)
    data = path.read_bytes()
    cut.write_bytes(data[:-1])
    read = lambda path: Clip.read(path, frames=4, fps=8, aspect=SQUARE)  # noqa: E731
    assert torch.equal(read(cut).frames, read(path).frames)
    assert UNENDED in read(cut).notices and UNENDED not in read(path).notices
    assert read(cut).fps == read(path).fps
    control = data.rindex(b"!\xf9\x04")  # what says how the last picture is shown
    for end in (-3, -300, control + 8, control + 3, control + 20):
        cut.write_bytes(data[:end])
        with pytest.raises(InputError, match="breaks off after 3 frames"):
            read(cut)
    path.write_bytes(data + b"rest")
    assert UNENDED not in read(path).notices
