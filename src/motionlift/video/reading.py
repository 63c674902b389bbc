"""Frames of references, chosen by their presentation times: of video files, animated pictures, folders of pictures, and clips."""

import math
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from motionlift.errors import InputError
from motionlift.video.animated import animated_moments, kind_of
from motionlift.video.colour import rgb_of
from motionlift.video.decoding import file_moments
from motionlift.video.files import existing, hash_of_file
from motionlift.video.fitting import Fitting, changed
from motionlift.video.folder import folder_moments, hash_of_folder
from motionlift.video.interlaced import deinterlaced
from motionlift.video.limits import MOST_STREAMED, RATES
from motionlift.video.moment import Moment, Moments, upright_size
from motionlift.video.moving import Watch, where_motion_begins
from motionlift.video.part import MIDDLE, MOTION, WHOLE, Part, Taken, told_times
from motionlift.video.woven import woven_order

SLACK = 0.05
"""How much later than wanted a frame may start and still be taken, as a share of the time between wanted frames. It
absorbs the rounding of timestamps (Matroska keeps milliseconds) and rates such as 29.97 for 30 (ours)."""
ROUNDING = 0.001
"""The same for where a part begins and ends, seconds (ours: Matroska's milliseconds)."""
LOOKED_AT = 0.125
"""Seconds that are looked at before a model is loaded (ours: enough for most files that are cut short near their beginning)."""

# Sources


def moments_of(source: Path, part: Part = WHOLE) -> Generator[Moment, None, None]:
    """The frames of a file or a folder, each of one moment, from where a part begins to where it ends; times start there.

    Raises:
        InputError: it cannot be read, breaks off, or ends before the part begins.
    """
    if source.is_dir():
        moments = folder_moments(source, part.rate)
    elif kind := kind_of(source):
        moments = animated_moments(source, kind)
    else:
        moments = deinterlaced(file_moments(source), woven_order(source))
    return cut(moments, part, str(source))


def cut(moments: Generator[Moment, None, None], part: Part, name: str) -> Generator[Moment, None, None]:
    """The frames of a part in time; the first is the one on screen where it begins.

    Args:
        moments: all frames.
        part: which.
        name: what the video is called in messages.

    Raises:
        InputError: the video ends before the part begins.
    """
    if not part.cut:
        yield from moments
        return
    until = math.inf if part.duration is None else part.duration
    held, first, given = None, (), False
    with closing(moments):
        for moment in moments:
            first = first if held else moment.notices
            if held and moment.time > part.start + ROUNDING:
                yield _shifted(held, part.start, until, () if given else first)
                given = True
                if moment.time - part.start >= until - ROUNDING:
                    return
            held = moment
    if held is None or held.end <= part.start + ROUNDING:
        end = 0.0 if held is None else held.end
        raise InputError(f"{name} shows {end:.2f} s, and is to be read from {part.start:g} s; give an earlier --start")
    yield _shifted(held, part.start, until, () if given else first)


def _shifted(moment: Moment, start: float, until: float, notices: tuple[str, ...]) -> Moment:
    told = (*notices, *[notice for notice in moment.notices if notice not in notices])
    return replace(moment, time=max(0.0, moment.time - start), end=min(moment.end - start, until), notices=told)


def hash_of(source: Path) -> str:
    """SHA-256 of a file's bytes, or of the pictures of a folder, in hexadecimal digits."""
    return hash_of_folder(source) if source.is_dir() else hash_of_file(source)


def at_rate(moments: Generator[Moment, None, None], rate: float | int) -> Generator[Moment, None, None]:
    """So many frames of every second, each the one that is on screen then."""
    held, number = None, 0
    with closing(moments):
        for moment in moments:
            while held is not None and (number + SLACK) / rate < moment.time:
                yield replace(held, time=number / rate, end=(number + 1) / rate)
                number += 1
            held = moment
    while held is not None and number / rate < max(held.end - 1e-6, held.time + SLACK / rate):
        yield replace(held, time=number / rate, end=(number + 1) / rate)
        number += 1


