"""When the frames of a file are shown, and how long it says that it is."""

import re
from collections import deque

import av
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

RAW = ("h264", "hevc", "m4v", "mpegvideo", "obu", "mjpeg")
"""Formats without times, only with a rate, if any: their frames are counted."""
STREAMED = ("mpegts", "mpeg", *RAW)
"""Formats that may begin and end anywhere, as a recording does, and do not say how long they are."""
JUMP = 10.0
"""Seconds by which time may leap ahead in formats whose times may start anew, before it counts as a new start
(released program: ``dts_delta_threshold`` of ffmpeg)."""
QUICKEST, CALM = 0.0101, 0.1
"""Pictures of an animation that say they last 10 ms or less last 100 ms, in seconds (released programs: Chromium and
WebKit)."""


def calm(seconds: float) -> float:
    """How long a picture of an animation is shown, by what it says, as browsers do."""
    return seconds if seconds > QUICKEST else CALM


class Clock:
    """Places the frames of one video in time.

    Times start at the first frame. Where they start anew in the middle, as in segments that were joined byte by byte,
    the later frames follow the earlier ones.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._format = stream.container.format
        # What the demuxer of raw streams calls the average is its own default; the guess is the stream's.
        rates = (stream.average_rate, stream.guessed_rate)
        rate = next((rate for rate in (rates[::-1] if self._format.name in RAW else rates) if rate), 25)
        self._shown = 1 / float(rate)
        self._slots: deque[float] = deque()
        # An AVI that was cut short has no index: it is found by reading on. Its empty chunks are in none.
        entries = stream.index_entries if self._format.name == "avi" else ()
        self._last = entries[-1].timestamp if len(entries) > 1 else None
        self._unseen = len(entries) if len(entries) > 1 else 0
        self._stream, self._seen, self._hidden = stream, 0, 0
        self._first = 0.0
        self._shift = 0.0
        self._time = self._end = 0.0
        self._started = False
        self._restarted = False
        self.is_cut = False
        """Whether its beginning was cut off: some of its first packets give no frame, then."""

    def saw(self, packet: Packet) -> None:
        """Note a packet before it is decoded: AVI has no times, but empty chunks where a frame is held."""
        self._seen += bool(packet.size)
        self._hidden += packet.is_discard
        if self._format.name == "avi" and packet.size and packet.dts is not None and packet.time_base:
            self._unseen -= 1
            self._slots.append(float(packet.dts * packet.time_base))

    def lost(self) -> None:
        """A packet that gives no frame takes its place with it."""
        if self._slots:
            self._slots.popleft()

    def place(self, frame: VideoFrame) -> tuple[float, float]:
        """When a frame is shown and when it would leave the screen, in seconds since the first frame."""
        time, shown = self._told(frame)
        if not self._started:
            self._first, self._started = time or 0.0, True
            self._time = 0.0
        elif time is None:
            self._time = self._end
        else:
            self._time = self._later(time - self._first + self._shift)
        self._end = self._time + shown
        return self._time, self._end

    def _told(self, frame: VideoFrame) -> tuple[float | None, float]:
        """What the file says: a frame's time, and how long it is shown."""
        if self._format.name in RAW:
            return None, self._shown
        if self._format.name == "avi":
            return self._slots.popleft() if self._slots else None, self._shown
        shown = self._shown
        if frame.duration and frame.time_base:
            shown = float(frame.duration * frame.time_base)
        return frame.time, shown

    def _later(self, time: float) -> float:
        """A time after the last frame's; a clock that leaps is set anew, one that stutters is not."""
        ahead = time - self._end > JUMP and Flags.ts_discont in Flags(self._format.flags)
        back = self._time - time > self._end - self._time
        if ahead or back:
            self._shift += self._end - time
            self._restarted = True
        return time if time > self._time and not ahead else self._end

    @property
    def lacking(self) -> bool:
        """Whether an AVI's index, once all is read, names more chunks than were found."""
        return self._unseen > 0

    @property
    def edited(self) -> bool:
        """Whether pictures of an MP4 or MOV are left out by its edit list alone, once all is read: the file itself is whole."""
        whole = self._format.name.startswith("mov,") and self._seen == len(self._stream.index_entries)
        return whole and (self._hidden > 0 or self._seen < self._stream.frames)

    def promised(self, container: InputContainer, stream: VideoStream) -> float:
        """Seconds from the first frame to the end of the video, by what the file says; zero where it does not say."""
        if self._format.name in STREAMED or self._restarted:
            return 0.0
        whole = self._last is not None and not self._unseen
        if whole and self.is_cut and self._slots:  # so many gave no frame
            return self._slots[0] - self._first
        if stream.duration and stream.time_base:
            end = (stream.start_time or 0) + stream.duration if self._last is None else self._last + 1
            return float(end * stream.time_base) - self._first
        tag = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
        if tag:
            return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]) - self._first
        alone = len(container.streams) == 1  # Otherwise the file's length may be that of its sound.
        return container.duration / av.time_base - self._first if alone and container.duration else 0.0
