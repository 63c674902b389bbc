"""Whether noised videos of one motion are neighbours, by MotionMatcher's features and by the latents (its appendix C).

The set is made for it: the same path goes over other grounds, with other things, and lies elsewhere in the frame. Attention to
words and attention over time say where things are, and so look alike only for motions that lie in the same place; moved to the
middle of the frame they do not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lab.experiments.trial import difference, difference_text
from motionlift.bench.references import MOVING, REFERENCE_STREAM, bundled, clip_of
from motionlift.bench.report.estimates import Estimate
from motionlift.bench.report.tables import interval, table
from motionlift.core.lattice import Lattice
from motionlift.core.model import Model
from motionlift.core.schedule import Level
from motionlift.methods import method as method_named
from motionlift.methods.motionmatcher import Features, motion_features
from motionlift.world import scenes

NAME = "retrieval"
COUNT = 96
METHOD = "motionmatcher"
LOOKS = 6
"""Clips of one path (ours)."""
PLACE_STREAM = 97
"""Draws where a path lies."""
WIDEST, RADIUS = 0.35, 0.15
"""Most height and width of a path, and the radius of what goes along it, as shares of the frame (ours): a third of it is
then left to lie in."""
LEVELS = (0.2, 0.4, 0.6, 0.8)
"""Noise levels, as shares of the timesteps."""
PAPERS_FACTOR = 4
"""How many times better the features found neighbours than the latents did (MotionMatcher, appendix C)."""
PERCENT = 100
"""Precisions are shown in percent, of which the first decimal is told."""
SEEN = ("CA", "TSA", "CA and TSA", "latents")
"""What neighbours are found by; the last is what the noised video itself gives."""
MOVED = ", in the middle"
"""Ending of the name of what is moved so that the object's attention lies in the middle of the frame."""
KINDS = (*SEEN, *[kind + MOVED for kind in SEEN], "any order")
"""All that is compared; the last orders the clips at random."""


@dataclass(frozen=True)
class Vectors:
    """What one noised clip gives, each with frames, rows and columns before all else."""

    cross: tuple[Float[Tensor, "frames rows columns text"], ...]
    """Attention to the text, on every lattice."""
    temporal: tuple[Float[Tensor, "1 rows columns frames_by_frames"], ...]
    """Attention over time."""
    latents: Float[Tensor, "frames rows columns channels"]
    """The noised latents."""
    middle: tuple[float, float]
    """Where the attention to the object's name lies, rows then columns, as shares of the frame."""

    def of(self, kind: str) -> Tensor:
        """One of :data:`SEEN`, but for what joins two of them, as one vector; moved where so it is called."""
        name, moved = kind.removesuffix(MOVED), kind.endswith(MOVED)
        found = {"CA": self.cross, "TSA": self.temporal, "latents": (self.latents,)}[name]
        return torch.cat([(shifted(each, self.middle) if moved else each).flatten() for each in found])


def cells(count: int) -> list[dict[str, Any]]:
    """One for each noise level, over so many clips, of which every :data:`LOOKS` have one path."""
    return [{"method": METHOD, "level": level, "clips": count, "looks": LOOKS} for level in LEVELS]


def scene_of(number: int, frames: int) -> scenes.Scene:
    """A clip of the set: the path of its group, with looks and in a place of its own; the camera rests."""
    group, look = divmod(number, LOOKS)
    motion = MOVING[group % len(MOVING)]
    way = scenes.sample(REFERENCE_STREAM, group, frames, objects=1, motion=motion, camera="still").objects[0].centre
    looking = scenes.sample(PLACE_STREAM, number, frames, objects=1, motion="rest", camera="still", unseen=True)
    way = (way - way.min(axis=0)) * min(1.0, WIDEST / np.ptp(way, axis=0).max())
    rng = np.random.default_rng([PLACE_STREAM, group])
    places = np.stack([rng.permutation(LOOKS), rng.permutation(LOOKS)], axis=-1)[look]
    room = 1 - 2 * RADIUS - np.ptp(way, axis=0)
    centre = RADIUS + room * (places + 0.5) / LOOKS + way
    shown = replace(looking.objects[0], motion=motion, centre=centre, radius=np.full(frames, RADIUS))
    return replace(looking, objects=(shown,))


