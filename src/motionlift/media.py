"""Videos in and out: read a few frames of any file, resize them, write an MP4.

Everything a file says about itself (sizes, times, counts) is bounded before it is used. Files are opened by PyAV, whose
own log is silent unless a program turns it on.
"""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8
from torch import Tensor

from motionlift.core import Pixels
from motionlift.errors import DivergenceError, InputError, OutputError, SettingError

Image = UInt8[np.ndarray, "height width 3"]
"""One frame, RGB."""

FRAMES = (2, 1025)
"""Fewest and most frames read from a file (ours: above what any supported model makes)."""
MOST_STREAMED = 3000
"""Most frames of a video that is gone through frame by frame (ours: 2500 tracks through them take some hundred megabytes)."""
LONGEST = 512
"""Longest side, in pixels, that streamed frames are scaled down to by default (ours: that of :meth:`Clip.read`)."""
RATES = (0.1, 240.0)
"""Lowest and highest frames a second (ours)."""
SIDES = (8, 16384)
"""Shortest and longest side of a video that is read, in pixels (ours)."""
MOST_BYTES = 4 << 30
"""Most memory for the frames of one clip (ours)."""
SLACK = 0.05
"""How much later than wanted a frame may start and still be taken, as a share of the time between wanted frames. It
absorbs the rounding of timestamps (Matroska keeps milliseconds) and rates such as 29.97 for 30 (ours)."""
SQUARE = 0.01
"""How far from square a file's pixels may be and count as square (ours: files exist that say 4319:4320)."""
CRF = "10"
"""x264's quality of written videos, visually lossless (ours: 64x64 videos of saturated shapes show any loss)."""
X264 = "mbtree=0:rc-lookahead=0"
"""Without looking ahead: with it, x264 gave different bytes for the same small frames from run to run (ours)."""
ENCODER_THREADS = 1
"""Threads of the encoder (ours): x264's output depends on their number, and the same clip is to give the same bytes."""
CLOCKLESS = ("avi", "h264", "hevc", "m4v", "mpegvideo")
"""Formats that keep a rate but no presentation times; what libavformat makes up for them is wrong for reordered frames,
so their frames are counted."""
SMOOTH_CHROMA = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""How the halved colour planes of most videos are brought to full size (ours: on 64x64 videos of saturated shapes a
fifth less error than the default)."""
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,mxf,dv,nut,"
    "yuv4mpegpipe,wav,mp3,flac,aac,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
"""Demuxers of libavformat that may open a file: videos; also sound and images, to say that that is what they are.
Playlists, which open other files and addresses, and plain text, which libavformat plays as a terminal, stay out."""


@dataclass(frozen=True)
class Clip:
    """A short video in memory."""

    frames: UInt8[Tensor, "frames height width 3"]
    """RGB frames on the CPU."""
    fps: float
    """Frames a second at which these frames play at natural speed."""
    sha256: str
    """Hash of the source file's bytes, or of frames and rate when they came from memory."""
    notices: tuple[str, ...] = ()
    """What was done to make the source fit, each a plain sentence."""

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        frames: int,
        fps: float | int,
        aspect: tuple[int, int],
        longest: int = 512,
        fit: str = "crop",
    ) -> "Clip":
        """Read the first ``frames`` frames of a video file, ``fps`` of them a second, by presentation time.

        A frame is taken when it is on screen at the wanted time, so a variable frame rate is followed. A video that
        ends before the last wanted time gives ``frames`` frames spread evenly from its first to its last, and ``fps``
        of the clip is then their true rate (at most 240). The display matrix and pixels that are not square are
        applied. Frames are scaled one by one as they are decoded, never enlarged, and decoding stops after the last.

        Args:
            path: a video file.
            frames: number of frames, 2 to 1025.
            fps: frames a second, 0.1 to 240.
            aspect: height and width of the model's frame, whose shape the frames get.
            longest: longest side of the frames, in pixels.
            fit: ``"crop"`` the middle, or ``"pad"`` with black.

        Raises:
            SettingError: a number out of range.
            InputError: no such file, not a video, fewer than two frames, a size out of range, or a file that breaks off
                before the last wanted frame.
        """
        _check_reading(frames, fps, aspect, longest, fit)
        source = _existing(path)
        fitting = _Fitting(aspect, longest, fit, frames)
        picked = _pick(source, np.arange(frames) / fps, 1 / fps, fitting)
        rate, notices = float(fps), [fitting.notice] if fitting.notice else []
        if not picked.complete:
            rate = (frames - 1) / picked.last
            notices.append(
                f"the video shows {picked.end:.2f} s, too short for {frames} frames at {fps:g} a second: "
                f"{frames} frames were spread evenly over it, {rate:.3g} a second"
            )
            picked = _pick(source, np.linspace(0, picked.last, frames), 1 / rate, fitting)
        if picked.distinct < 2:
            raise InputError(
                f"{path}: the first {(frames - 1) / fps:.2f} s show one frame only; a motion needs at least two; "
                "ask for more frames, or for fewer a second"
            )
        if picked.distinct < frames:
            notices.append(f"there were {picked.distinct} different frames for {frames}: some are repeated")
        kept = torch.from_numpy(picked.images)
        return cls(kept, min(rate, RATES[1]), _hash_file(source), tuple(notices))

    @classmethod
    def of(cls, frames: Tensor, fps: float | int) -> "Clip":
        """A clip of frames in memory, ``(frames, height, width, 3)`` RGB of type uint8.

        Raises:
            InputError: another shape or type, or none or too many frames.
            SettingError: ``fps`` out of range.
        """
        _check_rate(fps)
        if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise InputError(
                f"frames are {tuple(frames.shape)} of {frames.dtype}; give (frames, height, width, 3) of torch.uint8"
            )
        if not (1 <= len(frames) <= FRAMES[1] and all(1 <= side <= SIDES[1] for side in frames.shape[1:3])):
            raise InputError(
                f"frames are {tuple(frames.shape)}; give 1 to {FRAMES[1]} frames of 1 to {SIDES[1]} pixels a side"
            )
        frames = frames.detach().cpu().contiguous()
        digest = hashlib.sha256(f"{tuple(frames.shape)} {float(fps)!r}".encode())
        digest.update(frames.numpy().data)
        return cls(frames, float(fps), digest.hexdigest())

    @classmethod
    def from_pixels(cls, pixels: Pixels, fps: float | int) -> "Clip":
        """A clip of pixels in -1..1; values beyond are clamped.

        Raises:
            DivergenceError: a value that is not finite.
            SettingError: ``fps`` out of range.
        """
        pixels = pixels.detach().to("cpu", torch.float32)
        if not torch.isfinite(pixels).all():
            raise DivergenceError("the video holds values that are not finite; try another seed or a lower lr")
        return cls.of(((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1), fps)

    def __iter__(self) -> Iterator[Image]:
        """The frames one by one, so that a clip serves wherever a stream of frames does."""
        yield from self.frames.numpy()

    def pixels(self) -> Float[Tensor, "frames 3 height width"]:
        """Frames as float32 in -1..1; :meth:`from_pixels` gives back the same frames."""
        return self.frames.permute(0, 3, 1, 2).to(torch.float32).contiguous() / 127.5 - 1

    def fitted(self, frames: int, aspect: tuple[int, int]) -> "Clip":
        """The clip with so many frames and the shape of ``aspect`` (height, width): the middle of each frame.

        The first frames are kept; too few are spread evenly, some of them repeated.
        """
        height, width = self.frames.shape[1:3]
        kept_height = min(height, max(1, round(width * aspect[0] / aspect[1])))
        kept_width = min(width, max(1, round(height * aspect[1] / aspect[0])))
        top, left = (height - kept_height) // 2, (width - kept_width) // 2
        index = torch.arange(frames)
        if len(self.frames) < frames:
            index = torch.linspace(0, len(self.frames) - 1, frames).round().long()
        return replace(self, frames=self.frames[index, top : top + kept_height, left : left + kept_width])

    def resized(self, height: int, width: int) -> "Clip":
        """The clip at another size in pixels: area averages when shrinking, cubic when growing.

        Raises:
            SettingError: a side out of 1..16384, or a clip too large for memory.
        """
        _check_side("height", height)
        _check_side("width", width)
        if (height, width) == tuple(self.frames.shape[1:3]):
            return self
        _check_bytes(len(self.frames), height, width)
        shrinks = height * width < self.frames.shape[1] * self.frames.shape[2]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        frames = np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in self.frames.numpy()])
        return replace(self, frames=torch.from_numpy(frames))

    def save(self, path: str | Path) -> None:
        """Write an H.264 MP4 that plays everywhere: yuv420p, BT.709, index in front.

        The same clip gives the same bytes; the file appears whole or not at all. yuv420p needs even sides: an odd one
        gets its last row or column twice.

        Raises:
            OutputError: another suffix than ``.mp4``, a folder, no parent folder, not writable, or a full disk.
        """
        with replacing(path) as temporary:
            _encode(temporary, self.frames.numpy(), self.fps)


