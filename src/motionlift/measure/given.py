"""Videos to be measured, in any of the forms that programs hold them in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.video.clip import Clip
from motionlift.video.folder import RATE
from motionlift.video.footage import Footage
from motionlift.video.given import Frames, Given, frames_of
from motionlift.video.limits import Rate, check_rate, plain
from motionlift.video.part import GREY
from motionlift.work.video import Video

Measured = str | Path | Clip | Video | Frames
"""A video to be measured: a file or a folder, a clip, what :func:`motionlift.cast` gave, or frames in memory."""


@dataclass(frozen=True)
class Viewed:
    """A video as it is measured."""

    video: str | Path | Clip
    """A file, a folder, or a clip."""
    record: Mapping[str, Any] | None = None
    """How it came about, where that came along with it; files have theirs within or beside them."""
    notices: tuple[str, ...] = ()
    """What was done to frames in memory, each a plain sentence."""


def sources_of(
    reference: Measured,
    generated: Measured,
    background: str | tuple[int, int, int] | None = None,
    fps: Rate | None = None,
) -> tuple[Viewed, Viewed]:
    """A reference and a generated video as they are measured.

    Args:
        reference: the reference.
        generated: the generated video.
        background: what lies behind what is transparent in frames in memory; grey by default.
        fps: rate of frames in memory; by default that of the other video, and 24 where that has none either.

    Raises:
        InputError: one is no video, or cannot be read.
        SettingError: there is no such rate or colour.
    """
    one, other = (_read(given, background) for given in (reference, generated))
    return _with_rate(one, _rate(fps, other)), _with_rate(other, _rate(fps, one))


def _read(given: Measured, background: str | tuple[int, int, int] | None) -> Viewed | Given:
    """What has a rate, or frames that have none."""
    if isinstance(given, Video):
        return Viewed(given.clip, given.record)
    if isinstance(given, str | Path | Clip):
        return Viewed(given)
    return frames_of(given, GREY if background is None else background)


def _rate(fps: Rate | None, other: Viewed | Given) -> Rate | Viewed:
    """What says the rate of frames beside another video; a source, which is opened for it only where there are such frames."""
    if fps is not None:
        return fps
    return RATE if isinstance(other, Given) else other


def _with_rate(given: Viewed | Given, rate: Rate | Viewed) -> Viewed:
    """Frames as a clip at a rate; what has one as it is."""
    if isinstance(given, Viewed):
        return given
    if isinstance(rate, Viewed):
        rate = rate.video.fps if isinstance(rate.video, Clip) else Footage.of(rate.video).fps
    number = plain(rate)
    check_rate(number)
    told = f"frames in memory have no rate of their own and were taken as {number:g} a second: Clip.of(frames, fps) says another"
    return Viewed(Clip.of(given.frames, number), notices=(*given.notices, told))
