"""The record of a video that this program wrote, as it is read back: from within the video, or from beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionlift.core.places import check_there
from motionlift.errors import InputError
from motionlift.video.encoding import comment_of
from motionlift.video.marks import FOREIGN, KEY, RECORD, hash_of, is_marked_json, json_of
from motionlift.video.writing import NAMELESS, companion

WANTED = "give a video that motionlift transfer or cast wrote, or the .json beside it"


def record_of(file: Path) -> Mapping[str, Any]:
    """The record of a video, of what is in it or else beside it; or of a file of JSON.

    Raises:
        InputError: there is none, it is not as motionlift wrote it, or it is of another file.
    """
    check_there(file, WANTED)
    if file.name in NAMELESS:
        raise InputError(f"{file} is a folder without a name of its own; {WANTED}")
    if file.suffix.lower() == ".json":
        return _record_in(file)
    within = _record_within(file)
    if within is not None:
        return within
    beside = _beside(file)
    if beside is None:
        raise InputError(f"{file} holds no record of motionlift, and there is none beside it; {WANTED}")
    record = _record_in(beside)
    output = record.get("output")
    if not isinstance(output, dict) or output.get("sha256") != hash_of(file).hex():
        raise InputError(f"{beside} is the record of another file than {file}, or that was changed since; {WANTED}")
    return record


def _beside(file: Path) -> Path | None:
    place = file.with_suffix(".json") if file.suffix.lower() == ".mp4" else companion(file, ".json")
    return place if place.is_file() else None


def _record_in(file: Path) -> Mapping[str, Any]:
    if not RECORD.wrote(file):
        raise InputError(
            f"{file} is no record as motionlift wrote it: it is something else, or was changed since; {WANTED}"
        )
    return json_of(file)


def _record_within(video: Path) -> Mapping[str, Any] | None:
    """The record in a video's comment; none where there is none of ours.

    Raises:
        InputError: there is one that was changed since.
    """
    comment = comment_of(video) if video.is_file() else None
    if comment is None:
        return None
    try:
        told = json.loads(comment)
    except FOREIGN:
        return None
    if not isinstance(told, dict) or KEY not in told:
        return None
    if not is_marked_json(RECORD, told):
        raise InputError(f"the record in {video} was changed since motionlift wrote it; {WANTED}")
    return told
