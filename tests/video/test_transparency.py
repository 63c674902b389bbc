"""What is transparent in AVIF that moves."""

from pathlib import Path

import numpy as np
import pytest
from av.error import FFmpegError
from av.video.frame import VideoFrame
from PIL import Image, features

from motionlift.errors import InputError
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from motionlift.video.part import Part
from motionlift.video.transparency import CLEAR, joined
from tests.video.made import beside_rest

LAID = "transparent parts of the video were laid on blue"
avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")


def pictures(alpha: np.ndarray, colours: np.ndarray | None = None, count: int = 6) -> list[np.ndarray]:
    """Frames of one colour, or of others, that are the more transparent the darker ``alpha`` is, which moves."""
    own = np.full((64, 64, 3), (200, 40, 40), np.uint8) if colours is None else colours
    return [np.dstack([np.roll(own, 4 * number, 1), np.roll(alpha, 4 * number, 1)]) for number in range(count)]


def written(path: Path, images: list[np.ndarray]) -> Path:
    shown = [Image.fromarray(image) for image in images]
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=40, quality=100, subsampling="4:4:4")
    return path


@avif
@pytest.mark.parametrize("busy", [False, True])
def test_what_is_transparent_lies_on_the_background(tmp_path, busy):
    """Where what is transparent takes more bytes than the colours do, it is no video of its own all the same."""
    if busy:
        alpha = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    else:
        alpha = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 64, axis=0)
    images = pictures(alpha)
    path = written(tmp_path / "a.avif", images)
    clip = Clip.read(path, frames=6, fps=25, aspect=(64, 64), part=Part(background="blue"))
    assert beside_rest(clip) == (LAID,)
    share = np.stack(images)[..., 3:] / 255
    laid = np.stack(images)[..., :3] * share + np.array([0, 0, 255]) * (1 - share)
    assert np.abs(clip.frames.numpy() - laid).mean() < 4


@avif
def test_avif_without_transparent_parts_is_read_as_it_is(tmp_path):
    path = written(tmp_path / "a.avif", [image[..., :3] for image in pictures(np.zeros((64, 64), np.uint8))])
    assert Footage.of(path).notices == ()


@avif
def test_damage_in_what_is_transparent_is_refused(tmp_path):
    path = written(tmp_path / "a.avif", pictures(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 3000])
    with pytest.raises(InputError, match=r"breaks off after|no frame can be decoded"):
        Footage.of(path)


@pytest.mark.parametrize("kind", CLEAR)
def test_the_planes_of_colour_stay_as_they_are(kind):
    generator = np.random.default_rng(0)
    clear, grey = CLEAR[kind]
    frame, alpha = VideoFrame(48, 32, kind), VideoFrame(48, 32, grey)
    top = 256 if grey == "gray" else 1 << int(grey[4:6])
    for plane in (*frame.planes, *alpha.planes):
        words = plane.buffer_size // (1 if top == 256 else 2)
        plane.update(generator.integers(0, top, words, np.uint8 if top == 256 else np.dtype("<u2")).tobytes())
    found = joined(frame, alpha)
    assert found.format.name == clear
    for own, given in zip(found.planes, (*frame.planes, *alpha.planes), strict=True):
        words = own.width * (1 if top == 256 else 2)
        rows = [np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size) for plane in (own, given)]
        assert np.array_equal(rows[0][: own.height, :words], rows[1][: own.height, :words])
    late = VideoFrame(48, 32, grey)
    late.pts = 5
    for other in (None, late, VideoFrame(32, 32, grey)):
        with pytest.raises(FFmpegError):
            joined(frame, other)
