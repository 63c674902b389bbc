"""Positions that were optimised once and saved with the motion, cast onto another prompt without optimising again."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.trial import (
    HEAD,
    averages,
    difference,
    difference_text,
    held_still,
    recorded,
    refusal,
    transferred,
)
from motionlift.bench.frozen import FROZEN
from motionlift.bench.references import bundled, figures, prompt_scene, reference
from motionlift.bench.report.tables import table
from motionlift.work.cast import cast
from motionlift.work.record import Video

NAME = "saved_positions"
COUNT = 32
OTHER_SEED = 10_000
"""What is added to the seed for noise that the positions were not optimised on (ours)."""
CONTROLS = {
    "frozen": {"method": FROZEN, "settings": {}},
    "none": {"method": "none", "settings": {}},
    "injection alone": {"method": "injection", "settings": {}},
}
"""What the third prompt gives without saved positions; DiTFlow injects too."""
REUSED: Mapping[str, tuple[Mapping[str, Any], int]] = {
    "zero_shot": ({}, 0),
    "without_injection": ({"inject": False}, 0),
    "other_seed": ({}, OTHER_SEED),
}
"""Keys of the records of positions that are used again: settings, and what is added to the seed."""
TITLES = {
    "zero_shot": "saved",
    "without_injection": "saved, without injection",
    "other_seed": "saved, with another seed",
}
"""How the table names them."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference, and one for each control on the third prompt."""
    optimised = {"method": "ditflow", "settings": {"target": "positions"}}
    controls = [{**kind, "turn": 1} for kind in CONTROLS.values()]
    return [{"index": index, **kind} for index in range(count) for kind in (optimised, *controls)]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Motion and looks where the positions were optimised, and where they are used again; or why the model has none."""
    refused = refusal({"method": "ditflow", "settings": {"target": "positions"}}, model)
    if refused is not None:
        return {"refused": refused}
    if cell["method"] == FROZEN:
        return held_still(cell, model, cell["turn"])
    video, measured = transferred(cell, model, turn=cell.get("turn", 0))
    if "turn" in cell:
        return {**measured, **_costs(video)}
    index, frames = cell["index"], len(video.clip.frames)
    third, found = prompt_scene(index, turn=1, frames=frames), {**measured, **_costs(video)}
    for key, (settings, more) in REUSED.items():
        asked = {"target": "saved", **settings}
        reused = cast(video.motion, third.caption(), bundled(model), seed=index + more, settings=asked)
        again = recorded(figures(reused.clip.frames, reference(index, frames), third))
        found[key] = {**again, **_costs(reused)}
    return found


def _costs(video: Video) -> dict[str, Any]:
    cast_seconds = next(phase["seconds"] for phase in video.record["phases"] if phase["name"] == "cast")
    return {**{name: video.record[name] for name in ("prompt", "passes")}, "cast_seconds": round(cast_seconds, 3)}


def groups_of(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """What was measured, by the rows of the table; those that were not are not there."""
    own = [record for record in records if "turn" not in record]
    groups: dict[str, list[Mapping[str, Any]]] = {
        title: [record for record in records if {**kind, "turn": 1}.items() <= record.items()]
        for title, kind in CONTROLS.items()
    }
    groups["optimised for its prompt"] = own
    for key, title in TITLES.items():
        groups[title] = [{**record[key], "index": record["index"]} for record in own if key in record]
    return {title: group for title, group in groups.items() if group}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each control, for the prompt that positions were optimised for, and for the third prompt."""
    if "refused" in records[0]:
        return f"## Saved positions\n\n{records[0]['refused']}\n"
    groups = groups_of(records)
    rows = []
    for title, group in groups.items():
        seconds = [record["cast_seconds"] for record in group if "cast_seconds" in record]
        less = [
            difference_text(difference(group, groups[name], "aligned")) if name in groups and title != name else "-"
            for name in ("frozen", "injection alone")
        ]
        rows.append([title, *averages(group), *less, f"{sum(seconds) / len(seconds):.1f}" if seconds else "-"])
    references = len({record["index"] for record in records})
    text = (
        f"## Saved positions\n\n{references} held-out references. DiTFlow's optimised positions go with the motion; cast onto a "
        "third prompt they cost no more than plain sampling. The controls are of the third prompt, with the same seeds; "
        "differences are in the aligned error, of the same references.\n\n"
    )
    return text + table(["", *HEAD, "less frozen", "less injection alone", "cast, s"], rows)


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether positions that are used again give more than what costs as little."""
    if "refused" in records[0]:
        return []
    groups, title = groups_of(records), TITLES["zero_shot"]
    told = []
    for name in ("frozen", "injection alone"):
        found = difference(groups[title], groups[name], "aligned") if title in groups and name in groups else None
        if found is not None and not (found.is_apart and found.mean < 0):
            told.append(f"Saved positions are no better than {name}, in the aligned error: {difference_text(found)}.")
    return told
