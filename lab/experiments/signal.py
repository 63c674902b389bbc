"""The displacement that attention tells, against the true one: every block, three noise levels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

from motionlift.bench.references import REFERENCE_STREAM, bundled, clip_of
from motionlift.bench.report.tables import table
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.model import Model
from motionlift.signals.displacement import displacement
from motionlift.signals.optical_flow import flow_displacement
from motionlift.world import scenes

NAME = "signal"
COUNT = 64
LEVELS = (0.0, 0.3, 0.6)
"""Noise levels, as shares of the timesteps."""
LEAST_COVER = 0.5
"""Share of a token's cell that the object must cover (ours)."""
LEAST_MOTION = 0.25
"""Least true displacement in tokens of the pairs that count: direction means nothing below (ours)."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each clip."""
    return [{"index": index} for index in range(count)]


def true_displacement(scene: scenes.Scene, times: Sequence[float], lattice: Lattice) -> tuple[Tensor, Tensor]:
    """True displacement of the first object at its tokens.

    A latent frame that stands for an even number of frames lies between two of them: there the mean of both is taken, at the
    tokens that the object covers in both.

    Returns:
        ``(frames, frames, tokens, 2)`` in tokens, and the tokens ``(frames, tokens)`` that the object covers.
    """
    size = 64
    masks = scenes.render([scene], size, size).masks[0, 0].float()
    tokens = torch.ones(lattice.frames, lattice.area, dtype=torch.bool)
    field = torch.zeros(lattice.frames, lattice.frames, lattice.area, 2)
    for places in ([math.floor(time) for time in times], [math.ceil(time) for time in times]):
        shares = _cell_means(masks[places], lattice)
        tokens &= shares[:, 0] >= LEAST_COVER
        for one, start in enumerate(places):
            moved = [scenes.displacement(scene, start, end, size, size) for end in places]
            means = _cell_means(torch.stack(moved).permute(0, 3, 1, 2) * masks[start], lattice)
            field[one] += (means / shares[one].clamp(min=1e-6)).transpose(1, 2) / 2
    return field * torch.tensor([lattice.width / size, lattice.height / size]), tokens


def _cell_means(pictures: Tensor, lattice: Lattice) -> Float[Tensor, "pictures channels tokens"]:
    """Means over the cells of the lattice of pictures ``([channels,] height, width)``."""
    flat = pictures.reshape(len(pictures), -1, *pictures.shape[-2:])
    return functional.adaptive_avg_pool2d(flat, (lattice.height, lattice.width)).flatten(2)


def agreement(read: Tensor, true: Tensor, tokens: Tensor) -> dict[str, float]:
    """Mean cosine, and error as a share of the true length, over the tokens and pairs that count."""
    counts = tokens[:, None] & (true.norm(dim=-1) > LEAST_MOTION) & ~read.isnan().any(dim=-1)
    one, other = read[counts].double(), true[counts].double()
    if not len(other):
        return {"cosine": float("nan"), "error": float("nan"), "entries": 0}
    cosine = torch.nn.functional.cosine_similarity(one, other, dim=-1).mean()
    return {
        "cosine": float(cosine),
        "error": float((one - other).norm(dim=-1).mean() / other.norm(dim=-1).mean()),
        "entries": int(counts.sum()),
    }


@torch.no_grad()
def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Agreement for every block and noise level, and for the optical flow of the pixels."""
    backbone: Model = bundled(model)
    scene = scenes.sample(REFERENCE_STREAM, cell["index"], backbone.about.shape.frames, objects=1, unseen=True)
    clip = clip_of(scene, backbone.about.fps)
    shape, times = backbone.codec.fitting(None), backbone.codec.frame_times(len(clip.frames))
    truths = {
        lattice: true_displacement(scene, times, lattice)
        for lattice in {backbone.lattice(shape), *_lattices(backbone, shape)}
    }
    latents = backbone.codec.encode(clip.pixels())
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(cell["index"]))
    figures: dict[str, Any] = {"motion": scene.motion, "camera": scene.camera}
    schedule = backbone.schedule(1)
    for share in LEVELS:
        level = schedule.trained[int(share * len(schedule.trained))] if share else schedule.clean
        noised = schedule.noised(latents, noise, level)
        record = backbone.record(noised, level, backbone.text.encode(""), range(backbone.about.blocks))
        for block, seen in record.items():
            lattice = backbone.lattice(shape, block)
            hard = displacement(seen.query[0], seen.key[0], lattice, hard=True)
            figures[f"{share:g}/{block}"] = agreement(hard, *truths[lattice])
    finest = backbone.lattice(shape)
    figures["flow"] = agreement(flow_displacement(clip.frames, times, finest), *truths[finest])
    figures["places"] = list(backbone.about.places)
    return figures


def _lattices(backbone: Model, shape: Shape) -> list[Lattice]:
    """The lattice of every block."""
    return [backbone.lattice(shape, block) for block in range(backbone.about.blocks)]


def _pooled(records: Sequence[Mapping[str, Any]], key: str) -> tuple[str, str]:
    """Means over all entries of all clips; dashes where there are none."""
    parts = [record[key] for record in records if record[key]["entries"]]
    total = sum(part["entries"] for part in parts)
    if not total:
        return "-", "-"
    cosine, error = (sum(part[name] * part["entries"] for part in parts) / total for name in ("cosine", "error"))
    return f"{cosine:.2f}", f"{error:.2f}"


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every block, a pair of columns for every noise level."""
    blocks = sorted({int(key.split("/")[1]) for key in records[0] if "/" in key})
    rows = [
        [
            f"block {block}: {records[0]['places'][block]}",
            *[figure for level in LEVELS for figure in _pooled(records, f"{level:g}/{block}")],
        ]
        for block in blocks
    ]
    rows.append(["optical flow", *_pooled(records, "flow"), *["-"] * (2 * (len(LEVELS) - 1))])
    head = ["read from", *[f"{name}, noise {level:g}" for level in LEVELS for name in ("cosine", "error")]]
    text = (
        f"## What attention knows of motion\n\nHard displacement against the truth on {len(records)} held-out clips, at the tokens "
        f"that the object covers by at least {LEAST_COVER:.0%}, for pairs of frames between which it truly moves more than "
        f"{LEAST_MOTION} tokens. Cosine, and error as a share of the true length.\n\n"
    )
    return text + table(head, rows)
