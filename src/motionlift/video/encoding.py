"""Frames to files of every form that is written, each chosen by the suffix of its name; a name without one is a folder of PNG."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream
from jaxtyping import UInt8
from PIL import Image

from motionlift.errors import OutputError
from motionlift.video.marks import DIGITS, FOLDER, Kind, exif_of, seal
from motionlift.video.sound import RATE, Sound, opened

Frames = UInt8[np.ndarray, "frames height width 3"]
Kept = UInt8[np.ndarray, "kept height width 3"]

CRF = "10"
"""x264's quality of written videos, visually lossless (ours: 64x64 videos of saturated shapes show any loss)."""
X264 = "mbtree=0:rc-lookahead=0"
"""Without looking ahead: with it, x264 gave different bytes for the same small frames from run to run (ours)."""
VP9 = {"crf": "15", "b": "0", "deadline": "good", "cpu-used": "2"}
"""libvpx's quality of written WebM, about as good as the MP4 (ours: constant quality, 0 to 63)."""
SMALL_CRF = "27"
"""x264's quality of videos that are only looked at (ours: blocks are hardly seen)."""
PRORES = {"profile": "hq", "vendor": "apl0"}
"""ProRes 422 HQ, under the name by which Apple's programs take it for their own."""
SOUND_BITS = 192_000
"""Bits a second of sound that is compressed (ours: transparent for stereo in AAC and Opus)."""
ENCODER_THREADS = 1
"""Threads of the encoder (ours): x264's output depends on their number, and the same clip is to give the same bytes."""
WEBP_QUALITY = 90
"""libwebp's quality of moving pictures, 0 to 100 (ours)."""
WEBP_SIDE = 16383
"""Longest side of a WebP, pixels (its specification)."""
MOST_COMMENT = 60_000
"""Longest description inside a video, bytes (ours: QuickTime's have a length of 16 bits)."""


@dataclass(frozen=True)
class Beside:
    """What a file holds beside its frames."""

    told: Mapping[str, Any] | None = None
    """How it came about, ready for JSON; videos hold it as their comment."""
    sound: Sound | None = None
    """What is heard, where the form has sound."""


@dataclass(frozen=True)
class Form:
    """One form of files that hold moving pictures."""

    title: str
    """What messages call it."""
    write: Callable[[Path, Frames, float, Kind, Beside], Sequence[str]]
    """Writes frames at a rate, and what goes with them; gives what a person should know of it."""
    has_sound: bool = False
    """Whether it has room for sound."""


@dataclass(frozen=True)
class Codec:
    """How libav writes one form."""

    container: str
    """The muxer."""
    video: str
    """The encoder of frames."""
    pixels: str
    """The pixel format."""
    sound: str
    """The encoder of sound."""
    settings: Mapping[str, str]
    """Options of the encoder of frames."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the muxer."""


def write_video(
    path: Path, frames: Frames, fps: float, kind: Kind, suffix: str = ".mp4", beside: Beside | None = None
) -> list[str]:
    """Write frames with the mark of their kind to a temporary path, in the form of a suffix.

    Args:
        path: where; its own name says nothing.
        frames: RGB.
        fps: frames a second.
        kind: what the file says it is.
        suffix: one of :data:`FORMS`, in any letters.
        beside: what it holds beside the frames.

    Returns:
        What a person should know of it.

    Raises:
        OutputError: the form has no pictures of this size.
        OSError: or an error of PyAV: it cannot be written.
    """
    suffix = suffix.lower()
    notices = list(FORMS[suffix].write(path, frames, fps, kind, beside or Beside()))
    if suffix != FOLDER:
        seal(path, kind, suffix)
    return notices


def write_small(path: Path, frames: Frames, fps: float) -> None:
    """Write an MP4 of few bytes to be looked at, which carries no mark.

    Raises:
        OSError: or an error of PyAV: it cannot be written.
    """
    settings = {"crf": SMALL_CRF, "preset": "veryfast"}
    codec = Codec("mp4", "libx264", "yuv420p", "aac", settings, {"movflags": "+faststart"})
    _encode(path, frames, fps, codec, Beside())


