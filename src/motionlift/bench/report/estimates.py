"""Means with intervals that hold what they say, and how likely a difference is by chance alone."""

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

from motionlift.bench.records import or_nan

CONFIDENCE = 0.95
"""How often an interval holds the true mean."""
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""Its quantile of the normal distribution."""
FEWEST = 12
"""Fewest groups of which an interval is told (ours: of fewer, those of errors as skewed as ours hold less than 93 %, see the
experiment ``intervals``); fewer are shown as points."""
SHARES, DIFFERENCES_OF_SHARES = (0.0, 1.0), (-1.0, 1.0)
"""Bounds of shares, and of differences between them."""
WHOLE_CHANGES = frozenset((-1.0, 0.0, 1.0))
"""Differences of what is either right or wrong."""
MOST_ENUMERATED = 14
"""Most groups of which every way of flipping signs is gone through (ours: 16 thousand ways)."""
FLIPS = 20_000
"""Ways of flipping signs that are drawn of more groups (ours: a p of 0.05 is then known to 0.002)."""

Values = Float[np.ndarray, " groups"]


@dataclass(frozen=True)
class Estimate:
    """A mean and, where there are enough groups, its 95 % interval."""

    mean: float
    """Mean of all values."""
    low: float | None
    """Where the interval begins; None of fewer than :data:`FEWEST` groups."""
    high: float | None
    """Where the interval ends."""
    values: int
    """How many values there are."""
    points: tuple[float, ...]
    """Mean of every group, in the order in which they came."""
    p: float | None = None
    """Of a difference: how often one as large comes by chance, see :func:`flipped`."""

    @property
    def groups(self) -> int:
        """How many groups the values come from."""
        return len(self.points)

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends of the interval, where there is one."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def is_apart(self) -> bool:
        """Whether a difference is one: it hardly comes by chance, and its interval, where there is one, leaves out zero."""
        unlikely = self.p is not None and self.p <= 1 - CONFIDENCE
        return unlikely and (self.ends is None or not self.ends[0] <= 0 <= self.ends[1])


def estimate(
    values: Sequence[float | None],
    groups: Sequence[Hashable] | None = None,
    within: tuple[float, float] | None = None,
) -> Estimate | None:
    """Mean of the defined values with its interval.

    Args:
        values: numbers; NaN, or None as records hold it, where undefined.
        groups: what each value belongs to, such as its reference. Values of one group are not independent, so that it counts by
            their sum. By default every value is a group of its own.
        within: :data:`SHARES` or :data:`DIFFERENCES_OF_SHARES`, where values are such. Differences that are not all of 0 and of 1,
            such as those of looks, which change in thirds, have the interval of other differences, cut off at their bounds.

    Returns:
        None where no value is defined.
    """
    found = _sums(values, groups)
    if found is None:
        return None
    totals, counts = found
    mean, points = float(totals.sum() / counts.sum()), totals / counts
    ends: tuple[float | None, float | None] = None, None
    if len(totals) >= FEWEST:
        ends = _of_shares(points, mean) if within == SHARES else _of_values(totals, counts, within)
    return Estimate(mean, *ends, int(counts.sum()), tuple(map(float, points)))


def _sums(values: Sequence[float | None], groups: Sequence[Hashable] | None) -> tuple[Values, Values] | None:
    """Sum and number of the defined values of every group."""
    sums: dict[Hashable, tuple[float, int]] = {}
    for value, group in zip(map(or_nan, values), range(len(values)) if groups is None else groups, strict=True):
        if not math.isnan(value):
            total, count = sums.get(group, (0.0, 0))
            sums[group] = (total + value, count + 1)
    if not sums:
        return None
    totals, counts = (np.array(column, dtype=float) for column in zip(*sums.values(), strict=True))
    return totals, counts


def _of_values(totals: Values, counts: Values, within: tuple[float, float] | None) -> tuple[float, float]:
    """The interval of a mean of numbers, or of differences of shares."""
    points = totals / counts
    if within is not None and (set(points.tolist()) <= WHOLE_CHANGES or not np.ptp(points)):
        return _of_differences(points)
    low, high = _skewed(totals, counts)
    return (low, high) if within is None else (max(low, within[0]), min(high, within[1]))


def _skewed(totals: Values, counts: Values) -> tuple[float, float]:
    """The farther end, at either side, of Student's interval and of Hall's, which is corrected for skewness.

    Hall (1992, Annals of Statistics 20, 1): of ``T = (mean - true) / deviation`` the transformed ``T + k T^2 / 3 + k^2 T^3 / 27 +
    k / (6 n)`` is symmetric, ``k`` being the skewness. Alone it is too short where a sample happens to show no skewness.
    """
    size, mean = len(totals), totals.sum() / counts.sum()
    parts = (totals - mean * counts) / counts.mean()
    deviation = parts.std(ddof=1)
    if not deviation:
        return float(mean), float(mean)
    reach, skew = student(size - 1) / math.sqrt(size), skewness(parts)
    low, high = (_untransformed(sign * reach, skew, size) for sign in (1, -1))
    return float(mean - max(low, reach) * deviation), float(mean - min(high, -reach) * deviation)


def skewness(values: Values) -> float:
    """Of a sample of at least three, corrected for its size (Joanes and Gill 1998, The Statistician 47: G1)."""
    size, parts = len(values), values - values.mean()
    return float((parts**3).mean() / (parts**2).mean() ** 1.5 * math.sqrt(size * (size - 1)) / (size - 2))


def _untransformed(value: float, skewness: float, size: int) -> float:
    """The inverse of Hall's transformation."""
    if abs(skewness) < 1e-6:
        return value
    return 3 / skewness * (math.cbrt(1 + skewness * (value - skewness / (6 * size))) - 1)


