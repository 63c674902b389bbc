"""Frames of video files, as PyAV decodes them, at their presentation times.

Everything a file says about itself (sizes, times, counts) is bounded before it is used. PyAV's own log is silent unless a program
turns it on.
"""

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.codec.codec import UnknownCodecError
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from motionlift.errors import InputError
from motionlift.video.clock import RAW, STREAMED, Clock
from motionlift.video.files import broken, check_size, edited, no_video
from motionlift.video.limits import MOST_PIXELS
from motionlift.video.moment import Moment, askew
from motionlift.video.pixels import PixelAspect
from motionlift.video.transparency import alpha_track, colour_track, joined, unread

GUESSING = ("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4", "h263", "flv", "wmv1", "wmv2")
"""Decoders that fill with grey what is missing in a video that starts in the middle: the first key frame is waited for.
Others give no frame until one is whole."""
IDR = re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65]").search
"""Finds in a packet of H.264 a picture before which nothing is needed, an instantaneous decoding refresh (ITU-T H.264, 7.4.1: 5 in
the last five bits behind a start code)."""
PLACE = re.compile(rb"\x00\x00\x01\x00(..)", re.DOTALL).search
"""Finds in a packet of MPEG-1 the place of its picture in its group, as shown, in the first ten bits (ISO 11172-2, 2.4.3.4)."""
STRICT = {"err_detect": "crccheck+explode", "max_pixels": str(MOST_PIXELS)}
"""Options of libavcodec: damage that a decoder notices is an error, not something to paint over."""
CLEAR = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that read what is transparent in WebM, where it is a second picture beside the first; libavcodec's own leave it out."""
LEFT_OUT = (
    "the video has transparent parts, which this build of FFmpeg cannot read: they look as what is hidden in them"
)
"""What is said where such a decoder is not to be had."""
COVERS = (Disposition.attached_pic, Disposition.timed_thumbnails)
"""Kinds of video tracks that are pictures about a file, not its video."""
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,mjpeg,ivf,flv,asf,ogg,mxf,dv,nut,"
    "yuv4mpegpipe,wav,mp3,flac,aac,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
"""Demuxers of libavformat that may open a file: videos; also sound and images, to say that that is what they are.
Playlists, which open other files and addresses, and plain text, which libavformat plays as a terminal, stay out. That of raw Motion
JPEG is the one of raw H.264 under another name: it cuts the bytes of the file into pictures and opens nothing else."""


def file_moments(source: Path) -> Generator[Moment, None, None]:
    """Decode a file frame by frame.

    What cannot be decoded before the first frame is passed over, as players do with recordings that start in the middle
    of a group of pictures; so is a torn last packet of a format that may end anywhere. Any other damage that the decoder
    notices is refused, and so is a file that ends before it says. Not all damage can be noticed: H.264, MPEG-2, MPEG-4
    and AV1 tell of most; HEVC does where it carries checksums; VP9 and half of the time JPEG show wrong pixels without
    a word.
    """
    with _open(source) as container:
        stream = _video_stream(container, source)
        clock, pixels = Clock(stream), PixelAspect(stream)
        frames, notices = _frames_of(container, source, stream, clock, pixels)
        count, moment = 0, None
        try:
            for frame in frames:
                check_size(source, frame.width, frame.height)
                told = () if count else (*notices, *askew(frame))
                moment = Moment(frame, *clock.place(frame), pixels.of(frame), told)
                count += 1
                yield moment
        except FFmpegError as error:
            raise broken(source, count, moment.end if moment else 0.0) from error
        if moment is None:
            raise edited(source, 0) if clock.edited else broken(source, 0, 0.0)
        promised = clock.promised(container, stream)
        short = promised - moment.end > max(3 * (moment.end - moment.time), 0.05 * promised)
        if (short or clock.lacking) and count > 1:
            raise edited(source, count) if clock.edited else broken(source, count, moment.end)


