"""A short video in memory."""

import hashlib
import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from motionlift.core.tensors import Pixels
from motionlift.errors import DivergenceError, InputError
from motionlift.video.encoding import write_video
from motionlift.video.files import existing
from motionlift.video.fitting import Fitting, canvas_of
from motionlift.video.given import Frames, frames_of
from motionlift.video.limits import (
    FRAMES,
    SIDES,
    Image,
    Rate,
    check_bytes,
    check_rate,
    check_reading,
    check_side,
    plain,
)
from motionlift.video.marks import CLIP, Kind
from motionlift.video.moment import Moment, moments_of_frames
from motionlift.video.moving import Watch
from motionlift.video.part import WHOLE, Part, Taken, check_part
from motionlift.video.reading import cut, hash_of, moments_of, part_frames
from motionlift.video.writing import replacing

PIECE = 16
"""Frames of numbers that become whole ones at once (ours)."""
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A short video in memory."""

    frames: UInt8[Tensor, "frames height width 3"]
    """RGB frames on the CPU."""
    fps: float
    """Frames a second at which these frames play at natural speed."""
    sha256: str
    """Hash of the source file's bytes, or of frames and rate when they came from memory."""
    notices: tuple[str, ...] = ()
    """What was done to make the source fit, each a plain sentence."""
    taken: Taken | None = None
    """What of the source these frames are, and how they got their shape; none where they were not read for a model."""

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        frames: int,
        fps: Rate,
        aspect: tuple[int, int],
        longest: int = 512,
        fit: str = "crop",
        every_frame: bool = False,
        part: Part = WHOLE,
    ) -> "Clip":
        """Read ``frames`` frames of a video, ``fps`` of them a second, by presentation time, from where a part of it begins.

        A frame is taken when it is on screen at the wanted time, so a variable frame rate is followed. A video that
        ends before the last wanted time gives ``frames`` frames spread evenly from its first to its last, and ``fps``
        of the clip is then their true rate (at most 240). The display matrix and pixels that are not square are
        applied. Frames are scaled one by one as they are decoded, never enlarged, and decoding stops after the last.

        Args:
            path: a video file, an animated picture, or a folder of pictures.
            frames: number of frames, 2 to 10,000.
            fps: frames a second, 0.1 to 240.
            aspect: height and width of the model's frame, whose shape the frames get.
            longest: longest side of the frames, in pixels.
            fit: ``"crop"`` the middle, ``"pad"`` with black, or ``"stretch"`` the whole to that shape.
            every_frame: take the first frames as they come, whatever their rate, which the clip then has.
            part: from when on, for how long, where a crop lies, the colour behind what is transparent, and the rate of a folder.

        Raises:
            SettingError: a number out of range.
            InputError: no such file, not a video, fewer than two frames or than are to be taken as they come, a size out of range,
                or a file that breaks off before the last wanted frame.
        """
        fps = plain(fps)
        check_reading(frames, fps, aspect, longest, fit)
        check_part(part, fit)
        source = existing(path)
        onward = replace(part, duration=None)
        fitting = Fitting(aspect, longest, fit, frames, part, watch=Watch())
        found = part_frames(
            partial(moments_of, source, part),
            partial(moments_of, source, onward),
            *(str(path), None if every_frame else fps, fitting),
        )
        LOG.info("read %s: %d frames, %.4g a second", path, frames, found.fps)
        return cls(torch.from_numpy(found.images), found.fps, hash_of(source), found.notices, found.taken)

    @classmethod
    def of(cls, frames: Frames, fps: Rate) -> "Clip":
        """A clip of frames in memory.

        Args:
            frames: an array or a tensor, ``(frames, height, width, 3)`` or ``(frames, 3, height, width)``, of uint8 from 0 to 255
                or of floats from 0 to 1; or a list of pictures. What is transparent is laid on grey, which a notice tells.
            fps: frames a second at which they play at natural speed, 0.1 to 240.

        Raises:
            InputError: another shape, type or range, or none or too many frames.
            SettingError: ``fps`` out of range.
        """
        fps = plain(fps)
        check_rate(fps)
        given = frames_of(frames)
        return cls._own(given.frames, fps, given.notices)

    @classmethod
    def _own(cls, frames: Tensor, fps: Rate, notices: tuple[str, ...] = ()) -> "Clip":
        """A clip of frames that nobody else holds."""
        if not (1 <= len(frames) <= FRAMES[1] and all(1 <= side <= SIDES[1] for side in frames.shape[1:3])):
            raise InputError(
                f"frames are {tuple(frames.shape)}; give 1 to {FRAMES[1]} frames of 1 to {SIDES[1]} pixels a side"
            )
        digest = hashlib.sha256(f"{tuple(frames.shape)} {float(fps)!r}".encode())
        digest.update(frames.numpy().data)
        return cls(frames, float(fps), digest.hexdigest(), notices)

    @classmethod
    def from_pixels(cls, pixels: Pixels, fps: Rate) -> "Clip":
        """A clip of pixels in -1..1, of any type on any device; values beyond are clamped.

        They become whole numbers a few frames at a time, so that of a long video nothing but these is there once more.

        Raises:
            DivergenceError: a value that is not finite.
            SettingError: ``fps`` out of range.
        """
        fps = plain(fps)
        check_rate(fps)
        count, _, height, width = pixels.shape
        frames = torch.empty((count, height, width, 3), dtype=torch.uint8)
        for own, part in zip(frames.split(PIECE), pixels.detach().split(PIECE), strict=True):
            piece = part.to("cpu", torch.float32)
            if not torch.isfinite(piece).all():
                raise DivergenceError("the video holds values that are not finite; try another seed or a lower lr")
            own.copy_(((piece.clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1))
        return cls._own(frames, fps)

    def __repr__(self) -> str:
        count, height, width = self.frames.shape[:3]
        return f"Clip({count} frames of {width}x{height}, {self.fps:.4g} a second)"

    def _repr_html_(self) -> str:
        """The clip as notebooks show it: it plays."""
        from motionlift.video.notebook import playing  # which makes clips smaller

        return playing(self)

    def __iter__(self) -> Iterator[Image]:
        """The frames one by one, so that a clip serves wherever a stream of frames does."""
        yield from self.frames.numpy()

    def pixels(self) -> Float[Tensor, "frames 3 height width"]:
        """Frames as float32 in -1..1; :meth:`from_pixels` gives back the same frames."""
        planes = self.frames.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        return planes.div_(127.5).sub_(1)  # in place: of long references it is most of what lifting takes

    def sampled(
        self,
        *,
        frames: int,
        fps: Rate,
        aspect: tuple[int, int],
        longest: int = 512,
        fit: str = "crop",
        every_frame: bool = False,
        part: Part = WHOLE,
    ) -> "Clip":
        """The clip read as :meth:`read` reads the same video in a file, by time where nothing else is asked for.

        Args:
            frames: number of frames, 2 to 10,000.
            fps: frames a second, 0.1 to 240. A clip that is too short gives so many frames all the same, at their true rate.
            aspect: height and width of the model's frame, whose shape the frames get.
            longest: longest side of the frames, in pixels.
            fit: how, as :meth:`read` says.
            every_frame: take the first frames as they come.
            part: from when on, for how long, and where a crop lies.

        Raises:
            SettingError: a number out of range.
            InputError: fewer than two frames, in all or in the time that is read, or than are to be taken as they come.
        """
        fps = plain(fps)
        check_reading(frames, fps, aspect, longest, fit)
        check_part(part, fit)
        images, name = self.frames.numpy(), "the clip"
        fitting = Fitting(aspect, longest, fit, frames, part, watch=Watch())

        def moments(part: Part) -> Generator[Moment, None, None]:
            return cut(moments_of_frames(images, self.fps), part, name)

        onward = replace(part, duration=None)
        rate = None if every_frame else fps
        found = part_frames(partial(moments, part), partial(moments, onward), name, rate, fitting)
        told = {"notices": (*self.notices, *found.notices), "taken": found.taken}
        return replace(self, frames=torch.from_numpy(found.images), fps=found.fps, **told)

    def cropped(self, aspect: tuple[int, int]) -> "Clip":
        """The middle of each frame, as much as has the shape of ``aspect`` (height, width); a notice tells of it.

        Raises:
            SettingError: a side of the aspect out of 1..16384.
        """
        check_side("height of the aspect", aspect[0])
        check_side("width of the aspect", aspect[1])
        height, width = self.frames.shape[1:3]
        rows, columns = canvas_of(height, width, aspect[1] / aspect[0])
        if (rows, columns) == (height, width):
            return self
        top, left = (height - rows) // 2, (width - columns) // 2
        kept = self.frames[:, top : top + rows, left : left + columns].contiguous()
        notice = f"frames were cropped from {width}x{height} to {columns}x{rows} for the shape {aspect[1]}x{aspect[0]}"
        return replace(self, frames=kept, notices=(*self.notices, notice))

    def resized(self, height: int, width: int) -> "Clip":
        """The clip at another size in pixels: area averages when shrinking, cubic when growing.

        Raises:
            SettingError: a side out of 1..16384, or a clip too large for memory.
        """
        check_side("height", height)
        check_side("width", width)
        if (height, width) == tuple(self.frames.shape[1:3]):
            return self
        check_bytes(len(self.frames), height, width)
        shrinks = height * width < self.frames.shape[1] * self.frames.shape[2]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        frames = np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in self.frames.numpy()])
        return replace(self, frames=torch.from_numpy(frames))

    def save(self, path: str | Path, kind: Kind = CLIP) -> None:
        """Write a file of the form that the suffix asks for; :mod:`motionlift.video.encoding` lists them.

        ``.mp4`` plays everywhere: H.264, yuv420p, BT.709, index in front. ``.webm`` is VP9, ``.mov`` ProRes 422 HQ, ``.gif`` and
        ``.webp`` play for ever, and a name without a suffix is a folder of PNG. The same clip gives the same bytes; the file
        appears whole or not at all. Videos need even sides: an odd one gets its last row or column twice.

        Args:
            path: the file, or the folder.
            kind: what the file says it is; one of another kind is not replaced.

        Raises:
            OutputError: another suffix, a folder of other things, no parent folder, a file that this program did not write, not
                writable, or a full disk.
        """
        with replacing(path, kind) as temporary:
            write_video(temporary, self.frames.numpy(), self.fps, kind, Path(path).suffix)


