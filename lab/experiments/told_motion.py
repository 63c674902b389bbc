"""Motions in words: whether what the caption says of the motion is what the object does.

Held-out captions of one thing that goes along a line to one of four sides, grows or shrinks, or jumps, with the words for it and
without, the same seed for both. Without them, the motion is left to chance.
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
from motionlift.world.judge import Verdict, judge_video
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
LINE, GROWTH, JUMP = "line", "growth", "jump"
GREW = 0.5
"""Least change of the object's area in the caption's sense, in doublings, that counts (ours: the world's are 1.2 to 2)."""
ROSE = 0.1
"""Least rise above the line from the first place to the last that counts, share of the frame (ours: half the world's least)."""
ENDS = 3
"""Frames at either end over which areas are averaged (ours)."""
KINDS: Mapping[str, str] = {LINE: "to a side", GROWTH: "growing or shrinking", JUMP: "jumping"}
"""Motions that are tried, as the table has them."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each motion and caption, with and without words for it."""
    return [
        {"kind": kind, "index": index, "told": told}
        for kind in KINDS
        for index in range(count)
        for told in (True, False)
    ]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Sample the caption without any motion of a reference; or why the model cannot read it."""
    backbone: Model = bundled(model)
    known = set(backbone.text.known_words())
    if not known.issuperset(named_vocabulary()):
        return {"refused": "it has no words for motions"}
    scene = sample_named(
        STREAM, cell["index"], backbone.about.shape.frames, objects=1, motion=cell["kind"], camera="still", unseen=True
    )
    motion = lift(clip_of(scene, backbone.about.fps), backbone, "none", cached=False)
    caption = scene.caption(name_motion=cell["told"])
    video = cast(motion, caption, backbone, seed=cell["index"])
    return {"caption": caption, **told_of(cell["kind"], video.clip.frames, scene)}


def told_of(kind: str, frames: Any, scene: Scene) -> dict[str, float]:
    """How much of the caption's motion is seen.

    Args:
        kind: one of :data:`KINDS`.
        frames: a clip, ``(frames, height, width, 3)``, 0..255.
        scene: how its object is to move.

    Returns:
        ``amount``: of a line the cosine of its way with the scene's, no way having a cosine of zero; of growth the change of the
        area in doublings, in the scene's sense; of a jump the highest rise. And ``right``, whether that is enough.
    """
    item, ground = scene.objects[0], scene.background
    verdict = judge_video(judge_for(Looks(item.colour, item.shape, ground.pattern, ground.colour)), frames)
    if kind == GROWTH:
        amount, least = _grown(verdict, scene), GREW
    elif kind == JUMP:
        amount, least = _risen(verdict.centres), ROSE
    else:
        amount, least = _along(verdict.centres, scene), NEAR
    return {"amount": amount, "right": amount >= least}


def _along(track: Float[Tensor, "frames 2"], scene: Scene) -> float:
    made, true = _way(track), _way(torch.as_tensor(scene.tracks()[0], dtype=torch.float32))
    return float(torch.cosine_similarity(made, true, dim=0)) if float(made.norm()) >= MOVED else 0.0


def _grown(verdict: Verdict, scene: Scene) -> float:
    areas, truth = verdict.masks.sum(dim=(1, 2)), scene.objects[0].radius
    first, last = float(areas[:ENDS].mean()), float(areas[-ENDS:].mean())
    change = float(torch.tensor((last + 1) / (first + 1)).log2())  # an object that is not seen has no area
    return change if truth[-1] > truth[0] else -change


def _risen(track: Float[Tensor, "frames 2"]) -> float:
    """Highest place above the straight line in time from the first place to the last; nothing where fewer than three are seen."""
    seen = (~track.isnan().any(dim=1)).nonzero()[:, 0]
    if len(seen) < 3:
        return 0.0
    heights = -track[seen, 1]
    share = (seen - seen[0]) / (seen[-1] - seen[0])
    return float((heights - heights[0] - share * (heights[-1] - heights[0])).max())


def _way(track: Float[Tensor, "frames 2"]) -> Float[Tensor, " 2"]:
    """From where an object is first seen to where it is seen last; nothing where it is not."""
    seen = track[~track.isnan().any(dim=1)]
    return seen[-1] - seen[0] if len(seen) else torch.zeros(2)


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """With words and without."""
    rows = []
    for kind, title in KINDS.items():
        for way, told in (("named", True), ("left out", False)):
            own = [
                record
                for record in records
                if (record["kind"], record["told"]) == (kind, told) and "refused" not in record
            ]
            if own:
                right, amount = (
                    interval([each[key] for each in own], *how) for key, *how in (("right", 100), ("amount", 1, 2))
                )
                rows.append([f"{title}, {way}", str(len(own)), right, amount])
    if not rows:
        return "## Motions in words\n\nIt has no words for motions.\n"
    told = (
        "## Motions in words\n\nHeld-out captions of one thing, with words for its motion and without. *Right* is, to a side, a "
        f"way from the first frame to the last of at least {MOVED:.0%} of the frame, within 45 degrees of the caption's (by "
        f"chance a quarter); growing or shrinking, an area that changes in the caption's sense by at least {GREW:g} doublings; "
        f"jumping, a rise of at least {ROSE:.0%} of the frame above the line from the first place to the last. *Amount* is the "
        "cosine, the doublings, or the rise.\n\n"
    )
    return told + table(["motion", "captions", "right, %", "amount"], rows)
