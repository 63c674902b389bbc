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
    "guided share": [{"share": value} for value in (0.1, 0.2, 0.5)],
    "learning rate": [{"lr": value, "lr_end": value} for value in (0.005, 0.02, 0.04)],
    "optimiser": [{"optimizer": "adam", "lr": value, "lr_end": value} for value in (0.005, 0.01)],
    "temperature": [{"temperature": value} for value in (1.0, 4.0, 8.0)],
    "block": [{"block": 1}, {"block": 3}, {"block": 6}, {"block": [1, 4]}],
    "entries": [{"threshold": -1.0}, {"mutual": True}],
    "injection": [{"inject": False}],
}
"""What is varied; the defaults themselves are measured once."""


def _title(change: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in change.items())


def cells(count: int) -> list[dict[str, Any]]:
    """One for each change and reference, and plain sampling for comparison."""
    changes = [{}, *[change for group in CHANGES.values() for change in group]]
    runs = [{"method": "ditflow", "settings": change} for change in changes]
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
    for name, changes in CHANGES.items():
        rows = []
        for title, method, change in [
            ("plain sampling", "none", {}),
            ("defaults", "ditflow", {}),
            *[(_title(change), "ditflow", change) for change in changes],
        ]:
            chosen = [record for record in records if record["method"] == method and record["settings"] == change]
            if chosen:
                motion = [
                    interval([record["aligned"] for record in chosen]),
                    interval([record["direction"] for record in chosen], digits=2),
                ]
                looks = [interval([record[key] for record in chosen], 100) for key in ("colour", "background", "shape")]
                rows.append([title, *motion, *looks])
        text += f"### {name.capitalize()}\n\n{table(head, rows)}\n"
    return text
