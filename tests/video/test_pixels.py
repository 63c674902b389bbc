"""Pixels that are not square, and change their shape in the middle."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionlift.video.clip import Clip
from motionlift.video.decoding import file_moments
from motionlift.video.footage import Footage
from tests.video.made import levels, write

TOLD = "the shape of the pixels changes in the middle of the video: each frame was fitted by its own"


def ring(aspect: int) -> np.ndarray:
    """A white square in the middle, 32 rows high as it is shown, of pixels that are so many times as wide as high."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[16:48, 32 - 16 // aspect : 32 + 16 // aspect] = 255
    return image


def changing(folder: Path, suffix: str, reordered: str = "3") -> Path:
    """Six frames of square pixels, then six of pixels that are twice as wide as high."""
    parts = [
        write(folder / f"{aspect}.{suffix}", [ring(aspect)] * 6, rate=25, pixel_aspect=Fraction(aspect), bf=reordered)
        for aspect in (1, 2)
    ]
    (folder / f"a.{suffix}").write_bytes(b"".join(part.read_bytes() for part in parts))
    return folder / f"a.{suffix}"


def copied(source: Path, target: Path) -> Path:
    """The same packets in another container."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(packet for packet in given.demux(video=0) if packet.size):
            packet.pts = packet.dts = number * 3600
            packet.stream = stream
            made.mux(packet)
    return target


@pytest.mark.parametrize("suffix", ["ts", "h264"])
def test_a_frame_has_the_shape_that_it_says_even_where_the_decoder_holds_it_back(tmp_path, suffix):
    reordered = "3" if suffix == "ts" else "0"  # raw streams have no times by which a frame's packet is known
    found = [moment.pixel_aspect for moment in file_moments(changing(tmp_path, suffix, reordered))]
    assert found == [1.0] * 6 + [2.0] * 6


def test_what_is_seen_keeps_its_shape_where_that_of_the_pixels_changes(tmp_path):
    path = changing(tmp_path, "ts")
    clip = Clip.read(path, frames=12, fps=25, aspect=(64, 64))
    assert TOLD in clip.notices
    for frame in clip.frames[0], clip.frames[-1]:
        seen = frame.numpy().mean(axis=-1) > 128
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        assert len(columns) == pytest.approx(len(rows), abs=2)
    assert TOLD in Footage.of(path).notices
    whole = write(tmp_path / "b.ts", levels(6), pixel_aspect=Fraction(2))
    assert TOLD not in Footage.of(whole).notices


def test_a_change_is_followed_in_a_container_that_says_one_shape(tmp_path):
    path = copied(changing(tmp_path, "ts", "0"), tmp_path / "a.mkv")
    assert [moment.pixel_aspect for moment in file_moments(path)] == [1.0] * 6 + [2.0] * 6


def test_a_container_that_says_another_shape_than_the_stream_is_followed(tmp_path):
    path = write(tmp_path / "a.mp4", levels(6), pixel_aspect=Fraction(2))
    data = path.read_bytes()
    assert data.count(b"pasp" + bytes([0, 0, 0, 2, 0, 0, 0, 1])) == 1
    path.write_bytes(data.replace(b"pasp" + bytes([0, 0, 0, 2]), b"pasp" + bytes([0, 0, 0, 3])))
    assert [moment.pixel_aspect for moment in file_moments(path)] == [3.0] * 6
