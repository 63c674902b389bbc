"""The intervals of the tables hold what they say, on data like ours."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.experiments import intervals
from motionlift.bench.report.agreement import spearman
from motionlift.bench.report.estimates import FEWEST, skewness
from motionlift.jobs.records import read_records
from tests.bench.made_records import record

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


SAMPLES = {**dict.fromkeys(intervals.POPULATIONS, (32, 1500)), **dict.fromkeys(intervals.RANKS, (FEWEST, 1000))}
"""Rank agreement of the fewest references, where percentiles of the bootstrap held less."""


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SAMPLES))
def test_they_hold_when_they_are_drawn_again(name: str):
    size, samples = SAMPLES[name]
    cell = {"data": name, "size": size, "samples": samples}
    found = json.loads(json.dumps(intervals.measure(cell, "")))
    assert found["holds"] >= LEAST and found["holds"] + found["below"] + found["above"] == pytest.approx(1)


@pytest.mark.parametrize("name", list(intervals.POPULATIONS))
def test_populations_have_the_means_that_they_say(name: str):
    own = intervals.POPULATIONS[name]
    values = own.draw(np.random.default_rng(0), (400, 1000))
    assert values.mean() == pytest.approx(own.mean, abs=0.01)
    assert own.within is None or (own.within[0] <= values.min() and values.max() <= own.within[1])


@pytest.mark.parametrize("name", list(intervals.RANKS))
def test_rank_agreement_is_what_its_name_says(name: str):
    own = intervals.RANKS[name]
    drawn = own.draw(np.random.default_rng(0), 3000).reshape(2, -1)
    assert spearman(*drawn) == pytest.approx(own.rho, abs=0.02) and name.endswith(f"{own.rho:.2f}")


def test_the_skewness_of_the_rows_is_that_of_their_records():
    """One row of two is as skewed as a single video far off makes it; what fewer references have is not told."""
    far = [record("vmc", index, {"aligned_error": 1.0 + (index == 0)}) for index in range(16)]
    even = [record("none", index, {"aligned_error": index % 2}) for index in range(16)]
    few = [record("smm", index, {"aligned_error": float(index == 0)}) for index in range(FEWEST - 1)]
    text = intervals.section([{"data": "normal", "size": 32, "samples": 10, "holds": 0.9421}], [*far, *even, *few])
    assert "the skewness of the 2 rows is 2.0 in the middle and 3.0 at the upper quarter." in text
    assert "1 are above 2.9, of which this says nothing: vmc on tiny (4.0)." in text
    most = intervals.POPULATIONS[f"errors, skewness {intervals.MOST_SKEWED}"]
    drawn = skewness(most.draw(np.random.default_rng(0), (1, 2_000_000))[0])
    assert drawn == pytest.approx(intervals.MOST_SKEWED, abs=0.1)


def test_the_table():
    records = [{"data": "normal", "size": size, "samples": 10, "holds": 0.9421} for size in (12, 32)]
    text = intervals.section(records)
    assert "| data | of 12 | of 32 |" in text and "| normal | 94.2 | 94.2 |" in text
