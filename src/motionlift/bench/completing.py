"""Figures that were left out of a cell for want of weights, measured later of its kept videos.

The videos are compressed, so that such a figure differs a little from one that is measured before they are written: the record says
which figures are of files, and the report tells it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from motionlift import measure
from motionlift.bench.records import kept_file, number
from motionlift.errors import MotionliftError
from motionlift.measure.score import score
from motionlift.video.clip import Clip

OF_FILES = "figures_of_files"
"""Key of a record under which the figures stand that were measured of the kept videos, or could not be."""
MEASURED_BY = "measured_by"
"""Key of a record under which versions, grids and weights of tracker and CLIP stand; records of before say nothing of them."""
TRIAL_SIDE = 64
"""Side of the frames by which is seen what can be measured, pixels (ours: above the least of every metric)."""


def completable() -> tuple[str, ...]:
    """Names of the figures that need something of which is only seen in measuring whether it is there, such as weights."""
    return tuple(name for name, figure in measure.figures().items() if any(need.met is None for need in figure.needs))


def at_hand(names: Sequence[str]) -> tuple[str, ...]:
    """Those of the figures that can be measured here and now."""
    blank = Clip.of(torch.zeros(2, TRIAL_SIDE, TRIAL_SIDE, 3, dtype=torch.uint8), 8.0)
    return tuple(score(blank, blank, prompt="a star", metrics=names).figures) if names else ()


def left_to_measure(record: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Those of the figures that a record left out, and that were not tried since."""
    left_out, tried = record.get("left_out"), record.get(OF_FILES, [])
    if "error" in record or not isinstance(left_out, dict):
        return []
    return [name for name in names if name in left_out and name not in tried]


def videos(record: Mapping[str, Any], folder: Path) -> tuple[Path, Path] | None:
    """The files of the reference as the model saw it and of the video; None where one is not there any more."""
    files = [kept_file(folder, record.get(name)) for name in ("reference_video", "video")]
    return (files[0], files[1]) if files[0] is not None and files[1] is not None else None


def completed(record: Mapping[str, Any], folder: Path, names: Sequence[str], by: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the figures, or with why they are still left out.

    Args:
        record: of a cell.
        folder: of the records.
        names: of the figures.
        by: tracker and CLIP model, as :func:`motionlift.measure.score.score` takes them.
    """
    files = videos(record, folder)
    if files is None:
        return without(record, names, "its video is not there any more")
    try:
        found = score(*files, prompt=record["prompt"], metrics=names, **by)
    except MotionliftError as error:
        return without(record, names, str(error))
    figures = {name: number(value) for name, value in found.figures.items()}
    left_out = {name: why for name, why in record["left_out"].items() if name not in figures}
    changed = {
        "figures": {**record["figures"], **figures},
        "left_out": {**left_out, **found.left_out},
        MEASURED_BY: {**record.get(MEASURED_BY, {}), **{name: dict(own) for name, own in found.measured_by.items()}},
    }
    return _tried({**record, **changed}, names)


def without(record: Mapping[str, Any], names: Sequence[str], reason: str) -> dict[str, Any]:
    """The record as it was, with why figures cannot be measured of its videos."""
    return _tried({**record, "left_out": {**record["left_out"], **dict.fromkeys(names, reason)}}, names)


def _tried(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {**record, OF_FILES: sorted({*record.get(OF_FILES, []), *names})}
