"""The sound of a file, for the part of it that is seen."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from jaxtyping import Float32

from motionlift.errors import InputError
from motionlift.video.decoding import FORMATS, first_time

RATE = 48_000
"""Samples a second of sound that is written (ours: what Opus has, and video mostly)."""
CHANNELS = 2
"""Left and right; sound of more channels is mixed down, as libav does it, and one is heard on both."""
DRIFT = 0.05
"""Seconds by which sound may be off what its times say before silence is put in or some is left out (ours: below what is seen)."""
EARLY = 1.0
"""Seconds before the part from which on sound is decoded: compressed sound needs a little of what came before (ours)."""
PIECE = RATE
"""Most samples of a piece."""

Piece = Float32[np.ndarray, "channels samples"]


@dataclass(frozen=True)
class Sound:
    """The sound of a file for some of its time; silence where it has none."""

    source: Path
    """A file with a video."""
    start: float
    """Seconds after its first frame."""
    seconds: float
    """How long."""

    def pieces(self, tell: Callable[[str], None]) -> Iterator[Piece]:
        """Yield the samples, at :data:`RATE`, piece by piece, exactly as many as the time takes.

        Where the file cannot be read on, silence follows, and ``tell`` is called with what a person should know.
        """
        wanted, done = round(self.seconds * RATE), 0
        try:
            for begins, samples in self._decoded(tell):
                gap = begins - done
                if abs(gap) > DRIFT * RATE or not done:
                    samples = samples[:, max(0, -gap) :]
                    for piece in _silence(min(max(0, gap), wanted - done)):
                        yield piece
                        done += piece.shape[1]
                if done < wanted and samples.shape[1]:
                    yield samples[:, : wanted - done]
                    done += min(samples.shape[1], wanted - done)
                if done >= wanted:
                    break
        except (InputError, FFmpegError, OSError, ValueError) as error:
            tell(f"the sound of {self.source} breaks off after {done / RATE:.1f} s ({error})")
        yield from _silence(wanted - done)

    def _decoded(self, tell: Callable[[str], None]) -> Iterator[tuple[int, Piece]]:
        """Samples with the number of the first, counted from the part's start; it may be negative."""
        with opened(self.source) as container:
            stream = container.streams.audio[0]
            start = first_time(self.source) + self.start
            if start > EARLY:
                with suppress(FFmpegError):  # what cannot be searched is gone through from its beginning
                    container.seek(int((start - EARLY) * av.time_base))
            resampler = AudioResampler(format="fltp", layout="stereo", rate=RATE)
            begins = 0
            for frame in _whole(container, stream, lambda: tell(f"some of the sound of {self.source} is damaged")):
                for own in resampler.resample(frame):
                    time = own.time
                    begins = begins if time is None else round((time - start) * RATE)
                    samples = own.to_ndarray()
                    yield begins, samples
                    begins += samples.shape[1]


def has_sound(path: str | Path) -> bool:
    """Whether a file can be opened as a video and has sound."""
    try:
        with opened(Path(path)) as container:
            return bool(container.streams.audio) and bool(container.streams.video)
    except (FFmpegError, OSError, ValueError):
        return False


def _whole(container: InputContainer, stream: AudioStream, tell: Callable[[], None]) -> Iterator[AudioFrame]:
    """What can be decoded; says once that something cannot."""
    damaged = False
    for packet in container.demux(stream):
        try:
            frames = [frame for frame in packet.decode() if isinstance(frame, AudioFrame)]
        except FFmpegError:
            if not damaged:
                tell()
            damaged, frames = True, []
        yield from frames


def opened(source: Path) -> InputContainer:
    """A file of a kind that holds videos; absolute, as libav takes a relative name with a colon for an address."""
    return av.open(str(source.absolute()), "r", options={"format_whitelist": FORMATS}, metadata_errors="replace")


def _silence(samples: int) -> Iterator[Piece]:
    while samples > 0:
        yield np.zeros((CHANNELS, min(samples, PIECE)), np.float32)
        samples -= PIECE
