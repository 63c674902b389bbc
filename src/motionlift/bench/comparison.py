"""Methods beside each other: the motion of held-out references cast onto new prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from motionlift.bench.references import bundled, clip_of, likeness, motion_figures, prompt_scene, reference
from motionlift.bench.tables import interval, table
from motionlift.workflow import cast, lift

NAME = "comparison"
COUNT = 32
RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "none": ("none", {}),
    "injection": ("injection", {}),
    "SMM": ("smm", {}),
    "MOFT": ("moft", {}),
    "DiTFlow, latents": ("ditflow", {}),
    "DiTFlow, latents, no injection": ("ditflow", {"inject": False}),
    "DiTFlow, latents, confirmed entries only": ("ditflow", {"mutual": True}),
    "DiTFlow, latents, optical flow": ("ditflow", {"read": "flow"}),
    "DiTFlow, positions": ("ditflow", {"target": "positions"}),
}
"""Method and settings of every row; zero-shot follows from the positions."""
ZERO_SHOT = "DiTFlow, saved positions, third prompt"


def cells(count: int) -> list[dict[str, Any]]:
    """One for each run and reference."""
    return [{"index": index, "run": run} for index in range(count) for run in RUNS]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift, cast, and measure motion and looks; runs on positions also reuse them for a third prompt."""
    backbone = bundled(model)
    index, (method, settings) = cell["index"], RUNS[cell["run"]]
    scene, wanted = reference(index), prompt_scene(index)
    motion = lift(clip_of(scene, backbone.fps), backbone, method, settings=settings, cached=False)
    video = cast(motion, wanted.caption(), backbone, seed=index)
    figures = _figures(video, scene, wanted)
    if settings.get("target") == "positions":
        third = prompt_scene(index, turn=1)
        reused = cast(video.motion, third.caption(), backbone, seed=index, settings={"target": "saved"})
        figures["zero_shot"] = _figures(reused, scene, third)
    return figures


def _figures(video: Any, scene: Any, wanted: Any) -> dict[str, Any]:
    frames = video.clip.frames
    return {
        "prompt": wanted.caption(),
        "motion": scene.motion,
        **motion_figures(frames, scene),
        **asdict(likeness(frames, wanted)),
        "seconds": video.record["seconds"],
        "passes": video.record["passes"],
    }


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every run."""
    groups = {run: [record for record in records if record["run"] == run] for run in RUNS}
    groups[ZERO_SHOT] = [record["zero_shot"] for record in records if "zero_shot" in record]
    rows = []
    for run, group in groups.items():
        if not group:
            continue
        motion = [interval([record[key] for record in group]) for key in ("aligned", "absolute")]
        motion.append(interval([record["direction"] for record in group], digits=2))
        looks = [interval([record[key] for record in group], 100) for key in ("colour", "background", "shape")]
        forward = sum(record["passes"]["forward"] for record in group) / len(group)
        backward = sum(record["passes"]["backward"] for record in group) / len(group)
        seconds = sum(record["seconds"] for record in group) / len(group)
        rows.append([run, *motion, *looks, f"{forward:.0f} + {backward:.0f}", f"{seconds:.1f}"])
    head = [
        "",
        "aligned error",
        "absolute error",
        "direction",
        "colour, %",
        "background, %",
        "shape, %",
        "passes",
        "seconds",
    ]
    text = (
        f"## Methods\n\n{len(groups['none'])} held-out references, each cast onto one new held-out prompt (another object, "
        "colour and background), one seed each. Errors of the object's centre as shares of the frame's width, *aligned* with each "
        "track's mean removed; *direction* is the mean cosine of its steps; looks are judged by the classifier; means with "
        "bootstrap 95 % intervals; passes are forward and backward; seconds on one core.\n\n"
    )
    return text + table(head, rows)
