"""What each metric says of videos whose likeness to their reference is known. No model is needed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lab.experiments.trackers import TrueTracks, true_tracks
from motionlift.bench.records import or_nan
from motionlift.bench.references import prompt_scene, reference
from motionlift.bench.report.tables import interval, table
from motionlift.measure.fidelity import motion_fidelity, motion_fidelity_moving
from motionlift.measure.score import score
from motionlift.measure.tracks import aligned_error
from motionlift.video.clip import Clip
from motionlift.world import scenes
from motionlift.world.judge import judge_video, load_judge

NAME = "metric_checks"
COUNT = 24
SIDE, FPS, DROPPED = 64, 8.0, 8
"""Pixels a side, frames a second, and the number of the frame that is dropped (ours)."""
EXACT_STANDING = 1e-3
"""Longest step of a true track, in pixels, that counts as none: they are rounded to single precision (ours)."""
CASES = (
    "itself",
    "same motion, other looks",
    "doubled frame rate",
    "one frame dropped",
    "mirrored",
    "reversed in time",
    "same looks, other motion",
    "other motion and looks",
    "static",
)
"""From what should score highest to what should score lowest in motion."""
COLUMNS: Mapping[str, str] = {
    "motion_fidelity": "motion fidelity",
    "motion_fidelity_moving": "what moves",
    "motion_fidelity_legacy": "legacy",
    "exact": "motion fidelity, true tracks",
    "exact_moving": "what moves, true tracks",
    "exact_legacy": "legacy, true tracks",
    "motion_discrepancy": "discrepancy",
    "aligned_error": "aligned error",
    "temporal_consistency": "temporal consistency",
    "ssim": "SSIM",
    "histogram": "histogram",
}
SAME, OTHER = CASES[1:4], CASES[4:]
"""The cases of the reference's motion, and of another: their order by a metric tells whether it knows them apart."""
BETTER_LOW = ("motion_discrepancy", "aligned_error")
"""Columns that are low where videos are alike."""
MEASURED = tuple(name for name in COLUMNS if name not in ("exact", "exact_moving", "exact_legacy", "aligned_error"))
"""What :func:`motionlift.measure.score.score` gives of them."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference."""
    return [{"index": index} for index in range(count)]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Every metric for every case."""
    torch.set_num_threads(1)
    index = cell["index"]
    scene = reference(index)
    own, tracks = _shown(scene), true_tracks(scene, SIDE)
    figures: dict[str, Any] = {"motion": scene.motion, "camera": scene.camera}
    for case in CASES:
        clip, made = changed(case, scene, index)
        found = score(own, clip, metrics=MEASURED)
        figures[case] = {**found.figures, **_exact(tracks, made), "aligned_error": _error(clip, scene)}
    return figures


def changed(case: str, scene: scenes.Scene, index: int) -> tuple[Clip, TrueTracks]:
    """The video of a case, and its true tracks."""
    own, tracks = _shown(scene), true_tracks(scene, SIDE)
    order = torch.arange(scene.frames)
    if case == "mirrored":
        positions = torch.stack([SIDE - 1 - tracks.positions[..., 0], tracks.positions[..., 1]], dim=-1)
        return Clip.of(own.frames.flip(2), FPS), replace(tracks, positions=positions)
    if case == "reversed in time":
        order = order.flip(0)
    elif case == "static":
        order = torch.zeros_like(order)
    elif case == "one frame dropped":
        order = order[order != DROPPED]
    elif case != "itself":
        other = {
            "same motion, other looks": lambda: _with_looks(scene, prompt_scene(index)),
            "doubled frame rate": lambda: _doubled(scene),
            "same looks, other motion": lambda: _with_looks(reference(index + 1), scene),
            "other motion and looks": lambda: prompt_moving(index),
        }[case]()
        rate = FPS * (other.frames - 1) / (scene.frames - 1)
        return Clip.of(scenes.render([other], SIDE, SIDE).frames[0], rate), true_tracks(other, SIDE)
    kept = replace(tracks, positions=tracks.positions[:, order], visible=tracks.visible[:, order])
    return Clip.of(own.frames[order], FPS), kept


def prompt_moving(index: int) -> scenes.Scene:
    """Another reference's motion with the looks of a prompt."""
    return _with_looks(reference(index + 1), prompt_scene(index))


def _shown(scene: scenes.Scene) -> Clip:
    return Clip.of(scenes.render([scene], SIDE, SIDE).frames[0], FPS)


