"""How long a file plays, by the frames that are in it and not by what it says of itself; nothing is decoded."""

import heapq
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from motionlift.video.animated import kind_of
from motionlift.video.clock import RAW, calm
from motionlift.video.decoding import FORMATS

ASSUMED_RATE = 25.0
"""Frames a second of a stream that says nothing of them, as :class:`motionlift.video.clock.Clock` takes it."""
REORDERED = 16
"""Most packets that come before one that is shown before them (H.264 and HEVC)."""
GIF_HEAD, GIF_IMAGE = 13, 9
"""Bytes of a GIF's header, and of an image's description after its first one (GIF89a)."""
PNG_HEAD, PNG_END = 8, 4
"""Bytes before the chunks of a PNG, and of a chunk after its content: its checksum."""
RIFF_HEAD = 12
"""Bytes before the chunks of a WebP."""


def seconds_up_to(source: Path, most: float) -> float:
    """Seconds that a video file or an animated picture plays: of one that is damaged, up to there.

    Args:
        source: the file.
        most: seconds after which it is looked at no further.

    Raises:
        FFmpegError: it is no video.
        OSError: it cannot be read.
    """
    kind = kind_of(source)
    if not kind:
        return _played(source, most)
    read = {"GIF": _of_gif, "PNG": _of_png, "WEBP": _of_webp}[kind]
    seconds = 0.0
    with source.open("rb") as file:
        for shown in read(file):
            seconds += calm(shown)
            if seconds > most:
                break
    return seconds


def _played(source: Path, most: float) -> float:
    """The same of a video, of whose streams the longest counts: which one a reader takes is its own choice."""
    with av.open(str(source), "r", options={"format_whitelist": FORMATS}, metadata_errors="replace") as container:
        clocks = {stream.index: _Packets(stream) for stream in container.streams.video}
        try:
            for packet in container.demux(*container.streams.video):
                if packet.size and clocks[packet.stream_index].saw(packet) > most:
                    break
        except FFmpegError:  # a reader comes no further, either
            pass
        for clock in clocks.values():
            clock.end()
        return max((clock.seconds for clock in clocks.values()), default=0.0)


class _Packets:
    """How long the packets of a stream play that were seen."""

    def __init__(self, stream: VideoStream):
        self._raw = stream.container.format.name in RAW
        rate = stream.guessed_rate or stream.average_rate or ASSUMED_RATE
        self._apart, self._before, self._shown = 1 / float(rate), 0.0, 0.0
        self._waiting: list[float] = []
        self._decoded: int | None = None
        self._last: float | None = None
        self._first = True

    @property
    def seconds(self) -> float:
        """Until the last one ends, but for those that may still be shown in another order."""
        return self._before + self._shown

    def saw(self, packet: Packet) -> float:
        """Note the next packet; gives :attr:`seconds`.

        Where a packet tells no time, or times start anew, it comes when the one before it ends.
        """
        told = packet.dts if packet.pts is None else packet.pts
        if self._raw or told is None or packet.time_base is None:
            self._show(None)
        else:
            if self._decoded is not None and packet.dts is not None and packet.dts < self._decoded:
                self.end()
            heapq.heappush(self._waiting, float(told * packet.time_base))
            self._decoded = packet.dts
        shown = float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
        self._shown = self._apart if self._raw or not shown else shown
        if len(self._waiting) > REORDERED:
            self._show(heapq.heappop(self._waiting))
        return self.seconds

    def end(self) -> None:
        """Nothing comes any more that is shown before what was seen."""
        while self._waiting:
            self._show(heapq.heappop(self._waiting))

    def _show(self, time: float | None) -> None:
        if time is None or self._last is None or time < self._last:
            self._before += 0.0 if self._first else self._shown
        else:
            self._before += time - self._last
        self._last, self._first = time, False


# Animated pictures: seconds that each of their images says, as far as the file goes


def _of_webp(file: io.BufferedReader) -> Iterator[float]:
    file.seek(RIFF_HEAD)
    while len(head := file.read(8)) == 8:
        end = file.tell() + int.from_bytes(head[4:], "little") + head[4] % 2  # chunks have even lengths
        if head[:4] == b"ANMF":
            yield int.from_bytes(file.read(15)[12:], "little") / 1000
        file.seek(end)


def _of_png(file: io.BufferedReader) -> Iterator[float]:
    file.seek(PNG_HEAD)
    while len(head := file.read(8)) == 8:
        end = file.tell() + int.from_bytes(head[:4], "big") + PNG_END
        if head[4:] == b"fcTL":
            told = file.read(24)[20:]
            yield int.from_bytes(told[:2], "big") / (int.from_bytes(told[2:], "big") or 100)
        file.seek(end)


def _of_gif(file: io.BufferedReader) -> Iterator[float]:
    _pass_colours(file, file.read(GIF_HEAD)[10:11])
    delay = 0
    for byte in iter(lambda: file.read(1), b""):
        if byte == b";":
            return
        if byte == b"!":  # an extension; that of the label F9 tells how long the next image is shown
            label = file.read(1)
            for number, block in enumerate(_blocks(file)):
                if label == b"\xf9" and not number:
                    delay = int.from_bytes(block[1:3], "little")
        elif byte == b",":
            _pass_colours(file, file.read(GIF_IMAGE)[8:9])
            file.read(1)
            for _ in _blocks(file):
                pass
            yield delay / 100


def _pass_colours(file: io.BufferedReader, flags: bytes) -> None:
    """Pass the table of colours that these flags promise."""
    if flags and flags[0] & 0x80:
        file.seek(3 << ((flags[0] & 7) + 1), io.SEEK_CUR)


def _blocks(file: io.BufferedReader) -> Iterator[bytes]:
    """The blocks that follow each other, up to an empty one."""
    sizes = iter(lambda: file.read(1), b"")
    for size in itertools.takewhile(lambda size: size != b"\0", sizes):
        yield file.read(size[0])
