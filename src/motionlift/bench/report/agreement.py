"""Rank agreement: whether a figure orders videos as the true error of their motion does."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from motionlift.bench.report.catalogue import MOTION, figure
from motionlift.bench.report.estimates import FEWEST as FEWEST_GROUPS
from motionlift.bench.report.estimates import student

TRUE = "aligned_error"
"""The figure that is exact: the error of the object's track, in the world."""
JUDGED = (*[name for name in MOTION if name != TRUE], "motion_fidelity_legacy")
"""Figures that stand for motion where nothing is known exactly."""
NEARLY_ONE = 1 - 1e-9
"""The largest rho that is transformed: Fisher's z of 1 is infinite."""
FEWEST = 10
"""Fewest videos that are ordered (ours: of fewer, an order says next to nothing)."""

Values = Float[np.ndarray, " videos"]


@dataclass(frozen=True)
class Agreement:
    """How one figure orders videos beside the true error."""

    figure: str
    """Name of the figure."""
    rho: float
    """Spearman's rho, signed so that 1 is the same order and -1 the opposite, whichever way of the figure is better."""
    low: float | None
    """Where its 95 % interval begins; whole references are left out in turn. None of few references, as of means."""
    high: float | None
    """Where it ends."""
    videos: int
    """How many videos were ordered."""
    references: int
    """How many references they come from."""


def spearman(one: Values, other: Values) -> float:
    """Correlation of the ranks, ties sharing their mean rank; NaN where either never changes."""
    ranks = [_ranks(values) - (len(values) - 1) / 2 for values in (one, other)]
    lengths = np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1])
    return float(ranks[0] @ ranks[1] / lengths) if lengths else float("nan")


def _ranks(values: Values) -> Values:
    """From 0; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count + 1) / 2)[place]


def agreement(name: str, judged: Values, true: Values, groups: Sequence[Hashable]) -> Agreement | None:
    """How a figure orders videos beside :data:`TRUE`, with its interval over groups, where they are enough.

    Args:
        name: of the figure.
        judged: its values.
        true: the true errors of the same videos.
        groups: the reference of each.

    Returns:
        None where there are fewer than :data:`FEWEST` videos, or they do not differ.
    """
    sign = int(figure(name).better * figure(TRUE).better)
    rho = spearman(judged, true) if len(judged) >= FEWEST else float("nan")
    if np.isnan(rho):
        return None
    keys = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    numbers = np.array([keys[group] for group in groups])
    ends = _interval(sign * judged, true, numbers) if len(keys) >= FEWEST_GROUPS else (None, None)
    return Agreement(name, sign * rho, *ends, len(judged), len(keys))


def _interval(judged: Values, true: Values, numbers: Int[np.ndarray, " videos"]) -> tuple[float | None, float | None]:
    """Fisher's z of rho, give or take Student's t of the jackknife over groups (Efron and Tibshirani 1993, chapter 11).

    Args:
        judged: a figure, signed as the true errors are.
        true: the true errors.
        numbers: of the group of each video, from 0.

    Returns:
        Both ends; None where the videos that are left without some group do not differ.
    """
    size = int(numbers.max()) + 1
    without = [spearman(judged[numbers != number], true[numbers != number]) for number in range(size)]
    if np.isnan(without).any():
        return None, None
    left = np.array(list(map(_fisher, without)))
    reach = student(size - 1) * math.sqrt((size - 1) / size * ((left - left.mean()) ** 2).sum())
    middle = _fisher(spearman(judged, true))
    return math.tanh(middle - reach), math.tanh(middle + reach)


def _fisher(rho: float) -> float:
    """Its z, in which a correlation varies alike wherever it lies."""
    return math.atanh(min(NEARLY_ONE, max(-NEARLY_ONE, rho)))


def interval_text(found: Agreement) -> str:
    """Its interval as text, or that there are too few references for one."""
    if found.low is None or found.high is None:
        return f"{found.references} reference{'s' * (found.references != 1)}"
    return f"{found.low:.2f} to {found.high:.2f}"
