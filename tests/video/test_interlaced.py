"""Interlaced frames, each of which weaves two moments, are made whole."""

import av
import numpy as np
import pytest
from av.filter import Graph

from motionlift.video.clip import Clip
from motionlift.video.interlaced import DEINTERLACED, UNMARKED
from motionlift.video.reading import moments_of
from motionlift.video.woven import woven_order
from tests.video.made import beside_rest, mean_error, write


def woven(path, images, order: str):
    """A stream of MPEG-2 whose frames are marked as interlaced, with ``tff`` or ``bff`` the upper or lower field first."""
    graph = Graph()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ilme+ildct", "qmin": "1", "qmax": "1"})
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        size = f"video_size={stream.width}x{stream.height}"
        first = graph.add("buffer", f"{size}:pix_fmt=yuv420p:time_base=1/25:pixel_aspect=1/1")
        marked, last = graph.add("setfield", order), graph.add("buffersink")
        first.link_to(marked)
        marked.link_to(last)
        graph.configure()
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts = number
            graph.push(frame)
            pulled = graph.pull()
            assert isinstance(pulled, av.VideoFrame)
            container.mux(stream.encode(pulled))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_a_frame_shows_the_moment_of_its_first_field(tmp_path, order):
    """Each frame weaves two moments of a flat grey that grows lighter: the first field of one, the second of the next."""
    odd = np.arange(64).reshape(-1, 1, 1) % 2
    later = odd if order == "tff" else 1 - odd
    images = [np.broadcast_to(60 + 20 * number + 10 * later, (64, 64, 3)).astype(np.uint8) for number in range(8)]
    clip = Clip.read(woven(tmp_path / "a.ts", images, order), frames=8, fps=25, aspect=(64, 64))
    for number, frame in enumerate(clip.frames[1:-1], 1):  # the ends have neighbours on one side alone
        assert mean_error(frame, np.full((64, 64, 3), 60 + 20 * number)) < 3
    assert beside_rest(clip) == (DEINTERLACED,)


def test_the_comb_of_moving_edges_is_gone_and_all_frames_keep_their_times(tmp_path):
    """A bar moves four columns a field; rows of a woven frame differ at its edges, those of a whole one do not."""
    bars = []
    for field in range(24):
        image = np.full((64, 96, 3), 40, np.uint8)
        image[:, 4 * field : 4 * field + 16] = 220
        bars.append(image)
    odd = np.arange(64).reshape(-1, 1, 1) % 2
    images = [np.where(odd, bars[2 * number + 1], bars[2 * number]).astype(np.uint8) for number in range(12)]
    path = woven(tmp_path / "a.ts", images, "tff")
    clip = Clip.read(path, frames=12, fps=25, aspect=(64, 96))
    for number, frame in enumerate(clip.frames[1:-1].numpy().astype(int), 1):
        comb = np.abs(frame[1:-1] - (frame[:-2] + frame[2:]) / 2).mean()
        assert comb < 0.2 * np.abs(images[number][1:-1].astype(int) - images[number][2:].astype(int)).mean()
        assert mean_error(frame, bars[2 * number]) < 4
    assert [round(moment.time, 2) for moment in moments_of(path)] == [number / 25 for number in range(12)]


def test_progressive_frames_pass_untouched(tmp_path):
    images = [np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8) for number in range(4)]
    path = write(tmp_path / "a.mkv", images, codec="ffv1", pixels="yuv444p", rate=25)
    assert all(not moment.frame.interlaced_frame and not moment.notices for moment in moments_of(path))


def fields(order: str, count: int = 12) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A grey ground and a thing before it, of blocks, which move four and six columns a field: whole, and woven two by two."""
    generator = np.random.default_rng(0)
    ground = generator.integers(30, 220, (12, 60, 1), np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    near = generator.integers(0, 256, (4, 5, 1), np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    whole = []
    for number in range(2 * count):
        image = ground[:, 4 * number : 4 * number + 160].copy()
        image[32:64, (left := 6 * number % 120) : left + 40] = near
        whole.append(image)
    odd = np.arange(96).reshape(-1, 1, 1) % 2 == (order == "tff")
    return whole, [np.where(odd, later, first) for first, later in zip(whole[::2], whole[1::2], strict=True)]


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("codec", [{"crf": "18"}, {"crf": "26"}, {"codec": "mpeg4", "qmin": "3", "qmax": "3"}])
@pytest.mark.parametrize("rest", [0, 40])
def test_woven_frames_that_are_not_marked_are_found(tmp_path, order, codec, rest):
    whole, woven_frames = fields(order)
    frames = [woven_frames[0]] * rest + woven_frames
    path = write(tmp_path / "a.mkv", frames, rate=25, **codec)
    moments = list(moments_of(path))
    assert len(moments) == len(frames)
    field = "upper" if order == "tff" else "lower"
    assert moments[0].notices == (UNMARKED.format(field),)
    assert [round(moment.time, 2) for moment in moments] == [number / 25 for number in range(len(frames))]
    for number in range(2, 11):
        found = moments[rest + number].frame.to_ndarray(format="rgb24")
        missed = mean_error(woven_frames[number], whole[2 * number])
        assert mean_error(found, whole[2 * number]) < 0.6 * missed


def moving(right: int, down: int, count: int = 12) -> list[np.ndarray]:
    """A square and a ground of noise that moves under it."""
    ground = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    frames = []
    for number in range(count):
        image = np.roll(ground, (down * number, right * number), (0, 1))[:64, :96].copy()
        image[10 + down * number // 2 :, 10 + right * number :][:14, :20] = 230
        frames.append(image)
    return frames


def stripes(thick: int, down: int) -> np.ndarray:
    """Light and dark in turn."""
    rows = (np.arange(64) - down) // thick % 2 * 200
    return np.broadcast_to(rows[:, None, None], (64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "frames",
    [
        *(moving(right, down) for right, down in [(3, 0), (0, 1), (0, 2), (0, 4), (2, 2)]),
        [stripes(1, number) for number in range(12)],
        [stripes(8, 2 * number) for number in range(12)],
    ],
)
def test_whole_frames_are_never_taken_for_woven(tmp_path, frames):
    """Noise, and edges, thin lines and stripes that go down by whole rows."""
    path = write(tmp_path / "a.mkv", frames, codec="ffv1", pixels="yuv444p", rate=25)
    assert woven_order(path) == ""
    assert all(not moment.notices for moment in moments_of(path))


def test_film_that_is_brought_to_another_rate_keeps_its_whole_frames(tmp_path):
    """Two frames of five are woven, the other three whole."""
    whole, woven_frames = fields("tff", 15)
    frames = [woven_frames[number] if number % 5 in (2, 3) else whole[2 * number] for number in range(15)]
    assert woven_order(write(tmp_path / "a.mkv", frames, rate=25)) == ""


def test_a_file_that_is_written_anew_is_looked_at_anew(tmp_path):
    whole, woven_frames = fields("tff")
    path = write(tmp_path / "a.mkv", woven_frames, rate=25)
    assert woven_order(path) == "tff"
    write(path, whole[:12], rate=25)
    assert woven_order(path) == ""
