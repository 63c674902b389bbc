"""Frames of video files, read by their presentation times.

Everything a file says about itself (sizes, times, counts) is bounded before it is used. Files are opened by PyAV, whose
own log is silent unless a program turns it on.
"""

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.stream import Disposition
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from motionlift.core.places import check_there
from motionlift.errors import InputError
from motionlift.video.animated import UNREADABLE, is_animated_webp, size_of_webp, webp_frames
from motionlift.video.clock import RAW, STREAMED, Clock, calm
from motionlift.video.colour import rgb_of
from motionlift.video.limits import MOST_PIXELS, MOST_STREAMED, RATES, SIDES, Image, check_bytes

SLACK = 0.05
"""How much later than wanted a frame may start and still be taken, as a share of the time between wanted frames. It
absorbs the rounding of timestamps (Matroska keeps milliseconds) and rates such as 29.97 for 30 (ours)."""
SQUARE = 0.01
"""How far from square a file's pixels may be and count as square (ours: files exist that say 4319:4320)."""
GUESSING = ("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4", "h263", "flv", "wmv1", "wmv2")
"""Decoders that fill with grey what is missing in a video that starts in the middle: the first key frame is waited for.
Others give no frame until one is whole."""
STRICT = {"err_detect": "crccheck+explode", "max_pixels": str(MOST_PIXELS)}
"""Options of libavcodec: damage that a decoder notices is an error, not something to paint over."""
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,mxf,dv,nut,"
    "yuv4mpegpipe,wav,mp3,flac,aac,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
"""Demuxers of libavformat that may open a file: videos; also sound and images, to say that that is what they are.
Playlists, which open other files and addresses, and plain text, which libavformat plays as a terminal, stay out."""


RESIZED = "frames change their size in the middle of the video; all were brought to that of the first"
"""What is said of such a video."""

# Decoding


def existing_file(path: str | Path) -> Path:
    """The file at ``path``, absolute: libav takes a relative name with a colon for an address."""
    check_there(path)
    source = Path(path)
    try:
        if source.is_dir():
            raise InputError(f"{path} is a folder; give a video file")
        if not source.is_file():
            raise InputError(f"{path} is not a regular file; give a video file")
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read ({error}); give a video file") from error
    return source.absolute()


def hash_of_file(source: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
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
    notices: tuple[str, ...] = ()
    """What had to be assumed of the video, each a plain sentence."""


def _open(source: Path) -> InputContainer:
    try:
        # Titles and the like in a broken encoding are no reason to refuse a video.
        return av.open(
            str(source), "r", options={"format_whitelist": FORMATS, "default_fps": "10"}, metadata_errors="replace"
        )
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
    stream.codec_context.options = STRICT
    if stream.codec_context.name == "h264":
        stream.codec_context.thread_count = 1  # With more, errors in slices are not passed on.
    return stream


def _check_size(source: Path, width: int, height: int) -> None:
    if not (SIDES[0] <= min(width, height) and max(width, height) <= SIDES[1]):
        raise InputError(f"{source} is {width}x{height} pixels; give a video of {SIDES[0]} to {SIDES[1]} pixels a side")
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{source} is {width}x{height} pixels; give a video of at most {MOST_PIXELS >> 20} million pixels a frame"
        )


