"""Videos are made here by PyAV, each frame a grey level or colour that names it."""

import errno
import hashlib
import os
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
import torch

from motionlift.errors import DivergenceError, InputError, OutputError, SettingError
from motionlift.video import footage, reading, writing
from motionlift.video.clip import Clip, side_by_side
from motionlift.video.footage import Footage, frames_of
from motionlift.video.writing import check_output, replacing
from motionlift.world import scenes

SQUARE = (64, 64)


def grey(number: int) -> int:
    return 16 + 12 * number


def write(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    milliseconds: Sequence[int] | None = None,
    rate: int = 8,
    rotation: tuple[float, bool, bool] | None = None,
    pixel_aspect: Fraction | None = None,
    lossless: bool = False,
    **options: str,
) -> Path:
    """Write images as H.264 in the container that the suffix names, evenly or at given times."""
    with av.open(str(path), "w") as container:
        codec = "libx264rgb" if lossless else "libx264"
        stream = container.add_stream(codec, rate=rate, options={"crf": "0" if lossless else "4", **options})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "rgb24" if lossless else "yuv420p" if not images[0].shape[0] % 2 else "yuv444p"
        if milliseconds:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(*rotation)
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if milliseconds:
                frame.pts, frame.time_base = milliseconds[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def levels(count: int, height: int = 64, width: int = 64) -> list[np.ndarray]:
    return [np.full((height, width, 3), grey(number), np.uint8) for number in range(count)]


def numbers(clip: Clip) -> list[int]:
    """Which of :func:`levels` each frame is."""
    return [round((float(frame.float().mean()) - grey(0)) / 12) for frame in clip.frames]


def quadrants(height: int = 32, width: int = 64) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    image[: height // 2, width // 2 :] = (0, 255, 0)
    image[height // 2 :, width // 2 :] = (0, 0, 255)
    return image


def noisy(count: int, height: int, width: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


def mean_error(left: torch.Tensor | np.ndarray, right: torch.Tensor | np.ndarray) -> float:
    return float(np.abs(np.asarray(left, np.int32) - np.asarray(right, np.int32)).mean())


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
    path = write(tmp_path / "a.mp4", [levels(1, 16, 16)[0] + number % 200 for number in range(600)], rate=1, bf="0")
    decoded = []
    original = reading._decoded

    def counting(packet, strict):
        frames = original(packet, strict)
        decoded.extend(frame.pts for frame in frames)
        return frames

    monkeypatch.setattr(reading, "_decoded", counting)
    clip = Clip.read(path, frames=9, fps=1, aspect=SQUARE)
    assert len(clip.frames) == 9
    assert 9 <= len(decoded) <= 12


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


def test_4k_is_read_small(tmp_path):
    images = [
        np.roll(np.kron(quadrants(), np.ones((68, 60, 1), np.uint8)), 60 * number, 1)[:2160] for number in range(3)
    ]
    path = write(tmp_path / "a.mp4", images, preset="ultrafast")
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
    assert clip.notices == ()
    assert mean_error(clip.frames[0], shown) < 6


def test_pixels_that_are_not_square_are_squeezed(tmp_path):
    path = write(tmp_path / "a.mp4", levels(3, 64, 64), pixel_aspect=Fraction(2))
    clip = Clip.read(path, frames=3, fps=8, aspect=(1, 2))
    assert clip.frames.shape == (3, 32, 64, 3)
    assert clip.notices == ()


# Refusals


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "empty.mp4").touch()
    for path, told in [
        (tmp_path / "none.mp4", "does not exist"),
        (tmp_path, "is a folder"),
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
        {"frames": 1}, {"frames": 1026}, {"fps": 0.0}, {"fps": 241.0}, {"fps": float("nan")}, {"fps": float("inf")},
        {"aspect": (0, 64)}, {"aspect": (64, 16385)}, {"longest": 0}, {"longest": 16385}, {"fit": "stretch"},
    ]:  # fmt: skip
        with pytest.raises(SettingError, match=next(iter(wrong))):
            Clip.read(path, **{"frames": 3, "fps": 8, "aspect": SQUARE, **wrong})


def test_names_that_libav_would_take_for_something_else_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = Clip.of(torch.from_numpy(np.stack(levels(3))), 8)
    for name in ("concat:a|b.mp4", "http:a.mp4", "-.mp4", "ä %03d.mp4"):
        clip.save(name)
        assert numbers(Clip.read(name, frames=3, fps=8, aspect=SQUARE)) == [0, 1, 2]


# Clips in memory


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
    "frames", [torch.zeros(2, 8, 8, 3), torch.zeros(2, 3, 8, 8).byte(), torch.zeros(0, 8, 8, 3).byte()]
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


# Writing


def test_the_world_survives_a_file(tmp_path):
    """Stated beforehand: 3 levels of 255 and 32 dB on average. Halved colour planes are nearly all of the error."""
    errors, ratios = [], []
    for frames in scenes.render([scenes.sample(7, index) for index in range(8)]).frames:
        Clip.of(frames, 8).save(tmp_path / "a.mp4")
        clip = Clip.read(tmp_path / "a.mp4", frames=17, fps=8, aspect=SQUARE)
        assert clip.fps == 8
        assert clip.notices == ()
        errors.append(mean_error(clip.frames, frames))
        ratios.append(10 * np.log10(255**2 / float((clip.frames.double() - frames).square().mean())))
    assert np.mean(errors) < 3
    assert np.mean(ratios) > 32


def test_flat_colours_come_back_and_players_are_told_how_to_show_them(tmp_path):
    colours = [(225, 45, 45), (60, 190, 70), (60, 95, 235), (245, 220, 50), (0, 0, 0), (255, 255, 255)]
    frames = torch.tensor(colours, dtype=torch.uint8)[:, None, None].repeat(1, 32, 32, 1)
    Clip.of(frames, 8).save(tmp_path / "a.mp4")
    assert (Clip.read(tmp_path / "a.mp4", frames=6, fps=8, aspect=SQUARE).frames.int() - frames).abs().max() <= 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.average_rate, stream.frames) == ("h264", "yuv420p", 8, 6)
        tags = context.colorspace, context.color_range, context.color_primaries, context.color_trc
        assert tags == (1, 1, 1, 1)  # BT.709, limited range
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sizes_repeat_their_edge(tmp_path):
    frames = torch.from_numpy(np.stack(levels(3, 33, 47)))
    Clip.of(frames, 8).save(tmp_path / "a.mp4")
    clip = Clip.read(tmp_path / "a.mp4", frames=3, fps=8, aspect=(34, 48))
    assert clip.frames.shape == (3, 34, 48, 3)
    assert numbers(clip) == [0, 1, 2]
    assert float(clip.frames[:, -1].float().std(dim=1).max()) < 2


def test_the_same_clip_gives_the_same_bytes(tmp_path):
    clip = Clip.of(torch.from_numpy(np.stack(noisy(9, 64, 64))), 29.97)
    clip.save(tmp_path / "a.mp4")
    clip.save(tmp_path / "b.MP4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.MP4").read_bytes()


@pytest.mark.parametrize("fps", [0.1, 8.1702127, 29.97, 240])
def test_any_rate_is_kept(tmp_path, fps):
    Clip.of(torch.from_numpy(np.stack(levels(5))), fps).save(tmp_path / "a.mp4")
    clip = Clip.read(tmp_path / "a.mp4", frames=5, fps=fps, aspect=SQUARE)
    assert numbers(clip) == [0, 1, 2, 3, 4]
    assert clip.notices == ()


def test_outputs_that_cannot_be_are_refused_before_and_after(tmp_path):
    clip = Clip.of(torch.from_numpy(np.stack(levels(2))), 8)
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    (tmp_path / "locked.mp4").touch(mode=0o444)
    os.mkfifo(tmp_path / "pipe.mp4")
    before = sorted(tmp_path.rglob("*"))
    for path, told in [
        (tmp_path / "a.avi", r"must end in \.mp4"),
        (tmp_path, r"must end in \.mp4"),
        (tmp_path / "folder.mp4", "is a folder"),
        (tmp_path / "none" / "a.mp4", "there is no folder"),
        (tmp_path / "file" / "a.mp4", "there is no folder|Not a directory"),
        (locked / "a.mp4", "is read-only"),
        (tmp_path / "locked.mp4", "is read-only"),
        (tmp_path / "pipe.mp4", "is not a regular file"),
        (tmp_path / ("x" * 300 + ".mp4"), "name too long"),
        (tmp_path / "a\0.mp4", "null"),
    ]:
        with pytest.raises(OutputError, match=told):
            check_output(path)
        with pytest.raises(OutputError, match=told):
            clip.save(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_good_output_is_left_as_it_was(tmp_path):
    check_output(tmp_path / "a.mp4")
    check_output(tmp_path / "a.json", suffixes=(".json", ".html"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.mp4").write_text("old")
    check_output(tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_text() == "old"


def test_a_full_disk_is_said_beforehand(tmp_path, monkeypatch):
    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="the disk is full"):
        check_output(tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (av.error.ExternalError(-542398533, "Generic error in an external library"), OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (RuntimeError("a bug"), RuntimeError),
    ],
)
def test_a_write_that_fails_midway_leaves_the_old_file_alone(tmp_path, monkeypatch, error, raised):
    made = []

    def failing(image, format):
        made.append(image)
        if len(made) == 5:
            raise error
        return av.VideoFrame.from_ndarray(image, format=format)

    (tmp_path / "a.mp4").write_text("old")
    monkeypatch.setattr(writing, "VideoFrame", SimpleNamespace(from_ndarray=failing))
    with pytest.raises(raised):
        Clip.of(torch.from_numpy(np.stack(levels(9))), 8).save(tmp_path / "a.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "old"


def test_a_link_keeps_pointing_at_the_new_file(tmp_path):
    (tmp_path / "real.mp4").write_text("old")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "real.mp4")
    with replacing(tmp_path / "link.mp4") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.mp4").is_symlink()
    assert (tmp_path / "real.mp4").read_text() == "new"


# Streams


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

    def counted(moment_source):
        for moment in whole(moment_source):
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
