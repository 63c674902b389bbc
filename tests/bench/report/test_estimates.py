"""Means, their intervals and the chance of differences, with known answers."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from motionlift.bench.report.estimates import (
    DIFFERENCES_OF_SHARES,
    FEWEST,
    SHARES,
    Estimate,
    estimate,
    flipped,
    skewness,
    student,
)


def found(values: Sequence[float], groups: Sequence[object] | None = None, within: tuple[float, float] | None = None):
    own = estimate(values, groups, within)
    assert own is not None
    return own


def width(own: Estimate) -> float:
    assert own.ends is not None
    return own.ends[1] - own.ends[0]


@pytest.mark.parametrize(("freedom", "quantile"), [(7, 2.3646), (11, 2.2010), (31, 2.0395), (1000, 1.9623)])
def test_quantiles_of_students_t(freedom: int, quantile: float):
    """From its tables."""
    assert student(freedom) == pytest.approx(quantile, abs=1e-3)


def test_what_is_not_skewed_has_students_interval():
    values = [*range(-8, 9)]
    own = found([float(value) for value in values])
    reach = student(16) * np.std(values, ddof=1) / math.sqrt(17)
    assert own.ends == (pytest.approx(-reach), pytest.approx(reach)) and own.mean == 0


def test_the_interval_reaches_farther_to_the_side_of_the_skew():
    values = np.random.default_rng(2).lognormal(0, 1, 32)
    up, down = found(values.tolist()), found((-values).tolist())
    assert up.ends is not None and down.ends is not None
    assert up.ends[1] - up.mean > 1.2 * (up.mean - up.ends[0])
    assert down.ends == (pytest.approx(-up.ends[1]), pytest.approx(-up.ends[0]))


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_intervals_of_many_shares(share: float):
    """They agree with the normal approximation."""
    right = int(share * 400)
    own = found([1.0] * right + [0.0] * (400 - right), within=SHARES)
    assert own.mean == pytest.approx(share)
    assert width(own) == pytest.approx(2 * 1.96 * math.sqrt(share * (1 - share) / 400), rel=0.03)


@pytest.mark.parametrize(("right", "low", "high"), [(29, 0.7500, 0.9754), (32, 0.8727, 1.0), (0, 0.0, 0.1273)])
def test_intervals_of_shares_as_agresti_and_coull_have_them(right: int, low: float, high: float):
    """Of 32: (right + z^2 / 2) / (32 + z^2), give or take z sqrt(p (1 - p) / (32 + z^2)); never beyond 0 and 1."""
    own = found([1.0] * right + [0.0] * (32 - right), within=SHARES)
    assert own.ends == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_differences_of_shares_leave_something_open_where_none_was_seen():
    """As Bonett and Price have it: four of 32 pairs change one way, one the other."""
    own = found([1.0] * 4 + [-1.0] + [0.0] * 27, within=DIFFERENCES_OF_SHARES)
    reach = 1.959964 * math.sqrt(5 + 2 - 9 / 34) / 34
    assert own.ends == (pytest.approx(3 / 34 - reach), pytest.approx(3 / 34 + reach))
    none = found([0.0] * 32, within=DIFFERENCES_OF_SHARES)
    assert none.ends == (pytest.approx(-1.959964 * math.sqrt(2) / 34), pytest.approx(1.959964 * math.sqrt(2) / 34))


def test_differences_in_thirds_are_taken_as_numbers():
    """Changes of a third: that interval would take them for wider than they are, and call nothing of what p calls rare."""
    thirds = [-2 / 3] + [-1 / 3] * 7 + [0.0] * 24
    own, plain = found(thirds, within=DIFFERENCES_OF_SHARES), found(thirds)
    assert own.ends == plain.ends and own.ends is not None and own.ends[1] < 0 and flipped(thirds, range(32)) < 0.01
    whole = found([-1.0] * 3 + [0.0] * 29, within=DIFFERENCES_OF_SHARES)
    assert whole.ends is not None and whole.ends[0] == pytest.approx(-3 / 34 - 1.959964 * math.sqrt(5 - 9 / 34) / 34)
    most = found([-1.0] * 11 + [-1 / 3], within=DIFFERENCES_OF_SHARES)
    assert most.low == -1 and found([-1.0] * 11 + [-1 / 3]).low < -1  # pyright: ignore[reportOptionalOperand]
    assert width(found([-1 / 3] * 12, within=DIFFERENCES_OF_SHARES)) > 0, "all alike leave something open"


def test_skewness_of_a_known_sample():
    """Of 0, 0, 0 and 4: third moment 6, second 3; corrected by sqrt(12) / 2."""
    assert skewness(np.array([0.0, 0.0, 0.0, 4.0])) == pytest.approx(6 / 3**1.5 * math.sqrt(12) / 2)


def test_few_groups_have_points_and_no_interval():
    own = found([1.0, 3.0, 5.0, 7.0], ["a", "a", "b", "b"])
    assert own.points == (2.0, 6.0) and own.mean == 4 and own.ends is None and (own.low, own.high) == (None, None)
    values = [float(value) for value in range(FEWEST)]
    assert found(values[1:]).ends is None and found(values).ends is not None


def test_whole_groups_count():
    """Many copies of a reference's value tell nothing new: the interval stays that of the references alone."""
    values = np.random.default_rng(3).normal(size=25)
    alone = found(values.tolist())
    copied = found(np.repeat(values, 8).tolist(), np.repeat(np.arange(25), 8).tolist())
    apart = found(np.repeat(values, 8).tolist())
    assert copied.ends == (pytest.approx(alone.low), pytest.approx(alone.high))
    assert (copied.values, copied.groups, alone.groups) == (200, 25, 25)
    assert width(apart) == pytest.approx(width(alone) / math.sqrt(8), rel=0.15)


