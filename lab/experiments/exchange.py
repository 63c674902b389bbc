"""Exchanged colours: how often the object is painted in the colour of the ground and the ground in that of the object.

Asked of held-out captions whose two colours are known both for objects and for grounds, in plain sampling and with the motion of
a reference, by methods that guide.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.trial import refusal
from motionlift.bench.references import bundled, caption_scene, clip_of, reference, words_of
from motionlift.bench.report.tables import interval, table
from motionlift.core.model import Model
from motionlift.measure.truth import judge_for
from motionlift.work.cast import cast
from motionlift.work.lift import lift
from motionlift.world.judge import judge_video
from motionlift.world.scenes import BACKGROUNDS, COLOURS, Scene
from motionlift.world.truth import Looks

NAME = "exchange"
COUNT = 200
METHODS: Mapping[str, str] = {
    "plain sampling": "none",
    "DiTFlow": "ditflow",
    "FlowMotion": "flowmotion",
    "MotionFlow": "motionflow",
}
"""Whose casts are looked at, by title: DiTFlow was seen to exchange colours, the last two guide by other signals."""
FEWER, SHARE = ("flowmotion", "motionflow"), 0.25
"""Methods of which a share of the captions is looked at (ours: 50 of 200 tell one in fifty from one in six)."""
BOTH = tuple(colour for colour in COLOURS if colour in BACKGROUNDS)
"""Colours of objects and of grounds alike."""
APART = 10_000
"""Captions of one cell are looked for among so many that no other cell's are (ours)."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each method and caption."""
    counts = {method: math.ceil(count * SHARE) if method in FEWER else count for method in METHODS.values()}
    return [
        {"method": method, "settings": {}, "index": index} for method, own in counts.items() for index in range(own)
    ]


def exchangeable(index: int, model: Model) -> Scene:
    """The first scene of the cell's own captions whose colours could be exchanged."""
    for number in range(index * APART, (index + 1) * APART):
        scene = caption_scene(number, model)
        if scene.objects[0].colour in BOTH and scene.background.colour in BOTH:
            return scene
    raise AssertionError("no caption has two such colours")


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Cast the motion of a reference onto the caption, and look which colour is where."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    backbone, index = bundled(model), cell["index"]
    moving, scene = reference(index, backbone.about.shape.frames), exchangeable(index, backbone)
    settings = words_of(cell["method"], moving, scene)
    motion = lift(clip_of(moving, backbone.about.fps), backbone, cell["method"], settings=settings)
    video = cast(motion, scene.caption(), backbone, seed=index)
    return {"caption": scene.caption(), **colours_seen(video.clip.frames, scene)}


def colours_seen(frames: Any, scene: Scene) -> dict[str, Any]:
    """The colours that the judge sees, and whether each of object and ground has that of the other.

    Args:
        frames: a clip, ``(frames, height, width, 3)``, 0..255.
        scene: what it is to show.
    """
    item, ground = scene.objects[0], scene.background
    verdict = judge_video(judge_for(Looks(item.colour, item.shape, ground.pattern, ground.colour)), frames)
    taken, given = verdict.colour == ground.colour, verdict.ground == item.colour
    return {
        "colour": verdict.colour,
        "ground": verdict.ground,
        "exchanged": taken and given,
        "one_sided": taken != given,
        "right": (verdict.colour, verdict.ground) == (item.colour, ground.colour),
    }


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """Shares of exchanged colours by method."""
    rows = []
    for title, method in METHODS.items():
        own = [record for record in records if record["method"] == method and "refused" not in record]
        if own:
            shares = [interval([record[key] for record in own], 100) for key in ("exchanged", "one_sided", "right")]
            rows.append([title, str(len(own)), *shares])
    head = ["", "captions", "exchanged, %", "one has the other's, %", "both right, %"]
    told = (
        "## Exchanged colours\n\nHeld-out captions of one object whose colour a ground can have too, on a ground whose colour an "
        "object can have; by the motion of a reference, but for plain sampling.\n\n"
    )
    return told + table(head, rows)
