"""The sound of what is seen, in time with it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionlift.video.encoding import Beside, write_video
from motionlift.video.marks import CLIP
from motionlift.video.reading import moments_of
from motionlift.video.sound import RATE, Sound, has_sound


def a_film(
    path: Path,
    codec: str = "aac",
    rate: int = 44_100,
    layout: str = "mono",
    late: float = 0.0,
    seconds: float = 3.0,
    gop: int = 250,
) -> Path:
    """Three seconds of pictures, and a tone that rises every second: 440, 880, 1320 Hz; it begins ``late``."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.gop_size = gop
        sound = container.add_stream(codec, rate=rate, layout=layout)
        for number in range(30):
            image = np.full((48, 64, 3), 8 * number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        times = late + np.arange(round((seconds - late) * rate)) / rate
        tone = (0.5 * np.sin(2 * np.pi * np.cumsum(440 * (1 + np.floor(times))) / rate)).astype(np.float32)
        channels = len(av.AudioLayout(layout).channels)
        frame = av.AudioFrame.from_ndarray(np.stack([tone] * channels), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, round(late * rate), Fraction(1, rate)
        container.mux([*sound.encode(frame), *sound.encode(None)])
    return path


def heard(samples: np.ndarray, time: float) -> int:
    """The pitch at a time, Hz; 0 where it is still."""
    middle = round(time * RATE)
    piece = samples[middle - RATE // 40 : middle + RATE // 40]
    loud = float(np.abs(piece).max())
    return int(np.abs(np.fft.rfft(piece * np.hanning(len(piece)), RATE)).argmax()) if loud > 0.05 else 0


def samples_of(path: Path) -> np.ndarray:
    """The left channel of a file, from its time 0 on, as another reader gives it."""
    resampler, found = av.AudioResampler(format="fltp", layout="stereo", rate=RATE), []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            found += [own.to_ndarray()[0] for own in resampler.resample(frame)]
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "aac"), (".webm", "opus"), (".mov", "pcm_s16le")], ids=lambda each: each
)
def test_the_part_is_heard_in_time_in_every_form(tmp_path, suffix: str, codec: str):
    source, path = a_film(tmp_path / "s.mp4"), tmp_path / f"a{suffix}"
    frames = np.zeros((12, 48, 64, 3), np.uint8)
    assert write_video(path, frames, 8, CLIP, suffix, Beside(sound=Sound(source, 0.75, 1.5))) == []
    with av.open(str(path)) as container:
        context = container.streams.audio[0].codec_context
        assert (context.name, context.sample_rate, context.layout.name) == (codec, RATE, "stereo")
        assert len(list(container.decode(video=0))) == 12
    found = samples_of(path)
    assert len(found) / RATE == pytest.approx(1.5, abs=0.03)
    assert [heard(found, time) for time in (0.1, 0.22, 0.28, 0.7, 1.22, 1.28, 1.45)] == [
        *(440, 440, 880, 880, 880, 1320, 1320)
    ]
    assert CLIP.wrote(path)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mkv", {"codec": "flac", "layout": "stereo"}),
        ("a.mov", {"codec": "pcm_s16le", "rate": 8000}),
        ("a.avi", {"codec": "mp2", "rate": 48_000, "layout": "stereo"}),
        ("a.mkv", {"codec": "aac", "layout": "5.1"}),
    ],
)
def test_sound_of_any_kind_is_taken(tmp_path, name: str, how: dict):
    source = a_film(tmp_path / name, **how)
    assert has_sound(source)
    told: list[str] = []
    pieces = list(Sound(source, 0.5, 2.0).pieces(told.append))
    assert told == [] and all(piece.shape[0] == 2 for piece in pieces)
    found = np.concatenate(pieces, axis=1)[0]
    assert len(found) == 2 * RATE
    assert [heard(found, time) for time in (0.2, 0.4, 0.6, 1.4, 1.6, 1.9)] == [440, 440, 880, 880, 1320, 1320]


