"""Markdown tables and bootstrap intervals."""

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
"""Bootstrap resamples of an interval (ours)."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def interval(values: Sequence[float], scale: float = 1.0, digits: int | None = None) -> str:
    """Mean of the defined values with their bootstrap 95 % interval, scaled, as text."""
    numbers = np.array([float(value) for value in values if not math.isnan(float(value))]) * scale
    if not len(numbers):
        return "-"
    draws = np.random.default_rng(0).choice(numbers, (RESAMPLES, len(numbers))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    places = (0 if scale == 100 else 3) if digits is None else digits
    return f"{numbers.mean():.{places}f} ({low:.{places}f} to {high:.{places}f})"
