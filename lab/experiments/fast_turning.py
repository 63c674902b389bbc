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

from lab.experiments.controls import CONTROLS, Kind, strongest
from lab.experiments.trial import difference, difference_text, recorded, refusal
from motionlift.bench.frozen import FROZEN, held_scene
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
METHODS: Mapping[str, Kind] = {
    "VMC": {"method": "vmc", "settings": {}},
    "MotionDirector": {"method": "motiondirector", "settings": {}},
    "MotionMatcher": {"method": "motionmatcher", "settings": {}},
}
"""Rows beside those of the controls."""
CLAIMED = "MotionMatcher"
"""Of which the paper claims that it is better than the others."""
ROWS: Mapping[str, Kind] = {**CONTROLS, **METHODS}
"""Every row, by its title."""
SCORES = ("motion_discrepancy", "motion_fidelity")
COLUMNS: Mapping[str, tuple[str, float]] = {
    "motion_discrepancy": ("motion discrepancy", 1),
    "motion_fidelity": ("motion fidelity, %", 100),
    "aligned": ("aligned error", 1),
    "leakage": ("leakage, %", 100),
}
"""Titles of the figures and what they are multiplied by."""
ERRORS = ("motion_discrepancy", "aligned")
"""Figures of which less is better: the paper's, in which its claim is, and the exact one."""


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
    return [{"index": index, **kind} for index in range(count) for kind in ROWS.values()]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift, cast and measure; or why the model cannot."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    backbone, index, method = bundled(model), cell["index"], cell["method"]
    frames = backbone.about.shape.frames
    scene, wanted = fast_and_turning(index, frames), prompt_scene(index, frames=frames)
    clip = clip_of(scene, backbone.about.fps)
    if method == FROZEN:
        made = clip_of(held_scene(wanted), backbone.about.fps)
    else:
        settings = {**cell["settings"], **words_of(method, scene, wanted)}
        made = transfer(
            clip, wanted.caption(), backbone, method=method, seed=index, settings=settings, cached=False
        ).clip
    followed = score(clip, made, metrics=SCORES).figures
    return {
        **recorded(figures(made.frames, scene, wanted)),
        **{name: number(own) for name, own in followed.items()},
    }


def groups_of(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """What was measured, by the rows of the table; those that were not are not there."""
    known = [record for record in records if "refused" not in record]
    groups = {title: [record for record in known if kind.items() <= record.items()] for title, kind in ROWS.items()}
    return {title: group for title, group in groups.items() if group}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every control and method."""
    groups = groups_of(records)
    controls = {title: group for title, group in groups.items() if title in CONTROLS}
    best = {name: strongest(controls, name) for name in ERRORS}
    rows = []
    for title, chosen in groups.items():
        less = [
            difference(chosen, groups.get(best[name] or "", ()), name) if title in METHODS else None for name in ERRORS
        ]
        less.append(difference(groups.get(CLAIMED, ()), chosen, ERRORS[0]) if title != CLAIMED else None)
        means = [_mean(chosen, name, factor) for name, (_, factor) in COLUMNS.items()]
        rows.append([title, *means, *map(difference_text, less)])
    references = len({record["index"] for record in records})
    told = ", ".join(f"*{best[name]}* in {COLUMNS[name][0]}" for name in ERRORS if best[name])
    text = (
        f"## Fast motion with rotation\n\n{references} held-out references whose object goes at least {LEAST_PATH:g} of the "
        "frame's width and turns once meanwhile, each cast onto one new prompt: MotionMatcher's comparison on complex motion. "
        "Motion discrepancy, less is better, is of points that optical flow follows. Differences are of the same references"
        f"{f'; the strongest control, by its mean, is {told}' if told else ''}.\n\n"
    )
    heads = [f"{COLUMNS[name][0]}, less the strongest control" for name in ERRORS]
    head = ["", *[title for title, _ in COLUMNS.values()], *heads, f"{CLAIMED}'s {COLUMNS[ERRORS[0]][0]} less it"]
    return text + table(head, rows)


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether the method that is claimed to be better is, than the others and than the strongest control."""
    groups = groups_of(records)
    best = strongest({title: group for title, group in groups.items() if title in CONTROLS}, ERRORS[0])
    told = []
    for title in (best, *[title for title in METHODS if title != CLAIMED]):
        found = difference(groups.get(CLAIMED, ()), groups.get(title or "", ()), ERRORS[0])
        if found is not None and not (found.is_apart and found.mean < 0):
            told.append(f"{title} ({difference_text(found)})")
    figure, listed = COLUMNS[ERRORS[0]][0], ", ".join(told)
    return [f"On fast motion with rotation {CLAIMED} is no better in {figure} than {listed}."] if told else []


def _mean(records: Sequence[Mapping[str, Any]], name: str, factor: float) -> str:
    return interval([or_nan(record.get(name)) for record in records], factor)
