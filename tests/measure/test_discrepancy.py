"""Motion discrepancy against answers known by hand, and against the released program's formula."""

import pytest
import torch

from motionlift.errors import InputError, SettingError
from motionlift.measure.discrepancy import motion_discrepancy
from motionlift.measure.matching import ROWS
from tests.measure.memory import LITTLE, POINTS, bytes_taken


def walk(points: int, frames: int = 9, seed: int = 0) -> torch.Tensor:
    steps = torch.randn(points, frames, 2, generator=torch.Generator().manual_seed(seed))
    return 300 + steps.cumsum(dim=1)


def test_a_video_against_itself_is_zero():
    assert motion_discrepancy(walk(300, 49), walk(300, 49), 480, 720) == 0.0


def test_it_is_what_the_released_program_gives():
    one, other = walk(600, 9, 1), walk(7, 9, 2)
    distance = (one.double().flatten(1)[:, None] - other.double().flatten(1)[None]).square().mean(dim=-1)
    expected = float(distance.amin(1).mean() + distance.amin(0).mean()) / (48 * 64)
    assert motion_discrepancy(one, other, 48, 64) == pytest.approx(expected, rel=1e-6)


def test_a_shift_is_seen():
    one = torch.full((1, 5, 2), 10.0)
    # Mean over x and y of 3 and 4 squared, both ways.
    assert motion_discrepancy(one, one + torch.tensor([3.0, 4.0]), 10, 20) == pytest.approx(2 * 12.5 / 200)


def test_what_is_not_seen_is_left_out():
    one = torch.full((1, 8, 2), 10.0)
    other, visible = one.clone(), torch.ones(1, 8, dtype=torch.bool)
    other[0, 4:] = 1000.0
    visible[0, 4:] = False
    assert motion_discrepancy(one, other, 64, 64, generated_visible=visible) == 0.0
    visible[0, 3] = False
    # Seen for less than half of the time: it is left out, and the other finds nothing and counts as far away as can be.
    assert motion_discrepancy(one, other, 64, 64, generated_visible=visible) == pytest.approx(2 * 64**2 / 64**2)
    visible[:] = False
    with pytest.raises(InputError, match="no point is seen"):
        motion_discrepancy(one, one, 64, 64, reference_visible=visible, generated_visible=visible)


def test_other_lengths_are_resampled():
    one = torch.arange(9.0)[None, :, None].expand(1, 9, 2)
    assert motion_discrepancy(one, one[:, ::2], 64, 64) == 0.0


@pytest.mark.slow
def test_2500_tracks_need_little_memory():
    measure = "lambda tracks: discrepancy.motion_discrepancy(tracks, tracks, 480, 720)"
    assert bytes_taken(measure, ROWS) < LITTLE
    assert bytes_taken(measure, POINTS) > LITTLE, "in one block it takes more, so that the bound tells"


def test_sizes_and_tracks_that_do_not_fit_are_refused():
    with pytest.raises(SettingError, match="height and width are 0 and 64"):
        motion_discrepancy(walk(2), walk(2), 0, 64)
    with pytest.raises(InputError, match="NaN"):
        motion_discrepancy(walk(2), walk(2) * torch.nan, 64, 64)