def moments_of(source: Path) -> Generator[_Moment, None, None]:
    """Decode a file frame by frame.

    What cannot be decoded before the first frame is passed over, as players do with recordings that start in the middle
    of a group of pictures; so is a torn last packet of a format that may end anywhere. Any other damage that the decoder
    notices is refused, and so is a file that ends before it says. Not all damage can be noticed: H.264, MPEG-2, MPEG-4
    and AV1 tell of most; HEVC does where it carries checksums; VP9, GIF and half of the time JPEG show wrong pixels without
    a word.
    """
    if is_animated_webp(source):
        yield from _webp_moments(source)
        return
    with _open(source) as container:
        stream = _video_stream(container, source)
        square = stream.sample_aspect_ratio or 1
        pixel_aspect = 1.0 if abs(square - 1) < SQUARE or not 0.01 < square < 100 else float(square)
        clock, notices = Clock(stream), _assumed(stream)
        count, moment = 0, None
        try:
            for frame in _whole_frames(container, stream, clock):
                _check_size(source, frame.width, frame.height)
                moment = _Moment(frame, *clock.place(frame), pixel_aspect, () if count else notices)
                count += 1
                yield moment
        except FFmpegError as error:
            raise _broken(source, count, moment.end if moment else 0.0) from error
        if moment is None:
            raise _broken(source, 0, 0.0)
        promised = clock.promised(container, stream)
        short = promised - moment.end > max(3 * (moment.end - moment.time), 0.05 * promised)
        if (short or clock.lacking) and count > 1:
            raise _broken(source, count, moment.end)


def _assumed(stream: VideoStream) -> tuple[str, ...]:
    if stream.container.format.name in RAW and not stream.codec_context.framerate:
        return ("the file does not say how many frames a second it has; 25 were assumed",)
    return ()


def _whole_frames(container: InputContainer, stream: VideoStream, clock: Clock) -> Generator[VideoFrame, None, None]:
    """The frames of a stream from the first whole one on.

    Raises:
        FFmpegError: a packet or a frame behind it is damaged.
    """
    streamed = container.format.name in STREAMED
    waits = stream.codec_context.name in GUESSING
    begun, started, torn = False, False, None  # A key packet was taken; a frame came; what the last packet is
    for packet in container.demux(stream):
        last = not packet.size
        if torn:
            if last:
                return
            raise torn
        clock.saw(packet)
        try:
            frames = _decoded(packet, strict=begun or started or packet.is_keyframe)
            begun = begun or packet.is_keyframe
        except FFmpegError as error:
            if not streamed:
                raise
            torn, frames = error, ()
        for frame in frames:
            if frame.is_corrupt and (started or not streamed):
                if streamed and last:
                    return
                raise InvalidDataError(-1, "a frame is damaged")
            waits = waits or frame.is_corrupt
            if started or not waits or (frame.key_frame and frame.pict_type == PictureType.I and not frame.is_corrupt):
                started = True
                yield frame
            else:
                clock.lost()


def _decoded(packet: av.Packet, strict: bool) -> Sequence[VideoFrame]:
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
    except FFmpegError:
        if strict:
            raise
        return []


def _webp_moments(source: Path) -> Generator[_Moment, None, None]:
    time, count = 0.0, 0
    try:
        _check_size(source, *size_of_webp(source))
        for frame, shown in webp_frames(source):
            yield _Moment(frame, time, time + calm(shown), 1.0)
            time, count = time + calm(shown), count + 1
    except UNREADABLE as error:
        raise _broken(source, count, time) from error


def _broken(source: Path, count: int, seconds: float) -> InputError:
    if not count:
        return InputError(f"{source}: no frame can be decoded; the file is damaged: copy it again, or re-encode it")
    return InputError(
        f"{source} breaks off after {count} frames ({seconds:.2f} s): it is damaged or cut short; "
        "copy it again, or re-encode it"
    )


def measured_file(source: Path) -> tuple[int, float, tuple[int, int], tuple[str, ...]]:
    """Number of frames, frames a second, the size as it is shown, and what must be said of reading it."""
    count, size, last = 0, (0, 0), 0.0
    stored, notices = (0, 0), ()
    with closing(moments_of(source)) as moments:
        for moment in moments:
            if not count:
                height, width, pixel_aspect = _upright_size(moment)
                size = round(height / max(pixel_aspect, 1)), round(width * min(pixel_aspect, 1))
                stored, notices = (height, width), (*moment.notices, *rgb_of(moment.frame)[1])
            elif stored != _upright_size(moment)[:2] and RESIZED not in notices:
                notices = (*notices, RESIZED)
            count, last = count + 1, moment.time
            if count > MOST_STREAMED:
                raise InputError(f"{source} holds more than {MOST_STREAMED} frames; give a shorter video")
    return count, (count - 1) / last if last else 1.0, size, notices


