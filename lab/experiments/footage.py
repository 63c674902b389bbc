"""Real videos: what becomes of clips that the bundled model has never seen the like of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionlift.bench.records import number
from motionlift.bench.references import bundled
from motionlift.bench.report.tables import table
from motionlift.signals.optical_flow import flow_displacement
from motionlift.video.clip import side_by_side
from motionlift.work.cast import cast
from motionlift.work.lift import lift, read_reference

NAME = "footage"
PROMPTS = ("a red star on a blue striped background", "a yellow circle on a grey plain background")
"""Each clip is cast onto both."""
SOURCE = "a white circle on a green plain background"
"""What inversion is told that a clip shows: the nearest that the model's words come to something that moves somewhere."""
RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "none": ("none", {}),
    "injection": ("injection", {}),
    "SMM": ("smm", {}),
    "MOFT": ("moft", {}),
    "VMC": ("vmc", {"source_prompt": SOURCE}),
    "MotionMatcher": ("motionmatcher", {"source_prompt": SOURCE}),
    "MotionFlow": ("motionflow", {"source_prompt": SOURCE, "subjects": ["white circle"]}),
    "attention": ("ditflow", {}),
    "optical flow": ("ditflow", {"read": "flow"}),
}
"""Method and settings of every run; the last two are DiTFlow's."""
LEAST_MOTION = 0.25
"""Least displacement in the reference, in tokens, of the entries that count (ours)."""
VIDEOS = Path("runs/footage")
"""Where reference and result are kept side by side, to be looked at."""


def cells(folder: Path) -> list[dict[str, Any]]:
    """One for each clip, run and prompt; those that lift the same lie apart, so that the later finds the motion in the cache."""
    names = sorted(path.name for path in folder.glob("*.mp4"))
    return [
        {"clip": name, "run": run, "method": method, "settings": dict(settings), "prompt": prompt}
        for name in names
        for prompt in PROMPTS
        for run, (method, settings) in RUNS.items()
    ]


def measure(cell: Mapping[str, Any], model: str, folder: Path) -> dict[str, Any]:
    """Lift, cast, keep the video, and compare the optical flow of both."""
    backbone = bundled(model)
    method, settings = cell["method"], dict(cell["settings"])
    if settings.get("subjects"):
        settings["targets"] = [" ".join(cell["prompt"].split()[1:3])]
    reference = read_reference(folder / cell["clip"], backbone, backbone.about.shape)
    video = cast(lift(reference, backbone, method, settings=settings), cell["prompt"], backbone, seed=0)
    VIDEOS.mkdir(parents=True, exist_ok=True)
    title = f"{model}-{Path(cell['clip']).stem}-{cell['run']}-{PROMPTS.index(cell['prompt'])}".replace(" ", "-")
    side_by_side([reference, video.clip]).save(VIDEOS / f"{title}.mp4")
    times, lattice = backbone.codec.frame_times(len(reference.frames)), backbone.lattice(backbone.codec.fitting(None))
    fields = [flow_displacement(clip.frames, times, lattice) for clip in (reference, video.clip)]
    return {
        **flow_agreement(*fields),
        "change": float(video.clip.frames.float().diff(dim=0).abs().mean()),
        "seconds": video.record["seconds"],
        "frames": len(video.clip.frames),
    }


def flow_agreement(reference: Tensor, generated: Tensor) -> dict[str, float]:
    """Mean cosine over the entries that are known in both and move in the reference; NaN where there are none.

    Args:
        reference: displacement ``(frames, frames, tokens, 2)`` in tokens, NaN where unknown.
        generated: the same of the other video.
    """
    counts = (reference.norm(dim=-1) > LEAST_MOTION) & ~generated.isnan().any(dim=-1)
    if not counts.any():
        return {"cosine": float("nan"), "entries": 0}
    cosine = torch.nn.functional.cosine_similarity(reference[counts], generated[counts], dim=-1)
    return {"cosine": float(cosine.mean()), "entries": int(counts.sum())}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every clip: agreement of each run, and how much the least lively of its videos changes."""
    rows = []
    for clip in sorted({record["clip"] for record in records}):
        found = [record for record in records if record["clip"] == clip]
        row = [clip.removesuffix(".mp4")]
        for run in RUNS:
            row.append(_mean([record["cosine"] for record in found if record["run"] == run]))
        rows.append([*row, f"{min(record['change'] for record in found if record['run'] != 'none'):.1f}"])
    overall = [_mean([record["cosine"] for record in records if record["run"] == run]) for run in RUNS]
    head = ["clip", *RUNS, "least change a frame, of 255"]
    text = (
        f"## Real videos\n\nClips of {len(rows)} real scenes (not part of the project), each cast onto {len(PROMPTS)} prompts: "
        "cosine between the optical flow of the reference and of the result, over the cells that move in the reference. The last "
        "two methods are DiTFlow, guided by what attention or optical flow reads; VMC, MotionMatcher and MotionFlow are told "
        f'that every clip shows "{SOURCE}". Agreement says nothing of looks: the cards of the models tell what was seen. The last '
        "column tells that no guided video stands still.\n\n"
    )
    return text + table(head, [*rows, ["all", *overall, "-"]])


def _mean(values: Sequence[float | None]) -> str:
    """Of those that are defined: records hold null for the others, or NaN."""
    defined = [value for value in map(number, values) if value is not None]
    return f"{sum(defined) / len(defined):.2f}" if defined else "-"