def first_time(source: Path) -> float:
    """When the first frame that is read of a file is shown, seconds by the file's own clock, by which its sound goes too.

    It is not where the file begins, nor its first stream: another may be the one that is read, and its first frames may lack what
    they need.

    Raises:
        InputError: it cannot be read.
    """
    with closing(file_moments(source)) as moments:
        return next(moments).frame.time or 0.0


def _open(source: Path) -> InputContainer:
    try:
        # Titles and the like in a broken encoding are no reason to refuse a video.
        return av.open(
            str(source), "r", options={"format_whitelist": FORMATS, "default_fps": "10"}, metadata_errors="replace"
        )
    except PermissionError as error:
        raise InputError(f"{source} cannot be read: permission denied; give a file you may read") from error
    except (FFmpegError, ValueError) as error:
        raise no_video(source) from error


def _video_stream(container: InputContainer, source: Path) -> VideoStream:
    """The file's main video, checked; the cover picture of a song does not count."""
    videos = _videos(container)
    if not videos:
        held = "sound only" if container.streams.audio else "no video"
        raise InputError(f"{source} holds {held}; give a file with a video")
    best = container.streams.best("video")
    stream = colour_track(container, best if isinstance(best, VideoStream) and best in videos else videos[0])
    if stream.codec_context is None:
        raise InputError(f"{source} holds a video of an unknown kind; re-encode it as H.264")
    if stream.codec_context.width and stream.codec_context.height:
        check_size(source, stream.codec_context.width, stream.codec_context.height)
    stream.codec_context.options = STRICT
    if stream.codec_context.name == "h264":
        stream.codec_context.thread_count = 1  # With more, errors in slices are not passed on.
    return stream


def _videos(container: InputContainer) -> list[VideoStream]:
    return [item for item in container.streams.video if not any(kind in item.disposition for kind in COVERS)]


def _unread(container: InputContainer, stream: VideoStream, alpha: VideoStream | None) -> tuple[str, ...]:
    """What is said where a file holds other videos beside the one that is read; one picture is none."""
    read = [stream.index, *([] if alpha is None else [alpha.index])]
    others = [item for item in _videos(container) if item.index not in read and item.frames != 1]
    if not others:
        return ()
    named = " and ".join(_named(item) for item in others)
    return (
        f"the file holds {len(others) + 1} videos: {_named(stream)} was read, and not {named}; to have another, copy it out: "
        f"ffmpeg -i IN -map 0:{others[0].index} -c copy OUT",
    )


def _named(stream: VideoStream) -> str:
    context = stream.codec_context
    return f"track {stream.index}" + (f" ({context.width}x{context.height})" if context and context.width else "")


def _assumed(stream: VideoStream) -> tuple[str, ...]:
    if stream.container.format.name in RAW and not stream.codec_context.framerate:
        return ("the file does not say how many frames a second it has; 25 were assumed",)
    return ()


def _decoder_of(stream: VideoStream) -> tuple[VideoCodecContext, tuple[str, ...]]:
    """What decodes a stream: its own decoder, or one that reads what is transparent; and what is to be said of that."""
    own = stream.codec_context
    if own.name not in CLEAR or stream.metadata.get("alpha_mode") != "1":
        return own, ()
    try:
        decoder = av.CodecContext.create(CLEAR[own.name], "r")
    except UnknownCodecError:
        return own, (LEFT_OUT,)
    assert isinstance(decoder, VideoCodecContext)
    decoder.options = STRICT
    decoder.color_primaries, decoder.color_trc = own.color_primaries, own.color_trc
    return decoder, ()


def _frames_of(
    container: InputContainer, source: Path, stream: VideoStream, clock: Clock, pixels: PixelAspect
) -> tuple[Generator[VideoFrame, None, None], tuple[str, ...]]:
    """The whole frames of a stream with what of them is transparent, and what is to be said of the stream."""
    decoder, told = _decoder_of(stream)
    alpha = alpha_track(container, stream)
    frames = _whole_frames(container, stream, decoder, clock, pixels)
    notices = (*_unread(container, stream, alpha), *_assumed(stream), *told)
    if alpha is None:
        return frames, notices
    if untold := unread(stream, alpha):
        return frames, (*notices, *untold)
    return _transparent(frames, source, container.streams.video.index(alpha)), notices


