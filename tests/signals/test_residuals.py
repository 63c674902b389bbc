import math

import pytest
import torch

from motionlift.errors import SettingError
from motionlift.signals.residuals import FORMS, residual_loss


def noise(*frames: list[float]) -> torch.Tensor:
    """Clip ``(1, 1, frames, 1, 2)`` of frames of two numbers."""
    return torch.tensor(frames).reshape(1, 1, len(frames), 1, 2)


@pytest.mark.parametrize("form", FORMS)
def test_a_noise_is_at_no_distance_from_itself(form: str):
    own = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    assert float(residual_loss(own, own, form)) == pytest.approx(0, abs=1e-6)


def test_known_residuals():
    true = noise([0.0, 0.0], [1.0, 0.0], [1.0, 2.0])  # residuals (1, 0) and (0, 2)
    turned = noise([0.0, 0.0], [0.0, 3.0], [0.0, 4.0])  # (0, 3) and (0, 1): at a right angle, and along
    assert float(residual_loss(turned, true, "cos")) == pytest.approx(0.5)
    assert float(residual_loss(turned, true, "l2")) == pytest.approx((1 + 9 + 1) / 2)
    # Along the frames: |(0, 0)| against |(1, 0)| has no direction, cosine 0; |(3, 1)| against |(0, 2)|.
    assert float(residual_loss(turned, true, "released")) == pytest.approx((1 + 1 - 2 / (2 * math.sqrt(10))) / 2)


def test_by_tweedie_residuals_of_denoised_frames_are_those_of_the_noise_scaled():
    """``x0 = (x - noise eps) / signal``: an l2 of the one is ``(noise / signal)^2`` of the other, which a cosine is not."""
    generator = torch.Generator().manual_seed(3)
    clean, true, predicted = torch.randn(3, 1, 3, 4, 5, 6, generator=generator, dtype=torch.float64)
    signal, spread = 0.6, 0.8
    noised = signal * clean + spread * true
    denoised = (noised - spread * predicted) / signal
    affine = noised.diff(dim=2) / signal - spread / signal * predicted.diff(dim=2)
    torch.testing.assert_close(denoised.diff(dim=2), affine)
    of_noise = residual_loss(predicted, true, "l2")
    torch.testing.assert_close(residual_loss(denoised, clean, "l2"), (spread / signal) ** 2 * of_noise)
    assert float(residual_loss(denoised, clean, "cos")) < 0.8 * float(residual_loss(predicted, true, "cos"))


def test_only_changes_count_and_cosine_knows_no_size():
    generator = torch.Generator().manual_seed(1)
    true, own = torch.randn(2, 1, 3, 4, 5, 6, generator=generator)
    still = torch.randn(1, 3, 1, 5, 6, generator=generator)
    for form in FORMS:
        moved = residual_loss(own + still, true - still, form)
        torch.testing.assert_close(moved, residual_loss(own, true, form))
    torch.testing.assert_close(residual_loss(3 * own, true), residual_loss(own, true))


def test_the_released_form_does_not_see_the_sign():
    true = noise([0.0, 0.0], [1.0, 2.0], [3.0, 1.0])
    assert float(residual_loss(-true, true, "released")) == pytest.approx(0, abs=1e-6)
    assert float(residual_loss(-true, true, "cos")) == pytest.approx(2)


def test_a_clip_counts_as_much_as_another():
    generator = torch.Generator().manual_seed(2)
    own, true = torch.randn(2, 3, 2, 4, 3, 3, generator=generator)
    for form in FORMS:
        apart = torch.stack([residual_loss(own[n : n + 1], true[n : n + 1], form) for n in range(3)]).mean()
        torch.testing.assert_close(residual_loss(own, true, form), apart)


def test_refusals():
    own = torch.zeros(1, 1, 2, 2, 2)
    with pytest.raises(SettingError, match="form is 'l1'; allowed are cos, l2, released"):
        residual_loss(own, own, "l1")
    with pytest.raises(SettingError, match="1 frame has no residuals"):
        residual_loss(own[:, :, :1], own[:, :, :1])
