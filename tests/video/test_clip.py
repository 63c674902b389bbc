"""Clips in memory."""

import sys

import numpy as np
import pytest
import torch

from benchmarks.long_video import apart
from motionlift.errors import DivergenceError, InputError, SettingError
from motionlift.video.clip import Clip, side_by_side
from tests.video.made import SQUARE, beside_rest, levels, noisy, numbers


def test_pixels_and_back_are_the_same_frames():
    clip = Clip.of(torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(2, 1, 1, 3), 8)
    pixels = clip.pixels()
    assert pixels.shape == (2, 3, 16, 16)
    assert (float(pixels.min()), float(pixels.max())) == (-1, 1)
    back = Clip.from_pixels(pixels, 8)
    assert torch.equal(back.frames, clip.frames)
    assert back.sha256 == clip.sha256
    beyond = torch.full((2, 3, 8, 8), 1.5)
    assert (Clip.from_pixels(beyond, 8).frames == 255).all()
    assert (Clip.from_pixels(-beyond, 8).frames == 0).all()
    with pytest.raises(DivergenceError, match="not finite"):
        Clip.from_pixels(pixels * float("nan"), 8)


def test_a_clip_in_memory_is_known_by_frames_shape_and_rate():
    frames = torch.zeros(2, 8, 16, 3, dtype=torch.uint8)
    known = {
        Clip.of(frames, 8).sha256,
        Clip.of(frames, 9).sha256,
        Clip.of(frames.transpose(1, 2), 8).sha256,
        Clip.of(frames + 1, 8).sha256,
    }
    assert len(known) == 4
    assert Clip.of(frames.clone(), 8.0).sha256 in known


@pytest.mark.parametrize(
    "frames", [torch.ones(2, 8, 8, 3).int(), torch.zeros(2, 8, 8).byte(), torch.zeros(0, 8, 8, 3).byte()]
)
def test_foreign_frames_are_refused(frames):
    with pytest.raises(InputError, match="frames are"):
        Clip.of(frames, 8)


@pytest.mark.parametrize("rate", [2, 8, 12.5, 24, 29.97, 30, 60, 240])
@pytest.mark.parametrize("count", [2, 3, 5, 9, 18])
def test_a_clip_is_sampled_as_its_file_is_read(tmp_path, rate, count):
    clip = Clip.of(torch.from_numpy(np.stack(levels(count, 40, 64))), rate)
    clip.save(tmp_path / "a.mp4")
    for frames, fps in ((2, 8), (9, 8), (5, 12), (6, 30), (17, 240)):
        wanted = {"frames": frames, "fps": fps, "aspect": (32, 32), "longest": 20}
        try:
            read = Clip.read(tmp_path / "a.mp4", **wanted)
        except InputError as error:
            with pytest.raises(InputError) as refused:
                clip.sampled(**wanted)
            assert str(refused.value).split(": ", 1)[1] == str(error).split(": ", 1)[1]
            continue
        sampled = clip.sampled(**wanted)
        assert numbers(sampled) == numbers(read)
        assert sampled.fps == pytest.approx(read.fps, rel=1e-4)
        assert sampled.notices == read.notices
        assert sampled.frames.shape == read.frames.shape == (frames, 20, 20, 3)
        assert sampled.sha256 == clip.sha256


def test_a_clip_at_the_wanted_rate_and_shape_stays_as_it_is():
    clip = Clip.of(torch.from_numpy(np.stack(noisy(9, 35, 51))), 8)
    sampled = clip.sampled(frames=9, fps=8, aspect=(35, 51))
    assert torch.equal(sampled.frames, clip.frames)
    assert (sampled.fps, sampled.notices, sampled.sha256) == (8, (), clip.sha256)
    half = clip.sampled(frames=4, fps=4, aspect=(35, 51))
    assert torch.equal(half.frames, clip.frames[:8:2]) and half.fps == 4


def test_what_cannot_be_sampled_is_refused():
    clip = Clip.of(torch.from_numpy(np.stack(noisy(2, 16, 16))), 1)
    with pytest.raises(InputError, match=r"the clip: the first 0\.12 s show one frame only"):
        clip.sampled(frames=2, fps=8, aspect=SQUARE)
    with pytest.raises(InputError, match="the clip holds one frame; a motion needs at least two"):
        Clip.of(clip.frames[:1], 8).sampled(frames=5, fps=8, aspect=SQUARE)
    for wrong in [{"frames": 1}, {"fps": 241.0}, {"aspect": (0, 64)}, {"longest": 0}]:
        with pytest.raises(SettingError, match=next(iter(wrong))):
            clip.sampled(**{"frames": 3, "fps": 8, "aspect": SQUARE, **wrong})


@pytest.mark.parametrize(
    ("size", "aspect", "box"),
    [
        ((64, 32), (1, 1), np.s_[:, 16:48]),
        ((32, 64), (64, 64), np.s_[:, :, 16:48]),
        ((40, 72), (480, 720), np.s_[:, :, 6:66]),
    ],
)
def test_the_middle_of_frames_is_cut_out(size, aspect, box):
    clip = Clip.of(torch.from_numpy(np.stack(noisy(2, *size))), 8)
    cropped = clip.cropped(aspect)
    assert torch.equal(cropped.frames, clip.frames[box])
    (height, width), (rows, columns) = size, cropped.frames.shape[1:3]
    assert cropped.notices == (
        f"frames were cropped from {width}x{height} to {columns}x{rows} for the shape {aspect[1]}x{aspect[0]}",
    )
    assert clip.cropped(size) is clip
    with pytest.raises(SettingError, match="width of the aspect is 0"):
        clip.cropped((8, 0))