def middle_of(image: Image, height: int, width: int) -> UInt8[np.ndarray, "rows columns 3"]:
    """The largest part of the image about its middle that has the shape of a frame."""
    rows, columns = image.shape[:2]
    kept_rows, kept_columns = min(rows, round(columns * height / width)), min(columns, round(rows * width / height))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    return image[top : top + max(1, kept_rows), left : left + max(1, kept_columns)]


def resized_image(image: UInt8[np.ndarray, "rows columns 3"], height: int, width: int) -> Image:
    """The image at a size."""
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    how = cv2.INTER_AREA if height * width < image.shape[0] * image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=how)


# Choosing frames


@dataclass
class Fitting:
    """Gives frames the model's shape, and small enough a size."""

    aspect: tuple[int, int]
    longest: int
    fit: str
    frames: int
    notices: list[str] = field(default_factory=list, init=False)
    """What was done to the frames that came, each a plain sentence."""
    _size: tuple[int, int] = field(default=(0, 0), init=False)
    _first: tuple[int, int] = field(default=(0, 0), init=False)

    def room(self, moment: _Moment) -> np.ndarray:
        """Memory for all frames, sized by the first."""
        height, width, pixel_aspect = _upright_size(moment)
        canvas = self._canvas(height, width, pixel_aspect)
        display = canvas[0] / max(pixel_aspect, 1), canvas[1] * min(pixel_aspect, 1)
        ratio = self.aspect[1] / self.aspect[0]
        if self.fit == "stretch" and canvas_of(height, width, ratio / pixel_aspect) != (height, width):
            display = min(display[0], display[1] / ratio), min(display[1], display[0] * ratio)
            self._tell(f"frames were stretched from {width}x{height} to the shape {self.aspect[1]}x{self.aspect[0]}")
        scale = min(1, self.longest / max(display))
        self._size = max(1, round(display[0] * scale)), max(1, round(display[1] * scale))
        check_bytes(self.frames, *self._size)
        if canvas != (height, width):
            done = "cropped" if self.fit == "crop" else "padded with black"
            self._tell(f"frames were {done} from {width}x{height} to {canvas[1]}x{canvas[0]} for the model's shape")
        self._first = height, width
        self._tell(*moment.notices)
        return np.empty((self.frames, *self._size, 3), np.uint8)

    def image(self, moment: _Moment) -> np.ndarray:
        """One frame, upright, cropped, padded or stretched, and scaled."""
        image, notices = rgb_of(moment.frame)
        self._tell(*notices)
        image = _upright(image, _display_matrix(moment.frame))
        height, width, pixel_aspect = _upright_size(moment)
        if (height, width) != self._first:
            self._tell(RESIZED)
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

    def _tell(self, *notices: str) -> None:
        self.notices += [notice for notice in notices if notice not in self.notices]

    def _canvas(self, height: int, width: int, pixel_aspect: float) -> tuple[int, int]:
        """Height and width, in pixels of the file, of what is cut out of a frame or laid around it; all of it to be stretched."""
        if self.fit == "stretch":
            return height, width
        return canvas_of(height, width, self.aspect[1] / self.aspect[0] / pixel_aspect, self.fit)


def canvas_of(height: int, width: int, ratio: float, fit: str = "crop") -> tuple[int, int]:
    """Height and width of what is cut out of a frame, or laid around it, to have ``ratio`` columns a row; to within a pixel."""
    if width == round(height * ratio) or height == round(width / ratio):
        return height, width
    if (width > height * ratio) == (fit == "crop"):
        return height, max(1, round(height * ratio))
    return max(1, round(width / ratio)), width


Moments = Callable[[], Generator[_Moment, None, None]]
"""Gives the frames of a video from its first on, anew each time."""


