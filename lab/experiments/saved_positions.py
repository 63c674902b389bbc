"""Positions that were optimised once and saved with the motion, cast onto another prompt without optimising again."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.controls import controls_at, share_of, strongest
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
from motionlift.work.video import Video

NAME = "saved_positions"
COUNT = 32
OTHER_SEED = 10_000
"""What is added to the seed for noise that the positions were not optimised on (ours)."""
POSITIONS: Mapping[str, Any] = {"target": "positions"}
"""Settings of the run that optimises positions, at the model's own rate."""
RATES = (0.02, 0.05, 0.1)
"""Learning rates that are tried beside it."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "": POSITIONS,
    **{f", lr={rate:g}": {**POSITIONS, "lr": rate, "lr_end": rate} for rate in RATES},
}
"""What is added to the titles of rows, and the settings of their runs."""
CONTROLS = controls_at(())
"""Those of the third prompt. DiTFlow begins with none of the reference's noise, so that no share of it is its own; all of it is
there, as what is strongest elsewhere."""
ANEW = {title for title, kind in CONTROLS.items() if kind["method"] != FROZEN and share_of(kind) == 0}
"""Those of them that are other with another seed."""
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
AGAIN = ", with another seed"
"""What is added to the titles of controls of the other seed."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and rate, and for each control on the third prompt, again with another seed where that matters."""
    optimised = [{"method": "ditflow", "settings": dict(settings)} for settings in SETTINGS.values()]
    found: list[dict[str, Any]] = []
    for index in range(count):
        controls = [{**kind, "turn": 1} for kind in CONTROLS.values()]
        controls += [{**CONTROLS[title], "turn": 1, "seed": index + OTHER_SEED} for title in CONTROLS if title in ANEW]
        found += [{"index": index, **kind} for kind in (*optimised, *controls)]
    return found


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Motion and looks where the positions were optimised, and where they are used again; or why the model has none."""
    refused = refusal({"method": "ditflow", "settings": POSITIONS}, model)
    if refused is not None:
        return {"refused": refused}
    if cell["method"] == FROZEN:
        return held_still(cell, model, cell["turn"])
    video, measured = transferred(cell, model, seed=cell.get("seed"), turn=cell.get("turn", 0))
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
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for title, kind in CONTROLS.items():
        own = [record for record in records if {**kind, "turn": 1}.items() <= record.items()]
        groups[title] = [record for record in own if "seed" not in record]
        groups[title + AGAIN] = [record for record in own if "seed" in record]
    for added, settings in SETTINGS.items():
        own = [record for record in records if "turn" not in record and record["settings"] == settings]
        groups[f"optimised for its prompt{added}"] = own
        for key, title in TITLES.items():
            groups[title + added] = [{**record[key], "index": record["index"]} for record in own if key in record]
    return {title: group for title, group in groups.items() if group}


def beside(title: str, groups: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    """The controls of a row, of its own seed where that matters, as far as they were measured; a control is none of itself."""
    called = {name: name + AGAIN if AGAIN in title and name in ANEW else name for name in CONTROLS}
    return {name: groups[own] for name, own in called.items() if own in groups and own != title}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each control, for the prompt that positions were optimised for, and for the third prompt."""
    if "refused" in records[0]:
        return f"## Saved positions\n\n{records[0]['refused']}\n"
    groups = groups_of(records)
    rows = []
    for title, group in groups.items():
        seconds = [record["cast_seconds"] for record in group if "cast_seconds" in record]
        controls = beside(title, groups)
        less = [
            difference_text(difference(group, controls.get(name, ()), "aligned"))
            for name in ("frozen", "injection alone")
        ]
        is_control, best = title.removesuffix(AGAIN) in CONTROLS, strongest(controls)
        found = difference(group, controls[best], "aligned") if best and not is_control else None
        less.append(f"{difference_text(found)}, beside {best}" if found else "-")
        rows.append([title, *averages(group), *less, f"{sum(seconds) / len(seconds):.1f}" if seconds else "-"])
    references = len({record["index"] for record in records})
    text = (
        f"## Saved positions\n\n{references} held-out references. DiTFlow's optimised positions go with the motion; cast onto a "
        "third prompt they cost no more than plain sampling. The controls are of the third prompt, with the same seeds; "
        "differences are in the aligned error, of the same references, and the strongest control is that of the least mean.\n\n"
    )
    head = ["", *HEAD, "less frozen", "less injection alone", "less the strongest control", "cast, s"]
    return text + table(head, rows)


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether positions that are used again give more than the strongest control."""
    if "refused" in records[0]:
        return []
    groups, told = groups_of(records), []
    for title in (title + added for title in TITLES.values() for added in SETTINGS):
        controls = beside(title, groups)
        best = strongest(controls)
        found = difference(groups.get(title, ()), controls[best], "aligned") if best else None
        if found is not None and not (found.is_apart and found.mean < 0):
            told.append(f"{title} ({difference_text(found)}, beside {best})")
    listed = "; ".join(told)
    return [f"No better in the aligned error than the strongest control: positions that are {listed}."] if told else []