def _whole_frames(
    container: InputContainer, stream: VideoStream, decoder: VideoCodecContext, clock: Clock, pixels: PixelAspect
) -> Generator[VideoFrame, None, None]:
    """The frames of a stream from the first whole one on.

    Raises:
        FFmpegError: a packet or a frame behind it is damaged.
    """
    streamed = container.format.name in STREAMED
    waits = stream.codec_context.name in GUESSING
    beginning = _Beginning(streamed)
    started, torn = False, None  # whether a frame came; what is wrong with the last packet
    for packet in container.demux(stream):
        last = not packet.size
        if torn:
            if last:
                return
            raise torn
        clock.saw(packet)
        beginning.saw(packet, started)
        clock.is_cut = beginning.is_cut
        try:
            frames = _decoded(decoder, packet, strict=started or packet.is_keyframe or not beginning.is_cut)
        except FFmpegError as error:
            if not streamed:
                raise
            torn, frames = error, ()
        pixels.saw(packet, decoder)
        for frame in frames:
            if frame.is_corrupt and (started or not (streamed or beginning.lacking)):
                if streamed and last:
                    return
                raise InvalidDataError(-1, "a frame is damaged")
            waits = waits or frame.is_corrupt
            if started or not waits or (frame.key_frame and frame.pict_type == PictureType.I and not frame.is_corrupt):
                started = True
                yield frame
            else:
                clock.lost()


def _transparent(
    frames: Generator[VideoFrame, None, None], source: Path, track: int
) -> Generator[VideoFrame, None, None]:
    """Frames with what of them is transparent, which another track of the file says, decoded in step."""
    with _open(source) as container:
        stream = container.streams.video[track]
        stream.codec_context.options = STRICT
        beside = container.decode(stream)
        for frame in frames:
            yield joined(frame, next(beside, None))


@dataclass
class _Beginning:
    """What is known of how a stream begins, until its first frame comes."""

    streamed: bool
    """Whether its format may begin anywhere."""
    lacking: bool = field(default=False, init=False)
    """Whether the first group may lack what its first pictures need."""
    _key: Packet | None = field(default=None, init=False)

    def saw(self, packet: Packet, started: bool) -> None:
        """Note the next packet, and whether a frame came before it."""
        if self._key is None:
            self._key = packet if packet.is_keyframe else None
        elif packet.size and not started:
            self.lacking = self.lacking or _leads(packet, self._key, self.streamed)

    @property
    def is_cut(self) -> bool:
        """Whether it was cut off in the middle of a group, as far as that is seen."""
        return self.lacking or self._key is None


def _leads(packet: Packet, key: Packet, streamed: bool) -> bool:
    """Whether a packet behind the first key packet is shown before it.

    Its group of pictures is open, then, and it may need the group before, which was cut off. Raw streams, and AVI with H.264, do
    not say when their pictures are shown: there it may be so of any.
    """
    codec = packet.stream.codec_context.name if packet.stream.container.format.name == "avi" else ""
    if codec == "h264":
        return IDR(bytes(key)) is None
    if codec == "mpeg1video":  # the time of whose first picture is not known
        numbers = [number and int.from_bytes(number[1]) >> 6 for number in (PLACE(bytes(packet)), PLACE(bytes(key)))]
    else:
        numbers = [packet.pts, key.pts]
    first, second = numbers
    return streamed if first is None or second is None else first < second


def _decoded(decoder: VideoCodecContext, packet: av.Packet, strict: bool) -> Sequence[VideoFrame]:
    try:
        return decoder.decode(packet)
    except FFmpegError:
        if strict:
            raise
        return []
