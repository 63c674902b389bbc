"""What an autoencoder keeps of true clips: nothing that a model makes is sharper than what comes out of it.

Clips are held-out ones of the world that a model paints, things that have names where it knows them. They are encoded and decoded,
with no network between.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.stages import psnr
from motionlift.bench.references import bundled, clip_of, likeness, named_reference, reference
from motionlift.bench.report.tables import interval, table
from motionlift.core.model import Model
from motionlift.video.clip import Clip
from motionlift.world.named import named_vocabulary

NAME = "reconstruction"
COUNT = 32


def cells(count: int) -> list[dict[str, Any]]:
    """One for each clip."""
    return [{"index": index} for index in range(count)]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Encode a true clip, decode it, and compare."""
    backbone: Model = bundled(model)
    is_named = set(backbone.text.known_words()).issuperset(named_vocabulary())
    scene = (named_reference if is_named else reference)(cell["index"], backbone.about.shape.frames)
    true = clip_of(scene, backbone.about.fps)
    own = Clip.from_pixels(backbone.codec.decode(backbone.codec.encode(true.pixels())), true.fps)
    return {
        "thing": scene.objects[0].shape,
        "first": psnr(own.frames[:1], true.frames[:1]),
        "others": psnr(own.frames[1:], true.frames[1:]),
        "right": likeness(own.frames[1:], scene).shape,
    }


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """How like the truth decoded clips are, and what the judge sees in them."""
    rows = []
    for name, own in _groups(records):
        decibels = [interval([record[key] for record in own], digits=1) for key in ("first", "others")]
        rows.append([name, str(len(own)), *decibels, interval([record["right"] for record in own], 100)])
    head = [
        "",
        "clips",
        "PSNR of the first frame, dB",
        "of the others, dB",
        "thing or shape right without the first frame, %",
    ]
    return (
        f"## What the autoencoder keeps\n\n{len(records)} true held-out clips, encoded and decoded: nothing that is made is "
        f"sharper than that.\n\n{table(head, rows)}"
    )


def _groups(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
    """All, and the clips of each thing or shape."""
    names = sorted({record["thing"] for record in records})
    return [("all", records), *[(name, [each for each in records if each["thing"] == name]) for name in names]]
