"""What is kept of measurements beside the cache: bounded, and nothing that a job depends on."""

import json

import pytest

from motionlift.work import measured


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))


def test_seconds_and_factors_are_kept():
    measured.keep_seconds("a", 1.5)
    measured.keep_shortage("b")
    measured.keep_shortage("b")
    found = measured.kept()
    assert found.seconds == {"a": 1.5} and found.factors == {"b": pytest.approx(1.15**2, abs=1e-4)}


@pytest.mark.slow
def test_both_are_bounded():
    for number in range(measured.MOST + 5):
        measured.keep_seconds(str(number), 1.0)
    assert len(measured.kept().seconds) == measured.MOST and "0" not in measured.kept().seconds
    for _ in range(20):
        measured.keep_shortage("b")
    assert measured.kept().factors["b"] == measured.MOST_RAISED


def test_a_factor_comes_down_with_jobs_that_were_enough_and_goes():
    measured.keep_shortage("b")
    for _ in range(3):
        assert measured.kept().factors["b"] > 1
        measured.keep_enough("b")
    assert measured.kept().factors == {}
    measured.keep_enough("b")
    assert measured.kept().factors == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"seconds": {"a": 1}}', '{"factors": {"b": -3}}'])
def test_a_file_that_is_not_ours_counts_for_nothing_and_stays(content: str):
    path = measured.place()
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert measured.kept() == measured.Measured()
    measured.keep_seconds("a", 1.0)
    assert path.read_text() == content


def test_numbers_out_of_range_are_left_out():
    measured.keep_seconds("a", 1.0)
    path = measured.place()
    told = json.loads(path.read_text())
    assert (
        measured._numbers({"a": 1, "b": -1, "c": "x", "d": True, "e": 1e9}, 10) == {"a": 1.0} and "a" in told["seconds"]
    )