def test_groups_of_unequal_size_weigh_by_their_values():
    own = found([1.0, 1.0, 1.0, 5.0, math.nan], ["a", "a", "a", "b", "c"])
    assert own.mean == 2.0 and own.points == (1.0, 5.0) and (own.values, own.groups) == (4, 2)


def test_nothing_is_estimated_of_nothing():
    assert estimate([]) is None and estimate([math.nan], ["a"]) is None


def test_the_chance_of_a_difference():
    """Of n differences that are all alike, two of 2^n ways of flipping signs reach as far."""
    assert flipped([0.1] * 5, range(5)) == 2 / 32
    assert flipped([0.1] * 6, range(6)) == 2 / 64
    assert flipped([1.0, -1.0], range(2)) == 1
    assert flipped([1.0, -2.0, 4.0], range(3)) == 6 / 8, "of 1, 3, 5 and 7, either way, three reach 3"
    assert flipped([0.1] * 12, [0] * 6 + [1] * 6) == 1 / 2, "cells of one reference change sign together"


def test_the_chance_among_many_references_is_drawn():
    random = np.random.default_rng(4)
    values = random.normal(0.45, 1, 32)
    statistic = values.mean() / values.std(ddof=1) * math.sqrt(32)
    normal = math.erfc(statistic / math.sqrt(2))
    assert flipped(values.tolist(), range(32)) == pytest.approx(normal, abs=0.02)
    assert flipped([0.1] * 32, range(32)) == pytest.approx(1 / 20_001), "what was found counts as one"


def test_when_a_difference_is_one():
    assert not Estimate(0.1, None, None, 5, (0.1,) * 5, 0.06).is_apart
    assert Estimate(0.1, None, None, 6, (0.1,) * 6, 0.03).is_apart
    assert not Estimate(0.1, -0.01, 0.2, 32, (0.1,) * 32, 0.03).is_apart, "both must say so"
    assert Estimate(0.1, 0.01, 0.2, 32, (0.1,) * 32, 0.03).is_apart
    assert not Estimate(0.1, 0.01, 0.2, 32, (0.1,) * 32).is_apart, "a mean is no difference"