def test_resizing(tmp_path):
    frames = torch.from_numpy(np.stack(noisy(2, 16, 32)))
    clip = Clip.of(frames, 8)
    assert clip.resized(16, 32) is clip
    means = frames.double().reshape(2, 8, 2, 16, 2, 3).mean(dim=(2, 4))
    assert (clip.resized(8, 16).frames - means).abs().max() <= 1
    ramp = torch.arange(0, 160, 10).byte().reshape(1, 1, 16, 1).repeat(2, 16, 1, 3)
    grown = Clip.of(ramp, 8).resized(32, 32).frames[0, 0, 4:-4, 0]
    line = 10 * ((torch.arange(4, 28) + 0.5) / 2 - 0.5)  # which cubic keeps straight
    assert (grown - line).abs().max() <= 1
    with pytest.raises(SettingError, match="height is 0"):
        clip.resized(0, 8)


def test_side_by_side():
    short = Clip.of(torch.from_numpy(np.stack(noisy(2, 16, 8))), 8)
    long = Clip.of(torch.from_numpy(np.stack(noisy(3, 48, 48))), 12)
    both = side_by_side([short, long], height=64)
    assert both.frames.shape == (3, 64, 32 + 2 + 64, 3)
    assert both.fps == 8
    assert torch.equal(both.frames[:2, ::4, :32:4], short.frames)
    assert torch.equal(both.frames[:2, 3::4, 3:32:4], short.frames)
    assert torch.equal(both.frames[2, :, :32], both.frames[1, :, :32])
    assert (both.frames[:, :, 32:34] == 255).all()
    assert torch.equal(both.frames[:, :, 34:], long.resized(64, 64).frames)
    with pytest.raises(InputError, match="no clips"):
        side_by_side([])


@pytest.mark.parametrize("in_memory", [True, False])
def test_frames_as_they_come_whatever_their_rate(tmp_path, in_memory):
    clip = Clip.of(torch.from_numpy(np.stack(levels(10, 64, 64))), 24)
    clip.save(tmp_path / "a.mp4")
    wanted = {"frames": 6, "fps": 8, "aspect": (64, 64), "every_frame": True}
    found = clip.sampled(**wanted) if in_memory else Clip.read(tmp_path / "a.mp4", **wanted)
    assert numbers(found) == list(range(6)) and found.fps == pytest.approx(24, rel=1e-3)
    assert found.notices[-1] == "the first 6 frames were taken as they come, 24 a second"
    with pytest.raises(InputError, match="holds 10 frames, and 11 are to be taken as they come; give a longer video"):
        clip.sampled(**{**wanted, "frames": 11})


def test_the_whole_frame_is_stretched_and_never_enlarged():
    """Two halves, black and white, stay halves: of 120x40 to 1:1, no side grows."""
    frames = torch.zeros(3, 40, 120, 3, dtype=torch.uint8)
    frames[:, :, 60:] = 255
    clip = Clip.of(frames, 8).sampled(frames=3, fps=8, aspect=(32, 32), fit="stretch")
    assert clip.frames.shape == (3, 40, 40, 3)
    assert not clip.frames[:, :, :20].any() and (clip.frames[:, :, 20:] == 255).all()
    assert beside_rest(clip) == ("frames were stretched from 120x40 to the shape 32x32",)
    wide = Clip.of(frames, 8).sampled(frames=3, fps=8, aspect=(480, 720), longest=30, fit="stretch")
    assert wide.frames.shape == (3, 20, 30, 3)
    same = Clip.of(frames[:, :, :40], 8).sampled(frames=3, fps=8, aspect=(32, 32), fit="stretch")
    assert beside_rest(same) == () and same.frames.shape == (3, 40, 40, 3)
    with pytest.raises(SettingError, match="fit is 'squeeze'; allowed is crop or pad or stretch"):
        clip.sampled(frames=3, fps=8, aspect=(32, 32), fit="squeeze")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process held at most since then")
def test_a_long_decoded_video_becomes_a_clip_beside_nothing_but_its_frames():
    """Bytes for each value: one of the clip, and little else; in one piece they are twelve."""
    assert apart("pieces", 600, 256) < 2.5


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_pieces_are_the_same_as_the_whole(kind: torch.dtype):
    pixels = (torch.randn(37, 3, 5, 7, generator=torch.Generator().manual_seed(2)) / 2).to(kind)
    made = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert torch.equal(Clip.from_pixels(pixels, 8.0).frames, made)
    assert Clip.from_pixels(pixels, 8.0).sha256 == Clip.of(made, 8.0).sha256


def test_a_value_that_is_not_finite_is_found_in_the_last_piece():
    pixels = torch.zeros(40, 3, 4, 4)
    pixels[-1, 0, 0, 0] = torch.nan
    with pytest.raises(DivergenceError, match="not finite"):
        Clip.from_pixels(pixels, 8.0)
