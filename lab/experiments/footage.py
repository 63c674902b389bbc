"""Real videos: what becomes of clips that the bundled model has never seen the like of."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.experiments.trial import difference
from motionlift.bench.frozen import FROZEN, held_clip
from motionlift.bench.records import number
from motionlift.bench.references import bundled
from motionlift.bench.report.controls import CONTROLS as METHODS_OF_CONTROLS
from motionlift.bench.report.estimates import Estimate
from motionlift.bench.report.tables import table
from motionlift.core.model import Model
from motionlift.measure.score import score
from motionlift.signals.optical_flow import flow_displacement
from motionlift.video.clip import Clip, side_by_side
from motionlift.work.cast import cast
from motionlift.work.lift import lift, read_reference

NAME = "footage"
PROMPTS = ("a red star on a blue striped background", "a yellow circle on a grey plain background")
"""Each clip is cast onto both."""
SOURCE = "a white circle on a green plain background"
"""What inversion is told that a clip shows: the nearest that the model's words come to something that moves somewhere."""
RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "frozen": (FROZEN, {}),
    "none": ("none", {}),
    "injection": ("injection", {}),
    "noise alone, empty prompt": ("inverted", {"inverted_with": "empty"}),
    "noise alone, caption": ("inverted", {"source_prompt": SOURCE}),
    "half of the noise alone, caption": ("inverted", {"source_prompt": SOURCE, "beta": 0.5}),
    "0.3 of the noise alone, caption": ("inverted", {"source_prompt": SOURCE, "beta": 0.3}),
    "SMM": ("smm", {}),
    "MOFT": ("moft", {}),
    "VMC": ("vmc", {"source_prompt": SOURCE}),
    "MotionMatcher": ("motionmatcher", {"source_prompt": SOURCE}),
    "MotionFlow": ("motionflow", {"source_prompt": SOURCE, "subjects": ["white circle"]}),
    "attention": ("ditflow", {}),
    "optical flow": ("ditflow", {"read": "flow"}),
}
"""Method and settings of every run, the controls first; the last two are DiTFlow's. VMC begins with all of the noise by the empty
prompt, MotionFlow with half of that by the caption, MotionMatcher with 0.3 of it."""
CONTROLS = tuple(run for run, (method, _) in RUNS.items() if method in METHODS_OF_CONTROLS)
"""Those that optimise and tune nothing."""
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
    reference = read_reference(folder / cell["clip"], backbone, backbone.about.shape)
    made, seconds = _made(cell, reference, backbone)
    VIDEOS.mkdir(parents=True, exist_ok=True)
    title = f"{model}-{Path(cell['clip']).stem}-{cell['run']}-{PROMPTS.index(cell['prompt'])}".replace(" ", "-")
    side_by_side([reference, made]).save(VIDEOS / f"{title}.mp4")
    times, lattice = backbone.codec.frame_times(len(reference.frames)), backbone.lattice(backbone.codec.fitting(None))
    fields = [flow_displacement(clip.frames, times, lattice) for clip in (reference, made)]
    small = reference.resized(*made.frames.shape[1:3])
    return {
        **flow_agreement(*fields),
        "change": float(made.frames.float().diff(dim=0).abs().mean()),
        "ssim": score(small, made, metrics=["ssim"]).figures["ssim"],
        "seconds": seconds,
        "frames": len(made.frames),
    }


def _made(cell: Mapping[str, Any], reference: Clip, backbone: Model) -> tuple[Clip, float]:
    """The video of a cell, and how long it took."""
    method, settings = cell["method"], dict(cell["settings"])
    if method == FROZEN:
        shape = backbone.codec.fitting(len(reference.frames))
        return held_clip(reference.resized(shape.height, shape.width)), 0.0
    if settings.get("subjects"):
        settings["targets"] = [" ".join(cell["prompt"].split()[1:3])]
    video = cast(lift(reference, backbone, method, settings=settings), cell["prompt"], backbone, seed=0)
    return video.clip, video.record["seconds"]


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


