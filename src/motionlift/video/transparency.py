"""What is transparent in AVIF that moves: a grey track beside the one with the colours."""

import numpy as np
from av.container import InputContainer
from av.error import InvalidDataError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

BRAND = "avis"
"""Major brand of AVIF that moves (specification of AVIF, section 6.3)."""
GREY = {"": "gray", "10le": "gray10le", "12le": "gray12le"}
"""Kinds of pixels of the track that says what is transparent, by how the names of those of the same depth end."""
CLEAR = {
    **{f"yuv{kind}p{depth}": (f"yuva{kind}p{depth}", GREY[depth]) for kind in ("422", "444") for depth in GREY},
    **{f"yuv420p{depth}": (f"yuva420p{depth}", GREY[depth]) for depth in ("", "10le")},
    **{f"gbrp{depth}": (f"gbrap{depth}", GREY[depth]) for depth in GREY},
}
"""Kinds of pixels, the same with what is transparent, and that of the track which says it."""
UNREAD = "the video has transparent parts, which are not read of its kind of pixels ({}): they look as what is hidden in them"
"""What is said of a video of another kind."""


def alpha_track(container: InputContainer, stream: VideoStream) -> VideoStream | None:
    """The track that says what of a stream is transparent: grey, of its size and of as many frames."""
    return next((item for item in _beside(container, stream) if _grey(item)), None)


def colour_track(container: InputContainer, stream: VideoStream) -> VideoStream:
    """The track with the colours, where libavformat took the one beside it for the main one, as it does by their bytes."""
    colours = (item for item in _beside(container, stream) if not _grey(item))
    return next(colours, stream) if _grey(stream) else stream


def _beside(container: InputContainer, stream: VideoStream) -> list[VideoStream]:
    """Tracks of an AVIF that have a stream's size and number of frames."""
    if container.metadata.get("major_brand") != BRAND:
        return []
    return [item for item in container.streams.video if item.index != stream.index and _extent(item) == _extent(stream)]


def _extent(stream: VideoStream) -> tuple[int, int, int]:
    context = stream.codec_context
    return (context.width, context.height, stream.frames) if context else (0, 0, 0)


def _grey(stream: VideoStream) -> bool:
    return bool(stream.codec_context) and stream.codec_context.pix_fmt in GREY.values()


def unread(stream: VideoStream, alpha: VideoStream) -> tuple[str, ...]:
    """What is said where the two cannot be joined."""
    kind = stream.codec_context.pix_fmt or "unknown"
    return () if CLEAR.get(kind, ("", ""))[1] == alpha.codec_context.pix_fmt else (UNREAD.format(kind),)


def joined(frame: VideoFrame, alpha: VideoFrame | None) -> VideoFrame:
    """A frame with what of it is transparent.

    Args:
        frame: its colours, of a kind in :data:`CLEAR`.
        alpha: the frame of the other track that comes with it; none where that track has ended.

    Raises:
        FFmpegError: it is not of the same time, size and depth.
    """
    clear, grey = CLEAR.get(frame.format.name, ("", ""))
    if alpha is None or (alpha.pts, alpha.width, alpha.height, alpha.format.name) != (
        frame.pts, frame.width, frame.height, grey,
    ):  # fmt: skip
        raise InvalidDataError(-1, "what is transparent does not go with the frames")
    found = frame.reformat(format=clear)  # with all that is known of it; of deep RGB the conversion loses some pixels
    for given, own in zip((*frame.planes, alpha.planes[0]), found.planes, strict=True):
        rows, target = (np.asarray(memoryview(plane)).reshape(-1, plane.line_size) for plane in (given, own))
        shared = min(given.line_size, own.line_size)
        target[: own.height, :shared] = rows[: own.height, :shared]
    return found