@dataclass(frozen=True)
class Footage:
    """A whole video as a stream: its frames are decoded anew each time it is gone through, one at a time."""

    source: Path | Clip
    """A file, or a clip in memory."""
    frames: int
    """Number of frames."""
    fps: float
    """Frames a second, from the first frame to the last."""
    height: int
    """Rows of the streamed frames."""
    width: int
    """Columns of the streamed frames."""

    @classmethod
    def of(cls, source: str | Path | Clip, longest: int = LONGEST) -> "Footage":
        """Go through a video once to learn its length, rate and size; larger frames are scaled down to ``longest``.

        Raises:
            InputError: no such file, not a video, damaged, one frame only, or more than 3000 frames.
            SettingError: ``longest`` out of range.
        """
        _check_side("longest", longest)
        if isinstance(source, Clip):
            count, fps, (height, width) = len(source.frames), source.fps, source.frames.shape[1:3]
        else:
            count, fps, (height, width) = _measured(_existing(source))
            source = Path(source)
        if count < FRAMES[0]:
            name = "the clip" if isinstance(source, Clip) else source
            raise InputError(f"{name} holds one frame; a motion needs at least two frames: give a video")
        scale = min(1.0, longest / max(height, width))
        return cls(source, count, fps, max(1, round(height * scale)), max(1, round(width * scale)))

    @property
    def seconds(self) -> float:
        """How long it plays, the last frame as long as the others."""
        return self.frames / self.fps

    def sized(self, height: int, width: int) -> "Footage":
        """The same video at another size: the middle of its frames where the shape differs."""
        return replace(self, height=height, width=width)

    def __iter__(self) -> Iterator[Image]:
        """Decode it from its first frame on."""
        with closing(frames_of(self.source, self.height, self.width)) as images:
            yield from images