def moments_of_frames(frames: UInt8[np.ndarray, "frames height width 3"], fps: float) -> Generator[_Moment, None, None]:
    """Frames in memory at the times when they are shown."""
    for number, image in enumerate(frames):
        yield _Moment(VideoFrame.from_ndarray(image, format="rgb24"), number / fps, (number + 1) / fps, 1.0)


@dataclass(frozen=True)
class Sampled:
    """Frames of a video, chosen by time."""

    images: UInt8[np.ndarray, "frames height width 3"]
    """The frames."""
    fps: float
    """Their frames a second."""
    notices: tuple[str, ...]
    """What was done to make the video fit, each a plain sentence."""


def sampled_frames(moments: Moments, name: str, frames: int, fps: float | int, fitting: Fitting) -> Sampled:
    """The first frames of a video, so many a second, or evenly spread ones of a video that is too short.

    Args:
        moments: the video.
        name: what it is called in messages.
        frames: number of frames.
        fps: frames a second.
        fitting: what gives them their shape.

    Raises:
        InputError: fewer than two frames, or a file that breaks off before the last wanted one.
    """
    picked = _picked(moments, name, np.arange(frames) / fps, 1 / fps, fitting)
    rate, notices = float(fps), []
    if not picked.complete:
        rate = (frames - 1) / picked.last
        notices.append(
            f"the video shows {picked.end:.2f} s, too short for {frames} frames at {fps:g} a second: "
            f"{frames} frames were spread evenly over it, {rate:.3g} a second"
        )
        picked = _picked(moments, name, np.linspace(0, picked.last, frames), 1 / rate, fitting)
    if picked.distinct < 2:
        raise InputError(
            f"{name}: the first {(frames - 1) / fps:.2f} s show one frame only; a motion needs at least two; "
            "ask for more frames, or for fewer a second"
        )
    if picked.distinct < frames:
        notices.append(f"there were {picked.distinct} different frames for {frames}: some are repeated")
    return Sampled(picked.images, min(rate, RATES[1]), (*fitting.notices, *notices))


def first_frames(moments: Moments, name: str, frames: int, fitting: Fitting) -> Sampled:
    """The first frames of a video as they come, whatever their rate, which is said.

    Args:
        moments: the video.
        name: what it is called in messages.
        frames: number of frames.
        fitting: what gives them their shape.

    Raises:
        InputError: it holds fewer.
    """
    images, times = np.empty(0, np.uint8), []
    with closing(moments()) as shown:
        for moment in shown:
            images = images if times else fitting.room(moment)
            images[len(times)] = fitting.image(moment)
            times.append(moment.time)
            if len(times) == frames:
                break
    if len(times) < frames or times[-1] <= times[0]:
        raise InputError(
            f"{name} holds {len(times)} frames, and {frames} are to be taken as they come; give a longer video, ask for fewer, or "
            "have it read by time"
        )
    rate = min(max((frames - 1) / (times[-1] - times[0]), RATES[0]), RATES[1])
    return Sampled(
        images, rate, (*fitting.notices, f"the first {frames} frames were taken as they come, {rate:.3g} a second")
    )


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


def _picked(moments: Moments, name: str, wanted: np.ndarray, interval: float, fitting: Fitting) -> _Picked:
    """Choose for each wanted time the frame on screen; stop decoding once the last is known."""
    slack = SLACK * interval
    held: _Moment | None = None
    images, filled, distinct = np.empty(0, np.uint8), 0, 0
    with closing(moments()) as shown:
        for moment in shown:
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
        raise InputError(f"{name} holds one frame; a motion needs at least two frames: give a video")
    complete = bool(wanted[-1] < max(held.end - 1e-6, held.time + slack))
    if complete:
        images[filled:] = fitting.image(held)
    return _Picked(images, distinct + 1, complete, held.time, held.end)


def aspect_of(source: Path) -> float:
    """Width by height of a video's first frame as it is shown.

    Raises:
        InputError: it cannot be read.
    """
    with closing(moments_of(source)) as moments:
        height, width, pixel_aspect = _upright_size(next(moments))
    return width * pixel_aspect / height


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