def form_of(path: str | Path) -> Form:
    """The form that the suffix of a name asks for.

    Raises:
        OutputError: there is none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMS:
        raise OutputError(f"cannot write {str(path)!r}: the name must end in {' or '.join(filter(None, FORMS))}")
    return FORMS[suffix]


def comment_of(path: Path) -> str | None:
    """The comment of a video, such as :func:`write_video` writes; None where there is none, or it is longer than that writes.

    Whatever is in it is somebody's word.
    """
    try:
        with opened(path) as container:
            told = {name.lower(): value for name, value in container.metadata.items()}.get("comment")
    except (FFmpegError, OSError, ValueError):
        return None
    return told if told and len(told.encode(errors="replace")) <= MOST_COMMENT else None


# Videos


def _writing(codec: Codec) -> Callable[[Path, Frames, float, Kind, Beside], list[str]]:
    """What writes videos by a codec."""

    def write(path: Path, frames: Frames, fps: float, kind: Kind, beside: Beside) -> list[str]:
        return _encode(path, frames, fps, codec, beside)

    return write


def _encode(path: Path, frames: Frames, fps: float, codec: Codec, beside: Beside) -> list[str]:
    """Write frames in BT.709 and limited range, and tagged so, with sound where there is some."""
    frames = np.pad(frames, [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)], mode="edge")
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", format=codec.container, options=dict(codec.options)) as container:
        told = json.dumps(beside.told) if beside.told is not None else ""
        if told and len(told.encode()) <= MOST_COMMENT:
            container.metadata["comment"] = told
        stream = container.add_stream(codec.video, rate=rate, options=dict(codec.settings))
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = codec.pixels
        stream.codec_context.thread_count = ENCODER_THREADS
        stream.codec_context.colorspace = 1  # BT.709 in AVColorSpace, whose numbers are not those of Colorspace
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.color_trc = ColorTrc.BT709
        stream.codec_context.color_primaries = ColorPrimaries.BT709
        track = _Track(container, codec, beside.sound) if beside.sound is not None else None
        for number, image in enumerate(frames):
            frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format=codec.pixels,
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.AREA,
            )
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
            if track is not None:
                track.write(float((number + 1) / rate))
        container.mux(stream.encode(None))
        if track is None:
            return []
        track.end()
        return track.notices


class _Track:
    """The sound of a video that is being written, piece by piece beside its frames."""

    def __init__(self, container: OutputContainer, codec: Codec, sound: Sound):
        self.notices: list[str] = []
        """What a person should know, once all is written."""
        self._container, self._pieces, self._written = container, sound.pieces(self.notices.append), 0
        stream = container.add_stream(codec.sound, rate=RATE, layout="stereo")
        assert isinstance(stream, AudioStream)
        self._stream = stream
        if codec.sound != "pcm_s16le":
            self._stream.bit_rate = SOUND_BITS

    def write(self, until: float) -> None:
        """Write what is heard up to a time, in seconds."""
        while self._written < until * RATE:
            piece = next(self._pieces, None)
            if piece is None:
                return
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._written, Fraction(1, RATE)
            self._written += piece.shape[1]
            self._container.mux(self._stream.encode(frame))

    def end(self) -> None:
        """Write the rest."""
        self.write(math.inf)
        self._container.mux(self._stream.encode(None))


# Pictures that move


def _write_gif(path: Path, frames: Frames, fps: float, kind: Kind, beside: Beside) -> list[str]:
    """Write a GIF of 256 colours that are chosen for all frames together, and that plays for ever."""
    frames, times, notices = _calm(frames, fps, 100, 2)
    palette = _palette(frames)
    with av.open(str(path), "w", format="gif", options={"loop": "0"}) as container:
        stream = container.add_stream("gif", rate=100)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "pal8"
        stream.codec_context.time_base = Fraction(1, 100)
        for frame, time, shown in zip(_painted(frames, palette), times, np.diff(times), strict=False):
            frame.pts, frame.time_base, frame.duration = int(time), Fraction(1, 100), int(shown)
            for packet in stream.encode(frame):
                packet.duration = int(shown)
                container.mux(packet)
        container.mux(stream.encode(None))
    return notices


def _palette(frames: Frames) -> VideoFrame:
    """256 colours that serve all frames."""
    graph = Graph()
    height, width = frames.shape[1:3]
    source = graph.add_buffer(width=width, height=height, format=VideoFormat("rgb24"), time_base=Fraction(1, 100))
    graph.link_nodes(source, graph.add("palettegen", "reserve_transparent=0"), graph.add("buffersink")).configure()
    for number, image in enumerate(frames):
        source.push(_rgb(image, number))
    source.push(None)
    found = graph.vpull()
    assert isinstance(found, VideoFrame)
    return found


def _painted(frames: Frames, palette: VideoFrame) -> Iterator[VideoFrame]:
    """Frames in the colours of a palette."""
    graph = Graph()
    height, width = frames.shape[1:3]
    base = Fraction(1, 100)
    source = graph.add_buffer(width=width, height=height, format=VideoFormat("rgb24"), time_base=base)
    colours = graph.add_buffer(width=palette.width, height=palette.height, format=palette.format, time_base=base)
    paint, sink = graph.add("paletteuse", "diff_mode=rectangle"), graph.add("buffersink")
    source.link_to(paint, 0, 0)
    colours.link_to(paint, 0, 1)
    paint.link_to(sink)
    graph.configure()
    palette.pts, palette.time_base = 0, base
    colours.push(palette)
    colours.push(None)
    for number, image in enumerate(frames):
        source.push(_rgb(image, number))
        yield graph.vpull()  # pyright: ignore[reportReturnType]


def _rgb(image: UInt8[np.ndarray, "height width 3"], number: int) -> VideoFrame:
    frame = VideoFrame.from_ndarray(image, format="rgb24")
    frame.pts, frame.time_base = number, Fraction(1, 100)
    return frame


def _write_webp(path: Path, frames: Frames, fps: float, kind: Kind, beside: Beside) -> list[str]:
    """Write an animated WebP that plays for ever."""
    if max(frames.shape[1:3]) > WEBP_SIDE:
        raise OutputError(f"a WebP has at most {WEBP_SIDE} pixels a side; write another form")
    frames, times, notices = _calm(frames, fps, 1000, 11)
    pictures = [Image.fromarray(image) for image in frames]
    pictures[0].save(
        path,
        format="WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=np.diff(times).tolist(),
        loop=0,
        quality=WEBP_QUALITY,
        method=4,
    )
    return notices


def _calm(frames: Frames, fps: float, ticks: int, least: int) -> tuple[Kept, np.ndarray, list[str]]:
    """Frames as pictures that each say in whole ticks how long they are shown.

    Players show slowly what is to last ``least`` ticks or less, so that of quicker frames some are left out.

    Args:
        frames: all of them.
        fps: frames a second.
        ticks: in a second.
        least: fewest ticks of a frame that is shown as it says.

    Returns:
        The frames that stay, when each begins and the last ends, in ticks, and what is to be said.
    """
    every = math.ceil(least * fps / ticks - 1e-6)
    kept = frames[::every]
    ends = [min(number * every, len(frames)) for number in range(len(kept) + 1)]
    notices = [f"it shows every {every} frames once: it has no {fps:.4g} frames a second"] if every > 1 else []
    return kept, np.array([round(ticks * end / fps) for end in ends]), notices


def _write_folder(path: Path, frames: Frames, fps: float, kind: Kind, beside: Beside) -> list[str]:
    """Write a folder of PNG, ``00000.png`` and so on."""
    path.mkdir()
    for number, image in enumerate(frames):
        Image.fromarray(image).save(path / f"{number:0{DIGITS}d}.png", format="PNG", exif=exif_of(kind))
    return []


FORMS: Mapping[str, Form] = {
    ".mp4": Form(
        "an MP4",
        _writing(
            Codec(
                *("mp4", "libx264", "yuv420p", "aac"),
                {"crf": CRF, "preset": "medium", "x264-params": X264},
                {"movflags": "+faststart"},
            )
        ),
        has_sound=True,
    ),
    ".webm": Form(
        "a WebM",
        # Without bitexact it is given a number at random.
        _writing(Codec("webm", "libvpx-vp9", "yuv420p", "libopus", VP9, {"fflags": "+bitexact"})),
        has_sound=True,
    ),
    ".mov": Form(
        "a MOV",
        _writing(Codec("mov", "prores_ks", "yuv422p10le", "pcm_s16le", PRORES, {"movflags": "+faststart"})),
        has_sound=True,
    ),
    ".gif": Form("a GIF", _write_gif),
    ".webp": Form("a WebP", _write_webp),
    FOLDER: Form("a folder of PNG", _write_folder),
}
"""Every form, by its suffix."""