def frames_of(source: str | Path | Clip, height: int, width: int) -> Generator[Image, None, None]:
    """Yield all frames of a video one by one, upright, at one size.

    Of frames of another shape the middle is taken. Area averages when shrinking, cubic when growing.

    Raises:
        InputError: the file cannot be read, or breaks off.
        SettingError: a side out of range.
    """
    _check_side("height", height)
    _check_side("width", width)
    if isinstance(source, Clip):
        for image in source:
            yield _resized(_middle(image, height, width), height, width)
        return
    fitting = _Fitting((height, width), max(height, width), "crop", 1)
    with closing(_moments(_existing(source))) as moments:
        for number, moment in enumerate(moments):
            if not number:
                fitting.room(moment)
            yield _resized(fitting.image(moment), height, width)


def side_by_side(clips: Sequence[Clip], height: int = 256) -> Clip:
    """Clips beside each other at one height, a white gap of 1/32 of it between them, at the rate of the first.

    Frames go together by number; shorter clips hold their last frame. Where the height is a whole multiple of a clip's,
    its pixels are repeated, so that small videos stay sharp.

    Raises:
        InputError: no clips.
        SettingError: a height out of 1..16384.
    """
    if not clips:
        raise InputError("no clips came to put side by side; give at least one")
    _check_side("height", height)
    longest = max(len(clip.frames) for clip in clips)
    gap = torch.full((longest, height, max(1, height // 32), 3), 255, dtype=torch.uint8)
    parts: list[Tensor] = []
    for clip in clips:
        frames = _at_height(clip, height)
        held = frames[-1:].expand(longest - len(frames), -1, -1, -1)
        parts += [gap, torch.cat([frames, held])]
    return Clip.of(torch.cat(parts[1:], dim=2), clips[0].fps)


def check_output(path: str | Path, suffixes: Sequence[str] = (".mp4",)) -> None:
    """Make sure, before long work, that a file can be written at ``path``, by writing a small one beside it.

    Raises:
        OutputError: another suffix, a folder, no parent folder, not writable, or a full disk.
    """
    target = _writable(path, suffixes)
    temporary = _beside(target)
    try:
        temporary.write_bytes(bytes(1 << 16))
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    finally:
        _discard(temporary)


@contextmanager
def replacing(path: str | Path, suffixes: Sequence[str] = (".mp4",)) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there takes its place once the block ends well.

    Whatever goes wrong inside, Ctrl-C included, leaves neither the temporary file nor a change at ``path``.

    Raises:
        OutputError: as :func:`check_output`.
    """
    target = _writable(path, suffixes)
    temporary = _beside(target)
    try:
        yield temporary
        os.replace(temporary, target)
    except (OSError, FFmpegError) as error:
        raise _unwritable(path, error) from error
    finally:
        _discard(temporary)


# Checks


def _check_reading(frames: int, fps: float | int, aspect: tuple[int, int], longest: int, fit: str) -> None:
    if not _is_whole(frames) or not FRAMES[0] <= frames <= FRAMES[1]:
        raise SettingError(f"frames is {frames!r}; give a whole number from {FRAMES[0]} to {FRAMES[1]}")
    _check_rate(fps)
    if len(aspect) != 2:
        raise SettingError(f"aspect is {aspect!r}; give height and width")
    _check_side("height of the aspect", aspect[0])
    _check_side("width of the aspect", aspect[1])
    _check_side("longest", longest)
    if fit not in ("crop", "pad"):
        raise SettingError(f"fit is {fit!r}; give 'crop' or 'pad'")


def _check_rate(fps: float | int) -> None:
    number = isinstance(fps, int | float) and not isinstance(fps, bool)
    if not number or not RATES[0] <= fps <= RATES[1]:
        raise SettingError(f"fps is {fps!r}; give a number from {RATES[0]:g} to {RATES[1]:g}")


def _check_side(name: str, side: int) -> None:
    if not _is_whole(side) or not 1 <= side <= SIDES[1]:
        raise SettingError(f"{name} is {side!r}; give a whole number of pixels from 1 to {SIDES[1]}")


def _check_bytes(frames: int, height: int, width: int) -> None:
    if frames * height * width * 3 > MOST_BYTES:
        raise SettingError(
            f"{frames} frames of {width}x{height} take more than {MOST_BYTES >> 30} GiB; ask for fewer or smaller ones"
        )


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


# Decoding


def _existing(path: str | Path) -> Path:
    """The file at ``path``, absolute: libav takes a relative name with a colon for an address."""
    source = Path(path)
    try:
        if source.is_dir():
            raise InputError(f"{path} is a folder; give a video file")
        if not source.exists():
            raise InputError(f"{path} does not exist; give a video file")
        if not source.is_file():
            raise InputError(f"{path} is not a regular file; give a video file")
        if source.stat().st_size == 0:
            raise InputError(f"{path} is empty; give a video file")
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read ({error}); give a video file") from error
    return source.absolute()


def _hash_file(source: Path) -> str:
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Moment:
    """A decoded frame and when it is shown."""

    frame: VideoFrame
    time: float
    """Seconds since the first frame."""
    end: float
    """Seconds since the first frame, when this frame would leave the screen."""
    pixel_aspect: float
    """Width of a pixel over its height."""


def _open(source: Path) -> InputContainer:
    try:
        # Titles and the like in a broken encoding are no reason to refuse a video.
        return av.open(str(source), "r", options={"format_whitelist": FORMATS}, metadata_errors="replace")
    except PermissionError as error:
        raise InputError(f"{source} cannot be read: permission denied; give a file you may read") from error
    except (FFmpegError, ValueError) as error:
        raise InputError(
            f"{source} is no video that can be read: not a video file, damaged, or cut short; "
            "give an MP4, MOV, MKV, WebM, AVI or GIF"
        ) from error


def _video_stream(container: InputContainer, source: Path) -> VideoStream:
    """The file's main video, checked; the cover picture of a song does not count."""
    pictures = (Disposition.attached_pic, Disposition.timed_thumbnails)
    videos = [item for item in container.streams.video if not any(kind in item.disposition for kind in pictures)]
    if not videos:
        held = "sound only" if container.streams.audio else "no video"
        raise InputError(f"{source} holds {held}; give a file with a video")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in videos else videos[0]
    if stream.codec_context is None:
        raise InputError(f"{source} holds a video of an unknown kind; re-encode it as H.264")
    if stream.codec_context.width and stream.codec_context.height:
        _check_size(source, stream.codec_context.width, stream.codec_context.height)
    return stream


def _check_size(source: Path, width: int, height: int) -> None:
    if not (SIDES[0] <= min(width, height) and max(width, height) <= SIDES[1]):
        raise InputError(f"{source} is {width}x{height} pixels; give a video of {SIDES[0]} to {SIDES[1]} pixels a side")


def _moments(source: Path) -> Generator[_Moment, None, None]:
    """Decode a file frame by frame.

    A packet that cannot be decoded before the first frame is passed over, as players do with recordings that start in
    the middle. One after it, or a file that ends before it says, is refused.
    """
    with _open(source) as container:
        stream = _video_stream(container, source)
        square = stream.sample_aspect_ratio or 1
        pixel_aspect = 1.0 if abs(square - 1) < SQUARE or not 0.01 < square < 100 else float(square)
        count, first, moment = 0, 0.0, None
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt and moment:
                    raise _broken(source, count, moment.end)
                for frame in _decoded(packet, strict=moment is not None):
                    _check_size(source, frame.width, frame.height)
                    first = _start(frame) if moment is None else first
                    moment = _timed(frame, first, moment, stream, pixel_aspect)
                    count += 1
                    yield moment
        except FFmpegError as error:
            raise _broken(source, count, moment.end if moment else 0.0) from error
        if moment is None:
            raise _broken(source, 0, 0.0)
        promised = _promised(container, stream, first)
        if promised - moment.end > max(3 * (moment.end - moment.time), 0.05 * promised) and count > 1:
            raise _broken(source, count, moment.end)


def _decoded(packet: av.Packet, strict: bool) -> Sequence[VideoFrame]:
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
    except FFmpegError:
        if strict:
            raise
        return []


def _start(frame: VideoFrame) -> float:
    return frame.time or 0.0


def _timed(
    frame: VideoFrame, first: float, before: _Moment | None, stream: VideoStream, pixel_aspect: float
) -> _Moment:
    """Place a frame in time; one without a time, or with one that does not come later, follows the frame before it."""
    timed = stream.container.format.name not in CLOCKLESS
    shown = 1 / float(stream.average_rate or stream.guessed_rate or 25)
    if timed and frame.duration and frame.time_base:
        shown = float(frame.duration * frame.time_base)
    if before is None:
        time = 0.0
    elif timed and frame.time is not None and frame.time - first > before.time:
        time = frame.time - first
    else:
        time = before.end
    return _Moment(frame, time, time + shown, pixel_aspect)


def _promised(container: InputContainer, stream: VideoStream, first: float) -> float:
    """Seconds from the first frame to the end of the video, by what the file says; zero where it does not say."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
    if tag:
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]) - first
    alone = len(container.streams) == 1  # Otherwise the file's length may be that of its sound.
    return container.duration / av.time_base - first if alone and container.duration else 0.0


def _broken(source: Path, count: int, seconds: float) -> InputError:
    if not count:
        return InputError(f"{source}: no frame can be decoded; the file is damaged: copy it again, or re-encode it")
    return InputError(
        f"{source} breaks off after {count} frames ({seconds:.2f} s): it is damaged or cut short; "
        "copy it again, or re-encode it"
    )


def _measured(source: Path) -> tuple[int, float, tuple[int, int]]:
    """Number of frames, frames a second, and the size as it is shown."""
    count, size, last = 0, (0, 0), 0.0
    with closing(_moments(source)) as moments:
        for moment in moments:
            if not count:
                height, width, pixel_aspect = _upright_size(moment)
                size = round(height / max(pixel_aspect, 1)), round(width * min(pixel_aspect, 1))
            count, last = count + 1, moment.time
            if count > MOST_STREAMED:
                raise InputError(f"{source} holds more than {MOST_STREAMED} frames; give a shorter video")
    return count, (count - 1) / last if last else 1.0, size


def _middle(image: Image, height: int, width: int) -> UInt8[np.ndarray, "rows columns 3"]:
    """The largest part of the image about its middle that has the shape of a frame."""
    rows, columns = image.shape[:2]
    kept_rows, kept_columns = min(rows, round(columns * height / width)), min(columns, round(rows * width / height))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    return image[top : top + max(1, kept_rows), left : left + max(1, kept_columns)]


def _resized(image: UInt8[np.ndarray, "rows columns 3"], height: int, width: int) -> Image:
    """The image at a size."""
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    how = cv2.INTER_AREA if height * width < image.shape[0] * image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=how)


# Choosing frames


@dataclass
class _Fitting:
    """Gives frames the model's shape, and small enough a size."""

    aspect: tuple[int, int]
    longest: int
    fit: str
    frames: int
    notice: str = ""
    """What was done, once the first frame came."""
    _size: tuple[int, int] = field(default=(0, 0), init=False)

    def room(self, moment: _Moment) -> np.ndarray:
        """Memory for all frames, sized by the first."""
        height, width, pixel_aspect = _upright_size(moment)
        canvas = self._canvas(height, width, pixel_aspect)
        display = canvas[0] / max(pixel_aspect, 1), canvas[1] * min(pixel_aspect, 1)
        scale = min(1, self.longest / max(display))
        self._size = max(1, round(display[0] * scale)), max(1, round(display[1] * scale))
        _check_bytes(self.frames, *self._size)
        if canvas != (height, width):
            done = "cropped" if self.fit == "crop" else "padded with black"
            self.notice = f"frames were {done} from {width}x{height} to {canvas[1]}x{canvas[0]} for the model's shape"
        return np.empty((self.frames, *self._size, 3), np.uint8)

    def image(self, moment: _Moment) -> np.ndarray:
        """One frame, upright, cropped or padded, and scaled."""
        image = moment.frame.to_ndarray(format="rgb24", interpolation=SMOOTH_CHROMA)
        image = _upright(image, _display_matrix(moment.frame))
        height, width, pixel_aspect = _upright_size(moment)
        canvas = self._canvas(height, width, pixel_aspect)
        top, left = max(0, height - canvas[0]) // 2, max(0, width - canvas[1]) // 2
        image = image[top : top + canvas[0], left : left + canvas[1]]
        inner = [
            min(most, max(1, round(side * most / full)))
            for side, most, full in zip(image.shape[:2], self._size, canvas, strict=True)
        ]
        if image.shape[:2] != tuple(inner):
            image = cv2.resize(np.ascontiguousarray(image), (inner[1], inner[0]), interpolation=cv2.INTER_AREA)
        spare = self._size[0] - inner[0], self._size[1] - inner[1]
        return np.pad(image, [(side // 2, side - side // 2) for side in spare] + [(0, 0)]) if any(spare) else image

    def _canvas(self, height: int, width: int, pixel_aspect: float) -> tuple[int, int]:
        """Height and width, in pixels of the file, of what is cut out of a frame or laid around it."""
        ratio = self.aspect[1] / self.aspect[0] / pixel_aspect
        if width == round(height * ratio) or height == round(width / ratio):
            return height, width
        if (width > height * ratio) == (self.fit == "crop"):
            return height, max(1, round(height * ratio))
        return max(1, round(width / ratio)), width


@dataclass
class _Picked:
    """Frames chosen from a file, as far as it went."""

    images: np.ndarray
    """``(frames, height, width, 3)``."""
    distinct: int
    """How many different frames are among them."""
    complete: bool
    """Whether the file was long enough."""
    last: float
    """When the last frame that was seen starts, seconds."""
    end: float
    """When it would leave the screen."""


def _pick(source: Path, wanted: np.ndarray, interval: float, fitting: _Fitting) -> _Picked:
    """Choose for each wanted time the frame on screen; stop decoding once the last is known."""
    slack = SLACK * interval
    held: _Moment | None = None
    images, filled, distinct = np.empty(0, np.uint8), 0, 0
    with closing(_moments(source)) as moments:
        for moment in moments:
            if held is None:
                images = fitting.room(moment)
            else:
                until = int(np.searchsorted(wanted + slack, moment.time))
                if until > filled:
                    images[filled:until] = fitting.image(held)
                    filled, distinct = until, distinct + 1
            held = moment
            if filled == len(wanted):
                return _Picked(images, distinct, True, held.time, held.end)
    if held is None or held.time == 0:
        raise InputError(f"{source} holds one frame; a motion needs at least two frames: give a video")
    complete = bool(wanted[-1] < max(held.end - 1e-6, held.time + slack))
    if complete:
        images[filled:] = fitting.image(held)
    return _Picked(images, distinct + 1, complete, held.time, held.end)


def _display_matrix(frame: VideoFrame) -> np.ndarray | None:
    """The linear part ``[[a, b], [c, d]]`` of how players show a frame: x, y goes to a x + c y, b x + d y."""
    stored = frame.side_data.get("DISPLAYMATRIX")
    return None if stored is None else np.frombuffer(bytes(stored), np.int32)[:9].reshape(3, 3)[:2, :2]


def _turned(matrix: np.ndarray | None) -> bool:
    return matrix is not None and abs(int(matrix[0, 1])) > abs(int(matrix[0, 0]))


def _upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turn and mirror an image as its display matrix says, to the nearest quarter turn."""
    if matrix is None:
        return image
    (a, b), (c, d) = matrix.tolist()
    if _turned(matrix):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _upright_size(moment: _Moment) -> tuple[int, int, float]:
    """Height, width and pixel aspect of a frame as it is shown."""
    height, width = moment.frame.height, moment.frame.width
    if _turned(_display_matrix(moment.frame)):
        return width, height, 1 / moment.pixel_aspect
    return height, width, moment.pixel_aspect


# Encoding


def _encode(path: Path, frames: np.ndarray, fps: float) -> None:
    """Write frames as H.264, in BT.709 and limited range, and tagged so."""
    frames = np.pad(frames, [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)], mode="edge")
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": CRF, "preset": "medium", "x264-params": X264}
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = ENCODER_THREADS
        stream.codec_context.colorspace = 1  # BT.709 in AVColorSpace, whose numbers are not those of Colorspace
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.color_trc = ColorTrc.BT709
        stream.codec_context.color_primaries = ColorPrimaries.BT709
        for number, image in enumerate(frames):
            frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.AREA,
            )
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _at_height(clip: Clip, height: int) -> Tensor:
    times, rest = divmod(height, clip.frames.shape[1])
    if not rest:
        return clip.frames.repeat_interleave(times, dim=1).repeat_interleave(times, dim=2)
    return clip.resized(height, max(1, round(clip.frames.shape[2] * height / clip.frames.shape[1]))).frames


# Output files


def _writable(path: str | Path, suffixes: Sequence[str]) -> Path:
    """The real file behind ``path``, after what can be said without writing."""
    if Path(path).suffix.lower() not in suffixes:
        raise OutputError(f"cannot write {str(path)!r}: the name must end in {' or '.join(suffixes)}")
    try:
        target = Path(path).resolve()
        if target.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
        if target.exists() and not target.is_file():
            raise OutputError(f"cannot write {path}: it is not a regular file; choose another name")
        if not target.parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {target.parent}; make it first")
        # Marked read-only by its owner: respected even where, as for root, the system would let us.
        for place in (target.parent, target):
            if place.exists() and not place.stat().st_mode & 0o222:
                raise OutputError(f"cannot write {path}: {place} is read-only; choose another place")
        if target.exists() and not os.access(target, os.W_OK):
            raise OutputError(f"cannot write {path}: it may not be overwritten; choose another name")
    except (OSError, ValueError, RuntimeError) as error:
        raise _unwritable(path, error) from error
    return target


def _beside(target: Path) -> Path:
    return target.with_name(f".motionlift-{secrets.token_hex(8)}.tmp")


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # as in a folder that takes no files, where it was never made
        temporary.unlink()


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"cannot write {path}: the disk is full; free some space or choose another place")
    reason = error.strerror if isinstance(error, OSError | FFmpegError) and error.strerror else str(error)
    return OutputError(f"cannot write {str(path)!r}: {reason}; choose another place")
