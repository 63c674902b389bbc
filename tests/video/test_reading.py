"""Which frames of a file are read, in which shape, and which files are refused."""

import functools
import hashlib
import io
import itertools
import resource
import struct
import tempfile
import time
import wave
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from av.stream import Disposition
from av.video.reformatter import Colorspace
from PIL import Image

from motionlift.errors import InputError, SettingError
from motionlift.video import decoding
from motionlift.video.clip import Clip
from motionlift.video.decoding import file_moments
from motionlift.video.footage import Footage
from motionlift.video.woven import ENOUGH
from tests.video.made import SQUARE, beside_rest, levels, mean_error, noisy, numbers, quadrants, write

# Which frames


def test_a_clip_at_the_wanted_rate_gives_exactly_its_frames(tmp_path):
    images = noisy(17, 64, 64)
    path = write(tmp_path / "a.mp4", images, lossless=True)
    clip = Clip.read(path, frames=17, fps=8, aspect=SQUARE)
    assert np.array_equal(clip.frames.numpy(), np.stack(images))
    assert clip.fps == 8
    assert clip.notices == ()
    assert clip.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_variable_frame_rate_is_sampled_by_time(tmp_path):
    times = [0, 40, 130, 260, 300, 500, 900, 1000, 1600]
    path = write(tmp_path / "a.mp4", levels(9), milliseconds=times)
    clip = Clip.read(path, frames=6, fps=5, aspect=SQUARE)
    assert numbers(clip) == [0, 2, 4, 5, 5, 7]  # on screen at 0, 0.2, 0.4, 0.6, 0.8, 1.0 s
    assert clip.notices == ("there were 5 different frames for 6: some are repeated",)


def test_a_file_that_starts_late_is_read_from_its_first_frame(tmp_path):
    path = write(tmp_path / "a.mkv", levels(9), milliseconds=[5000 + 125 * number for number in range(9)])
    assert numbers(Clip.read(path, frames=5, fps=4, aspect=SQUARE)) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(("rate", "fps"), [(30, 29.97), (30, 30.01), (24, 23.976)])
def test_a_rate_that_is_nearly_the_wanted_one_skips_and_repeats_nothing(tmp_path, rate, fps):
    path = write(tmp_path / "a.mkv", levels(18), rate=rate)  # Matroska rounds times to milliseconds
    assert numbers(Clip.read(path, frames=17, fps=fps, aspect=SQUARE)) == list(range(17))


def test_a_short_video_is_spread_over_its_length(tmp_path):
    path = write(tmp_path / "a.mp4", levels(9), rate=24)
    clip = Clip.read(path, frames=5, fps=8, aspect=SQUARE)
    assert numbers(clip) == [0, 2, 4, 6, 8]
    assert clip.fps == pytest.approx(12)
    assert clip.notices == (
        "the video shows 0.38 s, too short for 5 frames at 8 a second: "
        "5 frames were spread evenly over it, 12 a second",
    )


def test_the_rate_that_is_told_is_the_one_that_the_clip_has(tmp_path):
    """Half a second in 400 frames would be 800 a second; a still video is still for as long as it shows."""
    path = write(tmp_path / "a.mp4", levels(12), rate=24)
    clip = Clip.read(path, frames=400, fps=8, aspect=SQUARE)
    assert clip.fps == 240
    assert any(
        told.endswith(
            "400 frames were spread evenly over it, 240 a second, the most there are: it moves 3.63 times slower than the reference"
        )
        for told in clip.notices
    )
    still = Clip.of(np.full((12, 64, 64, 3), 90, np.uint8), 24)
    told = still.sampled(frames=400, fps=8, aspect=SQUARE).notices
    assert "nothing moves in the first 0.5 s, nor after that: give a reference that moves" in told


