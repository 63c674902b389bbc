"""The shape of a video's pixels, which broadcasts change in the middle, as from 4:3 to 16:9."""

from fractions import Fraction

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

SQUARE = 0.01
"""How far from square a file's pixels may be and count as square (ours: files exist that say 4319:4320)."""
MOST_WAITING = 1000
"""Most packets without a frame whose shape is remembered (ours: no decoder holds so many back)."""


class PixelAspect:
    """Width of a pixel over its height, of each frame of a stream.

    A frame's own holds, which decoders say of the packet that they took last, while frames may leave them later. Where the
    container says another than the stream, the container's holds for all, as in players.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._said = stream.sample_aspect_ratio
        # What libavformat saw last when it looked into the stream, which it calls the file's where the container has none.
        self._looked = stream.codec_context.sample_aspect_ratio
        self._waiting: dict[int, Fraction | None] = {}
        self._last: Fraction | None = None
        self._follows: bool | None = None

    def saw(self, packet: Packet, decoder: VideoCodecContext) -> None:
        """Note what the decoder says of a packet that it has just taken."""
        self._last = decoder.sample_aspect_ratio
        if packet.pts is not None and len(self._waiting) < MOST_WAITING:
            self._waiting[packet.pts] = self._last

    def of(self, frame: VideoFrame) -> float:
        """That of a frame; frames come in their order."""
        own = self._last if frame.pts is None else self._waiting.pop(frame.pts, self._last)
        if self._follows is None:
            self._follows = not self._said or self._said in (own, self._looked)
        return _sensible(own if own and self._follows else self._said)


def _sensible(said: Fraction | None) -> float:
    """What a file says, where it is no slip and differs from square."""
    if not said or abs(said - 1) < SQUARE or not 0.01 < said < 100:
        return 1.0
    return float(said)
