"""Colours of frames, by their tags or their size."""

from typing import Any

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import Colorspace
from PIL import Image

from motionlift.errors import SettingError
from motionlift.video import decoding
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from motionlift.video.part import Part
from tests.video.made import SQUARE, beside_rest, mean_error, write

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


REFERENCE_BARS = {
    "709": {
        (191, 0, 0): (51, 109, 212),
        (0, 191, 0): (133, 63, 52),
        (0, 0, 191): (28, 212, 120),
        (191, 191, 191): (180, 128, 128),
    },
    "601": {
        (191, 0, 0): (65, 100, 212),
        (0, 191, 0): (112, 72, 58),
        (0, 0, 191): (35, 212, 114),
        (191, 191, 191): (180, 128, 128),
    },
}
"""Y, Cb and Cr of 75 % colour bars in limited range (SMPTE RP 219 for BT.709, EBU and SMPTE EG 1 for BT.601)."""


@pytest.mark.parametrize(("bars", "tag"), [("709", 1), ("601", 6)])
@pytest.mark.parametrize("full", [False, True])
def test_colour_bars_of_the_standards_are_read_as_they_say(tmp_path, bars, tag, full):
    """The planes are written as they stand in the standards, by no conversion of ours."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = tag, 2 if full else 1
        for _ in range(2):
            planes = np.stack([np.repeat(codes, 16) for codes in np.array(list(REFERENCE_BARS[bars].values())).T])
            if full:
                planes = np.concatenate([(planes[:1] - 16) * 255 / 219, (planes[1:] - 128) * 255 / 224 + 128])
            planes = np.rint(planes).astype(np.uint8)[:, None].repeat(32, 1)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv444p", channel_last=False)
            frame.colorspace, frame.color_range = tag, 2 if full else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 64))
    for place, colour in enumerate(REFERENCE_BARS[bars]):
        assert np.abs(clip.frames[0, 16, 16 * place + 8].numpy().astype(int) - colour).max() <= 2


def test_ten_bits_are_read_as_eight(tmp_path):
    image = patches(96, 192)
    path = write(tmp_path / "a.mkv", [image] * 2, codec="ffv1", pixels="yuv444p10le")
    assert error(path, image) < 1.5
    assert beside_rest(Clip.read(path, frames=2, fps=8, aspect=(96, 192))) == ()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "mov", "folder"])
@pytest.mark.parametrize(
    ("background", "colour"), [(None, (128,) * 3), ("white", (255,) * 3), ("#104080", (16, 64, 128))]
)
def test_transparent_parts_lie_on_one_declared_background(tmp_path, suffix, background, colour):
    clear = np.zeros((32, 32, 4), np.uint8)
    clear[8:24, 8:24] = (200, 40, 30, 255)
    clear[12, 12] = 0
    moved = np.roll(clear, 4, 1)
    path = tmp_path / f"a.{suffix}"
    images = [Image.fromarray(image) for image in (clear, moved)]
    if suffix == "mov":
        write(path, [clear, moved], codec="qtrle", pixels="argb")
    elif suffix == "folder":
        path.mkdir()
        for number, image in enumerate(images):
            image.save(path / f"{number}.png")
    else:
        images[0].save(path, save_all=True, append_images=images[1:], duration=125, lossless=True, disposal=2)
    part = Part(rate=8) if background is None else Part(rate=8, background=background)
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 32), part=part)
    expected = [np.where(image[..., 3:] == 255, image[..., :3], np.array(colour, np.uint8)) for image in (clear, moved)]
    assert mean_error(clip.frames, np.stack(expected)) < 1
    assert f"transparent parts of the video were laid on {background or 'grey'}" in clip.notices
    if background is None:
        assert "transparent parts of the video were laid on grey" in Footage.of(path).notices


def test_half_transparent_parts_are_mixed(tmp_path):
    glass = np.full((32, 32, 4), (200, 40, 0, 128), np.uint8)
    path = write(tmp_path / "a.mov", [glass] * 2, codec="qtrle", pixels="argb")
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 32))
    assert clip.frames[0, 5, 5].tolist() == [round(value * 128 / 255 + 128 * 127 / 255) for value in (200, 40, 0)]


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize(("background", "colour"), [("grey", 128), ("white", 255)])
def test_what_is_transparent_in_webm_lies_beside_the_picture_and_is_read(tmp_path, codec, background, colour):
    """As moving stickers are: a red square on a green that is hidden."""
    clear = np.full((64, 64, 4), (0, 200, 0, 0), np.uint8)
    clear[16:48, 16:48] = (200, 40, 30, 255)
    images = [np.roll(clear, 4 * number, 1) for number in range(4)]
    options: dict[str, Any] = {"auto-alt-ref": "0"}  # which libvpx asks for where parts are transparent
    path = write(tmp_path / "a.webm", images, codec=codec, pixels="yuva420p", crf="4", b="2M", **options)
    clip = Clip.read(path, frames=4, fps=8, aspect=SQUARE, part=Part(background=background))
    for number, frame in enumerate(clip.frames.int()):
        assert (frame[2, 2] - colour).abs().max() <= 1 and (frame[60, 2] - colour).abs().max() <= 1
        assert (frame[32, 32 + 4 * number] - torch.tensor((200, 40, 30))).abs().max() < 12
    assert beside_rest(clip) == (f"transparent parts of the video were laid on {background}",)


def test_a_build_that_cannot_read_what_is_transparent_says_so(tmp_path, monkeypatch):
    images = [np.full((64, 64, 4), (0, 200, number, 0), np.uint8) for number in range(2)]
    path = write(tmp_path / "a.webm", images, codec="libvpx-vp9", pixels="yuva420p")
    monkeypatch.setattr(decoding, "CLEAR", {"vp9": "no-such-decoder"})
    assert decoding.LEFT_OUT in Clip.read(path, frames=2, fps=8, aspect=SQUARE).notices


@pytest.mark.parametrize("trc", [16, 18])
def test_what_is_transparent_in_a_high_dynamic_range_lies_on_the_background_as_it_is(tmp_path, trc):
    clear = np.full((32, 32, 4), (0, 250, 0, 0), np.uint8)
    clear[8:24, 8:24] = (0, 0, 0, 255)
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": trc, "color_range": 1}
    path = write(
        tmp_path / "a.mkv", [clear] * 2, codec="ffv1", pixels="yuva444p10le", matrix=Colorspace.BT2020, tags=tags
    )
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 32), part=Part(background="#104080"))
    assert clip.frames[0, 2, 2].tolist() == [16, 64, 128] and clip.frames[0, 16, 16].max() <= 2
    assert "transparent parts of the video were laid on #104080" in clip.notices
    assert any("tone-mapped" in notice for notice in clip.notices)


@pytest.mark.parametrize("background", ["rainbow", "#12", "#1234567", "x" * 50, (1, 2, 256), (-1, 0, 0), "transparent"])
def test_what_is_no_colour_is_refused(tmp_path, background):
    with pytest.raises(SettingError, match="give a colour such as grey, white or black, or #rrggbb"):
        Clip.read(tmp_path, frames=2, fps=8, aspect=(32, 32), part=Part(background=background))