@pytest.mark.parametrize(("gap", "rate", "told"), [
    (2, 240, "240 a second, the most there are: it moves 2.08 times slower than the reference"),
    (40_000, 0.1, "0.1 a second, the fewest there are: it moves 4 times faster than the reference"),
])  # fmt: skip
def test_the_rate_of_frames_as_they_come_is_told_as_the_clip_has_it(tmp_path, gap, rate, told):
    path = write(tmp_path / "a.mkv", levels(5), milliseconds=[gap * number for number in range(5)])
    clip = Clip.read(path, frames=5, fps=8, aspect=SQUARE, every_frame=True)
    assert clip.fps == rate and f"the first 5 frames were taken as they come, {told}" in clip.notices


def test_a_video_of_fewer_frames_repeats_some_and_says_so(tmp_path):
    path = write(tmp_path / "a.mp4", levels(3), rate=8)
    clip = Clip.read(path, frames=5, fps=8, aspect=SQUARE)
    assert numbers(clip) == [0, 0, 1, 1, 2]
    assert clip.fps == pytest.approx(16)
    assert clip.notices[1] == "there were 3 different frames for 5: some are repeated"


@pytest.mark.parametrize(("count", "spread"), [(16, True), (17, False)])
def test_the_last_frame_counts_with_the_time_it_is_shown(tmp_path, count, spread):
    path = write(tmp_path / "a.mp4", levels(count), rate=16)
    clip = Clip.read(path, frames=5, fps=4, aspect=SQUARE)
    assert bool(clip.notices) == spread
    slow = write(tmp_path / "b.mp4", levels(2), rate=1)  # shown until 2 s
    assert numbers(Clip.read(slow, frames=8, fps=4, aspect=SQUARE)) == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("name", ["a.h264", "a.avi"])
@pytest.mark.parametrize("reordered", ["0", "3"])
def test_a_stream_without_times_is_read_at_its_rate(tmp_path, name, reordered):
    path = write(tmp_path / name, levels(9), rate=25, bf=reordered)
    assert numbers(Clip.read(path, frames=9, fps=25, aspect=SQUARE)) == list(range(9))


