"""The intervals of the tables hold what they say, on data like ours."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.experiments import intervals
from motionlift.bench.report.estimates import FEWEST
from motionlift.jobs.records import read_records

KEPT = Path(__file__).parents[3] / "docs" / "results" / "intervals.jsonl"
LEAST = 0.93
"""Least share of intervals that are to hold the true mean: asked for before it was looked at."""


def test_the_kept_records_hold_at_every_size_that_the_page_tells_an_interval_of():
    records = read_records(KEPT)
    assert [{name: record[name] for name in ("data", "size", "samples")} for record in records] == intervals.cells(
        intervals.COUNT
    )
    assert min(record["holds"] for record in records) >= LEAST
    assert min(intervals.SIZES) == FEWEST


@pytest.mark.parametrize("name", list(intervals.POPULATIONS))
def test_they_hold_when_they_are_drawn_again(name: str):
    cell = {"data": name, "size": 32, "samples": 1500}
    found = json.loads(json.dumps(intervals.measure(cell, "")))
    assert found["holds"] >= LEAST and found["holds"] + found["below"] + found["above"] == pytest.approx(1)


@pytest.mark.parametrize("name", list(intervals.POPULATIONS))
def test_populations_have_the_means_that_they_say(name: str):
    own = intervals.POPULATIONS[name]
    values = own.draw(np.random.default_rng(0), (400, 1000))
    assert values.mean() == pytest.approx(own.mean, abs=0.01)
    assert own.within is None or (own.within[0] <= values.min() and values.max() <= own.within[1])


def test_the_table():
    records = [{"data": "normal", "size": size, "samples": 10, "holds": 0.9421} for size in (12, 32)]
    text = intervals.section(records)
    assert "| data | of 12 | of 32 |" in text and "| normal | 94.2 | 94.2 |" in text
