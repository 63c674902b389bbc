"""Settings of the guided methods on the bundled models, one changed at a time from the defaults: sweeps and ablations."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.trial import HEAD, averages, difference, difference_text, held_still, refusal, transferred
from motionlift.bench.frozen import FROZEN
from motionlift.bench.report.tables import table

NAME = "sweep"
COUNT = 32
"""References: few settings on many, since of four no difference is told but the largest."""
FIRST = 1000
"""The sweep's references begin here, apart from those of the comparison."""
INERT, FEWEST_INERT = 0.002, 4
"""Largest change of the aligned error that is none, a share of the frame, an eighth of a pixel of 64; and fewest references of
which it is told (ours)."""
ROUNDING = 3e-5
"""Largest change of the aligned error from run to run of the same settings (as measured, of VMC). A change to what is the default
anyway stays below it, and is not meant."""
Changes = Mapping[str, Sequence[Mapping[str, Any]]]
SAMPLED: Changes = {
    "guided share": [{"share": value} for value in (0.1, 0.5)],
    "learning rate": [{"lr": value, "lr_end": value} for value in (0.005, 0.02)],
    "optimiser": [{"optimizer": "adam", "lr": 0.01, "lr_end": 0.01}],
    "block": [*[{"block": number} for number in (1, 3, 5)], {"block": [1, 4]}],
    "injection": [{"inject": False}],
}
"""Of DiTFlow and of the baselines that it is compared with, all the same: a baseline is as well chosen for as the method."""
DITFLOW: Changes = {
    **SAMPLED,
    "temperature": [{"temperature": value} for value in (1.0, 8.0)],
    "entries": [{"threshold": -1.0}, {"mutual": True}],
}
MOFT: Changes = {**SAMPLED, "channels": [{"channel_share": value} for value in (0.02, 0.1)]}
MOTIONFLOW: Changes = {
    "threshold": [{"tau": value} for value in (0.2, 0.6, 0.8)],
    "losses": [{"cross": 0.0}, {"spatial": 0.0}, {"temporal": 0.0}],
    "guided share": [{"share": value} for value in (0.1, 0.2, 0.6)],
    "start": [{"beta": value} for value in (0.0, 1.0)],
    "step size": [{"optimizer": "plain", "lr": 5.0, "lr_end": 5.0, "inner": 1}],
}
VMC: Changes = {
    "strength": [{"strength": 0.0}, {"beta": 0.3, "strength": 0.0}],
    "loss": [{"form": value} for value in ("l2", "released", "clean", "noise")],
    "prompt": [{"reduced": value} for value in (True, False)],
    "attention": [{"attention": "spatial"}],
    "start": [{"beta": value} for value in (0.0, 0.3)],
    "from fresh noise": [{"beta": 0.0, "sampler": "ddpm"}, {"beta": 0.0, "tuning_steps": 400}],
    "tuning steps": [{"tuning_steps": 400}],
}
MOTIONMATCHER: Changes = {
    "strength": [{"strength": 0.0}, {"beta": 1.0, "strength": 0.0}],
    "features": [{"temporal": 0.0}, {"cross": 0.0}],
    "start": [{"beta": value} for value in (0.0, 1.0)],
    "from fresh noise": [{"beta": 0.0, "sampler": "ddpm"}, {"beta": 0.0, "tuning_steps": 200}],
    "tuning steps": [{"tuning_steps": 200}],
    "share left alone": [{"clean_share": 0.0}],
}
FLOWMOTION: Changes = {
    "guided share": [{"share": 0.1}],
    "learning rate": [{"lr": 0.003, "lr_end": 0.003}],
    "losses": [{"alignment": 0.0}, {"differences": 0.0}],
    "velocity": [{"orthogonal": value} for value in (0.0, 1.0)],
}
CHANGES: Mapping[str, Changes] = {
    "ditflow": DITFLOW,
    "smm": SAMPLED,
    "moft": MOFT,
    "motionflow": MOTIONFLOW,
    "vmc": VMC,
    "motionmatcher": MOTIONMATCHER,
    "flowmotion": FLOWMOTION,
}
"""What is varied for every method; the defaults themselves are measured once."""
CONTROLS: Mapping[str, Mapping[str, Any]] = {
    "frozen": {"method": FROZEN, "settings": {}},
    "plain sampling": {"method": "none", "settings": {}},
    "inverted noise alone": {"method": "inverted", "settings": {}},
}
"""The first rows of every table."""


def _title(change: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in change.items())


def cells(count: int) -> list[dict[str, Any]]:
    """One for each change and reference, and for each control."""
    runs: list[Mapping[str, Any]] = [*CONTROLS.values()]
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
    if cell["method"] == FROZEN:
        return held_still(cell, model)
    video, measured = transferred(cell, model, cached=True)  # what changes in casting alone need not be lifted anew
    return {**measured, "losses": video.record["losses"][-1:]}


def rows_of(records: Sequence[Mapping[str, Any]], method: str, settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What was measured of a method with settings."""
    kind = {"method": method, "settings": settings}
    return [record for record in records if kind.items() <= record.items() and "refused" not in record]


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A table for every method and setting; what the model refuses, such as a block that it does not have, is left out."""
    references = len({record["index"] for record in records})
    text = (
        f"## Sweeps\n\n{references} references apart from those above; one setting changed at a time. Differences are those of the "
        f"aligned error from the method's defaults, on the same references.\n{_no_longer(records)}"
    )
    for method, groups in CHANGES.items():
        defaults = rows_of(records, method, {})
        for name, changes in groups.items():
            if not any(record["method"] == method and record["settings"] in changes for record in records):
                continue
            shown = [(title, rows_of(records, **kind), False) for title, kind in CONTROLS.items()]
            shown += [("defaults", defaults, False)]
            shown += [(_title(change), rows_of(records, method, change), True) for change in changes]
            rows = []
            for title, chosen, is_changed in shown:
                if chosen:
                    few = f" ({len(chosen)} of {references})" if len(chosen) < references else ""
                    less = difference_text(difference(chosen, defaults, "aligned")) if is_changed else "-"
                    rows.append([title + few, *averages(chosen), less])
            text += f"\n### {method}: {name}\n\n{table(['', *HEAD, 'less defaults'], rows)}"
    return text


def _no_longer(records: Sequence[Mapping[str, Any]]) -> str:
    """How many records are of settings that are not swept any more."""
    swept = [{}, *[change for groups in CHANGES.values() for group in groups.values() for change in group]]
    left_out = Counter(record["method"] for record in records if record["settings"] not in swept)
    if not left_out:
        return ""
    told = ", ".join(f"{count} of {method}" for method, count in sorted(left_out.items()))
    return f"\nRecords of settings that are swept no longer, and not shown: {told}.\n"


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Changes that change nothing: what they switch or set does not act."""
    inert: dict[str, list[str]] = {}
    for method, groups in CHANGES.items():
        defaults = {record["index"]: record["aligned"] for record in rows_of(records, method, {})}
        for change in (change for changes in groups.values() for change in changes):
            own = [record for record in rows_of(records, method, change) if record["index"] in defaults]
            differences = [abs(record["aligned"] - defaults[record["index"]]) for record in own]
            if len(own) >= FEWEST_INERT and ROUNDING < max(differences) < INERT:
                inert.setdefault(method, []).append(_title(change))
    told = "; ".join(f"{method} {', '.join(changes)}" for method, changes in inert.items())
    return [f"Settings that change the aligned error of no reference by more than {INERT}: {told}."] if told else []