def measured(
    moments: Generator[Moment, None, None], name: str, part: Part = WHOLE
) -> tuple[int, float, tuple[int, int], tuple[str, ...]]:
    """Number of frames, frames a second, the size as it is shown, and what must be said of reading it.

    Args:
        moments: the frames.
        name: what the video is called in messages.
        part: what they are of it.

    Raises:
        InputError: it cannot be read, or holds more than :data:`motionlift.video.limits.MOST_STREAMED` frames.
    """
    count, size, last = 0, (0, 0), 0.0
    first, notices = (0, 0, 1.0), ()
    with closing(moments):
        for moment in moments:
            told = moment.notices
            if not count:
                height, width, pixel_aspect = upright_size(moment)
                size = round(height / max(pixel_aspect, 1)), round(width * min(pixel_aspect, 1))
                first = height, width, pixel_aspect
                told += rgb_of(moment.frame, part.colour, str(part.background))[1]
            told += changed(first, upright_size(moment))
            notices += tuple(notice for notice in told if notice not in notices)
            count, last = count + 1, moment.time
            if count > MOST_STREAMED:
                raise InputError(f"{name} holds more than {MOST_STREAMED} frames; give a shorter video")
    return count, (count - 1) / last if last else 1.0, size, notices


def seconds_of(source: Path, part: Part) -> float:
    """How long a part is seen, seconds: less than its duration where the video ends before.

    Raises:
        InputError: it cannot be read, or ends before the part begins.
    """
    end = 0.0
    with closing(moments_of(source, part)) as moments:
        for moment in moments:
            end = moment.end
    return end


def aspect_of(source: Path) -> float:
    """Width by height of a video's first frame as it is shown.

    Raises:
        InputError: it cannot be read.
    """
    with closing(moments_of(source)) as moments:
        height, width, pixel_aspect = upright_size(next(moments))
    return width * pixel_aspect / height


def check_moves(path: str | Path, part: Part = WHOLE) -> None:
    """Refuse what is plainly no video, by decoding the first frames of a part, two or more.

    Raises:
        InputError: it cannot be read, holds one frame only, or its colours cannot be converted.
    """
    source, count = existing(path), 0
    with closing(moments_of(source, part)) as moments:
        for moment in moments:
            count += 1
            if count == 1:
                rgb_of(moment.frame, part.colour, str(part.background))
            if count > 1 and moment.time > LOOKED_AT:
                return
    if count < 2:
        raise one_frame(str(path), part)


def one_frame(name: str, part: Part) -> InputError:
    """What is said of a video, or a part of one, of one frame."""
    return InputError(f"{name}{told_times(part)} holds one frame; a motion needs at least two frames: give a video")


# Choosing frames


@dataclass(frozen=True)
class Sampled:
    """Frames of a video, chosen by time."""

    images: UInt8[np.ndarray, "frames height width 3"]
    """The frames."""
    fps: float
    """Their frames a second, as near to the true ones as is allowed."""
    seconds: float
    """How long they show."""
    notices: tuple[str, ...]
    """What was done to make the video fit, each a plain sentence."""
    taken: Taken = field(default_factory=Taken)
    """What of it they are, as :func:`part_frames` has it."""


def part_frames(moments: Moments, onward: Moments, name: str, fps: float | int | None, fitting: Fitting) -> Sampled:
    """The frames of a part of a video, and what is to be known of how things move in it.

    Args:
        moments: the part.
        onward: the video from where the part begins to its own end.
        name: what it is called in messages.
        fps: frames a second, by time; none for frames as they come.
        fitting: what gives them their shape.

    Raises:
        InputError: too few frames, or a file that breaks off before the last wanted one.
    """

    def read(fitting: Fitting) -> Sampled:
        if fps is None:
            return first_frames(moments, name, fitting)
        return sampled_frames(moments, name, fps, fitting)

    found = read(fitting)
    place = fitting.moving_place() if fitting.part.crop == MOTION else None
    if place is not None:
        fitting = replace(fitting, place=place, watch=Watch())
        found = read(fitting)
    before = len(fitting.notices)
    fitting.tell_what_left()
    told = (*found.notices, *fitting.notices[before:])
    if fitting.watch is not None and fitting.watch.still:
        shown = min(found.seconds, math.inf if fitting.part.duration is None else fitting.part.duration)
        told += (_resting(onward, fitting.part, shown),)
    part = replace(fitting.part, crop=place or MIDDLE) if fitting.part.crop == MOTION else fitting.part
    return replace(found, notices=told, taken=Taken(part, fitting.fit))


def _resting(onward: Moments, part: Part, seconds: float) -> str:
    """What is said where nothing moves in the part that was read: where motion begins, if it does."""
    end = part.start + seconds
    where = f"from {part.start:g} to {end:.1f} s" if part.start else f"in the first {seconds:.1f} s"
    try:
        begins = where_motion_begins(onward, seconds)
    except InputError:  # the damage lies behind what is needed
        begins = None
    if begins is None:
        return f"nothing moves {where}, nor after that: give a reference that moves"
    begins += part.start
    return f"nothing moves {where}; motion begins at {begins:.1f} s: --start {math.floor(begins * 10 + 0.01) / 10:g}"