def two_tracks(path: Path, late: float) -> Path:
    """A film whose first video is a short one that is not read; the one that is read begins later."""
    source = a_film(path.with_name("one.mkv"))
    with av.open(str(source)) as film, av.open(str(path), "w") as container:
        small = container.add_stream("libx264", rate=10)
        small.width, small.height, small.pix_fmt = 32, 24, "yuv420p"
        streams = {stream: container.add_stream_from_template(stream) for stream in film.streams}
        dark = np.zeros((24, 32, 3), np.uint8)
        packets = [small.encode(av.VideoFrame.from_ndarray(dark, format="rgb24")) for _ in range(2)]
        container.mux([packet for each in [*packets, small.encode(None)] for packet in each])
        for packet in film.demux():
            if packet.size and packet.time_base:
                moved = round(late / packet.time_base) if packet.stream.type == "video" else 0
                packet.pts, packet.dts = (packet.pts or 0) + moved, (packet.dts or 0) + moved
                packet.stream = streams[packet.stream]
                container.mux(packet)
    return path


def test_sound_goes_by_the_video_that_is_read(tmp_path):
    """Not by another in the file, which begins at another time."""
    source = two_tracks(tmp_path / "two.mkv", late=0.75)
    (told,) = next(moments_of(source)).notices
    assert "track 1 (64x48) was read, and not track 0 (32x24)" in told
    found = np.concatenate(list(Sound(source, 0.5, 1.5).pieces(pytest.fail)), axis=1)[0]  # from 1.25 s on
    assert [heard(found, time) for time in (0.3, 0.7, 0.8, 1.4)] == [880, 880, 1320, 1320]


def test_sound_goes_by_the_first_frame_that_is_whole(tmp_path):
    """What was cut in the middle of a group begins with the next key frame."""
    source = a_film(tmp_path / "s.mkv", gop=10)
    with av.open(str(source)) as film, av.open(str(tmp_path / "cut.mkv"), "w") as container:
        streams = {stream: container.add_stream_from_template(stream) for stream in film.streams}
        for packet in film.demux():
            if packet.size and packet.time_base and float((packet.pts or 0) * packet.time_base) >= 0.45:
                packet.stream = streams[packet.stream]
                container.mux(packet)
    found = np.concatenate(list(Sound(tmp_path / "cut.mkv", 0, 1.5).pieces(pytest.fail)), axis=1)[0]  # from 1 s on
    assert [heard(found, time) for time in (0.1, 0.9, 1.1)] == [880, 880, 1320]


def test_where_there_is_none_it_is_still(tmp_path):
    """Before it begins, and after it ends; and where the file breaks off, which is said."""
    late = np.concatenate(list(Sound(a_film(tmp_path / "late.mkv", late=1.25), 0, 3).pieces(pytest.fail)), axis=1)[0]
    assert [heard(late, time) for time in (0.5, 1.15, 1.4, 2.5)] == [0, 0, 880, 1320]
    short = a_film(tmp_path / "short.mp4", seconds=1.5)
    found = np.concatenate(list(Sound(short, 1.0, 2.0).pieces(pytest.fail)), axis=1)[0]
    assert len(found) == 2 * RATE and [heard(found, time) for time in (0.3, 0.7, 1.5)] == [880, 0, 0]
    gone = list(Sound(tmp_path / "gone.mp4", 0, 0.5).pieces((told := []).append))
    assert sum(piece.shape[1] for piece in gone) == RATE // 2 and not np.any(np.concatenate(gone, axis=1))
    (line,) = told
    assert "gone.mp4 breaks off after 0.0 s" in line


def test_what_is_damaged_is_still_and_said_once(tmp_path):
    source = a_film(tmp_path / "s.mkv", "mp2", 48_000)
    with av.open(str(source)) as container:
        (sound,) = container.streams.audio
        packets = [
            (packet.pos, packet.size, float(packet.pts * packet.time_base))
            for packet in container.demux(sound)
            if packet.size
        ]
    data = bytearray(source.read_bytes())
    broken = [place for place in packets if 1.2 < place[2] < 1.5]
    for place, size, _ in broken:
        at = data.index(b"\xff\xfd", place)
        data[at : at + 4] = bytes(4)
        assert at < place + size
    source.write_bytes(data)
    told: list[str] = []
    found = np.concatenate(list(Sound(source, 0.5, 2.0).pieces(told.append)), axis=1)[0]
    assert told == [f"some of the sound of {source} is damaged"] and len(found) == 2 * RATE
    assert [heard(found, time) for time in (0.3, 0.85, 1.2, 1.8)] == [440, 0, 880, 1320]


def test_what_has_no_sound_is_told(tmp_path):
    write_video(tmp_path / "still.mp4", np.zeros((3, 32, 32, 3), np.uint8), 8, CLIP)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "folder").mkdir()
    for name in ("still.mp4", "text.mp4", "folder", "gone.mp4"):
        assert not has_sound(tmp_path / name)