def _with_looks(scene: scenes.Scene, looks: scenes.Scene) -> scenes.Scene:
    """The motion and the camera of one scene with the object's and background's looks of another."""
    item = replace(scene.objects[0], shape=looks.objects[0].shape, colour=looks.objects[0].colour)
    return replace(scene, objects=(item,), background=looks.background)


def _doubled(scene: scenes.Scene) -> scenes.Scene:
    """The scene at twice the rate: a frame between every two, everything halfway."""
    times, between = np.arange(scene.frames), np.linspace(0, scene.frames - 1, 2 * scene.frames - 1)

    def finer(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1)
        columns = [np.interp(between, times, column) for column in flat.T]
        return np.stack(columns, axis=-1).reshape(len(between), *values.shape[1:])

    items = tuple(
        replace(item, centre=finer(item.centre), radius=finer(item.radius), angle=finer(item.angle))
        for item in scene.objects
    )
    return replace(scene, objects=items, pan=finer(scene.pan), zoom=finer(scene.zoom))


def _exact(one: TrueTracks, other: TrueTracks) -> dict[str, float]:
    """Motion fidelity of true tracks."""
    tracks = one.positions, other.positions
    seen: dict[str, Any] = {"reference_visible": one.visible, "generated_visible": other.visible}
    return {
        "exact": motion_fidelity(*tracks, standing=EXACT_STANDING, **seen),
        "exact_moving": motion_fidelity_moving(*tracks, SIDE, SIDE, standing=EXACT_STANDING, **seen).score,
        "exact_legacy": motion_fidelity(*tracks, legacy=True),
    }


def _error(clip: Clip, scene: scenes.Scene) -> float:
    """Aligned error of the object that the judge sees, both videos taken to play over their whole duration."""
    centres = judge_video(load_judge(), clip.frames).centres
    times = np.linspace(0, scene.frames - 1, len(centres))
    track = scene.tracks()[0]
    true = np.stack([np.interp(times, np.arange(scene.frames), column) for column in track.T], axis=-1)
    return aligned_error(centres, true)


def told_apart(records: Sequence[Mapping[str, Any]], name: str) -> float:
    """Share of pairs, one video of the same motion and one of another, both of one reference, that a metric puts in order.

    Ties count half, and so does a pair with an undefined figure, of which it tells nothing.
    """
    shares = []
    for record in records:
        for same, other in itertools.product(SAME, OTHER):
            difference = or_nan(record[same][name]) - or_nan(record[other][name])
            ahead = -difference if name in BETTER_LOW else difference
            shares.append(0.5 if np.isnan(ahead) or ahead == 0 else float(ahead > 0))
    return sum(shares) / len(shares)


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every case, a column for every metric; a dash where a figure is undefined in every clip."""
    rows = [
        [case, *[interval([record[case][name] for record in records], digits=3) for name in COLUMNS]] for case in CASES
    ]
    rows.append(["pairs in order, %", *[f"{told_apart(records, name):.0%}".rstrip("%") for name in COLUMNS]])
    undefined = {
        name: np.mean([np.isnan(or_nan(record[case][name])) for record in records for case in CASES])
        for name in ("motion_fidelity_legacy", "exact_legacy")
    }
    text = (
        f"## What the metrics tell apart\n\n{len(records)} held-out references of one moving object, each beside videos whose "
        "likeness is known; the built-in flow tracker, and the exact tracks of a grid. "
        "The last row tells whether a metric knows the same motion from another: the share of pairs of one of the three videos of "
        "the same motion and one of the five of another that it puts in order, of which chance gives half (an undefined figure "
        f"counts half). The older figure (legacy) is undefined for {undefined['motion_fidelity_legacy']:.0%} of the videos by the "
        f"tracker and for {undefined['exact_legacy']:.0%} by the true tracks, since a point stands still; those are left out of "
        "its means.\n\n"
        "What cannot be told apart: motion fidelity over all tracks gives a static video the share of the picture that rests, so "
        "that it may pass for one that moves; beside it, what moves is 0 there. Both see directions alone, not places: mirrored "
        "motion that goes straight up or down is the same to them, and a point finds its match among all points of the other "
        "video, so that paths that share most of their directions count as alike. Discrepancy sees places, and grows with what "
        "the tracker loses. Temporal consistency looks at the made video alone: it is as high for wrong motion as for right, and "
        "highest for none. SSIM and the histogram tell looks: only other looks bring the histogram down, and SSIM furthest; that "
        "SSIM puts some pairs of motion in order is because it compares frames place by place.\n\n"
    )
    return text + table(["video", *COLUMNS.values()], rows)
