"""Whether what is made leads or lags its reference: the shift in time at which the object's steps agree best.

An autoencoder that joins frames gives a latent frame to several; a motion that is read at other times than it is cast shows as a
shift of up to a latent frame, which errors of places hardly tell from a slower start. References are those whose motion changes
its direction: one that goes straight on agrees with itself at any shift.

Only whole frames are compared, and of every shift the same steps of the reference: places between frames are means of two, which
tremble less and so agree better than those of whole frames, and a shift of which fewer steps are seen agrees better by chance.
Between whole frames a parabola through the best of them and its neighbours tells where the best would be. Two controls are
measured beside the methods: the reference encoded and decoded, and that a frame later.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from lab.experiments.trial import refusal, transferred
from motionlift.bench.records import number, or_nan
from motionlift.bench.references import bundled, clip_of, reference
from motionlift.bench.report.estimates import estimate
from motionlift.bench.report.tables import estimate_text, table
from motionlift.measure.truth import judge_for
from motionlift.methods import methods
from motionlift.video.clip import Clip
from motionlift.world.judge import judge_video

NAME = "lag"
COUNT = 4
TURNING = ("circle", "zigzag", "bounce")
"""Motions of references that change their direction. An arc changes it so slowly that, encoded and decoded, it agrees with itself
by 0.85 four frames away: trembling then decides where it agrees best."""
MOST = 4
"""Largest shift that is tried, in frames: a latent frame of the bundled models."""
LAGS = np.arange(-MOST, MOST + 1)
"""Shifts that are tried, in frames."""
LEAST_SHOWN = 4
"""Fewest steps that are compared at a shift."""
LEAST_AGREEMENT = 0.5
"""Agreement below which what is made does not follow its reference, so that no shift can be told (set before anything was
measured in this way)."""
CONTROLS: Mapping[str, int] = {"autoencoder": 0, "autoencoder, a frame later": 1}
"""Controls by name, each with by how many frames it comes later."""
WITHIN = 0.5
"""Frames by which a method may lead or lag (set before anything was measured)."""

TOGETHER = "all that follow, together"
"""Title of all methods that follow their references: a shift that is the library's own is in each of them."""

Centres = Float[np.ndarray, "frames 2"]


def turning(count: int) -> list[int]:
    """Numbers of the first references whose object changes its direction."""
    return [index for index in range(100 * count) if reference(index).objects[0].motion in TURNING][:count]


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and control, and each method but for plain sampling, which follows nothing."""
    names = [name for name in methods() if name != "none"]
    own: list[dict[str, Any]] = []
    for index in turning(count):
        own += [{"index": index, "control": name} for name in CONTROLS]
        own += [{"index": index, "method": name, "settings": {}} for name in names]
    return own


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The agreement of the made object's steps with the reference's at every shift."""
    backbone, judge = bundled(model), judge_for()
    clip = clip_of(reference(cell["index"], backbone.about.shape.frames), backbone.about.fps)
    if "control" in cell:
        pixels = backbone.codec.decode(backbone.codec.encode(clip.pixels()))
        later = CONTROLS[cell["control"]]
        made = Clip.from_pixels(
            torch.cat([pixels[:1].expand(later, -1, -1, -1), pixels[: len(pixels) - later]]), clip.fps
        )
    else:
        refused = refusal(cell, model)
        if refused is not None:
            return {"refused": refused}
        made = transferred(cell, model)[0].clip
    found = agreement(*(judge_video(judge, frames).centres.numpy() for frames in (made.frames, clip.frames)))
    return {"lag": number(lag_of(found)), "agreement": [number(round(float(value), 4)) for value in found]}


def agreement(made: Centres, true: Centres) -> Float[np.ndarray, "lags"]:
    """How well steps agree at each of :data:`LAGS`: their cosine, 1 where they are the same; not a number where too few are seen.

    Args:
        made: where the object is in each frame, NaN where it is not seen; of a single such frame between others the middle of
            these is taken. At a positive shift it does later what ``true`` does.
        true: where it is in the reference.
    """
    between = np.full_like(made, np.nan)
    between[1:-1] = (made[:-2] + made[2:]) / 2
    steps = np.diff(np.where(np.isfinite(made), made, between), axis=0)
    wanted = np.diff(true, axis=0)[MOST : len(true) - 1 - MOST]
    others = np.stack([steps[MOST + lag : MOST + lag + len(wanted)] for lag in LAGS])
    seen = np.isfinite(others).all(axis=(0, 2)) & np.isfinite(wanted).all(axis=1)
    if seen.sum() < LEAST_SHOWN:
        return np.full(len(LAGS), np.nan)
    sizes = np.linalg.norm(others[:, seen], axis=(1, 2)) * np.linalg.norm(wanted[seen])
    with np.errstate(invalid="ignore", divide="ignore"):
        return (others[:, seen] * wanted[seen]).sum(axis=(1, 2)) / sizes