def _means(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By run and clip, of those that were measured."""
    clips = sorted({record["clip"] for record in records})
    runs = {run: [record for record in records if record["run"] == run] for run in RUNS}
    return {run: {clip: _of_clip(own, clip, "cosine") for clip in clips} for run, own in runs.items() if own}


def _strongest(means: Mapping[str, Mapping[str, float]]) -> str | None:
    """The control that agrees best, of those that are known of most clips."""
    known = [run for run in CONTROLS if run in means]
    return max(known, key=lambda run: (_known(means[run]), _overall(means[run])), default=None)


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Methods that are not told apart from the strongest control as better, and the controls that lack."""
    means = _means(records)
    control = _strongest(means)
    if control is None:
        return []
    methods = [run for run in means if run not in CONTROLS]
    below = [run for run in methods if (found := _difference(means, run, control)) is None or not _is_better(found)]
    listed = ", ".join(f"{run} ({_less(means, run, control)})" for run in below)
    told = f"On real videos not told apart as better from {control} ({_text(_overall(means[control]))}): {listed}."
    lacking = "; ".join(run for run in CONTROLS if run not in means)
    more = f"On real videos controls that are not measured yet: {lacking}." if lacking and methods else ""
    return [*([told] if below else []), *([more] if more else [])]


def _is_better(found: Estimate) -> bool:
    return found.is_apart and found.mean > 0


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every run: agreement with each clip, their mean, and how far it is from the strongest control."""
    clips = sorted({record["clip"] for record in records})
    runs = {run: [record for record in records if record["run"] == run] for run in RUNS}
    means = _means(records)
    control = _strongest(means)
    rows = [
        [
            run,
            *[_text(own[clip]) for clip in clips],
            _text(_overall(own)),
            _less(means, run, control),
            _likeness(runs[run]),
        ]
        for run, own in means.items()
    ]
    counted = [f"{_of_clip(records, clip, 'entries'):.0f}" for clip in clips]
    guided = [record["change"] for record in records if record["method"] not in (FROZEN, "none")]
    lacking = [run for run in RUNS if not runs[run]]
    told = f" Not measured yet: {'; '.join(lacking)}." if lacking else ""
    text = (
        f"## Real videos\n\nClips of {len(clips)} real scenes (not part of the project), each cast onto {len(PROMPTS)} prompts: "
        "cosine between the optical flow of the reference and of the result, over the cells that move in the reference, and "
        "their mean over the clips. What agrees by showing the clip is told by its structural similarity (SSIM) with it. The "
        "controls come first; *attention* and *optical flow* are DiTFlow, by what it reads. VMC, MotionMatcher, MotionFlow and "
        f'the noise alone, where it is by a caption, are told that every clip shows "{SOURCE}". So few clips are points: no '
        f"interval is told, and p is of flipping the signs of their differences, {2 / 2 ** len(clips):.2g} at least.{told}\n\n"
    )
    head = ["", *[clip.removesuffix(".mp4") for clip in clips], "all", f"less {control}, p", "SSIM"]
    least = (
        f"\nNo guided video stands still: the least change of one, a frame, is {min(guided):.1f} of 255.\n"
        if guided
        else ""
    )
    return text + table(head, [*rows, ["cells that count", *counted, "-", "-", "-"]]) + least


def _of_clip(records: Sequence[Mapping[str, Any]], clip: str, key: str) -> float:
    """Mean over the prompts; NaN where it is undefined: records hold null then, or NaN."""
    values = [number(record.get(key)) for record in records if record["clip"] == clip]
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else math.nan


def _known(means: Mapping[str, float]) -> int:
    return sum(not math.isnan(value) for value in means.values())


def _overall(means: Mapping[str, float]) -> float:
    defined = [value for value in means.values() if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _difference(means: Mapping[str, Mapping[str, float]], run: str, control: str) -> Estimate | None:
    """Of the same clips."""
    ones, others = ([{"clip": clip, "cosine": value} for clip, value in means[own].items()] for own in (run, control))
    return difference(ones, others, "cosine", group="clip")


def _less(means: Mapping[str, Mapping[str, float]], run: str, control: str | None) -> str:
    if control is None or run == control:
        return "-"
    found = _difference(means, run, control)
    return "-" if found is None else f"{found.mean:+z.2f}, p {found.p:.2g}"


def _likeness(records: Sequence[Mapping[str, Any]]) -> str:
    return _text(_overall({str(place): _of_clip([each], each["clip"], "ssim") for place, each in enumerate(records)}))


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:z.2f}"
