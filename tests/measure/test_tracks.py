import math

import numpy as np
import pytest
import torch

from motionlift.errors import InputError
from motionlift.measure.tracks import absolute_error, aligned_error, direction_cosine, seen_share

NAN = math.nan


def line(x: float, y: float, frames: int = 5, start: tuple[float, float] = (0.2, 0.3)) -> torch.Tensor:
    """A track of steps (x, y)."""
    return torch.tensor(start) + torch.arange(frames)[:, None] * torch.tensor([x, y])


def test_a_shifted_track_has_no_aligned_error_and_its_shift_as_absolute_error():
    true = line(0.1, 0.05)
    shifted = true + torch.tensor([0.03, -0.04])
    assert aligned_error(shifted, true) == pytest.approx(0.0, abs=1e-7)
    assert absolute_error(shifted, true) == pytest.approx(0.05, abs=1e-6)
    assert direction_cosine(shifted, true) == pytest.approx(1.0, abs=1e-5)


def test_a_standing_track_has_the_spread_of_the_true_one():
    true = line(0.1, 0.0)  # distances from its mean: 0.2, 0.1, 0, 0.1, 0.2
    still = torch.full((5, 2), 0.9)
    assert aligned_error(still, true) == pytest.approx(0.12, abs=1e-6)
    assert direction_cosine(still, true) == 0.0


@pytest.mark.parametrize(("step", "cosine"), [((0.0, 0.1), 0.0), ((-0.02, 0.0), -1.0), ((0.05, 0.05), math.sqrt(0.5))])
def test_direction_cosine_is_that_of_the_steps(step: tuple[float, float], cosine: float):
    assert direction_cosine(line(*step), line(0.1, 0.0)) == pytest.approx(cosine, abs=1e-5)


def test_a_true_track_that_never_moves_has_no_direction():
    trembling = line(0.003, 0.0)
    assert math.isnan(direction_cosine(line(0.1, 0.0), trembling))
    assert math.isnan(direction_cosine(line(0.1, 0.0, frames=1), line(0.1, 0.0, frames=1)))


def test_true_steps_below_the_threshold_are_left_out():
    true = torch.tensor([[0.1, 0.5], [0.2, 0.5], [0.203, 0.5], [0.3, 0.5]])
    generated = torch.tensor([[0.1, 0.5], [0.2, 0.5], [0.1, 0.5], [0.2, 0.5]])  # wrong only in the tiny middle step
    assert direction_cosine(generated, true) == pytest.approx(1.0)


def test_unseen_frames_are_left_out_of_all_means():
    true = line(0.1, 0.0)
    generated = true + torch.tensor([0.0, 0.1])
    generated[4] = NAN
    assert seen_share(generated) == pytest.approx(0.8)
    assert absolute_error(generated, true) == pytest.approx(0.1, abs=1e-6)
    assert aligned_error(generated, true) == pytest.approx(0.0, abs=1e-6)
    generated[0, 1] += 0.1
    # The offsets in y are 0.2, 0.1, 0.1, 0.1, so 0.075, 0.025, 0.025, 0.025 from their mean.
    assert aligned_error(generated, true) == pytest.approx(0.0375, abs=1e-6)


def test_steps_into_and_out_of_unseen_frames_are_left_out():
    true = line(0.1, 0.0)
    # One step right, two with an unseen end, one reversed.
    generated = torch.tensor([[0.1, 0.5], [0.2, 0.5], [NAN, NAN], [0.9, 0.9], [0.8, 0.9]])
    assert direction_cosine(generated, true) == pytest.approx(0.0, abs=1e-6)
    assert direction_cosine(generated[:4], true[:4]) == pytest.approx(1.0)


def test_a_track_hardly_seen_counts_as_standing_in_the_middle():
    true = line(0.1, 0.0)
    hardly = true.clone()
    hardly[2:] = NAN
    middle = torch.full((5, 2), 0.5)
    assert seen_share(hardly) == pytest.approx(0.4)
    assert aligned_error(hardly, true) == pytest.approx(0.12, abs=1e-6)
    assert absolute_error(hardly, true) == pytest.approx(absolute_error(middle, true))
    assert direction_cosine(hardly, true) == 0.0
    assert absolute_error(torch.full((5, 2), NAN), true) == pytest.approx(absolute_error(middle, true))


def test_a_track_without_two_seen_frames_in_a_row_has_no_direction_to_compare():
    true = line(0.1, 0.0)
    flickering = true.clone()
    flickering[1::2] = NAN
    assert direction_cosine(flickering, true) == 0.0
    assert absolute_error(flickering, true) == pytest.approx(0.0, abs=1e-7)


def test_objects_count_alike_in_errors_and_arrays_do_as_well_as_tensors():
    true = np.stack([line(0.1, 0.0).numpy(), line(0.0, 0.1).numpy()])
    generated = true.copy()
    generated[1] = generated[1] + np.array([0.06, 0.08], dtype=np.float32)
    assert absolute_error(generated, true) == pytest.approx(0.05, abs=1e-6)
    assert direction_cosine(generated, torch.from_numpy(true)) == pytest.approx(1.0, abs=1e-5)
    generated[1] = NAN
    assert seen_share(generated) == pytest.approx(0.5)
    assert direction_cosine(generated, true) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(
    "generated",
    [torch.zeros(0, 2), torch.zeros(5, 3), torch.zeros(5), torch.zeros(4, 2), torch.zeros(5, 2).int(),
     torch.full((5, 2), math.inf), torch.zeros(2, 5, 2)],
)  # fmt: skip
def test_tracks_that_do_not_fit_are_refused(generated: torch.Tensor):
    with pytest.raises(InputError, match="track"):
        absolute_error(generated, line(0.1, 0.0))


def test_a_true_track_with_gaps_is_refused():
    true = line(0.1, 0.0)
    true[1] = NAN
    with pytest.raises(InputError, match="true track holds NaN"):
        aligned_error(line(0.1, 0.0), true)