@pytest.mark.parametrize("suffix", ["mov", "mkv", "ts", "flv"])
def test_containers(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", levels(9))
    assert numbers(Clip.read(path, frames=5, fps=4, aspect=SQUARE)) == [0, 2, 4, 6, 8]


def test_only_what_is_needed_of_a_long_video_is_decoded(tmp_path, monkeypatch):
    path = write(
        tmp_path / "a.mp4", [levels(1, 16, 16)[0] + 20 * number % 200 for number in range(600)], rate=1, bf="0"
    )
    decoded = []
    original = decoding._decoded

    def counting(decoder, packet, strict):
        frames = original(decoder, packet, strict)
        decoded.extend(frame.pts for frame in frames)
        return frames

    monkeypatch.setattr(decoding, "_decoded", counting)
    clip = Clip.read(path, frames=9, fps=1, aspect=SQUARE)
    assert len(clip.frames) == 9
    looked = ENOUGH + 2  # to see whether they are woven: frames that move, each between two others
    assert 9 + looked <= len(decoded) <= 12 + looked
    decoded.clear()
    Clip.read(path, frames=9, fps=1, aspect=SQUARE)
    assert 9 <= len(decoded) <= 12  # which is looked at once


# Shape


@pytest.mark.parametrize(
    ("size", "aspect", "box", "notice"),
    [
        (
            (48, 96),
            (1, 1),
            (slice(0, 48), slice(24, 72)),
            "frames were cropped from 96x48 to 48x48 for the model's shape",
        ),
        (
            (96, 48),
            (1, 1),
            (slice(24, 72), slice(0, 48)),
            "frames were cropped from 48x96 to 48x48 for the model's shape",
        ),
        (
            (40, 72),
            (480, 720),
            (slice(0, 40), slice(6, 66)),
            "frames were cropped from 72x40 to 60x40 for the model's shape",
        ),
    ],
)
def test_the_middle_is_cropped_to_the_shape_of_the_model(tmp_path, size, aspect, box, notice):
    images = noisy(3, *size)
    clip = Clip.read(write(tmp_path / "a.mp4", images, lossless=True), frames=3, fps=8, aspect=aspect)
    assert np.array_equal(clip.frames.numpy(), np.stack(images)[:, *box])
    assert clip.notices == (notice,)


def test_padding_lays_black_around_the_frame(tmp_path):
    images = noisy(3, 32, 96)
    clip = Clip.read(write(tmp_path / "a.mp4", images, lossless=True), frames=3, fps=8, aspect=(1, 1), fit="pad")
    assert clip.frames.shape == (3, 96, 96, 3)
    assert np.array_equal(clip.frames[:, 32:64].numpy(), np.stack(images))
    assert not clip.frames[:, :32].any() and not clip.frames[:, 64:].any()
    assert clip.notices == ("frames were padded with black from 96x32 to 96x96 for the model's shape",)


def test_large_frames_are_averaged_down_and_small_ones_left(tmp_path):
    images = noisy(2, 64, 128)
    path = write(tmp_path / "a.mp4", images, lossless=True)
    small = Clip.read(path, frames=2, fps=8, aspect=(64, 128), longest=32)
    means = np.stack(images).astype(np.float64).reshape(2, 16, 4, 32, 4, 3).mean(axis=(2, 4))
    assert small.frames.shape == (2, 16, 32, 3)
    assert np.abs(small.frames.numpy() - means).max() <= 1
    assert Clip.read(path, frames=2, fps=8, aspect=(640, 1280), longest=2000).frames.shape == (2, 64, 128, 3)


def test_odd_sizes_are_read_whole(tmp_path):
    images = noisy(3, 35, 51)
    clip = Clip.read(write(tmp_path / "a.mp4", images, lossless=True), frames=3, fps=8, aspect=(35, 51))
    assert np.array_equal(clip.frames.numpy(), np.stack(images))


@pytest.mark.slow
def test_4k_is_read_small(tmp_path):
    images = [
        np.roll(np.kron(quadrants(), np.ones((68, 60, 1), np.uint8)), 60 * number, 1)[:2160] for number in range(3)
    ]
    path = write(tmp_path / "a.mp4", images, matrix=Colorspace.ITU709, preset="ultrafast")
    clip = Clip.read(path, frames=3, fps=8, aspect=(9, 16), longest=128)
    assert clip.frames.shape == (3, 72, 128, 3)
    small = np.stack([cv2.resize(image, (128, 72), interpolation=cv2.INTER_AREA) for image in images])
    assert mean_error(clip.frames, small) < 3


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_the_display_matrix_is_applied(tmp_path, degrees, flips):
    image = quadrants()
    path = write(tmp_path / "a.mp4", [image] * 3, rotation=(degrees, *flips))
    shown = np.rot90(image, degrees // 90)  # counterclockwise, then mirrored
    shown = shown[:, ::-1] if flips[0] else shown
    shown = shown[::-1] if flips[1] else shown
    clip = Clip.read(path, frames=3, fps=8, aspect=shown.shape[:2])
    assert beside_rest(clip) == ()
    assert mean_error(clip.frames[0], shown) < 6


@pytest.mark.parametrize(("degrees", "told"), [
    (45, "-45 degrees; it was turned by the nearest quarter turn, 0"),
    (100, "-100 degrees; it was turned by the nearest quarter turn, -90"),
    (90.3, ""),
])  # fmt: skip
def test_a_turn_that_is_no_quarter_turn_is_told(tmp_path, degrees, told):
    path = write(tmp_path / "a.mp4", [quadrants()] * 3, rotation=(degrees, False, False))
    notices = [notice for notice in Footage.of(path).notices if "turn" in notice]
    assert (told in notices[0]) if told else not notices


def test_pixels_that_are_not_square_are_squeezed(tmp_path):
    path = write(tmp_path / "a.mp4", levels(3, 64, 64), pixel_aspect=Fraction(2))
    clip = Clip.read(path, frames=3, fps=8, aspect=(1, 2))
    assert clip.frames.shape == (3, 32, 64, 3)
    assert clip.notices == ()


# Tracks


def with_tracks(path: Path, tracks: list[list[np.ndarray]]) -> Path:
    """A file of several videos."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=8, options={"bf": "0"}) for _ in tracks]
        for stream, images in zip(streams, tracks, strict=True):
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = "yuv420p"
        for number in range(max(map(len, tracks))):
            for stream, images in zip(streams, tracks, strict=True):
                if number < len(images):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(images[number], format="rgb24")))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_another_video_in_the_file_is_told(tmp_path, suffix):
    path = with_tracks(tmp_path / f"a.{suffix}", [levels(6), levels(6, 96, 128)])
    told = (
        "the file holds 2 videos: track 0 (64x64) was read, and not track 1 (128x96); to have another, copy it out: "
        "ffmpeg -i IN -map 0:1 -c copy OUT"
    )
    assert beside_rest(Clip.read(path, frames=6, fps=8, aspect=SQUARE)) == (told,)
    assert Footage.of(path).notices == (told,)


def test_a_picture_beside_the_video_is_no_other_video(tmp_path):
    path = with_tracks(tmp_path / "a.mp4", [levels(6), levels(1, 96, 128)])
    assert Footage.of(path).notices == ()
    with av.open(str(tmp_path / "b.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=8)
        cover = container.add_stream("mjpeg", rate=8)
        cover.disposition = Disposition.attached_pic
        cover.height, cover.width, cover.pix_fmt = 96, 128, "yuvj420p"
        video.height, video.width, video.pix_fmt = 64, 64, "yuv420p"
        for image in levels(6):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(levels(1, 96, 128)[0], format="rgb24")))
        container.mux(cover.encode(None))
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert len(container.streams.video) == 2
    assert Footage.of(tmp_path / "b.mp4").notices == ()


# Refusals


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    for path, told in [
        (tmp_path / "none.mp4", "does not exist"),
        (tmp_path / "folder", "is a folder without pictures"),
        (tmp_path / "empty.mp4", "is empty"),
        ("bad\0name.mp4", "does not exist|cannot be read"),
        ("x" * 5000, "cannot be read|does not exist"),
    ]:
        with pytest.raises(InputError, match=told):
            Clip.read(path, frames=5, fps=8, aspect=SQUARE)


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_text_are_refused_in_silence(tmp_path, capfd, seed):
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(np.random.default_rng(seed).bytes(50_000))
    text = tmp_path / "notes.txt"  # libavformat would play it as a terminal
    text.write_text("a line of text\n" * 500)
    playlist = tmp_path / "list.m3u8"  # and follow it elsewhere
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    for path in (noise, text, playlist):
        with pytest.raises(InputError, match="is no video that can be read"):
            Clip.read(path, frames=5, fps=8, aspect=SQUARE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_truncated_file_is_refused(tmp_path, capfd):
    whole = write(tmp_path / "a.mp4", noisy(17, 64, 64)).read_bytes()
    front = write(tmp_path / "b.mkv", noisy(17, 64, 64)).read_bytes()
    Clip.of(torch.from_numpy(np.stack(noisy(17, 64, 64))), 8).save(tmp_path / "c.mp4")
    indexed = (tmp_path / "c.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    for data, share, told in [
        (whole, 0.6, "is no video that can be read"),  # its index is at the end, and gone
        (front, 0.6, "breaks off after"),
        (indexed, 0.6, "breaks off after"),
        (indexed, 0.95, "breaks off after"),
    ]:
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError, match=told):
            Clip.read(cut, frames=17, fps=8, aspect=SQUARE)
    assert len(Clip.read(cut, frames=5, fps=8, aspect=SQUARE).frames) == 5  # the break lies behind what is needed
    assert capfd.readouterr() == ("", "")


def test_a_truncated_file_with_sound_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video = container.add_stream("libx264", rate=8)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("aac", rate=8000, layout="mono")
        for image in noisy(17, 64, 64):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 8000
            container.mux(sound.encode(silence))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    assert Clip.read(tmp_path / "a.mkv", frames=17, fps=8, aspect=SQUARE).notices == ()
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(InputError, match="breaks off after"):
        Clip.read(tmp_path / "a.mkv", frames=17, fps=8, aspect=SQUARE)


def test_a_file_whose_pictures_are_overwritten_is_refused(tmp_path):
    data = bytearray(write(tmp_path / "a.mp4", noisy(9, 64, 64)).read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(InputError, match="no frame can be decoded"):
        Clip.read(tmp_path / "a.mp4", frames=9, fps=8, aspect=SQUARE)


def moving(count: int, height: int = 192, width: int = 256) -> list[np.ndarray]:
    """A soft pattern that moves to the right."""
    coarse = np.random.default_rng(1).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return [np.roll(image, 3 * number, 1) for number in range(count)]


def overwrite(path, count: int) -> None:
    """Put random bytes over some of a key frame in the middle of a file."""
    with av.open(str(path)) as container:
        keys = [packet for packet in container.demux(video=0) if packet.is_keyframe]
        middle = keys[len(keys) // 2]
        start = (middle.pos or 0) + middle.size // 3
    data = bytearray(path.read_bytes())
    data[start : start + count] = np.random.default_rng(2).bytes(count)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [(codec, suffix) for codec in ("libx264", "mpeg4") for suffix in ("mp4", "mkv", "avi", "ts")]
    + [("libx264", "h264"), ("mpeg2video", "ts"), ("mpeg2video", "mkv"), ("libsvtav1", "mkv")],
)
def test_bytes_overwritten_in_the_middle_are_refused(tmp_path, codec, suffix):
    path = write(tmp_path / f"a.{suffix}", moving(16), codec=codec, rate=25, g="4", threads="1")
    assert Footage.of(path).frames == 16
    overwrite(path, 400)
    with pytest.raises(InputError, match=r"breaks off after .* damaged"):
        Footage.of(path)
    with pytest.raises(InputError, match=r"breaks off after .* damaged"):
        Clip.read(path, frames=16, fps=25, aspect=(192, 256))
    assert len(Clip.read(path, frames=4, fps=25, aspect=(192, 256)).frames) == 4  # the damage lies behind


@pytest.mark.parametrize("slices", ["1", "4"])
def test_damage_in_any_slice_of_a_picture_is_noticed(tmp_path, slices):
    path = write(tmp_path / "a.mkv", moving(24), crf="18", slices=slices, threads="1", g="4")
    overwrite(path, 400)
    with pytest.raises(InputError, match=r"breaks off after .* damaged"):
        Footage.of(path)


def test_checksums_in_the_stream_are_checked(tmp_path):
    images, options = moving(24), {"x265-params": "log-level=none:hash=1:keyint=4:min-keyint=4:scenecut=0"}
    path = write(tmp_path / "a.mkv", images, codec="libx265", **options)
    assert Footage.of(path).frames == 24
    overwrite(path, 4)
    with pytest.raises(InputError, match=r"breaks off after .* damaged"):
        Footage.of(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", "ts"),
        ("libx264", "h264"),
        ("mpeg2video", "ts"),
        ("mpeg2video", "mpg"),
        ("libx265", "ts"),
        ("libx265", "hevc"),
    ],
)
@pytest.mark.parametrize("open", [False, True])
def test_a_recording_may_start_and_end_in_the_middle(tmp_path, codec, suffix, open):
    options = {"g": "6", "bf": "2", "x264-params": f"open-gop={int(open)}"} if codec == "libx264" else {"g": "6"}
    if codec == "libx265":
        options = {"x265-params": f"log-level=none:keyint=6:min-keyint=6:scenecut=0:open-gop={int(open)}"}
    if codec == "mpeg2video" and open:
        options |= {"bf": "2"}
    path = write(tmp_path / f"a.{suffix}", moving(42), codec=codec, rate=25, **options)
    data, whole = path.read_bytes(), list(Footage.of(path))
    # A torn last packet of HEVC looks whole to its decoder.
    for start, end in (
        ((0.2, 1), (0.31, 1)) if codec == "libx265" else ((0.2, 1), (0, 0.77), (0.31, 0.77), (0.43, 0.81))
    ):
        path.write_bytes(data[int(len(data) * start) : int(len(data) * end)])
        seen = list(Footage.of(path))
        first = next(number for number, image in enumerate(whole) if np.array_equal(image, seen[0]))
        # Frames between the last two may have been stored behind them, where the file was cut.
        assert np.array_equal(np.stack(seen[:-1]), np.stack(whole[first : first + len(seen) - 1]))
        assert any(np.array_equal(seen[-1], image) for image in whole[first + len(seen) - 1 :])
        if end == 1:
            assert Footage.of(path).fps == pytest.approx(25)


def cut_at_key(source: Path, target: Path, number: int, before: int = 0) -> Path:
    """The packets from a key packet on, as ``ffmpeg -ss ... -c copy`` cuts; or from a few packets before it on."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as part:
        stream = whole.streams.video[0]
        copied = part.add_stream_from_template(stream)
        packets = [packet for packet in whole.demux(stream) if packet.size]
        packets = packets[[at for at, packet in enumerate(packets) if packet.is_keyframe][number] - before :]
        first = packets[0].dts or 0
        for packet in packets:
            packet.pts, packet.dts, packet.stream = (packet.pts or 0) - first, (packet.dts or 0) - first, copied
            part.mux(packet)
    return target


OPEN = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0:b-adapt=0"}
"""Groups whose first pictures lean on the group before."""


@pytest.mark.parametrize("name", ["cut.mkv", "cut.mp4", "cut.mov", "cut.flv", "cut.ts", "cut.h264", "cut.avi"])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_cut_at_an_open_group_begins_with_its_key_frame(tmp_path, name, interlaced):
    """What leans on the group that was cut off cannot be decoded, and comes before the first frame."""
    options = {"x264-params": OPEN["x264-params"] + ":tff=1"} if interlaced else OPEN
    images = moving(48, 64, 64)
    whole = write(tmp_path / "whole.ts", images, rate=25, crf="8", **options)
    path = cut_at_key(whole, tmp_path / name, 2)
    seen = [moment.frame.to_ndarray(format="rgb24") for moment in file_moments(path)]
    expected = [moment.frame.to_ndarray(format="rgb24") for moment in file_moments(whole)][-len(seen) :]
    assert len(seen) == 24
    assert np.array_equal(np.stack(seen), np.stack(expected))
    assert Footage.of(path).fps == pytest.approx(25, rel=1e-2)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video", "mpeg1video"])
@pytest.mark.parametrize("begins", ["at a key frame", "between key frames"])
def test_an_avi_that_was_cut_begins_with_its_first_whole_frame(tmp_path, codec, begins):
    """AVI does not say when frames are shown that are stored in another order; what lacks what it needs gives no frame."""
    options = {"crf": "8", **OPEN} if codec == "libx264" else {"g": "12", "bf": "2"}
    suffix = "ts" if codec == "libx264" else "mkv"  # H.264 is not stored alike in MKV and AVI
    whole = write(tmp_path / f"whole.{suffix}", moving(48, 64, 64), codec=codec, rate=25, **options)
    before = 0 if begins == "at a key frame" else 5
    path = cut_at_key(whole, tmp_path / "cut.avi", 2, before)
    moments = list(file_moments(path))
    seen = [moment.frame.to_ndarray(format="rgb24") for moment in moments]
    expected = [moment.frame.to_ndarray(format="rgb24") for moment in file_moments(whole)][24:]
    assert len(seen) == 24
    assert np.array_equal(np.stack(seen), np.stack(expected))
    assert [moment.time for moment in moments] == pytest.approx([number / 25 for number in range(24)], abs=1e-3)
    with av.open(str(path)) as container:
        torn = [packet for packet in container.demux(video=0) if packet.size][20]
    path.write_bytes(path.read_bytes()[: (torn.pos or 0) + 8 + torn.size // 2])
    with pytest.raises(InputError, match="breaks off after"):
        list(file_moments(path))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "avi"])
def test_damage_behind_the_key_frame_of_a_whole_file_is_refused(tmp_path, suffix):
    """The decoder holds the first frame back, but nothing was cut off before it."""
    path = write(tmp_path / f"a.{suffix}", moving(24, 64, 64), rate=25, g="12", bf="3")
    with av.open(str(path)) as container:
        second = [packet for packet in container.demux(video=0) if packet.size][1]
        start, size = second.pos or 0, second.size
    data = bytearray(path.read_bytes())
    data[start + 8 : start + size] = np.random.default_rng(2).bytes(size - 8)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"no frame can be decoded|breaks off after"):
        Footage.of(path)


def test_a_video_that_changes_its_size_is_brought_to_that_of_its_first_frame(tmp_path):
    first = write(tmp_path / "a.ts", moving(6), rate=25).read_bytes()
    second = write(tmp_path / "b.ts", [cv2.resize(image, (128, 96)) for image in moving(6)], rate=25).read_bytes()
    (tmp_path / "c.ts").write_bytes(first + second)
    clip = Clip.read(tmp_path / "c.ts", frames=12, fps=25, aspect=(192, 256))
    assert clip.frames.shape == (12, 192, 256, 3)
    assert mean_error(clip.frames, np.stack(moving(6) * 2)) < 8
    assert clip.notices == (
        "frames change their size in the middle of the video; all were brought to that of the first",
    )
    assert np.array_equal(np.stack(list(Footage.of(tmp_path / "c.ts"))), clip.frames.numpy())
    assert Footage.of(tmp_path / "c.ts").notices == clip.notices


def test_one_key_frame_is_enough(tmp_path):
    images = moving(40, 64, 64)
    path = write(tmp_path / "a.mp4", images, g="1000", bf="8")
    seen = np.stack(list(Footage.of(path)))
    assert mean_error(seen, np.stack(images)) < 8


def test_sound_alone_is_refused(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    with pytest.raises(InputError, match="holds sound only"):
        Clip.read(tmp_path / "a.wav", frames=5, fps=8, aspect=SQUARE)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="holds sound only"):
        Clip.read(tmp_path / "a.mp4", frames=5, fps=8, aspect=SQUARE)


def test_one_frame_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), quadrants())
    cv2.imwrite(str(tmp_path / "a.jpg"), quadrants())
    write(tmp_path / "a.mp4", levels(1))
    for name in ("a.png", "a.jpg", "a.mp4"):
        with pytest.raises(InputError, match="a motion needs at least two frames"):
            Clip.read(tmp_path / name, frames=5, fps=8, aspect=SQUARE)
    slow = write(tmp_path / "slow.mp4", levels(9), rate=1)
    with pytest.raises(InputError, match="show one frame only"):
        Clip.read(slow, frames=5, fps=8, aspect=SQUARE)


