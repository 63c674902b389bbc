"""How long files play is counted in what is in them, whatever they say of it or leave out."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from PIL import Image

from motionlift.video.length import seconds_up_to


def frame(shade: int, at: int) -> av.VideoFrame:
    made = av.VideoFrame.from_ndarray(np.full((32, 32, 3), shade, np.uint8), format="rgb24")
    made.pts, made.time_base = at, Fraction(1, 10)
    return made


def written(place: Path, ticks: list[int], codec: str = "libx264", streams: int = 1) -> Path:
    """Frames at these tenths of a second, in the last of some streams; the others have the first two."""
    with av.open(str(place), "w") as container:
        made = [container.add_stream(codec, rate=10) for _ in range(streams)]
        for stream in made:
            assert isinstance(stream, VideoStream)
            stream.width = stream.height = 32
            stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 10)
        for number, stream in enumerate(made):
            for tick in ticks if number == streams - 1 else ticks[:2]:
                container.mux(stream.encode(frame(20 * (tick % 10), tick)))
            container.mux(stream.encode())
    return place


def animated(place: Path, milliseconds: list[int]) -> Path:
    rows = np.random.default_rng(1).integers(0, 255, (len(milliseconds), 16, 16, 3), dtype=np.uint8)
    first, *others = map(Image.fromarray, rows)
    first.save(place, save_all=True, append_images=others, duration=milliseconds)
    return place


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.h264"])
def test_videos_play_as_long_as_their_packets(tmp_path: Path, name: str):
    place = written(tmp_path / name, list(range(80)))
    assert seconds_up_to(place, 600) == pytest.approx(8, abs=0.11)
    assert 1 < seconds_up_to(place, 1) < 3, "it is looked at no further"


def test_no_clock_starts_anew(tmp_path: Path):
    """Segments that are joined byte by byte are one video."""
    place = written(tmp_path / "a.ts", list(range(30)))
    place.write_bytes(3 * place.read_bytes())
    assert seconds_up_to(place, 600) == pytest.approx(9, abs=0.5)


def test_the_longest_stream_counts_and_a_late_beginning_does_not(tmp_path: Path):
    assert seconds_up_to(written(tmp_path / "two.mkv", [0, 1, 2, 6000], streams=2), 100) > 100
    leaping = written(tmp_path / "leaping.ts", [0, 1, 2, 3, 4, 500])
    leaping.write_bytes(4 * leaping.read_bytes())
    assert seconds_up_to(leaping, 600) == pytest.approx(200, abs=1), "each leap counts, in whatever order frames come"
    assert seconds_up_to(written(tmp_path / "late.ts", [50_000, 50_001, 50_002]), 600) < 1


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_pictures_play_as_long_as_each_says(tmp_path: Path, name: str):
    assert seconds_up_to(animated(tmp_path / name, [500, 40, 30_000]), 600) == pytest.approx(30.54, abs=0.01)
    place = animated(tmp_path / name, [500, 500, 500, 500])
    place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])
    assert 0 < seconds_up_to(place, 600) <= 2, "of what is damaged, up to there"
