"""A few simulated workers: nothing is lost or done twice on paper either."""

from dataclasses import replace

import pytest

from benchmarks.cluster import MINUTE, Scene, row, simulated
from motionlift.jobs.schedule import Patience

SMALL = Scene(workers=16, per_machine=4, jobs=300)


def test_where_nothing_is_lost_workers_are_at_work_all_the_time():
    scene = replace(SMALL, lost=0.0, spread=0.0, jobs=320)
    tally = simulated(scene)
    assert (tally.done, tally.begun, tally.given_up, tally.wasted) == (320, 320, 0, 0.0)
    assert tally.seconds == pytest.approx(scene.starting + 20 * scene.minutes * MINUTE)
    assert tally.at_work == pytest.approx(320 * scene.minutes * MINUTE)


@pytest.mark.parametrize("together", [False, True])
def test_every_job_is_done_or_given_up_once_whatever_is_lost(together: bool):
    scene = replace(SMALL, lost=0.2, together=together)
    tally = simulated(scene, seed=3)
    assert tally.done + tally.given_up == scene.jobs and tally.begun > scene.jobs
    assert 0 < tally.wasted < tally.at_work < scene.workers * tally.seconds
    assert simulated(scene, seed=3) == tally, "a run is known by its seed"


def test_work_that_is_lost_is_as_much_as_is_expected_of_chance():
    """A job of T minutes, lost at a rate r: an attempt lasts (1 - exp(-rT)) / r minutes in the mean."""
    scene = replace(SMALL, lost=0.05, spread=0.0, jobs=3000, patience=Patience(tries=99, alone_from=100))
    tally = simulated(scene)
    kept = 2.718281828 ** (-scene.lost * scene.minutes)
    attempts = 1 / kept
    wasted = attempts * (1 - kept) / scene.lost - scene.minutes
    assert tally.begun / scene.jobs == pytest.approx(attempts, rel=0.02)
    assert tally.wasted / scene.jobs / MINUTE == pytest.approx(wasted, rel=0.15)


def test_deadly_jobs_are_given_up_and_no_others():
    scene = replace(SMALL, lost=0.0, deadly=5, patience=Patience(tries=3, alone_from=3))
    tally = simulated(scene)
    assert (tally.given_up, tally.innocent, tally.begun) == (5, 0, 295 + 5 * 3)


def test_a_line_of_the_table_has_all_its_columns():
    assert row("few", SMALL, 1).count("|") == 9
