"""Motions in words: whether what the caption says of the motion is what the object does.

Held-out captions of one thing that goes along a line to one of four sides, with the words for it and without, the same seed for
both. Without them, the side is left to chance.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.bench.references import bundled, clip_of
from motionlift.bench.report.tables import interval, table
from motionlift.core.model import Model
from motionlift.measure.truth import judge_for
from motionlift.work.cast import cast
from motionlift.work.lift import lift
from motionlift.world.judge import judge_video
from motionlift.world.named import named_vocabulary, sample_named
from motionlift.world.scenes import Scene
from motionlift.world.truth import Looks

NAME = "told_motion"
COUNT = 32
STREAM = 97
"""Seed of its scenes."""
MOVED = 0.1
"""Least way from the first frame to the last that counts, share of the frame (ours: the world's lines are 0.35 and longer)."""
NEAR = 0.7
"""Least cosine with the way of the caption's scene that counts as its side: within 45 degrees."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each caption, with and without words for its motion."""
    return [{"index": index, "told": told} for index in range(count) for told in (True, False)]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Sample the caption without any motion of a reference; or why the model cannot read it."""
    backbone: Model = bundled(model)
    known = set(backbone.text.known_words())
    if not known.issuperset(named_vocabulary()):
        return {"refused": "it has no words for motions"}
    scene = sample_named(
        STREAM, cell["index"], backbone.about.shape.frames, objects=1, motion="line", camera="still", unseen=True
    )
    motion = lift(clip_of(scene, backbone.about.fps), backbone, "none", cached=False)
    caption = scene.caption(name_motion=cell["told"])
    video = cast(motion, caption, backbone, seed=cell["index"])
    return {"caption": caption, **way_of(video.clip.frames, scene)}


def way_of(frames: Any, scene: Scene) -> dict[str, float]:
    """How far the object comes, and the cosine of its way with that of the scene; no way has a cosine of zero.

    Args:
        frames: a clip, ``(frames, height, width, 3)``, 0..255.
        scene: where it is to go.
    """
    item, ground = scene.objects[0], scene.background
    judge = judge_for(Looks(item.colour, item.shape, ground.pattern, ground.colour))
    made = _way(judge_video(judge, frames).centres)
    true = _way(torch.as_tensor(scene.tracks()[0], dtype=torch.float32))
    length = float(made.norm())
    cosine = float(torch.cosine_similarity(made, true, dim=0)) if length >= MOVED else 0.0
    return {"length": length, "cosine": cosine}


def _way(track: Float[Tensor, "frames 2"]) -> Float[Tensor, " 2"]:
    """From where an object is first seen to where it is seen last; nothing where it is not."""
    seen = track[~track.isnan().any(dim=1)]
    return seen[-1] - seen[0] if len(seen) else torch.zeros(2)


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """With words and without."""
    rows = []
    for title, told in (("named", True), ("left out", False)):
        own = [record for record in records if record["told"] == told and "refused" not in record]
        if own:
            near = [record["cosine"] >= NEAR for record in own]
            moved = [record["length"] >= MOVED for record in own]
            cosines = interval([record["cosine"] for record in own], digits=2)
            rows.append([title, str(len(own)), interval(near, 100), cosines, interval(moved, 100)])
    if not rows:
        return "## Motions in words\n\nIt has no words for motions.\n"
    told = (
        "## Motions in words\n\nHeld-out captions of one thing that goes to one of four sides. *Right* is a way from the first "
        f"frame to the last of at least {MOVED:.0%} of the frame that lies within 45 degrees of the caption's; by chance a "
        "quarter.\n\n"
    )
    return told + table(["motion", "captions", "right, %", "cosine", "moved at all, %"], rows)