def sampled_frames(moments: Moments, name: str, fps: float | int, fitting: Fitting) -> Sampled:
    """The first frames of a video, so many a second, or evenly spread ones of a video that is too short.

    Args:
        moments: the video.
        name: what it is called in messages.
        fps: frames a second.
        fitting: what gives them their shape, and says how many they are.

    Raises:
        InputError: fewer than two frames, or a file that breaks off before the last wanted one.
    """
    frames = fitting.frames
    picked = _picked(moments, name, np.arange(frames) / fps, 1 / fps, fitting)
    rate = written = float(fps)
    notices = []
    if not picked.complete:
        rate = (frames - 1) / picked.last
        written, beyond = _told_rate(rate)
        what = "part that is read" if fitting.part.cut else "video"
        notices.append(
            f"the {what} shows {picked.end:.2f} s, too short for {frames} frames at {fps:g} a second: "
            f"{frames} frames were spread evenly over it, {written:.3g} a second{beyond}"
        )
        if fitting.watch is not None:
            fitting.watch = Watch()
        picked = _picked(moments, name, np.linspace(0, picked.last, frames), 1 / rate, fitting)
    if picked.distinct < 2:
        raise InputError(
            f"{name}: the first {(frames - 1) / fps:.2f} s show one frame only; a motion needs at least two; "
            "ask for more frames, or for fewer a second"
        )
    if picked.distinct < frames:
        notices.append(f"there were {picked.distinct} different frames for {frames}: some are repeated")
    return Sampled(picked.images, written, frames / rate, (*fitting.notices, *notices))


def first_frames(moments: Moments, name: str, fitting: Fitting) -> Sampled:
    """The first frames of a video as they come, whatever their rate, which is said.

    Args:
        moments: the video.
        name: what it is called in messages.
        fitting: what gives them their shape, and says how many they are.

    Raises:
        InputError: it holds fewer.
    """
    frames = fitting.frames
    images, times = np.empty(0, np.uint8), []
    with closing(moments()) as shown:
        for moment in shown:
            images = images if times else fitting.room(moment)
            images[len(times)] = fitting.image(moment)
            times.append(moment.time)
            if len(times) == frames:
                break
    if len(times) < frames or times[-1] <= times[0]:
        raise InputError(
            f"{name}{told_times(fitting.part)} holds {len(times)} frames, and {frames} are to be taken as they come; give a longer "
            "video, ask for fewer, or have it read by time"
        )
    rate = (frames - 1) / (times[-1] - times[0])
    written, beyond = _told_rate(rate)
    told = f"the first {frames} frames were taken as they come, {written:.3g} a second{beyond}"
    return Sampled(images, written, frames / rate, (*fitting.notices, told))


def _told_rate(rate: float) -> tuple[float, str]:
    """The allowed rate that is nearest to a true one, and what is said where it is another."""
    allowed = min(max(rate, RATES[0]), RATES[1])
    if allowed == rate:
        return rate, ""
    end, times, how = ("most", rate / allowed, "slower") if rate > allowed else ("fewest", allowed / rate, "faster")
    return allowed, f", the {end} there are: it moves {times:.3g} times {how} than the reference"


@dataclass
class _Picked:
    """Frames chosen from a file, as far as it went."""

    images: np.ndarray
    """``(frames, height, width, 3)``."""
    distinct: int
    """How many different frames are among them."""
    complete: bool
    """Whether the file was long enough."""
    last: float
    """When the last frame that was seen starts, seconds."""
    end: float
    """When it would leave the screen."""


def _picked(moments: Moments, name: str, wanted: np.ndarray, interval: float, fitting: Fitting) -> _Picked:
    """Choose for each wanted time the frame on screen; stop decoding once the last is known."""
    slack = SLACK * interval
    held: Moment | None = None
    images, filled, distinct = np.empty(0, np.uint8), 0, 0
    with closing(moments()) as shown:
        for moment in shown:
            if held is None:
                images = fitting.room(moment)
            else:
                until = int(np.searchsorted(wanted + slack, moment.time))
                if until > filled:
                    images[filled:until] = fitting.image(held)
                    filled, distinct = until, distinct + 1
            held = moment
            if filled == len(wanted):
                return _Picked(images, distinct, True, held.time, held.end)
    if held is None or held.time == 0:
        raise one_frame(name, fitting.part)
    complete = bool(wanted[-1] < max(held.end - 1e-6, held.time + slack))
    if complete:
        images[filled:] = fitting.image(held)
    return _Picked(images, distinct + 1, complete, held.time, held.end)
