"""A whole video as a stream of frames."""

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from motionlift.video.clip import Clip
from motionlift.video.files import existing
from motionlift.video.fitting import Fitting, middle_of, resized_image
from motionlift.video.limits import FRAMES, LONGEST, Image, check_rate, check_side
from motionlift.video.moment import Moment, moments_of_frames
from motionlift.video.moving import Watch
from motionlift.video.part import AS_IT_IS, MIDDLE, MOTION, WHOLE, Part, Taken, check_part
from motionlift.video.reading import at_rate, cut, measured, moments_of, one_frame


@dataclass(frozen=True)
class Footage:
    """A video, or a part of one, as a stream: its frames are decoded anew each time it is gone through, one at a time."""

    source: Path | Clip
    """A file, a folder of pictures, or a clip in memory."""
    frames: int
    """Number of frames."""
    fps: float
    """Frames a second, from the first frame to the last."""
    height: int
    """Rows of the streamed frames."""
    width: int
    """Columns of the streamed frames."""
    notices: tuple[str, ...] = ()
    """What must be said of how a file is read, each a plain sentence."""
    taken: Taken = AS_IT_IS
    """What of it is streamed, and in which shape."""
    rate: float | int | None = None
    """So many frames of every second are streamed; each one where none are given."""

    @classmethod
    def of(
        cls,
        source: str | Path | Clip,
        longest: int = LONGEST,
        taken: Taken = AS_IT_IS,
        rate: float | int | None = None,
    ) -> "Footage":
        """Go through a video once to learn its length, rate and size; larger frames are scaled down to ``longest``.

        Args:
            source: the video.
            longest: longest side of the frames, pixels.
            taken: what of it is streamed; all by default, and of frames of another shape the middle.
            rate: so many frames of every second; each one by default.

        Raises:
            InputError: no such file, not a video, damaged, one frame only, more than 3000 frames, or it ends before the part.
            SettingError: a number out of range, or no such colour or fit.
        """
        check_side("longest", longest)
        check_part(taken.part, taken.fit)
        if rate is not None:
            check_rate(rate)
        notices: tuple[str, ...] = ()
        if isinstance(source, Clip) and taken == AS_IT_IS and rate is None:
            count, fps, (height, width) = len(source.frames), source.fps, source.frames.shape[1:3]
        else:
            place = source if isinstance(source, Clip) else existing(source)
            moments = _moments(place, taken.part, rate)
            count, fps, (height, width), notices = measured(moments, _name(source), taken.part)
            source = source if isinstance(source, Clip) else Path(source)
        if count < FRAMES[0]:
            raise one_frame(_name(source), taken.part)
        scale = min(1.0, longest / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return cls(source, count, fps, *size, notices, taken, rate)

    @property
    def seconds(self) -> float:
        """How long it plays, the last frame as long as the others."""
        return self.frames / self.fps

    def sized(self, height: int, width: int) -> "Footage":
        """The same video at another size: the middle of its frames where the shape differs, or as it is to be read.

        A crop that is to lie where things move is laid where they do: for that the frames are gone through once.
        """
        sized = replace(self, height=height, width=width)
        if self.taken.part.crop != MOTION:
            return sized
        return replace(sized, taken=replace(self.taken, part=replace(self.taken.part, crop=sized._moving_place())))

    def _moving_place(self) -> tuple[float, float]:
        """Where a crop lies that holds most of what moves."""
        fitting = _fitting(self.height, self.width, self.taken, Watch())
        with closing(_moments(_existing(self.source), self.taken.part, self.rate)) as moments:
            for number, moment in enumerate(itertools.islice(moments, self.frames)):
                if not number:
                    fitting.room(moment)
                fitting.image(moment)
        return fitting.moving_place() or MIDDLE

    def __iter__(self) -> Iterator[Image]:
        """Decode it from its first frame on."""
        with closing(frames_of(self.source, self.height, self.width, self.taken, self.rate)) as images:
            yield from images


def frames_of(
    source: str | Path | Clip, height: int, width: int, taken: Taken = AS_IT_IS, rate: float | int | None = None
) -> Generator[Image, None, None]:
    """Yield the frames of a video one by one, upright, at one size.

    Area averages when shrinking, cubic when growing.

    Args:
        source: the video.
        height: rows of the frames.
        width: their columns.
        taken: what of it; all by default, and of frames of another shape the middle.
        rate: so many frames of every second; each one by default.

    Raises:
        InputError: the file cannot be read, or breaks off.
        SettingError: a side out of range.
    """
    check_side("height", height)
    check_side("width", width)
    if isinstance(source, Clip) and taken == AS_IT_IS and rate is None:
        for image in source:
            yield resized_image(middle_of(image, height, width), height, width)
        return
    fitting = _fitting(height, width, taken)
    with closing(_moments(_existing(source), taken.part, rate)) as moments:
        for number, moment in enumerate(moments):
            if not number:
                fitting.room(moment)
            yield resized_image(fitting.image(moment), height, width)


def _fitting(height: int, width: int, taken: Taken, watch: Watch | None = None) -> Fitting:
    """What gives frames a size; one of them is held at a time."""
    return Fitting((height, width), max(height, width), taken.fit, 1, taken.part, watch=watch)


def _moments(source: Path | Clip, part: Part, rate: float | int | None) -> Generator[Moment, None, None]:
    """The frames that are read of a video, each of one moment."""
    if isinstance(source, Clip):
        moments = cut(moments_of_frames(source.frames.numpy(), source.fps), part, _name(source))
    else:
        moments = moments_of(source) if part == WHOLE else moments_of(source, part)
    return moments if rate is None else at_rate(moments, rate)


def _existing(source: str | Path | Clip) -> Path | Clip:
    return source if isinstance(source, Clip) else existing(source)


def _name(source: str | Path | Clip) -> str:
    """What a video is called in messages."""
    return "the clip" if isinstance(source, Clip) else str(source)
