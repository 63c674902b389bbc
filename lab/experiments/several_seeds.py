"""What seeds change: how different the videos are that a method makes of one motion and one prompt, and how good they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.trial import refusal, transferred
from motionlift.bench.records import or_nan
from motionlift.bench.report.tables import interval, table
from motionlift.measure.diversity import diversity

NAME = "several_seeds"
COUNT = 32
SEEDS = (0, 1, 2)
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "none": ("none", {}),
    "inverted noise alone": ("none", {"inversion": True, "beta": 1.0}),
    "MOFT": ("moft", {}),
    "VMC": ("vmc", {}),
    "VMC, half of the noise inverted": ("vmc", {"beta": 0.5}),
    "MotionMatcher": ("motionmatcher", {}),
    "MotionFlow": ("motionflow", {}),
    "DiTFlow": ("ditflow", {}),
}
"""Method and settings of every row."""
HEAD = ("diversity", "aligned error", "direction", "looks, %", "leakage, %")


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and row."""
    return [
        {"index": index, "method": method, "settings": dict(settings)}
        for index in range(count)
        for method, settings in METHODS.values()
    ]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift once, cast with every seed; or why the model cannot."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    made = [transferred(cell, model, cached=True, seed=seed) for seed in SEEDS]
    return {"diversity": diversity([video.clip for video, _ in made]), "seeds": [measured for _, measured in made]}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every method; a reference counts by the mean over its seeds."""
    references = len({record["index"] for record in records})
    rows = []
    for title, (method, settings) in METHODS.items():
        kind = {"method": method, "settings": settings}
        chosen = [record for record in records if kind.items() <= record.items() and "refused" not in record]
        if not chosen:
            continue
        few = f" ({len(chosen)} of {references})" if len(chosen) < references else ""
        rows.append(
            [
                title + few,
                interval([record["diversity"] for record in chosen]),
                interval([_mean(record, "aligned") for record in chosen]),
                interval([_mean(record, "direction") for record in chosen], digits=2),
                interval([_mean(record, "colour", "shape", "background") for record in chosen], 100),
                interval([_mean(record, "leakage") for record in chosen], 100),
            ]
        )
    text = (
        f"## Several seeds\n\n{references} held-out references, each lifted once and cast onto one new prompt with "
        f"{len(SEEDS)} seeds. *Diversity* is one less the structural similarity of two of the videos, the mean over all pairs: 0 "
        "where every seed gives the same picture. The seed changes the starting noise, but for its inverted share.\n\n"
    )
    return text + table(["", *HEAD], rows)


def _mean(record: Mapping[str, Any], *names: str) -> float:
    """Mean over the seeds, and over figures where there are several."""
    values = [or_nan(measured[name]) for measured in record["seeds"] for name in names]
    return sum(values) / len(values)
