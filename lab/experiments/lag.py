"""Whether what is made leads or lags its reference: the shift in time at which the object's steps agree best.

An autoencoder that joins frames gives a latent frame to several; a motion that is read at other times than it is cast shows as a
shift of up to a latent frame, which errors of places hardly tell from a slower start. References are those whose motion changes
its direction: one that goes straight on agrees with itself at any shift.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lab.experiments.trial import refusal, transferred
from motionlift.bench.records import number, or_nan
from motionlift.bench.references import bundled, clip_of, reference
from motionlift.bench.report.estimates import estimate
from motionlift.bench.report.tables import estimate_text, table
from motionlift.measure.truth import judge_for
from motionlift.methods import methods
from motionlift.world.judge import judge_video

NAME = "lag"
COUNT = 4
TURNING = ("arc", "circle", "zigzag", "bounce")
"""Motions of references that change their direction."""
LAGS = np.arange(-16, 17) / 4
"""Shifts that are tried, in frames: four each way, which is a latent frame of the bundled models, in quarters."""
LEAST_SHOWN = 4
"""Fewest steps that are compared at a shift."""
WITHIN = 0.5
"""Frames by which a method may lead or lag (set before anything was measured)."""

Centres = Float[np.ndarray, "frames 2"]


def turning(count: int) -> list[int]:
    """Numbers of the first references whose object changes its direction."""
    return [index for index in range(100 * count) if reference(index).objects[0].motion in TURNING][:count]


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and method, but for plain sampling, which follows nothing."""
    names = [name for name in methods() if name != "none"]
    return [{"index": index, "method": name, "settings": {}} for index in turning(count) for name in names]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The agreement of the made object's steps with the reference's at every shift."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    backbone, judge = bundled(model), judge_for()
    clip = clip_of(reference(cell["index"], backbone.about.shape.frames), backbone.about.fps)
    video, _ = transferred(cell, model)
    made, true = (judge_video(judge, frames).centres.numpy() for frames in (video.clip.frames, clip.frames))
    found = agreement(made, true)
    return {"lag": number(lag_of(found)), "agreement": [number(round(float(value), 4)) for value in found]}


def agreement(made: Centres, true: Centres) -> Float[np.ndarray, "lags"]:
    """How well steps agree at each of :data:`LAGS`: their cosine, 1 where they are the same; not a number where too few are seen.

    Args:
        made: where the object is in each frame, NaN where it is not seen. At a positive shift it does later what ``true`` does.
        true: where it is in the reference.
    """
    times = np.arange(len(true), dtype=float)
    found = []
    for lag in LAGS:
        inside = (times + lag >= 0) & (times + lag <= len(made) - 1)
        shifted = np.stack([np.interp(times + lag, np.arange(len(made)), made[:, axis]) for axis in (0, 1)], axis=1)
        shifted[~inside] = np.nan
        one, other = np.diff(shifted, axis=0), np.diff(true, axis=0)
        seen = np.isfinite(one).all(1) & np.isfinite(other).all(1)
        sizes = np.linalg.norm(one[seen]) * np.linalg.norm(other[seen])
        enough = seen.sum() >= LEAST_SHOWN and sizes > 0
        found.append((one[seen] * other[seen]).sum() / sizes if enough else np.nan)
    return np.array(found)


def lag_of(found: Float[np.ndarray, "lags"]) -> float:
    """The shift, in frames, at which steps agree best; of shifts that do equally well the least."""
    if not np.isfinite(found).any():
        return float("nan")
    best = np.flatnonzero(found >= np.nanmax(found) - 1e-9)
    return float(LAGS[best[np.abs(LAGS[best]).argmin()]])


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """The shift of each method: at which the agreement of all its references together is best."""
    text = (
        "## Lead and lag\n\nBy how many frames what is made comes after its reference: the shift at which the steps of the object "
        f"agree best, all references together, in quarters of a frame up to {LAGS[-1]:g} each way. *Agreement* is the cosine of "
        f"the steps there. References change their direction. Promised is at most {WITHIN:g} either way.\n\n"
    )
    rows = []
    for method in dict.fromkeys(record["method"] for record in records if "refused" not in record):
        own = [record for record in records if record["method"] == method and "refused" not in record]
        pooled = np.nanmean([[or_nan(value) for value in record["agreement"]] for record in own], axis=0)
        lag, each = (
            lag_of(pooled),
            estimate([or_nan(record["lag"]) for record in own], [record["index"] for record in own]),
        )
        held = "yes" if abs(lag) <= WITHIN else "no"
        told = "-" if each is None else estimate_text(each, lambda value: f"{value:+.2f}")
        rows.append([method, f"{lag:+.2f}", held, f"{np.nanmax(pooled):.2f}", told])
    return text + table(["", "lag, frames", "within", "agreement", "of single references"], rows)