def side_by_side(clips: Sequence[Clip], height: int = 256) -> Clip:
    """Clips beside each other at one height, a white gap of 1/32 of it between them, at the rate of the first.

    Frames go together by number; shorter clips hold their last frame. Where the height is a whole multiple of a clip's,
    its pixels are repeated, so that small videos stay sharp.

    Raises:
        InputError: no clips.
        SettingError: a height out of 1..16384.
    """
    if not clips:
        raise InputError("no clips came to put side by side; give at least one")
    check_side("height", height)
    longest = max(len(clip.frames) for clip in clips)
    gap = torch.full((longest, height, max(1, height // 32), 3), 255, dtype=torch.uint8)
    parts: list[Tensor] = []
    for clip in clips:
        frames = _at_height(clip, height)
        held = frames[-1:].expand(longest - len(frames), -1, -1, -1)
        parts += [gap, torch.cat([frames, held])]
    return Clip.of(torch.cat(parts[1:], dim=2), clips[0].fps)


def _at_height(clip: Clip, height: int) -> Tensor:
    times, rest = divmod(height, clip.frames.shape[1])
    if not rest:
        return clip.frames.repeat_interleave(times, dim=1).repeat_interleave(times, dim=2)
    return clip.resized(height, max(1, round(clip.frames.shape[2] * height / clip.frames.shape[1]))).frames
