"""How often a video is told to move unlike its motion, by whether it truly does.

A video that was cast is compared with its reference by optical flow (:func:`motionlift.work.moved.likeness`), and told where they
are less alike than :data:`motionlift.work.moved.UNLIKE`. Here the truth is known: the way that the object of the reference goes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.trial import refusal, transferred
from motionlift.bench.records import or_nan
from motionlift.bench.references import bundled, clip_of, reference
from motionlift.bench.report.tables import interval, table
from motionlift.work.moved import UNLIKE, likeness

NAME = "told_unlike"
COUNT = 32
FIRST = 3000
"""Its references begin here, apart from those of the comparison and of the sweeps."""
METHODS: Mapping[str, str] = {"plain sampling": "none", "DiTFlow": "ditflow", "MotionFlow": "motionflow"}
"""What moves the object, by title; plain sampling knows nothing of the reference."""
WAYS: Mapping[str, tuple[float, float]] = {
    "as the reference": (0.5, math.inf),
    "somewhat so": (0.0, 0.5),
    "otherwise": (-math.inf, 0.0),
}
"""Bounds of the mean cosine between the steps of the object and those of the reference's, by how the object goes (ours)."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and method."""
    return [
        {"index": index, "method": method, "settings": {}}
        for index in range(FIRST, FIRST + count)
        for method in METHODS.values()
    ]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift, cast, compare; or why the model cannot."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    video, measured = transferred(cell, model)
    about = bundled(model).about
    shown = clip_of(reference(cell["index"], about.shape.frames), about.fps)
    return {"likeness": likeness(shown, video.clip), "direction": measured["direction"]}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every method, and one for every way that the object truly goes."""
    known = [record for record in records if "refused" not in record]
    groups = {title: [each for each in known if each["method"] == method] for title, method in METHODS.items()} | {
        f"the object goes {title}": [each for each in known if low <= or_nan(each["direction"]) < high]
        for title, (low, high) in WAYS.items()
    }
    head = ["videos", "number", "likeness", "told to move unlike the motion, %", "compared by optical flow, %"]
    rows = [[title, str(len(own)), *_figures(own)] for title, own in groups.items() if own]
    return (
        f"## Told to move unlike the motion\n\n{len({record['index'] for record in known})} held-out references apart from all "
        f"others, one seed each. A video is told whose likeness to its reference is below {UNLIKE:g}; how its object goes is by "
        "the mean cosine between its steps and the reference's: half and more; less, but not below nothing; below.\n\n"
        + table(head, rows)
    )


def _figures(own: Sequence[Mapping[str, Any]]) -> list[str]:
    likenesses = [record["likeness"] for record in own if record["likeness"] is not None]
    told = [float(record["likeness"] is not None and record["likeness"] < UNLIKE) for record in own]
    compared = [float(record["likeness"] is not None) for record in own]
    return [interval(likenesses, digits=2) if likenesses else "-", interval(told, 100), interval(compared, 100)]
