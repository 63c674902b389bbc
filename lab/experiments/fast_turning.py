"""Fast motion with rotation: MotionMatcher beside VMC and MotionDirector, which its paper compares on complex motion.

The references are scenes of the bundled world whose object goes far, by one of its paths, and turns once about itself
meanwhile. What is wanted is the paper's motion discrepancy, of points that are followed, beside the exact error of the
object's centre: an object whose centre is right and that does not turn shows in the first alone.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lab.experiments.trial import recorded, refusal
from motionlift.bench.records import number, or_nan
from motionlift.bench.references import MOVING, bundled, clip_of, figures, prompt_scene, words_of
from motionlift.bench.report.tables import interval, table
from motionlift.measure.score import score
from motionlift.work.cast import transfer
from motionlift.world import scenes

NAME = "fast_turning"
COUNT = 32
STREAM = 96
"""Seed of the scenes, apart from those of every training and of the other references."""
LEAST_PATH = 0.6
"""Least length of a path, shares of the frame (ours: the longest two fifths of the world's, which go from 0.35 to 0.75)."""
ROUND = ("circle", "ring")
"""Shapes that look the same however they are turned."""
DRAWN = 1000
"""Scenes that are drawn for each reference, of which the first that fits is taken."""
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "none": ("none", {}),
    "inverted noise alone": ("inverted", {}),
    "VMC": ("vmc", {}),
    "MotionDirector": ("motiondirector", {}),
    "MotionMatcher": ("motionmatcher", {}),
}
"""Method and settings of every row."""
SCORES = ("motion_discrepancy", "motion_fidelity")
COLUMNS: Mapping[str, tuple[str, float]] = {
    "motion_discrepancy": ("motion discrepancy", 1),
    "motion_fidelity": ("motion fidelity, %", 100),
    "aligned": ("aligned error", 1),
    "leakage": ("leakage, %", 100),
}
"""Titles of the figures and what they are multiplied by."""


def fast_and_turning(index: int, frames: int) -> scenes.Scene:
    """The scene of a number: one object on a long path, with a whole turn to the left or right."""
    for attempt in range(DRAWN):
        motion = MOVING[index % len(MOVING)]
        scene = scenes.sample(STREAM, index * DRAWN + attempt, frames, objects=1, motion=motion, unseen=True)
        (item,) = scene.objects
        way = sum(math.dist(before, after) for before, after in itertools.pairwise(item.centre.tolist()))
        if way >= LEAST_PATH and item.shape not in ROUND:
            turn = (-1) ** index * 2 * math.pi * np.linspace(0, 1, frames)
            return replace(scene, objects=(replace(item, angle=item.angle + turn),))
    raise AssertionError("no scene is fast")


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and row."""
    return [
        {"index": index, "method": method, "settings": dict(settings)}
        for index in range(count)
        for method, settings in METHODS.values()
    ]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift, cast and measure; or why the model cannot."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    backbone, index, method = bundled(model), cell["index"], cell["method"]
    frames = backbone.about.shape.frames
    scene, wanted = fast_and_turning(index, frames), prompt_scene(index, frames=frames)
    settings = {**cell["settings"], **words_of(method, scene, wanted)}
    clip = clip_of(scene, backbone.about.fps)
    video = transfer(clip, wanted.caption(), backbone, method=method, seed=index, settings=settings, cached=False)
    followed = score(clip, video.clip, metrics=SCORES).figures
    return {
        **recorded(figures(video.clip.frames, scene, wanted)),
        **{name: number(own) for name, own in followed.items()},
    }


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every method."""
    rows = []
    for title, (method, settings) in METHODS.items():
        kind = {"method": method, "settings": settings}
        chosen = [record for record in records if kind.items() <= record.items() and "refused" not in record]
        if chosen:
            rows.append([title, *[_mean(chosen, name, factor) for name, (_, factor) in COLUMNS.items()]])
    references = len({record["index"] for record in records})
    text = (
        f"## Fast motion with rotation\n\n{references} held-out references whose object goes at least {LEAST_PATH:g} of the "
        "frame's width and turns once meanwhile, each cast onto one new prompt: MotionMatcher's comparison on complex motion. "
        "Motion discrepancy, less is better, is of points that optical flow follows.\n\n"
    )
    return text + table(["", *[title for title, _ in COLUMNS.values()]], rows)


def _mean(records: Sequence[Mapping[str, Any]], name: str, factor: float) -> str:
    return interval([or_nan(record.get(name)) for record in records], factor)
