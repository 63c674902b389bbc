"""A whole video as a stream of frames."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from motionlift.errors import InputError
from motionlift.video.clip import Clip
from motionlift.video.files import existing
from motionlift.video.fitting import Fitting, middle_of, resized_image
from motionlift.video.limits import FRAMES, LONGEST, Image, check_side
from motionlift.video.reading import measured_file, moments_of


@dataclass(frozen=True)
class Footage:
    """A whole video as a stream: its frames are decoded anew each time it is gone through, one at a time."""

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

    @classmethod
    def of(cls, source: str | Path | Clip, longest: int = LONGEST) -> "Footage":
        """Go through a video once to learn its length, rate and size; larger frames are scaled down to ``longest``.

        Raises:
            InputError: no such file, not a video, damaged, one frame only, or more than 3000 frames.
            SettingError: ``longest`` out of range.
        """
        check_side("longest", longest)
        notices: tuple[str, ...] = ()
        if isinstance(source, Clip):
            count, fps, (height, width) = len(source.frames), source.fps, source.frames.shape[1:3]
        else:
            count, fps, (height, width), notices = measured_file(existing(source))
            source = Path(source)
        if count < FRAMES[0]:
            name = "the clip" if isinstance(source, Clip) else source
            raise InputError(f"{name} holds one frame; a motion needs at least two frames: give a video")
        scale = min(1.0, longest / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return cls(source, count, fps, *size, notices)

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
    check_side("height", height)
    check_side("width", width)
    if isinstance(source, Clip):
        for image in source:
            yield resized_image(middle_of(image, height, width), height, width)
        return
    fitting = Fitting((height, width), max(height, width), "crop", 1)
    with closing(moments_of(existing(source))) as moments:
        for number, moment in enumerate(moments):
            if not number:
                fitting.room(moment)
            yield resized_image(fitting.image(moment), height, width)
