"""Settings of DiTFlow on the bundled model, one changed at a time from the defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from motionlift.bench.references import bundled, clip_of, likeness, motion_figures, prompt_scene, reference
from motionlift.bench.tables import interval, table
from motionlift.workflow import cast, lift

NAME = "sweep"
COUNT = 8
FIRST = 1000
"""The sweep's references begin here, apart from those of the comparison."""
CHANGES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "guided share": [{"share": value} for value in (0.2, 0.34, 0.5, 0.7)],
    "learning rate": [{"lr": value, "lr_end": value} for value in (0.005, 0.01, 0.02, 0.04)],
    "optimiser": [{"optimizer": "adam", "lr": value, "lr_end": value} for value in (0.005, 0.01, 0.02)],
    "temperature": [{"temperature": value} for value in (1.0, 2.0, 4.0, 8.0)],
    "block": [{"block": value} for value in (2, 3, 4, 5, 6)],
    "threshold": [{"threshold": value} for value in (-1.0, 0.0)],
    "entries that lead back alone": [{"mutual": value} for value in (False, True)],
    "injection": [{"inject": value} for value in (True, False)],
}
"""What is varied."""


def _title(change: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in change.items())


def cells(count: int) -> list[dict[str, Any]]:
    """One for each change and reference, and plain sampling for comparison."""
    runs = [{"method": "ditflow", "settings": change} for group in CHANGES.values() for change in group]
    runs.append({"method": "none", "settings": {}})
    return [{"index": index, **run} for index in range(FIRST, FIRST + count) for run in runs]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift, cast, measure."""
    backbone = bundled(model)
    scene, wanted = reference(cell["index"]), prompt_scene(cell["index"])
    motion = lift(clip_of(scene, backbone.fps), backbone, cell["method"], settings=cell["settings"], cached=False)
    video = cast(motion, wanted.caption(), backbone, seed=cell["index"])
    frames = video.clip.frames
    return {**motion_figures(frames, scene), **asdict(likeness(frames, wanted)), "losses": video.record["losses"][-1:]}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A table for every setting."""
    references = len({record["index"] for record in records})
    text = f"## Sweep\n\n{references} references apart from those above; one setting changed at a time.\n\n"
    head = ["", "aligned error", "direction", "colour, %", "background, %", "shape, %"]
    groups: dict[str, Sequence[Mapping[str, Any]]] = {"plain sampling": [{}], **CHANGES}
    for name, changes in groups.items():
        rows = []
        for change in changes:
            method = "none" if name == "plain sampling" else "ditflow"
            chosen = [record for record in records if record["method"] == method and record["settings"] == change]
            if chosen:
                motion = [
                    interval([record["aligned"] for record in chosen]),
                    interval([record["direction"] for record in chosen], digits=2),
                ]
                looks = [interval([record[key] for record in chosen], 100) for key in ("colour", "background", "shape")]
                rows.append([_title(change) or name, *motion, *looks])
        text += f"### {name.capitalize()}\n\n{table(head, rows)}\n"
    return text
