"""Interlaced frames, each of which weaves two moments, made whole."""

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace

from av.error import BlockingIOError as NotYetError
from av.error import EOFError as EndError
from av.filter import Graph
from av.video.frame import VideoFrame

from motionlift.video.moment import Moment

LEAST_HEIGHT = 4
"""Fewest rows of a frame that has two fields to speak of (ours)."""
DEINTERLACED = "the video is interlaced: it was deinterlaced (bwdif), so that a frame shows one moment"
"""What is said of such a video."""
UNMARKED = (
    "the video is interlaced, and does not say so: it was deinterlaced (bwdif), so that a frame shows one moment; "
    "its {} field comes first"
)
"""What is said of one whose frames are not marked."""
FIELDS = {"tff": "upper", "bff": "lower"}
"""Orders of fields, and what the first one is called."""
FILTER = "mode=send_frame:parity=auto:deint=interlaced"
"""As many frames as come, the first field by what each frame says, and progressive frames as they are (options of bwdif)."""
FILTER_ALL = "mode=send_frame:parity={}:deint=all"
"""The same for frames that are not marked."""


def deinterlaced(moments: Generator[Moment, None, None], order: str = "") -> Generator[Moment, None, None]:
    """The same frames at the same times, those that are interlaced by libavfilter's bwdif, which looks at neighbours in time.

    Args:
        moments: the frames.
        order: ``tff`` or ``bff`` where all are interlaced and do not say so, by which field comes first.
    """
    passing: _Deinterlacer | None = None
    for moment in moments:
        frame = moment.frame
        if passing is not None and not passing.takes(frame):
            yield from passing.rest()
            passing = None
        if passing is None and (order or frame.interlaced_frame) and frame.height >= LEAST_HEIGHT:
            passing = _Deinterlacer(frame, order)
        if passing is None:
            yield moment
        else:
            yield from passing.passed(moment)
    if passing is not None:
        yield from passing.rest()


class _Deinterlacer:
    """A filter that gives a frame once it has seen the next one."""

    def __init__(self, frame: VideoFrame, order: str) -> None:
        self._kind, self._order = _kind(frame), order
        self._graph = Graph()
        said = (
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000000:pixel_aspect=1/1"
            f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
        )
        first, last = self._graph.add("buffer", said), self._graph.add("buffersink")
        weave = self._graph.add("bwdif", FILTER_ALL.format(order) if order else FILTER)
        first.link_to(weave)
        weave.link_to(last)
        self._graph.configure()
        self._waiting: deque[Moment] = deque()

    def takes(self, frame: VideoFrame) -> bool:
        """Whether a frame is of the size and kind that the filter was made for."""
        return _kind(frame) == self._kind

    def passed(self, moment: Moment) -> Iterator[Moment]:
        """What is whole now that one more frame is known."""
        self._waiting.append(moment)
        self._graph.push(moment.frame)
        yield from self._pulled()

    def rest(self) -> Iterator[Moment]:
        """What is still in the filter at the end."""
        self._graph.push(None)
        yield from self._pulled()

    def _pulled(self) -> Iterator[Moment]:
        while self._waiting:
            try:
                frame = self._graph.pull()
            except (NotYetError, EndError):
                return
            assert isinstance(frame, VideoFrame)
            moment = self._waiting.popleft()
            told = (DEINTERLACED,) if moment.frame.interlaced_frame else ()
            told = (UNMARKED.format(FIELDS[self._order]),) if self._order else told
            yield replace(moment, frame=frame, notices=(*moment.notices, *told))


def _kind(frame: VideoFrame) -> tuple[object, ...]:
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range
