import math

import pytest
import torch

from motionlift.core.lattice import Lattice
from motionlift.errors import SettingError
from motionlift.signals.features import moft_loss, motion_channels, motion_features, smm_loss, spatial_mean_differences

GRID = Lattice(3, 2, 4)


def frames_of_mean(*means):
    """Features whose spatial means are known: noise of zero mean in each frame, plus the mean."""
    noise = torch.randn(len(means), GRID.area, len(means[0]), generator=torch.Generator().manual_seed(0))
    noise -= noise.mean(dim=1, keepdim=True)
    return (noise + torch.tensor(means)[:, None]).flatten(0, 1)


def test_differences_of_spatial_means():
    features = frames_of_mean([1.0, 0.0], [4.0, 2.0], [0.0, -1.0])
    found = spatial_mean_differences(features, GRID)
    torch.testing.assert_close(found, torch.tensor([[3.0, 2.0], [-1.0, -1.0], [-4.0, -3.0]]))


def test_smm_loss_is_zero_for_the_same_motion_whatever_the_looks():
    reference = spatial_mean_differences(frames_of_mean([1.0, 0.0], [4.0, 2.0], [0.0, -1.0]), GRID)
    generated = frames_of_mean([11.0, 5.0], [14.0, 7.0], [10.0, 4.0])
    assert smm_loss(generated, reference, GRID).item() == pytest.approx(0, abs=1e-6)


def test_smm_loss_averages_one_less_the_cosine():
    reference = spatial_mean_differences(frames_of_mean([0.0, 0.0], [1.0, 0.0], [2.0, 0.0]), GRID)
    generated = frames_of_mean([0.0, 0.0], [1.0, 0.0], [1.0, 1.0])  # along, at 45 degrees, at 90 degrees
    assert smm_loss(generated, reference, GRID).item() == pytest.approx((2 - math.sqrt(0.5)) / 3, abs=1e-5)


def test_smm_gradient_passes_through_the_anchor():
    reference = spatial_mean_differences(frames_of_mean([0.0, 0.0], [1.0, 0.0], [2.0, 0.0]), GRID)
    generated = frames_of_mean([0.0, 0.0], [1.0, 0.0], [1.0, 1.0]).requires_grad_()
    smm_loss(generated, reference, GRID).backward()
    assert generated.grad.unflatten(0, (3, -1)).abs().sum(dim=(1, 2)).min() > 0
    # A shift of all frames alike changes no difference.
    torch.testing.assert_close(generated.grad.sum(dim=0), torch.zeros(2), atol=1e-6, rtol=0)


def test_smm_of_one_frame_is_zero_with_a_gradient():
    grid = Lattice(1, 2, 4)
    generated = torch.randn(8, 2, requires_grad=True)
    loss = smm_loss(generated, spatial_mean_differences(torch.randn(8, 2), grid), grid)
    loss.backward()
    assert loss == 0
    assert not generated.grad.any()


def test_motion_features_lack_what_stays():
    still, moving = torch.randn(GRID.area, 5), torch.randn(GRID.frames, GRID.area, 5)
    moving -= moving.mean(dim=0)
    found = motion_features((still + moving).flatten(0, 1), GRID)
    torch.testing.assert_close(found, moving.flatten(0, 1))


def test_motion_channels_are_those_that_change_together_over_time():
    generator = torch.Generator().manual_seed(0)
    still = 50 * torch.randn(1, GRID.area, 100, generator=generator)
    common = torch.randn(GRID.frames, GRID.area, 1, generator=generator)
    weights = torch.zeros(100)
    weights[[7, 30, 31, 90]] = torch.tensor([5.0, -6.0, 4.0, -3.0])
    weights[50] = 1.0
    noise = 0.1 * torch.randn(GRID.frames, GRID.area, 100, generator=generator)
    features = (still + common * weights + noise).flatten(0, 1)
    assert motion_channels(features, GRID).tolist() == [7, 30, 31, 90]
    assert motion_channels(features, GRID, share=0.001).tolist() == [30]


@pytest.mark.parametrize("share", [0.0, 1.5, math.nan])
def test_motion_channels_refuse_a_share_out_of_range(share):
    with pytest.raises(SettingError, match="share"):
        motion_channels(torch.randn(24, 3), GRID, share)


def test_moft_loss_averages_over_the_tokens_that_move():
    reference = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    # At 45 degrees, opposite, and with nothing to compare with.
    generated = torch.tensor([[3.0, 3.0], [0.0, -1.0], [1.0, 1.0]])
    assert moft_loss(generated, reference).item() == pytest.approx((1 - math.sqrt(0.5) + 2) / 2)


def test_moft_loss_of_a_still_reference_is_zero_with_a_gradient():
    generated = torch.randn(4, 3, requires_grad=True)
    loss = moft_loss(generated, torch.zeros(4, 3))
    loss.backward()
    assert loss == 0
    assert not generated.grad.any()


def test_refuses_features_that_do_not_fill_the_lattice():
    with pytest.raises(SettingError, match="23 tokens do not fill a lattice of 3x2x4"):
        spatial_mean_differences(torch.randn(23, 3), GRID)


def test_half_precision_keeps_small_differences():
    """Of features far from zero, whose means differ little: bfloat16 holds eight bits of each."""
    generator = torch.Generator().manual_seed(0)
    grid = Lattice(5, 12, 12)
    drift = torch.arange(5)[:, None, None] * 0.05 * torch.randn(16, generator=generator)
    features = (16 + drift + torch.randn(5, 144, 16, generator=generator)).flatten(0, 1)
    exact = spatial_mean_differences(features, grid)
    rough = spatial_mean_differences(features.bfloat16(), grid)
    assert rough.dtype == torch.float32
    assert float((rough - exact).norm() / exact.norm()) < 0.05
    still = features[:144].repeat(5, 1).half()
    assert math.isfinite(float(smm_loss(still, exact, grid)))
