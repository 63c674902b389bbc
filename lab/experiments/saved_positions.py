"""Positions that were optimised once and saved with the motion, cast onto another prompt without optimising again."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.trial import HEAD, averages, recorded, refusal, transferred
from motionlift.bench.references import bundled, figures, prompt_scene, reference
from motionlift.bench.report.tables import table
from motionlift.work.cast import cast
from motionlift.work.record import Video

NAME = "saved_positions"
COUNT = 32


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference."""
    return [{"index": index, "method": "ditflow", "settings": {"target": "positions"}} for index in range(count)]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Motion and looks where the positions were optimised, and where they are used again; or why the model has none."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    video, measured = transferred(cell, model)
    index, frames = cell["index"], len(video.clip.frames)
    third = prompt_scene(index, turn=1, frames=frames)
    reused = cast(video.motion, third.caption(), bundled(model), seed=index, settings={"target": "saved"})
    again = recorded(figures(reused.clip.frames, reference(index, frames), third))
    return {**measured, **_costs(video), "zero_shot": {**again, **_costs(reused)}}


def _costs(video: Video) -> dict[str, Any]:
    cast_seconds = next(phase["seconds"] for phase in video.record["phases"] if phase["name"] == "cast")
    return {**{name: video.record[name] for name in ("prompt", "passes")}, "cast_seconds": round(cast_seconds, 3)}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each of both."""
    if "refused" in records[0]:
        return f"## Saved positions\n\n{records[0]['refused']}\n"
    groups = {"optimised for its prompt": records, "saved, a third prompt": [record["zero_shot"] for record in records]}
    rows = []
    for title, group in groups.items():
        seconds = sum(record["cast_seconds"] for record in group) / len(group)
        rows.append([title, *averages(group), f"{seconds:.1f}"])
    text = (
        f"## Saved positions\n\n{len(records)} held-out references. DiTFlow's optimised positions go with the motion; cast onto a "
        "third prompt they cost no more than plain sampling.\n\n"
    )
    return text + table(["", *HEAD, "cast, s"], rows)
