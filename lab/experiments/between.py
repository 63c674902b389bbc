"""Frames between latent frames beside those that fall on one: how crisp, how certain, and how motion is shared out among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from motionlift.bench.records import or_nan
from motionlift.world.judge import MINIMUM_PIXELS, SIDE, Judge, judge_frames, judge_video

AROUND = 3
"""Pixels around the object's mask that count as its neighbourhood (ours: a smear reaches about so far)."""
UNKNOWN_PERIOD = 4
"""Period by which the frames of a model are told apart whose every latent frame stands for one frame: its frames are all alike, so
that nothing is to be seen (the null check)."""
LEAST_STEP = 3.0
"""Pixels that an object must go from one latent frame to the next, for the frames in between to share it out (ours)."""
Frames = UInt8[Tensor, "frames height width 3"]


def period_of(frames: int, latent: int) -> int:
    """Frames from one that falls on a latent frame to the next; the first frame does.

    Args:
        frames: frames of a clip.
        latent: its latent frames.
    """
    return max(1, round((frames - 1) / (latent - 1)))


def steepness(frames: Frames, masks: Float[Tensor, "frames height width"]) -> list[float | None]:
    """How steep the edges of the object are in every frame: the sum of squared changes of colour over the sum of changes.

    Both sums go over the object's neighbourhood. An edge of contrast C that is W pixels wide counts as C / W, however long it is:
    blur lessens it, and where one object is seen twice, each half transparent, it is half of what it was. Where the object is,
    and how large, changes nothing.

    Args:
        frames: RGB, 0..255.
        masks: probability of the object.

    Returns:
        Change of colour a pixel, 0..1 for each of its three channels; none where no object is seen.
    """
    colours = frames.permute(0, 3, 1, 2).float() / 255
    across = functional.pad(colours.diff(dim=3), (0, 1))
    down = functional.pad(colours.diff(dim=2), (0, 0, 0, 1))
    squared = (across.square() + down.square()).sum(dim=1)
    objects = (masks > 0.5).float()
    near = functional.max_pool2d(objects[:, None], 2 * AROUND + 1, 1, AROUND)[:, 0]
    steep = (squared * near).sum(dim=(1, 2)) / (squared.sqrt() * near).sum(dim=(1, 2)).clamp(min=1e-6)
    seen = objects.sum(dim=(1, 2)) >= MINIMUM_PIXELS
    return [float(own) if is_seen else None for own, is_seen in zip(steep, seen, strict=True)]


def certainty(judge: Judge, frames: Frames) -> list[float]:
    """How probable the judge finds it in every frame that it shows the object of the whole clip; 0 where it sees none."""
    judgement = judge_frames(judge, frames)
    shapes = judgement.shape.log_softmax(dim=1)
    seen = (judgement.mask > 0).sum(dim=(1, 2)) >= MINIMUM_PIXELS
    if not seen.any():
        return [0.0] * len(frames)
    own = shapes[:, shapes[seen].mean(dim=0).argmax()].exp()
    return [float(value) for value in torch.where(seen, own, 0.0)]


def seen_of(judge: Judge, frames: Frames) -> dict[str, list[Any]]:
    """What is kept of every frame of a clip: steepness, certainty, and the object's centre in pixels; none where it is not seen."""
    if frames.shape[1:3] != (SIDE, SIDE):
        planes = frames.permute(0, 3, 1, 2).float()
        planes = functional.interpolate(planes, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        frames = planes.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    verdict = judge_video(judge, frames)
    centres = [
        None if place.isnan().any() else [round(float(each) * SIDE, 2) for each in place] for place in verdict.centres
    ]
    steep = [None if own is None else round(own, 4) for own in steepness(frames, verdict.masks)]
    return {"steepness": steep, "certainty": [round(own, 4) for own in certainty(judge, frames)], "centres": centres}


@dataclass(frozen=True)
class Stretch:
    """What lies between two frames that fall on latent frames, against these two."""

    pixels: float
    """How far the object goes from the one to the other."""
    sharpness: float
    """Mean steepness of the frames between less that of the two, in doublings."""
    first: float
    """The same of the first frame between, with which a latent frame's group begins."""
    certainty: float
    """Mean certainty of the frames between less that of the two."""
    shares: tuple[float, ...]
    """Share of the way that is gone with every frame, the last of which ends it; NaN where it is shorter than
    :data:`LEAST_STEP`."""


def stretches(record: Mapping[str, Any]) -> list[Stretch]:
    """The stretches of a clip from its second latent frame on: the first is the only one that stands for a single frame.

    Args:
        record: with a ``period``, and what :func:`seen_of` keeps.
    """
    period = record["period"] if record["period"] > 1 else UNKNOWN_PERIOD
    steep = np.log2([or_nan(value) for value in record["steepness"]])
    sure = np.array(record["certainty"])
    places = np.array([[np.nan, np.nan] if place is None else place for place in record["centres"]])
    found = []
    for start in range(period, len(sure) - period, period):
        ends, between = [start, start + period], slice(start + 1, start + period)
        way = places[start + period] - places[start]
        length = float(np.linalg.norm(way))
        gone = np.diff(places[start : start + period + 1], axis=0) @ way / max(length, 1e-9) ** 2
        shares = gone if length >= LEAST_STEP else np.full(period, np.nan)
        found.append(
            Stretch(
                length,
                float(np.mean(steep[between]) - np.mean(steep[ends])),
                float(steep[start + 1] - np.mean(steep[ends])),
                float(np.mean(sure[between]) - np.mean(sure[ends])),
                tuple(map(float, shares)),
            )
        )
    return found


def shared_out(found: Sequence[Stretch]) -> list[float]:
    """Share of the way that is gone with every frame, of many stretches together: each counts by its length."""
    known = [own for own in found if not np.isnan(own.shares).any()]
    if not known:
        return []
    lengths = np.array([own.pixels for own in known])
    return list(map(float, (np.array([own.shares for own in known]) * lengths[:, None]).sum(axis=0) / lengths.sum()))
