"""Tables and intervals with known answers."""

import math
import re

import numpy as np
import pytest

from motionlift.bench.report.tables import estimate, interval, table


def test_a_table():
    assert table(["", "one", "two"], [["a", "1", "2"], ["b", "3", "4"]]) == (
        "|  | one | two |\n| --- | --- | --- |\n| a | 1 | 2 |\n| b | 3 | 4 |\n"
    )


def test_intervals_of_equal_values():
    assert interval([0.25, 0.25, 0.25]) == "0.250 (0.250 to 0.250)"
    assert interval([True, True], 100) == "100 (100 to 100)"
    assert interval([0.5], digits=1) == "0.5 (0.5 to 0.5)"


def test_undefined_values_do_not_count():
    assert interval([0.25, math.nan, 0.25]) == "0.250 (0.250 to 0.250)"
    assert interval([0.25, None, 0.25]) == "0.250 (0.250 to 0.250)", "as records hold it"
    assert interval([]) == interval([None]) == interval([math.nan, math.nan]) == "-"


def figures(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", text)]


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_intervals_of_shares(share: float):
    """For many answers the bootstrap agrees with the normal approximation."""
    right = int(share * 400)
    mean, low, high = figures(interval([True] * right + [False] * (400 - right), 100, digits=2))
    width = 1.96 * 100 * math.sqrt(share * (1 - share) / 400)
    assert mean == pytest.approx(100 * share)
    assert (mean - low, high - mean) == (pytest.approx(width, rel=0.1), pytest.approx(width, rel=0.1))


def test_intervals_of_numbers():
    values = np.random.default_rng(5).normal(-3, 2, 900).tolist()
    mean, low, high = figures(interval(values))
    assert mean == pytest.approx(float(np.mean(values)), abs=1e-3)
    assert high - low == pytest.approx(2 * 1.96 * 2 / 30, rel=0.1)
    assert interval(values) == interval(values), "the same each time"


def test_an_interval_draws_whole_groups():
    """Many copies of a reference's value tell nothing new: the interval stays that of the references alone."""
    values = np.random.default_rng(3).normal(size=25)
    alone = estimate(values.tolist())
    copied = estimate(np.repeat(values, 8).tolist(), np.repeat(np.arange(25), 8).tolist())
    apart = estimate(np.repeat(values, 8).tolist())
    assert alone is not None and copied is not None and apart is not None
    assert (copied.low, copied.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    assert (copied.values, copied.groups, alone.groups) == (200, 25, 25)
    assert apart.high - apart.low == pytest.approx((alone.high - alone.low) / math.sqrt(8), rel=0.15)


def test_groups_of_unequal_size_weigh_by_their_values():
    found = estimate([1.0, 1.0, 1.0, 5.0, math.nan], ["a", "a", "a", "b", "c"])
    assert found is not None
    assert found.mean == 2.0 and (found.low, found.high) == (1.0, 5.0) and (found.values, found.groups) == (4, 2)


def test_nothing_is_estimated_of_nothing():
    assert estimate([]) is None and estimate([math.nan], ["a"]) is None
