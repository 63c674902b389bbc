"""When frames are shown."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from motionlift.errors import InputError
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from motionlift.video.reading import moments_of
from tests.video.made import SQUARE, grey, levels, numbers, write


def times(path: Path) -> list[float]:
    return [round(moment.time, 3) for moment in moments_of(path)]


def shown(path: Path) -> list[int]:
    """Which of :func:`levels` the frames of a file are."""
    images = [moment.frame.to_ndarray(format="rgb24") for moment in moments_of(path)]
    return [round((float(image.mean()) - grey(0)) / 12) for image in images]


def without_frames(data: bytes, dropped: set[int]) -> bytes:
    """An AVI in which some frames are empty chunks, as recorders write where nothing came in time."""
    found, place, number = bytearray(data), data.index(b"movi") + 4, 0
    index = data.index(b"idx1") + 8
    while data[place : place + 4] == b"00dc":
        size = struct.unpack_from("<I", data, place + 4)[0]
        if number in dropped:
            struct.pack_into("<I", found, place + 4, 0)
            struct.pack_into("<4sI", found, place + 8, b"JUNK", size + size % 2 - 8)
            struct.pack_into("<I", found, index + 16 * number + 12, 0)
        place, number = place + 8 + size + size % 2, number + 1
    return bytes(found)


def test_frames_that_an_avi_leaves_out_hold_the_one_before(tmp_path):
    data = write(tmp_path / "a.avi", levels(17), codec="mjpeg", pixels="yuvj420p", full=True).read_bytes()
    (tmp_path / "a.avi").write_bytes(without_frames(data, {3, 4, 9, 12, 13, 14, 15, 16}))
    kept = [0, 1, 2, 5, 6, 7, 8, 10, 11]
    assert times(tmp_path / "a.avi") == [number / 8 for number in kept]
    clip = Clip.read(tmp_path / "a.avi", frames=12, fps=8, aspect=SQUARE)
    assert numbers(clip) == [0, 1, 2, 2, 2, 5, 6, 7, 8, 8, 10, 11]
    assert Footage.of(tmp_path / "a.avi").fps == pytest.approx(8 / 11 * 8)
    (tmp_path / "a.avi").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="breaks off after"):
        Footage.of(tmp_path / "a.avi")


def test_times_that_avi_keeps_by_empty_chunks_are_read_back(tmp_path):
    when = [0, 125, 250, 625, 750, 875, 1500, 1625, 1750]
    path = write(tmp_path / "a.avi", levels(9), milliseconds=when, bf="0")
    assert times(path) == [time / 1000 for time in when]
    assert numbers(Clip.read(path, frames=15, fps=8, aspect=SQUARE)) == [0, 1, 2, 2, 2, 3, 4, 5, 5, 5, 5, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.h264", "libx264"), ("a.hevc", "libx265"), ("a.m2v", "mpeg2video"), ("a.avi", "mpeg4")]
)
@pytest.mark.parametrize("rate", [10, 30, 50])
def test_raw_streams_are_read_at_the_rate_that_they_say(tmp_path, name, codec, rate):
    if codec == "mpeg2video" and rate == 10:
        pytest.skip("MPEG-2 has no such rate")
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write(tmp_path / name, levels(9), rate=rate, codec=codec, **options)
    assert Footage.of(path).fps == pytest.approx(rate)
    clip = Clip.read(path, frames=5, fps=rate / 2, aspect=SQUARE)
    assert numbers(clip) == [0, 2, 4, 6, 8]
    assert clip.notices == ()


def test_a_raw_stream_that_says_no_rate_is_told(tmp_path):
    silent = {"x265-params": "log-level=none:vui-timing-info=0"}
    path = write(tmp_path / "a.hevc", levels(9), rate=10, codec="libx265", **silent)
    clip = Clip.read(path, frames=9, fps=25, aspect=SQUARE)
    assert clip.notices == ("the file does not say how many frames a second it has; 25 were assumed",)
    assert Footage.of(path).fps == pytest.approx(25)
    assert Footage.of(path).notices == clip.notices


def test_raw_motion_jpeg_is_read_at_an_assumed_rate(tmp_path):
    path = write(tmp_path / "a.mjpeg", levels(9), rate=25, codec="mjpeg", pixels="yuvj420p", full=True)
    assert shown(path) == list(range(9))
    assert times(path) == [round(number / 25, 3) for number in range(9)]
    assert Footage.of(path).notices == ("the file does not say how many frames a second it has; 25 were assumed",)


@pytest.mark.parametrize("suffix", ["ts", "mpg", "h264"])
def test_segments_that_were_joined_play_one_after_the_other(tmp_path, suffix):
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    first = write(tmp_path / f"a.{suffix}", levels(6), codec=codec, rate=25).read_bytes()
    second = write(tmp_path / f"b.{suffix}", levels(12)[6:], codec=codec, rate=25).read_bytes()
    (tmp_path / f"c.{suffix}").write_bytes(first + second)
    assert shown(tmp_path / f"c.{suffix}") == list(range(12))
    assert times(tmp_path / f"c.{suffix}") == [round(number / 25, 3) for number in range(12)]


def test_times_of_a_joined_segment_keep_their_gaps(tmp_path):
    when = [0, 120, 240, 600, 720]
    first = write(tmp_path / "a.ts", levels(5), milliseconds=when, rate=8, bf="0").read_bytes()
    second = write(tmp_path / "b.ts", levels(10)[5:], milliseconds=when, rate=8, bf="0").read_bytes()
    (tmp_path / "c.ts").write_bytes(first + second)
    found = times(tmp_path / "c.ts")
    assert np.allclose(np.diff(found[:5]), np.diff(when) / 1000)
    assert np.allclose(np.diff(found[5:]), np.diff(when) / 1000)
    assert 0 < found[5] - found[4] <= 0.13


def test_a_transport_stream_whose_clock_leaps_ahead_goes_on(tmp_path):
    first = write(tmp_path / "a.ts", levels(5), rate=8).read_bytes()
    later = [100_000 + 125 * number for number in range(5)]
    second = write(tmp_path / "b.ts", levels(10)[5:], milliseconds=later, rate=8).read_bytes()
    (tmp_path / "c.ts").write_bytes(first + second)
    assert times(tmp_path / "c.ts") == [number / 8 for number in range(10)]


def test_a_gap_in_a_file_that_has_one_clock_stays(tmp_path):
    when = [0, 100, 200, 15_000, 15_100]
    assert times(write(tmp_path / "a.mkv", levels(5), milliseconds=when)) == [time / 1000 for time in when]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_pictures_of_an_animation_last_as_browsers_show_them(tmp_path, suffix):
    images = [Image.fromarray(image) for image in levels(6)]
    images[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=images[1:], lossless=True,
                   duration=[0, 10, 20, 300, 50, 50])  # fmt: skip
    assert times(tmp_path / f"a.{suffix}") == [0, 0.1, 0.2, 0.22, 0.52, 0.57]
    assert shown(tmp_path / f"a.{suffix}") == list(range(6))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
@pytest.mark.parametrize("reordered", ["0", "3"])
def test_reordered_frames_come_in_their_order_at_their_times(tmp_path, suffix, reordered):
    path = write(tmp_path / f"a.{suffix}", levels(17), rate=25, bf=reordered)
    assert shown(path) == list(range(17))
    assert times(path) == pytest.approx([number / 25 for number in range(17)], abs=1e-3)


def test_what_an_edit_list_cuts_off_is_not_shown(tmp_path):
    whole = write(tmp_path / "a.mp4", levels(12), rate=8, g="12", bf="0")
    with av.open(str(whole)) as source, av.open(str(tmp_path / "b.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts is not None and packet.time_base:
                early = round(0.5 / packet.time_base)
                packet.dts, packet.pts, packet.stream = packet.dts - early, packet.pts - early, stream
                target.mux(packet)
    assert shown(tmp_path / "b.mp4") == [4, 5, 6, 7, 8, 9, 10, 11]
    assert times(tmp_path / "b.mp4") == [number / 8 for number in range(8)]


def with_edit(path: Path, seconds: float, begins: float, rate: float = 1.0) -> Path:
    """An MP4 whose edit list, of one entry, is another."""
    data = bytearray(path.read_bytes())
    entry, movie, media = data.index(b"elst") + 12, data.index(b"mvhd") + 16, data.index(b"mdhd") + 16
    assert struct.unpack_from(">I", data, entry - 4) == (1,)
    (clock,), (ticks,) = struct.unpack_from(">I", data, movie), struct.unpack_from(">I", data, media)
    begin = round(begins * ticks) if begins >= 0 else -1
    struct.pack_into(">Iii", data, entry, round(seconds * clock), begin, round(rate * 65536))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("seconds", "begins", "rate", "told"), [
    (0, 1, 1, "no frame"), (2, 10, 1, "no frame"), (2, -1, 1, "no frame"), (2, 1, 0, "no more than 8 frames"),
])  # fmt: skip
def test_an_edit_list_that_shows_nothing_is_no_damage(tmp_path, seconds, begins, rate, told):
    """An entry of no length, behind the end, empty, or a dwell."""
    path = with_edit(write(tmp_path / "a.mp4", levels(16), rate=8, bf="0"), seconds, begins, rate)
    with pytest.raises(InputError, match=f"is whole, but by its edit list {told} can be shown.* -ignore_editlist 1"):
        Footage.of(path)


def test_damage_in_a_file_with_an_edit_list_is_damage(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, levels(16), rate=8, bf="0", g="4")
    with (
        av.open(str(path)) as source,
        av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    path = with_edit(tmp_path / "b.mp4", 1.5, 0.5)
    assert Footage.of(path).frames == 12
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 200])
    with pytest.raises(InputError, match="damaged or cut short"):
        Footage.of(path)


def test_a_late_start_and_a_longer_sound_are_no_break(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=8)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("aac", rate=8000, layout="mono")
        for number, image in enumerate(levels(9)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number + 16
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for number in range(40):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 8000, 1024 * number
            container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    assert times(tmp_path / "a.mp4") == [number / 8 for number in range(9)]
    assert Footage.of(tmp_path / "a.mp4").fps == pytest.approx(8)


def test_many_frames_a_second_keep_their_times(tmp_path):
    path = write(tmp_path / "a.mkv", levels(18), milliseconds=list(range(0, 36, 2)), rate=500)
    assert times(path) == [number / 500 for number in range(18)]
