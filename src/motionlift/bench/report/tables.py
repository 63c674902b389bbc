"""Markdown tables and bootstrap intervals."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from motionlift.bench.records import or_nan

RESAMPLES = 2000
"""Bootstrap resamples of an interval (ours)."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


@dataclass(frozen=True)
class Estimate:
    """A mean and its bootstrap 95 % interval."""

    mean: float
    """Mean of all values."""
    low: float
    """Where the interval begins."""
    high: float
    """Where the interval ends."""
    values: int
    """How many values there are."""
    groups: int
    """How many groups they come from; an interval of one group says nothing."""


def estimate(values: Sequence[float | None], groups: Sequence[Hashable] | None = None) -> Estimate | None:
    """Mean of the defined values with its percentile interval from :data:`RESAMPLES` resamples, the same each time.

    Args:
        values: numbers; NaN, or None as records hold it, where undefined.
        groups: what each value belongs to, such as its reference. Values of one group are not independent, so that whole
            groups are drawn. By default every value is a group of its own.

    Returns:
        None where no value is defined.
    """
    sums: dict[Hashable, tuple[float, int]] = {}
    for value, group in zip(map(or_nan, values), range(len(values)) if groups is None else groups, strict=True):
        if not math.isnan(value):
            total, count = sums.get(group, (0.0, 0))
            sums[group] = (total + value, count + 1)
    if not sums:
        return None
    totals, counts = (np.array(column, dtype=float) for column in zip(*sums.values(), strict=True))
    chosen = np.random.default_rng(0).choice(len(totals), (RESAMPLES, len(totals)))
    draws = totals[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(float(totals.sum() / counts.sum()), float(low), float(high), int(counts.sum()), len(totals))


def interval(values: Sequence[float | None], scale: float = 1.0, digits: int | None = None) -> str:
    """Mean of the defined values with their bootstrap 95 % interval, scaled, as text."""
    found = estimate([or_nan(value) * scale for value in values])
    if found is None:
        return "-"
    places = (0 if scale == 100 else 3) if digits is None else digits
    return f"{found.mean:.{places}f} ({found.low:.{places}f} to {found.high:.{places}f})"
