"""Videos as streams of frames."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from motionlift.errors import InputError, SettingError
from motionlift.video import footage, reading
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage, frames_of
from tests.video.made import levels, mean_error, noisy, quadrants, write


def test_a_video_is_streamed_whole_and_as_often_as_asked(tmp_path):
    images = noisy(19, 40, 64)
    whole = Footage.of(write(tmp_path / "a.mp4", images, lossless=True, rate=12))
    assert (whole.frames, whole.height, whole.width) == (19, 40, 64)
    assert whole.fps == pytest.approx(12, rel=1e-3)
    assert whole.seconds == pytest.approx(19 / 12, rel=1e-3)
    for _ in range(2):
        assert np.array_equal(np.stack(list(whole)), np.stack(images))


def test_a_clip_is_a_stream(tmp_path):
    clip = Clip.of(torch.from_numpy(np.stack(noisy(5, 40, 64))), 12)
    whole = Footage.of(clip)
    assert (whole.frames, whole.fps, whole.height, whole.width) == (5, 12.0, 40, 64)
    assert np.array_equal(np.stack(list(whole)), clip.frames.numpy())
    assert np.array_equal(np.stack(list(clip)), clip.frames.numpy())


@pytest.mark.parametrize("from_file", [True, False])
def test_streams_are_brought_to_a_size_and_the_middle_is_taken(tmp_path, from_file):
    image = quadrants(64, 128)
    source = Clip.of(torch.from_numpy(np.stack([image] * 3)), 8)
    if from_file:
        source = write(tmp_path / "a.mp4", [image] * 3, lossless=True)
    assert Footage.of(source, longest=32).height == 16
    for height, width in ((32, 32), (100, 200), (16, 64), (33, 47)):
        for shown in Footage.of(source).sized(height, width):
            expected = quadrants(2 * height, 2 * width)[height // 2 : -height // 2, width // 2 : -width // 2]
            inner = np.s_[2 : height // 2 - 2, 2 : width // 2 - 2], np.s_[height // 2 + 2 : -2, width // 2 + 2 : -2]
            for part in inner:
                assert mean_error(shown[part], expected[part]) < 2
            assert shown.shape == (height, width, 3)


def test_turned_videos_and_odd_pixels_are_streamed_upright(tmp_path):
    turned = write(tmp_path / "a.mp4", [quadrants(32, 64)] * 3, rotation=(90, False, False))
    assert (Footage.of(turned).height, Footage.of(turned).width) == (64, 32)
    assert next(iter(Footage.of(turned))).shape == (64, 32, 3)
    squeezed = write(tmp_path / "b.mp4", [quadrants(32, 64)] * 3, pixel_aspect=Fraction(1, 2))
    assert (Footage.of(squeezed).height, Footage.of(squeezed).width) == (32, 32)
    assert next(iter(Footage.of(squeezed))).shape == (32, 32, 3)


def test_a_stream_holds_one_frame_at_a_time(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", levels(18))
    alive, most = [0], [0]

    def counted(*arguments):
        for moment in whole(*arguments):
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield moment
            alive[0] -= 1

    whole = footage.moments_of
    monkeypatch.setattr(footage, "moments_of", counted)
    assert sum(1 for _ in frames_of(path, 32, 32)) == 18
    assert most[0] == 1


def test_what_cannot_be_streamed_is_refused(tmp_path, monkeypatch):
    still = write(tmp_path / "still.mp4", levels(1))
    with pytest.raises(InputError, match=r"still.mp4 holds one frame"):
        Footage.of(still)
    with pytest.raises(InputError, match="the clip holds one frame"):
        Footage.of(Clip.of(torch.zeros(1, 16, 16, 3, dtype=torch.uint8), 8))
    with pytest.raises(InputError, match="does not exist"):
        Footage.of(tmp_path / "none.mp4")
    cut = write(tmp_path / "cut.mp4", noisy(40, 64, 64), movflags="+faststart")
    cut.write_bytes(cut.read_bytes()[: -(cut.stat().st_size // 2)])
    with pytest.raises(InputError, match="damaged"):
        Footage.of(cut)
    monkeypatch.setattr(reading, "MOST_STREAMED", 5)
    with pytest.raises(InputError, match="more than 5 frames"):
        Footage.of(write(tmp_path / "long.mp4", levels(6)))
    for size in ((0, 8), (8, 20000)):
        with pytest.raises(SettingError):
            next(frames_of(tmp_path / "long.mp4", *size))
