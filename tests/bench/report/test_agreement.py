import numpy as np
import pytest
import torch
from torchmetrics.functional import spearman_corrcoef

from motionlift.bench.report.agreement import FEWEST, agreement, interval_text, spearman
from motionlift.bench.report.summary import sections
from tests.bench.made_records import record


@pytest.mark.parametrize("levels", [3, 1000])
def test_against_torchmetrics_with_ties_and_without(levels: int):
    random = np.random.default_rng(levels)
    one, other = (random.integers(0, levels, 60).astype(float) for _ in range(2))
    wanted = spearman_corrcoef(torch.from_numpy(one), torch.from_numpy(other))
    assert spearman(one, other) == pytest.approx(float(wanted), abs=1e-6)


def test_known_answers():
    values = np.array([0.1, 0.4, 0.2, 0.9])
    assert spearman(values, values**3) == pytest.approx(1)
    assert spearman(values, -values) == pytest.approx(-1)
    assert np.isnan(spearman(values, np.ones(4)))


def test_more_fidelity_with_less_error_is_the_same_order_and_so_is_less_discrepancy():
    errors = np.linspace(0, 1, 24)
    groups = [number // 2 for number in range(24)]
    for name, judged in (("motion_fidelity", 1 - errors), ("motion_discrepancy", errors)):
        found = agreement(name, judged, errors, groups)
        assert found is not None
        assert found.rho == pytest.approx(1) and found.low == pytest.approx(1)
        assert (found.videos, found.references) == (24, 12)


def test_the_interval_leaves_out_whole_references():
    """Seven references that say one thing and seven that say the opposite: without one of them rho goes its way."""
    errors, ways = np.tile(np.arange(10.0), 14), np.repeat([1, -1], 70)
    found = agreement("motion_discrepancy", ways * errors, errors, np.repeat(np.arange(14), 10).tolist())
    assert found is not None and found.low is not None and found.high is not None
    assert found.low < 0 < found.high and found.high - found.low > 0.5
    few = agreement("motion_discrepancy", ways * errors, errors, np.repeat(np.arange(7), 20).tolist())
    assert few is not None and (few.low, few.high, interval_text(few)) == (None, None, "7 references")


def test_the_interval_is_that_of_fishers_z_by_the_jackknife():
    """Copies of a reference's videos tell nothing new; computed apart, with its t of 11 degrees from tables."""
    random = np.random.default_rng(5)
    true, judged = random.normal(size=(2, 12, 3))
    judged += true
    groups = np.repeat(np.arange(12), 3)
    found = agreement("motion_discrepancy", judged.ravel(), true.ravel(), groups.tolist())
    copies = np.repeat(groups, 4).tolist()
    again = agreement("motion_discrepancy", np.repeat(judged, 4), np.repeat(true, 4), copies)
    assert found is not None and again is not None and found.low is not None and found.high is not None
    without = [spearman(np.delete(judged, one, 0).ravel(), np.delete(true, one, 0).ravel()) for one in range(12)]
    reach = 2.2010 * np.sqrt(11 * np.var(np.arctanh(without)))
    middle = np.arctanh(found.rho)
    assert (found.low, found.high) == pytest.approx((np.tanh(middle - reach), np.tanh(middle + reach)), abs=1e-4)
    assert (again.rho, again.low, again.high) == pytest.approx((found.rho, found.low, found.high))
    opposite = agreement("motion_fidelity", judged.ravel(), true.ravel(), groups.tolist())
    assert opposite is not None and opposite.low == pytest.approx(-found.high)


def test_what_rests_on_one_reference_has_no_interval():
    """Without it the videos do not differ."""
    judged, groups = np.array([1.0] * 22 + [2.0, 3.0]), [number // 2 for number in range(24)]
    found = agreement("motion_discrepancy", judged, np.arange(24.0), groups)
    assert found is not None and found.rho > 0 and (found.low, found.high) == (None, None)


def test_too_few_or_equal_videos_have_no_order():
    few = np.arange(float(FEWEST - 1))
    assert agreement("motion_fidelity", few, few, list(few)) is None
    many = np.arange(float(FEWEST))
    assert agreement("motion_fidelity", np.ones(FEWEST), many, list(many)) is None


def test_records_that_hold_both_are_ordered():
    records = [
        record("none", number, {"aligned_error": number / 20, "motion_fidelity": 1 - number / 20})
        for number in range(12)
    ]
    (section,) = sections([*records, record("none", 99, {"motion_fidelity": 0.5})])
    (found,) = section.agreements
    assert found.figure == "motion_fidelity" and found.rho == pytest.approx(1) and found.videos == 12
