"""Tables and means as text, with known answers."""

import math

from motionlift.bench.report.estimates import FEWEST
from motionlift.bench.report.tables import interval, table


def test_a_table():
    assert table(["", "one", "two"], [["a", "1", "2"], ["b", "3", "4"]]) == (
        "|  | one | two |\n| --- | --- | --- |\n| a | 1 | 2 |\n| b | 3 | 4 |\n"
    )


def test_few_values_are_shown_as_points_in_their_order():
    assert interval([0.25, 0.5, 0.125]) == "0.292 [0.250 0.500 0.125]"
    assert interval([True, True, False], 100) == "67 [2 of 3]"
    assert interval([0.5, 1.0], 100) == "75 [50 100]", "shares that are neither right nor wrong"
    assert interval([0.5], digits=1) == "0.5"


def test_enough_values_have_an_interval():
    assert interval([0.25] * FEWEST) == "0.250 (0.250 to 0.250)"
    assert interval([0.25] * (FEWEST - 1)).startswith("0.250 [0.250 ")
    assert interval([True] * 32, 100) == "100 (87 to 100)", "of so many right ones something is left open"


def test_undefined_values_do_not_count():
    assert interval([0.25, math.nan, 0.5]) == "0.375 [0.250 0.500]"
    assert interval([0.25, None, 0.5]) == "0.375 [0.250 0.500]", "as records hold it"
    assert interval([]) == interval([None]) == interval([math.nan, math.nan]) == "-"