def lag_of(found: Float[np.ndarray, "lags"]) -> float:
    """The shift, in frames, at which steps agree best; of shifts that do equally well the least.

    Not a number where they nowhere agree by :data:`LEAST_AGREEMENT`, or best at the end of what is tried.
    """
    if not np.isfinite(found).all() or found.max() < LEAST_AGREEMENT:
        return float("nan")
    best = np.flatnonzero(found >= found.max() - 1e-9)
    place = int(best[np.abs(LAGS[best]).argmin()])
    if place in (0, len(LAGS) - 1):
        return float("nan")
    before, here, after = found[place - 1 : place + 2]
    bend = before - 2 * here + after
    return float(LAGS[place]) if bend >= -1e-9 else float(LAGS[place] + (before - after) / (2 * bend))


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """The shift of each control and method: at which the agreement of all its references together is best."""
    text = (
        "## Lead and lag\n\nBy how many frames what is made comes after its reference: the shift at which the steps of the object "
        f"agree best, all references together, up to {MOST} frames each way. *Agreement* is the cosine of the steps there; below "
        f"{LEAST_AGREEMENT:g} the reference is not followed, and no shift can be told. References change their direction. Promised "
        f"is at most {WITHIN:g} either way. Single references differ by about a frame, so that of {COUNT} a method's own shift is "
        "known to about half a frame; one of the reading or of the autoencoder would be in all of them together.\n\n"
    )
    found, rows = _found(records), []
    for name, (lag, agreed, own) in found.items():
        each = estimate([or_nan(record["lag"]) for record in own], [record["index"] for record in own])
        held = "-" if np.isnan(lag) or name in CONTROLS else "yes" if abs(lag) <= WITHIN else "no"
        told = "-" if each is None else estimate_text(each, lambda value: f"{value:+.2f}")
        rows.append(
            [name, "-" if np.isnan(lag) else f"{lag:+.2f}", held, "-" if np.isnan(agreed) else f"{agreed:.2f}", told]
        )
    following = [record for lag, _, own in _methods(found).values() for record in own if not np.isnan(lag)]
    if following:
        lag, agreed = _pooled(following)
        rows.append([TOGETHER, f"{lag:+.2f}", "yes" if abs(lag) <= WITHIN else "no", f"{agreed:.2f}", "-"])
    return text + table(["", "lag, frames", "within", "agreement", "of single references"], rows)


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Methods that lead or lag by more than is promised."""
    beyond = [f"{name} ({lag:+.2f})" for name, (lag, _, _) in _methods(_found(records)).items() if abs(lag) > WITHIN]
    return (
        [f"Ahead of the reference, or behind it, by more than {WITHIN:g} frames: {', '.join(beyond)}."]
        if beyond
        else []
    )


Found = Mapping[str, tuple[float, float, Sequence[Mapping[str, Any]]]]
"""Shift and agreement of each control and method, all its references together, and its records."""


def _found(records: Sequence[Mapping[str, Any]]) -> Found:
    known = [record for record in records if "refused" not in record]
    groups = {name: [record for record in known if _name(record) == name] for name in dict.fromkeys(map(_name, known))}
    return {name: (*_pooled(own), own) for name, own in groups.items()}


def _methods(found: Found) -> Found:
    """Of methods alone."""
    return {name: own for name, own in found.items() if name not in CONTROLS}


def _pooled(records: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Shift at which records agree best together, and how well they do."""
    values = np.array([[or_nan(value) for value in record["agreement"]] for record in records])
    seen = values[np.isfinite(values).all(axis=1)]
    if not len(seen):
        return float("nan"), float("nan")
    pooled = seen.mean(axis=0)
    return lag_of(pooled), float(pooled.max())


def _name(record: Mapping[str, Any]) -> str:
    """The control or the method of a record."""
    return record.get("control") or record["method"]