def test_absurd_sizes_are_refused(tmp_path):
    with pytest.raises(InputError, match="is 64x4 pixels"):
        Clip.read(write(tmp_path / "a.mp4", levels(3, 4, 64)), frames=3, fps=8, aspect=SQUARE)
    path = write(tmp_path / "b.mp4", levels(3))
    with pytest.raises(SettingError, match="more than 4 GiB"):
        Clip.read(write(tmp_path / "c.mp4", levels(3, 2048, 2048), preset="ultrafast"), frames=1025, fps=240,
                  aspect=SQUARE, longest=16384)  # fmt: skip
    for wrong in [
        {"frames": 1}, {"frames": 10_001}, {"fps": 0.0}, {"fps": 241.0}, {"fps": float("nan")}, {"fps": float("inf")},
        {"aspect": (0, 64)}, {"aspect": (64, 16385)}, {"longest": 0}, {"longest": 16385}, {"fit": "wrap"},
    ]:  # fmt: skip
        with pytest.raises(SettingError, match=next(iter(wrong))):
            Clip.read(path, **{"frames": 3, "fps": 8, "aspect": SQUARE, **wrong})


def test_a_frame_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    """A header of a few hundred bytes can promise a picture of gigabytes."""
    picture = io.BytesIO()
    small = [Image.fromarray(image) for image in levels(2, 16, 16)]
    small[0].save(picture, "PNG", save_all=True, append_images=small[1:], duration=100)
    data = bytearray(picture.getvalue())
    data[16:24] = struct.pack(">II", 16000, 16000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    small[0].save(tmp_path / "a.webp", save_all=True, append_images=small[1:], duration=100)
    data = bytearray((tmp_path / "a.webp").read_bytes())
    data[24:30] = (15999).to_bytes(3, "little") * 2
    (tmp_path / "b.webp").write_bytes(data)
    for name in ("a.png", "b.webp"):
        with pytest.raises(
            InputError, match="is 16000x16000 pixels; give a video of at most 64 million pixels a frame"
        ):
            Clip.read(tmp_path / name, frames=2, fps=8, aspect=SQUARE)


def test_names_that_libav_would_take_for_something_else_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = Clip.of(torch.from_numpy(np.stack(levels(3))), 8)
    for name in ("concat:a|b.mp4", "http:a.mp4", "-.mp4", "ä %03d.mp4"):
        clip.save(name)
        assert numbers(Clip.read(name, frames=3, fps=8, aspect=SQUARE)) == [0, 1, 2]


# Any bytes


KINDS = {
    "mp4": {"codec": "libx264"}, "mkv": {"codec": "libx264"}, "avi": {"codec": "mpeg4"}, "ts": {"codec": "mpeg2video"},
    "webm": {"codec": "libvpx-vp9", "deadline": "realtime"}, "h264": {"codec": "libx264"}, "flv": {"codec": "libx264"},
    "hevc": {"codec": "libx265", "x265-params": "log-level=none"}, "gif": {}, "png": {}, "webp": {},
}  # fmt: skip
"""Small files of every kind."""


@functools.cache
def small(suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        images = moving(8, 64, 64)
        if KINDS[suffix]:
            write(path, images, rate=25, **KINDS[suffix])
        else:
            pictures = [Image.fromarray(image) for image in images]
            pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
        return path.read_bytes()


def broken(data: bytes, generator: np.random.Generator) -> bytes:
    """Bytes flipped, overwritten, taken out, doubled or cut off, half of the time near the start, where headers are."""
    found = bytearray(data)
    for _ in range(generator.integers(1, 5)):
        near = int(generator.choice([min(400, len(found)), len(found)]))
        start, count = int(generator.integers(near)), int(generator.integers(1, 41))
        kind = generator.choice(["flip", "random", "ones", "remove", "double", "cut"])
        if kind == "flip":
            found[start] ^= 1 << int(generator.integers(8))
        elif kind == "random":
            found[start : start + count] = generator.bytes(count)
        elif kind == "ones":
            found[start : start + count] = b"\xff" * count
        elif kind == "remove" and len(found) > count + 1:
            del found[start : start + count]
        elif kind == "double":
            found[start:start] = found[start : start + count]
        elif kind == "cut":
            del found[max(1, start) :]
    return bytes(found)


def read_or_refused(path: Path) -> None:
    for read in (
        lambda: Clip.read(path, frames=5, fps=8, aspect=SQUARE).frames,
        lambda: sum(1 for _ in itertools.islice(Footage.of(path), 50)),
    ):
        try:
            read()
        except (InputError, SettingError) as error:
            assert str(error)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", KINDS)
def test_damaged_files_of_every_kind_are_read_or_refused(tmp_path, suffix, capfd):
    """Neither a traceback nor a hang; what a crash would be, this process would not live to tell."""
    path, worst = tmp_path / f"a.{suffix}", 0.0
    whole, generator = small(suffix), np.random.default_rng(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    capfd.readouterr()
    for _ in range(300):
        path.write_bytes(broken(whole, generator))
        began = time.monotonic()
        read_or_refused(path)
        worst = max(worst, time.monotonic() - began)
    assert worst < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 << 20  # kilobytes
    assert capfd.readouterr() == ("", "")