@torch.no_grad()
def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Mean average precision of every kind of neighbour, for each path: the mean of its clips."""
    backbone = bundled(model)
    drawn = [scene_of(number, backbone.about.shape.frames) for number in range(cell["clips"])]
    schedule = backbone.schedule(1)
    level = schedule.trained[int(cell["level"] * len(schedule.trained))]
    seen = [_seen(backbone, scene, number, level) for number, scene in enumerate(drawn)]
    groups = torch.arange(cell["clips"]) // LOOKS
    same = groups[:, None] == groups
    distances = {kind: _distances(seen, kind) for kind in KINDS[:-1]}
    distances[KINDS[-1]] = torch.rand(same.shape, generator=torch.Generator().manual_seed(0))
    found = {kind: average_precisions(distance, same) for kind, distance in distances.items()}
    paths = groups.unique().tolist()
    return {
        "precision": {
            kind: [round(float(values[groups == path].mean()), 5) for path in paths] for kind, values in found.items()
        }
    }


def _distances(seen: Sequence[Vectors], kind: str) -> Float[Tensor, "n n"]:
    """Between all clips; of two features together, each in units of its spread."""
    if not kind.startswith("CA and TSA"):
        stacked = torch.stack([each.of(kind) for each in seen])
        return torch.cdist(stacked, stacked)
    moved = MOVED if kind.endswith(MOVED) else ""
    both = [torch.stack([each.of(name + moved) for each in seen]) for name in ("CA", "TSA")]
    joined = torch.cat([values / values.std(dim=0).norm() for values in both], dim=1)
    return torch.cdist(joined, joined)


def _seen(backbone: Model, scene: scenes.Scene, index: int, level: Level) -> Vectors:
    """What one clip with noise of its own gives."""
    settings: Any = method_named(METHOD).settings(backbone)
    clip, caption = clip_of(scene, backbone.about.fps), scene.caption()
    latents = backbone.codec.encode(clip.pixels())
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(index))
    noised = backbone.schedule(1).noised(latents, noise, level)
    shape = backbone.codec.fitting(len(clip.frames))
    record = backbone.record(noised, level, backbone.text.encode(caption), settings.block, features=False)
    lattices = [backbone.lattice(shape, number) for number in record]
    features: list[Features] = motion_features(list(zip(record.values(), lattices, strict=True)))
    laid = list(zip(features, dict.fromkeys(lattices), strict=True))
    cross = tuple(_laid(each.cross, lattice) for each, lattice in laid)
    words = list(backbone.text.places(caption, scene.objects[0].shape))
    return Vectors(
        cross,
        tuple(each.temporal.flatten(1).unflatten(0, (1, lattice.height, lattice.width)) for each, lattice in laid),
        noised[0].permute(1, 2, 3, 0),
        middle_of(cross[0][..., words].mean(dim=-1)),
    )


def _laid(cross: Float[Tensor, "tokens text"], lattice: Lattice) -> Float[Tensor, "frames rows columns text"]:
    return cross.unflatten(0, (lattice.frames, lattice.height, lattice.width))


def middle_of(attention: Float[Tensor, "frames rows columns"]) -> tuple[float, float]:
    """Where attention lies, mean over the frames: row, column as shares of the frame; what is everywhere does not count."""
    above = (attention - attention.flatten(1).median(dim=1).values[:, None, None]).clamp(min=0)
    share = above / above.sum(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(above.dtype).tiny)
    rows, columns = ((torch.arange(size) + 0.5) / size for size in share.shape[1:])
    return float((share.sum(dim=2) @ rows).mean()), float((share.sum(dim=1) @ columns).mean())


def shifted(
    values: Float[Tensor, "f rows columns c"], middle: tuple[float, float]
) -> Float[Tensor, "f rows columns c"]:
    """Values moved by whole places so that what lay at ``middle`` lies in the middle of the frame; what comes in is zero."""
    moved = values
    for axis, share in zip((1, 2), middle, strict=True):
        size = values.shape[axis]
        way = math.floor((0.5 - share) * size + 0.5)
        kept = moved.narrow(axis, max(0, -way), size - abs(way))
        empty = torch.zeros_like(moved.narrow(axis, 0, abs(way)))
        moved = torch.cat([empty, kept] if way > 0 else [kept, empty], dim=axis)
    return moved


def average_precisions(distance: Float[Tensor, "n n"], same: Bool[Tensor, "n n"]) -> Float[Tensor, " n"]:
    """For every query the mean, over its relatives, of the share of relatives among all that are as near.

    A query is not its own neighbour; one without relatives has none.
    """
    found = []
    for number in range(len(distance)):
        others = torch.arange(len(distance)) != number
        relevant = same[number][others][distance[number][others].argsort(stable=True)].double()
        precision = relevant.cumsum(dim=0) / torch.arange(1, len(relevant) + 1)
        found.append((precision * relevant).sum() / relevant.sum())
    return torch.stack(found)


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every kind of neighbour, a column for every noise level."""
    ordered = sorted(records, key=lambda record: record["level"])
    rows = [
        [kind, *[interval([PERCENT * value for value in record["precision"][kind]], digits=1) for record in ordered]]
        for kind in KINDS
    ]
    first = ordered[0]
    text = (
        f"## Neighbours by motion\n\nMean average precision, in percent, of nearest neighbours that have the same path, among "
        f"{first['clips']} held-out clips, each with noise of its own; {first['looks']} clips have one path, on other grounds, "
        "with other things and in other places. Neighbours by MotionMatcher's attention features, and by the noised latents "
        f"themselves; *{MOVED.strip(', ')}*, where both are moved by whole places so that the attention to the object's name "
        "lies in the middle of the frame. Intervals are over the paths.\n\n"
    )
    lines = table(["by", *[f"noise {record['level']:g}" for record in ordered]], rows)
    return f"{text}{lines}\n{_told(_best(ordered))}\n"


