"""Settings of the guided methods on the bundled models, one changed at a time from the defaults: sweeps and ablations."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.trial import HEAD, averages, refusal, transferred
from motionlift.bench.report.tables import table

NAME = "sweep"
COUNT = 4
FIRST = 1000
"""The sweep's references begin here, apart from those of the comparison."""
Changes = Mapping[str, Sequence[Mapping[str, Any]]]
DITFLOW: Changes = {
    "guided share": [{"share": value} for value in (0.1, 0.2, 0.5)],
    "learning rate": [{"lr": value, "lr_end": value} for value in (0.005, 0.02, 0.04)],
    "optimiser": [{"optimizer": "adam", "lr": value, "lr_end": value} for value in (0.005, 0.01)],
    "temperature": [{"temperature": value} for value in (1.0, 4.0, 8.0)],
    "block": [*[{"block": number} for number in range(7)], {"block": [1, 4]}, {"block": [1, 2]}],
    "entries": [{"threshold": -1.0}, {"mutual": True}],
    "injection": [{"inject": False}],
}
MOTIONFLOW: Changes = {
    "threshold": [{"tau": value} for value in (0.2, 0.4, 0.6, 0.8)],
    "losses": [
        {"spatial": 0.0, "temporal": 0.0},
        {"cross": 0.0, "temporal": 0.0},
        {"cross": 0.0, "spatial": 0.0},
        {"cross": 0.0},
        {"spatial": 0.0},
        {"temporal": 0.0},
    ],
    "guided share": [{"share": value} for value in (0.1, 0.2, 0.4, 0.6)],
    "start": [{"beta": value} for value in (0.0, 0.2, 0.5, 1.0)],
    "step size": [
        {"optimizer": "plain", "lr": 5.0, "lr_end": 5.0, "inner": 1},
        {"optimizer": "plain", "lr": 50.0, "lr_end": 50.0, "inner": 1},
        *[{"optimizer": "rms", "lr": value, "lr_end": value} for value in (0.01, 0.03, 0.1)],
    ],
    "block": [*[{"block": number} for number in range(7)]],
}
VMC: Changes = {
    "strength": [{"strength": value} for value in (0.0, 0.5, 1.5)],
    "loss": [{"form": value} for value in ("l2", "released")],
    "prompt": [{"reduced": value} for value in (True, False)],
    "attention": [{"attention": "spatial"}],
    "start": [{"beta": value} for value in (0.0, 0.3, 0.5)],
    "learning rate": [{"tuning_lr": value} for value in (3e-4, 1e-3, 3e-3)],
    "tuning steps": [{"tuning_steps": value} for value in (25, 100)],
    "share left alone": [{"clean_share": value} for value in (0.0, 0.5)],
}
MOTIONMATCHER: Changes = {
    "strength": [{"strength": value} for value in (0.0, 0.5, 1.5)],
    "features": [{"temporal": 0.0}, {"cross": 0.0}],
    "start": [{"beta": value} for value in (0.0, 0.1, 0.2, 0.5)],
    "learning rate": [{"tuning_lr": value} for value in (1e-3, 3e-3, 1e-2)],
    "tuning steps": [{"tuning_steps": value} for value in (25, 100)],
    "rank": [{"rank": 4}],
    "block": [{"block": number} for number in range(7)],
    "share left alone": [{"clean_share": 0.0}],
}
FLOWMOTION: Changes = {
    "guided share": [{"share": value} for value in (0.1, 0.2, 0.4)],
    "learning rate": [{"lr": value, "lr_end": value} for value in (0.003, 0.01, 0.03, 0.1)],
    "inner steps": [{"inner": value} for value in (1, 5)],
    "losses": [{"alignment": 0.0}, {"differences": 0.0}],
    "velocity": [{"orthogonal": value} for value in (0.0, 1.0)],
}
CHANGES: Mapping[str, Changes] = {
    "ditflow": DITFLOW,
    "motionflow": MOTIONFLOW,
    "vmc": VMC,
    "motionmatcher": MOTIONMATCHER,
    "flowmotion": FLOWMOTION,
}
"""What is varied for every method; the defaults themselves are measured once."""


def _title(change: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in change.items())


def cells(count: int) -> list[dict[str, Any]]:
    """One for each change and reference, and plain sampling for comparison."""
    runs = [{"method": "none", "settings": {}}]
    for method, groups in CHANGES.items():
        changes: list[Mapping[str, Any]] = [{}]
        changes += [change for group in groups.values() for change in group if change not in changes]
        runs += [{"method": method, "settings": dict(change)} for change in changes]
    return [{"index": index, **run} for index in range(FIRST, FIRST + count) for run in runs]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift, cast, measure; or why the model cannot."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    video, measured = transferred(cell, model, cached=True)  # what changes in casting alone need not be lifted anew
    return {**measured, "losses": video.record["losses"][-1:]}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A table for every method and setting; what the model refuses, such as a block that it does not have, is left out."""
    references = len({record["index"] for record in records})
    text = f"## Sweeps\n\n{references} references apart from those above; one setting changed at a time.\n"
    for method, groups in CHANGES.items():
        for name, changes in groups.items():
            if not any(record["method"] == method and record["settings"] in changes for record in records):
                continue
            rows = []
            for title, own, change in [
                ("plain sampling", "none", {}),
                ("defaults", method, {}),
                *[(_title(change), method, change) for change in changes],
            ]:
                kind = {"method": own, "settings": change}
                chosen = [record for record in records if kind.items() <= record.items() and "refused" not in record]
                if chosen:
                    few = f" ({len(chosen)} of {references})" if len(chosen) < references else ""
                    rows.append([title + few, *averages(chosen)])
            text += f"\n### {method}: {name}\n\n{table(['', *HEAD], rows)}"
    return text
