"""Interlaced frames, each of which weaves two moments, are made whole."""

import av
import numpy as np
import pytest
from av.filter import Graph

from motionlift.video.clip import Clip
from motionlift.video.interlaced import DEINTERLACED
from motionlift.video.reading import moments_of
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
