"""Whether noised videos of like motion are neighbours, by MotionMatcher's features and by the latents (its appendix C)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motionlift.bench.references import REFERENCE_STREAM, bundled, clip_of
from motionlift.bench.report.tables import table
from motionlift.core.model import Model
from motionlift.core.schedule import Level
from motionlift.methods import method as method_named
from motionlift.methods.motionmatcher import Features, motion_features
from motionlift.world import scenes

NAME = "retrieval"
COUNT = 96
METHOD = "motionmatcher"
LEVELS = (0.2, 0.4, 0.6, 0.8)
"""Noise levels, as shares of the timesteps."""
PAPERS_FACTOR = 4
"""How many times better the features found neighbours than the latents did (MotionMatcher, appendix C)."""
KINDS = ("CA", "TSA", "CA and TSA", "latents")
"""What neighbours are found by; the last is what the noised video itself gives."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each noise level, over so many clips."""
    return [{"method": METHOD, "level": level, "clips": count} for level in LEVELS]


@torch.no_grad()
def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Mean average precision of every kind of neighbour, and what chance would give."""
    backbone = bundled(model)
    drawn = [
        scenes.sample(REFERENCE_STREAM, index, backbone.about.shape.frames, objects=1, unseen=True)
        for index in range(cell["clips"])
    ]
    schedule = backbone.schedule(1)
    level = schedule.trained[int(cell["level"] * len(schedule.trained))]
    seen = [_seen(backbone, scene, index, level) for index, scene in enumerate(drawn)]
    same = torch.tensor([[one.motion == other.motion for other in drawn] for one in drawn])
    stacked = {kind: torch.stack([each[kind] for each in seen]) for kind in ("CA", "TSA", "latents")}
    sizes = {kind: stacked[kind].std(dim=0).norm() for kind in ("CA", "TSA")}
    stacked["CA and TSA"] = torch.cat([stacked[kind] / sizes[kind] for kind in ("CA", "TSA")], dim=1)
    found = {kind: mean_average_precision(torch.cdist(stacked[kind], stacked[kind]), same) for kind in KINDS}
    return {"precision": found, "chance": float((same.sum() - len(same)) / (len(same) * (len(same) - 1)))}


def _seen(backbone: Model, scene: scenes.Scene, index: int, level: Level) -> dict[str, Tensor]:
    """Features of one clip with noise of its own, and the noised latents, each as one vector."""
    settings: Any = method_named(METHOD).settings(backbone)
    clip = clip_of(scene, backbone.about.fps)
    latents = backbone.codec.encode(clip.pixels())
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(index))
    noised = backbone.schedule(1).noised(latents, noise, level)
    shape = backbone.codec.fitting(len(clip.frames))
    record = backbone.record(noised, level, backbone.text.encode(scene.caption()), settings.block, features=False)
    features: list[Features] = motion_features(
        [(each, backbone.lattice(shape, number)) for number, each in record.items()]
    )
    return {
        "CA": torch.cat([each.cross.flatten() for each in features]),
        "TSA": torch.cat([each.temporal.flatten() for each in features]),
        "latents": noised.flatten(),
    }


def mean_average_precision(distance: Float[Tensor, "n n"], same: Bool[Tensor, "n n"]) -> float:
    """Mean over the queries of the mean, over their relatives, of the share of relatives among all that are as near.

    A query is not its own neighbour; one without relatives does not count.
    """
    found = []
    for number in range(len(distance)):
        others = torch.arange(len(distance)) != number
        relevant = same[number][others][distance[number][others].argsort(stable=True)].double()
        if relevant.any():
            precision = relevant.cumsum(dim=0) / torch.arange(1, len(relevant) + 1)
            found.append(float((precision * relevant).sum() / relevant.sum()))
    return sum(found) / len(found)


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every kind of neighbour, a column for every noise level."""
    ordered = sorted(records, key=lambda record: record["level"])
    rows = [[kind, *[f"{100 * record['precision'][kind]:.1f}" for record in ordered]] for kind in KINDS]
    rows.append(["chance", *[f"{100 * record['chance']:.1f}" for record in ordered]])
    text = (
        f"## Neighbours by motion\n\nMean average precision, in percent, of nearest neighbours of the same class of motion among "
        f"{ordered[0]['clips']} held-out clips, each with noise of its own: by MotionMatcher's attention features, and by the "
        "noised latents themselves.\n\n"
    )
    return text + table(["by", *[f"noise {record['level']:g}" for record in ordered]], rows)


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far features are from finding what the paper says they do."""
    own = [record["precision"] for record in records]
    times = max(max(found[kind] for kind in KINDS[:-1]) / found[KINDS[-1]] for found in own)
    if times >= PAPERS_FACTOR:
        return []
    return [
        f"MotionMatcher's features find {times:.1f} times as many neighbours as the noised latents at best, where the paper's find "
        f"{PAPERS_FACTOR} times as many."
    ]
