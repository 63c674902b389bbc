"""The checks of the metrics: that every case is what its name says."""

import json

import numpy as np
import pytest
import torch

from lab.experiments import metric_checks, runner
from lab.experiments.metric_checks import CASES, COLUMNS, OTHER, SAME, changed, told_apart
from lab.experiments.trackers import true_tracks
from motionlift.bench.references import reference

INDEX = 0


def frames(case: str) -> torch.Tensor:
    return changed(case, reference(INDEX), INDEX)[0].frames


@pytest.mark.slow
def test_the_cases_are_what_they_are_called():
    own, other = frames("itself"), frames("same motion, other looks")
    assert torch.equal(frames("mirrored"), own.flip(2)) and torch.equal(frames("reversed in time"), own.flip(0))
    assert torch.equal(frames("static"), own[:1].expand_as(own))
    assert torch.equal(frames("one frame dropped"), torch.cat([own[:8], own[9:]]))
    assert torch.equal(frames("doubled frame rate")[::2], own) and len(frames("doubled frame rate")) == 33
    assert (own.float() - other.float()).abs().mean() > 10
    assert (own.float() - frames("same looks, other motion").float()).abs().mean() > 1
    rates = {case: changed(case, reference(INDEX), INDEX)[0].fps for case in CASES}
    assert rates.pop("doubled frame rate") == 16.0 and set(rates.values()) == {8.0}


@pytest.mark.parametrize("case", CASES)
def test_the_true_tracks_of_a_case_go_with_its_pictures(case: str):
    """What a track is on in the first frame has the colour of what it is on in the last."""
    clip, tracks = changed(case, reference(INDEX), INDEX)
    assert tracks.positions.shape[1] == len(clip.frames)
    chosen = tracks.on_object & tracks.sure & tracks.visible[:, 0] & tracks.visible[:, -1]
    places = tracks.positions[chosen].round().long().clamp(0, 63)
    first, last = (clip.frames[number][places[:, number, 1], places[:, number, 0]].float() for number in (0, -1))
    assert chosen.sum() > 10
    assert (first - last).abs().amax(dim=-1).median() < 8


def test_halfway_frames_lie_halfway():
    own, finer = (true_tracks(which, 64) for which in (reference(INDEX), metric_checks._doubled(reference(INDEX))))
    torch.testing.assert_close(finer.positions[:, ::2], own.positions, atol=1e-3, rtol=0)


def records(value: float, better: float) -> list[dict]:
    figures = {case: dict.fromkeys(COLUMNS, value) for case in CASES}
    for case in SAME:
        figures[case] = dict.fromkeys(COLUMNS, better)
    return [figures]


def test_pairs_in_order():
    assert told_apart(records(0.2, 0.9), "ssim") == 1.0
    assert told_apart(records(0.2, 0.9), "motion_discrepancy") == 0.0, "where low is better"
    assert told_apart(records(0.5, 0.5), "ssim") == 0.5
    assert told_apart(records(0.5, float("nan")), "ssim") == 0.5
    assert set(SAME) | set(OTHER) | {"itself"} == set(CASES)


@pytest.mark.slow
def test_a_record_and_its_section():
    record = json.loads(json.dumps(runner.measure_cell(metric_checks.NAME, {"index": INDEX}, runner.NO_MODEL, 1)))
    assert all(record[case].keys() == COLUMNS.keys() for case in CASES)
    assert record["itself"]["motion_fidelity"] == record["itself"]["exact"] == 1.0
    assert record["static"]["motion_fidelity_moving"] == record["static"]["exact_moving"] == 0.0
    assert all(record[case]["exact_moving"] > 0.98 for case in SAME)
    assert all(record[case]["exact_moving"] < 0.9 for case in OTHER)
    text = metric_checks.section([record])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(CASES) + 1 and len({line.count("|") for line in lines}) == 1
    assert np.isfinite(record["mirrored"]["aligned_error"])
