"""MotionFlow's masks against the true ones of the world: at every place, threshold and part of the inversion."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motionlift.bench.records import or_nan
from motionlift.bench.references import bundled, cell_shares, clip_of, prompt_scene, reference, words_of
from motionlift.bench.report.tables import table
from motionlift.signals.attention_maps import adaptive_mask, smoothed
from motionlift.work.lift import lift

NAME = "masks"
COUNT = 16
FIRST = 1000
"""Its references are those of the sweep, apart from those of the comparison."""
METHOD = "motionflow"
TAUS = (0.2, 0.4, 0.6, 0.8)
"""Thresholds; the paper's is 0.4."""
PARTS = 6
"""Equal parts of the steps, the noisiest first."""
LEAST_COVER = 0.25
"""Share of a token's cell that the object must cover to belong to the true mask (ours)."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference."""
    return [{"index": index, "method": METHOD} for index in range(FIRST, FIRST + count)]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift the maps of every place at every step, and compare the masks that every threshold gives."""
    backbone = bundled(model)
    frames = backbone.about.shape.frames
    scene, wanted = reference(cell["index"], frames), prompt_scene(cell["index"], frames=frames)
    settings = {"share": 1.0, "block": list(range(backbone.about.blocks)), **words_of(METHOD, scene, wanted)}
    motion = lift(clip_of(scene, backbone.about.fps), backbone, METHOD, settings=settings, cached=False)
    shape = motion.source.shape
    record: dict[str, Any] = {"iou": {}}
    for number, place in enumerate(backbone.about.places):
        true = true_mask(scene, backbone.codec.frame_times(shape.frames), backbone.lattice(shape, number))
        maps = smoothed(motion.tensors[f"maps.{number}"][:, 0].float())
        record["share"] = float(true.float().mean())
        for tau in TAUS:
            values = overlap(adaptive_mask(maps, tau), true)
            record["iou"][f"{place}/{tau:g}"] = [round(float(part.mean()), 4) for part in values.tensor_split(PARTS)]
    return record


def true_mask(scene: Any, times: Sequence[float], lattice: Any) -> Bool[Tensor, "frames height width"]:
    """Where the first object is, on a lattice."""
    return cell_shares(scene, times, lattice).unflatten(1, (lattice.height, lattice.width)) >= LEAST_COVER


def overlap(
    masks: Bool[Tensor, "steps frames height width"], true: Bool[Tensor, "frames height width"]
) -> Float[Tensor, " steps"]:
    """Intersection over union in every frame that shows the object, mean over frames."""
    there = true.flatten(1).any(dim=1)
    both, either = ((masks & true).sum(dim=(-2, -1)), (masks | true).sum(dim=(-2, -1)))
    return (both[:, there] / either[:, there]).mean(dim=1)


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A table over the parts of the inversion at the paper's threshold, and one over the thresholds in the guided part."""
    places = list(dict.fromkeys(key.rpartition("/")[0] for key in records[0]["iou"]))

    def mean(place: str, tau: float, parts: slice) -> str:
        values = [or_nan(each) for record in records for each in record["iou"][f"{place}/{tau:g}"][parts]]
        return f"{float(torch.tensor(values).nanmean()):.2f}"

    steps = [[place, *[mean(place, 0.4, slice(part, part + 1)) for part in range(PARTS)]] for place in places]
    guided = slice(0, round(PARTS * 0.4) + 1)
    taus = [[place, *[mean(place, tau, guided) for tau in TAUS]] for place in places]
    share = sum(record["share"] for record in records) / len(records)
    return (
        f"## Masks\n\nIntersection over union of MotionFlow's masks with the true ones, {len(records)} references. A mask of the "
        f"whole frame would reach {share:.2f}. By sixths of the steps, the noisiest first, tau 0.4:\n\n"
        + table(["place", *[f"{part + 1}/{PARTS}" for part in range(PARTS)]], steps)
        + "\nBy threshold, over the noisier half of the steps:\n\n"
        + table(["place", *[f"tau {tau:g}" for tau in TAUS]], taus)
    )