@dataclass(frozen=True)
class Best:
    """The features that find most beside the noised latents, of all kinds and noise levels."""

    kind: str
    """Which, of :data:`KINDS`."""
    latents: str
    """What the noised latents give more by at that level: as they are, or moved to the middle."""
    level: float
    """The noise level, as a share of the timesteps."""
    precision: float
    """Mean average precision of the features."""
    times: float
    """How many times that of the latents it is."""
    difference: Estimate | None
    """Features less latents, of the same paths, in percent."""
    cells: int
    """Of how many kinds at how many levels together it is the best."""


def _best(records: Sequence[Mapping[str, Any]]) -> Best:
    """By how many times as much features find as the better latents of the same level."""
    features = [kind for kind in KINDS[:-1] if "latents" not in kind]
    found = [_beside_latents(record, kind, len(features) * len(records)) for record in records for kind in features]
    return max(found, key=lambda best: best.times)


def _beside_latents(record: Mapping[str, Any], kind: str, cells: int) -> Best:
    precision = {name: np.array(values) for name, values in record["precision"].items()}
    latents = max(("latents", "latents" + MOVED), key=lambda name: precision[name].mean())
    ones, others = ([{"path": path, "precision": PERCENT * value} for path, value in enumerate(precision[name])]
                    for name in (kind, latents))  # fmt: skip
    mean = float(precision[kind].mean())
    times = mean / float(precision[latents].mean())
    found = difference(ones, others, "precision", group="path")
    return Best(kind, latents, record["level"], mean, times, found, cells)


def _told(best: Best) -> str:
    """A sentence on the best features, chosen as such from what was measured."""
    latents = PERCENT * best.precision / best.times
    return (
        f"MotionMatcher's features find at best {best.times:.1f} times as many neighbours as the noised latents: *{best.kind}* at "
        f"noise {best.level:g}, {PERCENT * best.precision:.1f} beside {latents:.1f} of *{best.latents}*, the difference over the "
        f"paths {difference_text(best.difference, 1)}. It is the best of {best.cells} cells, chosen as such; the paper's features "
        f"find {PAPERS_FACTOR} times as many."
    )


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far features are from finding what the paper says they do."""
    best = _best(records)
    return [] if best.times >= PAPERS_FACTOR else [_told(best)]
