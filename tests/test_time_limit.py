"""A run that has so many minutes ends in time, and other commits begin with other files."""

import pytest

from tests.time_limit import REASON, mixed

pytest_plugins = ["pytester"]

CONFTEST = """
from tests import time_limit

def pytest_addoption(parser):
    time_limit.add_option(parser)

def pytest_configure(config):
    time_limit.register(config)
"""


@pytest.fixture
def two_files(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST)
    for name in ("first", "second"):
        pytester.makepyfile(**{f"test_{name}": "def test_one():\n    pass\n\ndef test_two():\n    pass\n"})
    return pytester


@pytest.mark.slow
def test_everything_runs_without_a_limit(two_files: pytest.Pytester):
    two_files.runpytest_inprocess("-p", "no:xdist").assert_outcomes(passed=4)


def test_everything_runs_within_enough_minutes(two_files: pytest.Pytester):
    result = two_files.runpytest_inprocess("-p", "no:xdist", "--minutes", "10")
    result.assert_outcomes(passed=4)
    assert f"0 tests were {REASON}" in result.stdout.str()


def test_what_begins_too_late_is_skipped_and_counted(two_files: pytest.Pytester):
    result = two_files.runpytest_inprocess("-p", "no:xdist", "--minutes", "-1")
    result.assert_outcomes(skipped=4)
    assert f"4 tests were {REASON}" in result.stdout.str()


def test_every_file_comes_first_at_some_commit():
    files = [f"test_{number}.py" for number in range(5)]
    orders = [mixed(files, f"commit {number}") for number in range(100)]
    assert all(sorted(order) == files for order in orders)
    assert {order[0] for order in orders} == set(files)
    assert mixed(files, "one") == mixed(files[::-1], "one"), "the same on every worker"
