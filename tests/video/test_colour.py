"""Colours of frames, by their tags or their size."""

import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image

from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from tests.video.made import mean_error, write

COLOURS = ((200, 40, 30), (40, 190, 60), (30, 60, 200), (220, 210, 40), (128, 128, 128), (20, 200, 210))


def patches(height: int, width: int) -> np.ndarray:
    """Six colours side by side."""
    return np.repeat(np.array([COLOURS], np.uint8), -(-width // 6), axis=1)[:, :width].repeat(height, axis=0)


def error(path, image: np.ndarray) -> float:
    """Mean distance of the colours that are read, away from the edges between them."""
    height, width = image.shape[:2]
    clip = Clip.read(path, frames=2, fps=8, aspect=(height, width), longest=max(height, width))
    inner = np.arange(width) % -(-width // 6)
    kept = (inner > 4) & (inner < -(-width // 6) - 4)
    streamed = np.stack(list(Footage.of(path, longest=max(height, width))))
    assert np.array_equal(streamed[:2], clip.frames.numpy())
    return mean_error(clip.frames[:, :, kept], np.stack([image[:, kept]] * 2))


@pytest.mark.parametrize(
    ("height", "width", "matrix"),
    [
        (576, 720, Colorspace.ITU601),
        (576, 1278, Colorspace.ITU601),
        (144, 1280, Colorspace.ITU709),
        (578, 64, Colorspace.ITU709),
        (720, 1280, Colorspace.ITU709),
    ],
)
def test_without_a_tag_the_size_decides(tmp_path, height, width, matrix):
    image = patches(height, width)
    other = Colorspace.ITU709 if matrix is Colorspace.ITU601 else Colorspace.ITU601
    path = write(tmp_path / "a.mp4", [image] * 2, matrix=matrix, pixels="yuv444p", preset="ultrafast")
    assert error(path, image) < 2
    path = write(tmp_path / "b.mp4", [image] * 2, matrix=other, pixels="yuv444p", preset="ultrafast")
    assert error(path, image) > 5


@pytest.mark.parametrize(("height", "width"), [(96, 192), (720, 1280)])
@pytest.mark.parametrize(
    ("matrix", "tag"),
    [(Colorspace.ITU709, 1), (Colorspace.ITU601, 5), (Colorspace.SMPTE170M, 6), (Colorspace.BT2020, 9)],
)
@pytest.mark.parametrize("full", [False, True])
def test_tags_of_matrix_and_range_are_followed(tmp_path, height, width, matrix, tag, full):
    image = patches(height, width)
    tags = {"colorspace": tag, "color_range": 2 if full else 1}
    path = write(
        tmp_path / "a.mp4", [image] * 2, matrix=matrix, full=full, tags=tags, pixels="yuv444p", preset="ultrafast"
    )
    assert error(path, image) < 2


@pytest.mark.parametrize(("height", "width"), [(96, 192), (720, 1280)])
def test_motion_jpeg_is_full_range_bt_601_at_every_size(tmp_path, height, width):
    image = patches(height, width)
    path = write(tmp_path / "a.avi", [image] * 2, codec="mjpeg", pixels="yuvj444p", full=True, qmin="1", qmax="2")
    assert error(path, image) < 3


@pytest.mark.parametrize(("trc", "curve"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_told(tmp_path, trc, curve):
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": trc, "color_range": 1}
    image = patches(96, 192)
    path = write(tmp_path / "a.mov", [image] * 2, codec="libx265", pixels="yuv420p10le", matrix=Colorspace.BT2020,
                 tags=tags, **{"x265-params": "log-level=none:crf=4"})  # fmt: skip
    clip = Clip.read(path, frames=2, fps=8, aspect=(96, 192))
    assert clip.notices == (
        f"the video has a high dynamic range ({curve}): its colours are read without tone mapping, paler",
    )
    assert Footage.of(path).notices == clip.notices
    assert error(path, image) < 4


def test_ten_bits_are_read_as_eight(tmp_path):
    image = patches(96, 192)
    path = write(tmp_path / "a.mkv", [image] * 2, codec="ffv1", pixels="yuv444p10le")
    assert error(path, image) < 1.5
    assert Clip.read(path, frames=2, fps=8, aspect=(96, 192)).notices == ()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "mov"])
def test_transparent_parts_lie_on_white(tmp_path, suffix):
    clear = np.zeros((32, 32, 4), np.uint8)
    clear[8:24, 8:24] = (200, 40, 30, 255)
    clear[12, 12] = 0
    moved = np.roll(clear, 4, 1)
    path = tmp_path / f"a.{suffix}"
    if suffix == "mov":
        write(path, [clear, moved], codec="qtrle", pixels="argb")
    else:
        images = [Image.fromarray(image, "RGBA") for image in (clear, moved)]
        images[0].save(path, save_all=True, append_images=images[1:], duration=125, lossless=True, disposal=2)
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 32))
    expected = [np.where(image[..., 3:] == 255, image[..., :3], np.uint8(255)) for image in (clear, moved)]
    assert mean_error(clip.frames, np.stack(expected)) < 1
    assert Footage.of(path).notices == clip.notices
    assert clip.notices == ("transparent parts of the video were laid on white",)


def test_half_transparent_parts_are_mixed(tmp_path):
    glass = np.full((32, 32, 4), (200, 40, 0, 128), np.uint8)
    path = write(tmp_path / "a.mov", [glass] * 2, codec="qtrle", pixels="argb")
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 32))
    assert clip.frames[0, 5, 5].tolist() == [round(value * 128 / 255 + 127) for value in (200, 40, 0)]


def test_of_interlaced_frames_one_field_is_read(tmp_path):
    """Each frame weaves two moments: even lines of one number, odd ones of the next."""
    woven = [np.where(np.arange(64).reshape(-1, 1, 1) % 2, 60 + 20 * number, 50 + 20 * number) for number in range(5)]
    images = [np.broadcast_to(image, (64, 64, 3)).astype(np.uint8) for image in woven]
    path = write(tmp_path / "a.ts", images, codec="mpeg2video", rate=25, flags="+ilme+ildct", qmin="1", qmax="1",
                 intra_vlc="1")  # fmt: skip
    clip = Clip.read(path, frames=5, fps=25, aspect=(64, 64))
    assert clip.frames.shape == (5, 64, 64, 3)
    for number, frame in enumerate(clip.frames):
        assert mean_error(frame, np.full((64, 64, 3), 50 + 20 * number)) < 2
    assert clip.notices == (
        "the video is interlaced: every second line of it was read, so that a frame shows one moment",
    )