def student(freedom: int) -> float:
    """Quantile of Student's t for :data:`CONFIDENCE`, by its expansion (Abramowitz and Stegun 26.7.5; from 7 degrees, to 0.001)."""
    terms = (
        Z,
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def _of_shares(points: Values, mean: float) -> tuple[float, float]:
    """Agresti and Coull (1998, American Statistician 52): two right and two wrong are added.

    Of 32 right of 32 something is then left open. Groups that are between right and wrong vary less than it takes them to.
    """
    size = len(points) + Z**2
    middle = (mean * len(points) + Z**2 / 2) / size
    reach = Z * math.sqrt(middle * (1 - middle) / size)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _of_differences(points: Values) -> tuple[float, float]:
    """Bonett and Price (2012, Journal of Educational and Behavioral Statistics 37): one is added to each kind of change.

    It is made for changes of one whole: of smaller ones it takes the sum for that of the squares, and is too wide.
    """
    size, more, less = len(points) + 2, points.clip(0, None).sum(), (-points).clip(0, None).sum()
    middle = (more - less) / size
    reach = Z * math.sqrt(more + less + 2 - (more - less) ** 2 / size) / size
    return float(max(-1.0, middle - reach)), float(min(1.0, middle + reach))


def flipped(values: Sequence[float], groups: Sequence[Hashable]) -> float:
    """How often a mean difference is as large, either way, where the sign of every group's is drawn anew (a permutation test).

    Exact for up to :data:`MOST_ENUMERATED` groups; of more, of :data:`FLIPS` draws, the same each time, beside what was found.

    Args:
        values: differences, at least one.
        groups: the reference of each: its cells change sign together.
    """
    found = _sums(values, groups)
    assert found is not None
    totals = found[0]
    if len(totals) <= MOST_ENUMERATED:
        signs, one = np.array(list(itertools.product((1, -1), repeat=len(totals)))), 0
    else:
        signs, one = np.random.default_rng(0).choice((1, -1), (FLIPS, len(totals))), 1
    reached = np.abs(signs @ totals) >= abs(totals.sum()) * (1 - 1e-12)
    return float((reached.sum() + one) / (len(signs) + one))
