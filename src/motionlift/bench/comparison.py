"""Methods beside each other: the motion of held-out references cast onto new prompts."""

from collections.abc import Mapping, Sequence
from typing import Any

from motionlift.bench.references import bundled, figures, prompt_scene, reference
from motionlift.bench.tables import table
from motionlift.bench.trial import HEAD, averages, refusal, transferred
from motionlift.workflow import Video, cast

NAME = "comparison"
COUNT = 32
RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "none": ("none", {}),
    "injection": ("injection", {}),
    "inverted noise": ("none", {"inversion": True, "beta": 1.0}),
    "SMM": ("smm", {}),
    "MOFT": ("moft", {}),
    "VMC": ("vmc", {}),
    "MotionMatcher": ("motionmatcher", {}),
    "MotionFlow": ("motionflow", {}),
    "DiTFlow, latents": ("ditflow", {}),
    "DiTFlow, latents, optical flow": ("ditflow", {"read": "flow"}),
    "DiTFlow, positions": ("ditflow", {"target": "positions"}),
}
"""Method and settings of every row; zero-shot follows from the positions. Inverted noise alone is what VMC tunes on top of."""
ZERO_SHOT = "DiTFlow, saved positions, third prompt"


def cells(count: int) -> list[dict[str, Any]]:
    """One for each run and reference."""
    return [
        {"index": index, "run": run, "method": method, "settings": dict(settings)}
        for index in range(count)
        for run, (method, settings) in RUNS.items()
    ]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Motion, looks and costs, or why the model cannot do it; runs on positions also reuse them for a third prompt."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    video, measured = transferred(cell, model)
    record = {**measured, **_costs(video)}
    if cell["settings"].get("target") == "positions":
        index, frames = cell["index"], len(video.clip.frames)
        third = prompt_scene(index, turn=1, frames=frames)
        reused = cast(video.motion, third.caption(), bundled(model), seed=index, settings={"target": "saved"})
        record["zero_shot"] = {**figures(reused.clip.frames, reference(index, frames), third), **_costs(reused)}
    return record


def _costs(video: Video) -> dict[str, Any]:
    phases = {f"{phase['name']}_seconds": round(phase["seconds"], 3) for phase in video.record["phases"]}
    return {**{name: video.record[name] for name in ("prompt", "seconds", "passes")}, **phases}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every run, and the reasons of those that the model cannot do."""
    groups = {run: [record for record in records if record["run"] == run] for run in RUNS}
    groups[ZERO_SHOT] = [record["zero_shot"] for record in records if "zero_shot" in record]
    refused = {run: group[0]["refused"] for run, group in groups.items() if group and "refused" in group[0]}
    rows = []
    for run, group in groups.items():
        if not group or run in refused:
            continue
        forward, backward = (
            sum(record["passes"][way] for record in group) / len(group) for way in ("forward", "backward")
        )
        seconds = [_mean(group, f"{phase}_seconds") for phase in ("lift", "cast")]
        title = run if len(group) == len(groups["none"]) else f"{run} ({len(group)} references)"
        rows.append([title, *averages(group), f"{forward:.0f} + {backward:.0f}", *seconds])
    text = (
        f"## Methods\n\n{len(groups['none'])} held-out references, each cast onto one new held-out prompt (another object, "
        "colour and background), one seed each. Errors of the object's centre as shares of the frame's width, *aligned* with each "
        "track's mean removed; *direction* is the mean cosine of its steps; looks are judged by the classifier; *leakage* is how "
        "often the object or the background has the reference's colour; means with bootstrap 95 % intervals; passes are forward "
        "and backward; seconds to lift and to cast are on one core.\n\n"
    )
    reasons = "".join(f"\n{run}: {reason}.\n" for run, reason in refused.items())
    return text + table(["", *HEAD, "passes", "lift, s", "cast, s"], rows) + reasons


def _mean(records: Sequence[Mapping[str, Any]], key: str) -> str:
    """Mean of a figure, or a dash where a run has none: saved positions are lifted by another run."""
    values = [record[key] for record in records if key in record]
    return f"{sum(values) / len(values):.1f}" if values else "-"
