"""Which part of a reference a generated video is compared with: what is asked for, else what the video's own record says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motionlift.errors import InputError, SettingError
from motionlift.video.clip import Clip
from motionlift.video.files import existing
from motionlift.video.part import AS_IT_IS, MIDDLE, Taken, check_part
from motionlift.video.reading import hash_of
from motionlift.video.recorded import record_of


@dataclass(frozen=True)
class Asked:
    """What is asked for of a part; None where nothing is."""

    start: float | int | None = None
    """Where it begins, seconds after the first frame of the reference."""
    duration: float | int | None = None
    """Seconds of it at most."""
    fit: str | None = None
    """How frames get another shape."""
    crop: Sequence[float | int] | str | None = None
    """Where the middle of a crop lies."""
    background: str | tuple[int, int, int] | None = None
    """Colour behind what is transparent."""
    fps: float | int | None = None
    """Frames of every second; of a folder, how many its pictures are a second."""
    from_start: bool | None = None
    """Whether the part is taken only as far as the generated video plays."""


@dataclass(frozen=True)
class Compared:
    """What of a reference is compared."""

    taken: Taken
    """The part, and how its frames get another shape."""
    rate: float | int | None
    """Frames of every second; each one where none are given."""
    from_start: bool
    """Whether it is taken only as far as the generated video plays."""
    by_record: bool = False
    """Whether that is so because the video has a record of this reference."""
    notices: tuple[str, ...] = ()
    """What a person should know of it, each a plain sentence."""


def compared(
    reference: str | Path | Clip,
    generated: str | Path | Clip,
    asked: Asked,
    record: Mapping[str, Any] | None = None,
) -> Compared:
    """What is asked for, and for the rest what the generated video's record says, where it is of this reference.

    Args:
        reference: the reference.
        generated: the generated video.
        asked: what is asked for.
        record: of a generated video in memory; of a file it is read.

    Raises:
        InputError: the reference cannot be read.
        SettingError: there is no such part.
    """
    recorded = _recorded(reference, _record(generated) if record is None else record)
    own = recorded or AS_IT_IS
    given = {"start": asked.start, "duration": asked.duration, "crop": asked.crop, "background": asked.background}
    is_folder = not isinstance(reference, Clip) and Path(reference).is_dir()
    given |= {"rate": asked.fps} if is_folder else {}
    given = {name: value for name, value in given.items() if value is not None}
    fit = asked.fit or ("crop" if asked.crop is not None else own.fit)
    if fit != "crop" and asked.crop is None:
        given["crop"] = None  # of the record, which cropped
    part = replace(own.part, **given)
    check_part(part, fit)
    taken = Taken(part, fit)
    from_start = recorded is not None if asked.from_start is None else asked.from_start
    told = () if recorded is None or taken.is_beginning else (_told(taken, asked != Asked()),)
    by_record = recorded is not None and asked.from_start is None
    return Compared(taken, None if is_folder else asked.fps, from_start, by_record, told)


def shaped(taken: Taken) -> str:
    """How frames of another shape are brought to a size, for messages."""
    if taken.fit == "pad":
        return "with black around it"
    if taken.fit == "stretch":
        return "stretched"
    across, down = taken.part.place
    return "the middle of it" if (across, down) == MIDDLE else f"cropped about {across:.3g},{down:.3g}"


def _record(generated: str | Path | Clip) -> Mapping[str, Any]:
    """The record of a generated video, within the file or beside it; an empty one where it has none."""
    if isinstance(generated, Clip):
        return {}
    try:
        return record_of(Path(generated))
    except InputError:  # that it is no video of ours, or was changed since, is no reason to refuse
        return {}


def _recorded(reference: str | Path | Clip, record: Mapping[str, Any]) -> Taken | None:
    """What a record says was read of this reference; None where it says nothing of it."""
    source, told = record.get("source"), record.get("part")
    if not isinstance(source, dict) or not isinstance(told, dict):
        return None
    digest = reference.sha256 if isinstance(reference, Clip) else hash_of(existing(reference))
    if source.get("sha256") != digest:
        return None
    try:
        return Taken.of(json.loads(json.dumps(told)))  # in memory it holds pairs, in files lists
    except SettingError:
        return None


def _told(taken: Taken, is_changed: bool) -> str:
    """What is said of a part that a record names, some of it changed by what is asked for or not."""
    part = taken.part
    where = f"from {part.start:g} s on" if part.start else "from its beginning"
    shape = "" if taken.fit == "crop" and part.place == MIDDLE else f", {shaped(taken)}"
    but = ", but for what is asked for" if is_changed else ""
    return f"the reference is taken as the generated video's record says that it was read{but}: {where}{shape}"
