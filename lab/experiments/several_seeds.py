"""What seeds change: how different the videos are that a method makes of one motion and one prompt, and how good they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.controls import CONTROLS, Kind, strongest
from lab.experiments.trial import difference, difference_text, held_still, refusal, transferred
from motionlift.bench.frozen import FROZEN
from motionlift.bench.records import or_nan
from motionlift.bench.report.tables import interval, table
from motionlift.measure.diversity import diversity

NAME = "several_seeds"
COUNT = 32
SEEDS = (0, 1, 2)
METHODS: Mapping[str, Kind] = {
    "MOFT": {"method": "moft", "settings": {}},
    "VMC": {"method": "vmc", "settings": {}},
    "VMC, half of the noise inverted": {"method": "vmc", "settings": {"beta": 0.5}},
    "MotionMatcher": {"method": "motionmatcher", "settings": {}},
    "MotionFlow": {"method": "motionflow", "settings": {}},
    "DiTFlow": {"method": "ditflow", "settings": {}},
}
"""Rows beside those of the controls."""
ROWS: Mapping[str, Kind] = {**CONTROLS, **METHODS}
"""Every row, by its title."""
HEAD = ("diversity", "aligned error", "direction", "looks, %", "leakage, %", "less the strongest control")


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and row."""
    return [{"index": index, **kind} for index in range(count) for kind in ROWS.values()]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift once, cast with every seed; or why the model cannot."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    if cell["method"] == FROZEN:  # it has no noise, so that every seed gives the same
        return {"diversity": 0.0, "seeds": [held_still(cell, model)] * len(SEEDS)}
    made = [transferred(cell, model, cached=True, seed=seed) for seed in SEEDS]
    return {"diversity": diversity([video.clip for video, _ in made]), "seeds": [measured for _, measured in made]}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every method; a reference counts by the mean over its seeds."""
    references = len({record["index"] for record in records})
    groups = {title: chosen for title, kind in ROWS.items() if (chosen := _measured(records, kind))}
    best = strongest({title: group for title, group in groups.items() if title in CONTROLS})
    rows = []
    for title, chosen in groups.items():
        few = f" ({len(chosen)} of {references})" if len(chosen) < references else ""
        less = difference(chosen, groups[best], "aligned") if best and title in METHODS else None
        rows.append(
            [
                title + few,
                interval([record["diversity"] for record in chosen]),
                interval([record["aligned"] for record in chosen]),
                interval([_mean(record, "direction") for record in chosen], digits=2),
                interval([_mean(record, "colour", "shape", "background") for record in chosen], 100),
                interval([_mean(record, "leakage") for record in chosen], 100),
                difference_text(less),
            ]
        )
    text = (
        f"## Several seeds\n\n{references} held-out references, each lifted once and cast onto one new prompt with "
        f"{len(SEEDS)} seeds. *Diversity* is one less the structural similarity of two of the videos, the mean over all pairs: 0 "
        "where every seed gives the same picture. The seed changes the starting noise, but for its inverted share. Differences are "
        f"those of the aligned error from the strongest control by its mean{f', *{best}*' if best else ''}.\n\n"
    )
    return text + table(["", *HEAD], rows)


def _measured(records: Sequence[Mapping[str, Any]], kind: Kind) -> list[Mapping[str, Any]]:
    """Records of a row, each with the mean of its aligned error over the seeds."""
    own = [record for record in records if kind.items() <= record.items() and "refused" not in record]
    return [{**record, "aligned": _mean(record, "aligned")} for record in own]


def _mean(record: Mapping[str, Any], *names: str) -> float:
    """Mean over the seeds, and over figures where there are several."""
    values = [or_nan(measured[name]) for measured in record["seeds"] for name in names]
    return sum(values) / len(values)
