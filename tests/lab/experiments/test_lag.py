"""The shift in time is told right, and neither autoencoder of the bundled models shifts what it decodes."""

import numpy as np
import pytest

from lab.experiments import lag
from lab.experiments.lag import LAGS, WITHIN, agreement, lag_of
from motionlift.bench.references import bundled, clip_of, reference
from motionlift.measure.truth import judge_for
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.video.clip import Clip
from motionlift.world.judge import judge_video


def path(times: np.ndarray) -> np.ndarray:
    """A way to and fro and down."""
    return np.stack([0.5 + 0.3 * np.sin(times / 2.5), 0.2 + 0.02 * times + 0.1 * np.cos(times / 1.7)], axis=1)


@pytest.mark.parametrize("shift", [-3.0, -2.0, -0.5, 0.0, 0.25, 1.0, 3.0])
def test_a_shift_is_found(shift):
    times = np.arange(17.0)
    generator = np.random.default_rng(0)
    made = path(times - shift) + 0.002 * generator.standard_normal((17, 2))
    assert abs(lag_of(agreement(made, path(times))) - shift) <= 0.25
    assert np.nanmax(agreement(0.5 * made + 0.1, path(times))) > 0.97  # size and place do not matter


def test_frames_without_the_object_do_not_count():
    times = np.arange(17.0)
    made = path(times - 1)
    made[[0, 1, 9]] = np.nan
    assert abs(lag_of(agreement(made, path(times))) - 1) < 0.1
    assert np.isnan(lag_of(agreement(np.full((17, 2), np.nan), path(times))))
    straight = np.stack([times, times], axis=1)
    assert lag_of(agreement(straight, straight)) == 0  # of shifts that do equally well the least


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.04])
def test_places_that_tremble_are_not_told_as_a_shift(noise):
    times, generator = np.arange(17.0), np.random.default_rng(1)
    found = [agreement(path(times) + noise * generator.standard_normal((17, 2)), path(times)) for _ in range(100)]
    assert abs(lag_of(np.mean(found, axis=0))) < 0.1


def test_what_does_not_follow_has_no_shift():
    times, generator = np.arange(17.0), np.random.default_rng(2)
    found = [agreement(generator.standard_normal((17, 2)), path(times)) for _ in range(20)]
    assert np.isnan(lag_of(np.mean(found, axis=0)))
    assert np.isnan(lag_of(agreement(path(times - 9), path(times))))  # best beyond what is tried


@pytest.mark.slow
def test_a_page_of_known_records():
    found = agreement(path(np.arange(17.0) - 2), path(np.arange(17.0)))
    record = {"method": "ditflow", "index": 0, "lag": lag_of(found), "agreement": list(found)}
    text = lag.section([record, {"method": "smm", "index": 0, "refused": "no"}])
    assert "| ditflow | +2.00 | no | 1.00 |" in text and "smm" not in text
    assert lag.failed([record]) == ["Ahead of the reference, or behind it, by more than 0.5 frames: ditflow (+2.00)."]
    later = agreement(path(np.arange(17.0) + 2), path(np.arange(17.0)))
    other = {"method": "vmc", "index": 0, "lag": lag_of(later), "agreement": list(later)}
    both = lag.section([record, other])
    assert "| vmc | -2.00 | no | 1.00 |" in both and f"| {lag.TOGETHER} | " in both
    assert "lags" not in lag.section([{**record, "agreement": [None] * 9, "lag": None}]) and lag.failed([]) == []
    assert len(LAGS) == 9 and lag.turning(3) == sorted(lag.turning(3))


@pytest.mark.slow
@pytest.mark.parametrize("model", BUNDLED_MODELS)
def test_what_is_encoded_and_decoded_neither_leads_nor_lags(model):
    backbone, judge = bundled(model), judge_for()
    found = []
    for index in lag.turning(4):
        clip = clip_of(reference(index, backbone.about.shape.frames), backbone.about.fps)
        again = Clip.from_pixels(backbone.codec.decode(backbone.codec.encode(clip.pixels())), clip.fps)
        made, true = (judge_video(judge, frames).centres.numpy() for frames in (again.frames, clip.frames))
        found.append(agreement(made, true))
    assert abs(lag_of(np.nanmean(found, axis=0))) <= WITHIN
