import pytest
import torch
from diffusers import CogVideoXDDIMScheduler

from motionlift.models.schedules import NoiseSchedule, euler_step, mixed_noise, undone_step

SHIFTS = [1.0, 3.0]  # CogVideoX-5B's and -2B's
TIMESTEPS = [0, 1, 250, 500, 998, 999]


def published(shift):
    return CogVideoXDDIMScheduler(
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        snr_shift_scale=shift,
        clip_sample=False,
    )


def pair(batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, 4, 3, 5, 6, generator=generator) for _ in range(2))


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("timestep", TIMESTEPS)
def test_clean_undoes_noise_and_velocity(shift, timestep):
    schedule = NoiseSchedule(published(shift).alphas_cumprod)
    clean, noise = pair()
    noised = schedule.add_noise(clean, noise, timestep)
    found = schedule.clean(noised, schedule.velocity(clean, noise, timestep), timestep)
    torch.testing.assert_close(found, clean, atol=2e-6, rtol=0)


@pytest.mark.parametrize("shift", SHIFTS)
def test_noise_and_velocity_are_those_of_diffusers_each_row_at_its_own_timestep(shift):
    scheduler = published(shift)
    schedule = NoiseSchedule(scheduler.alphas_cumprod)
    clean, noise = pair(len(TIMESTEPS))
    timesteps = torch.tensor(TIMESTEPS)
    found = schedule.add_noise(clean, noise, timesteps), schedule.velocity(clean, noise, timesteps)
    truth = scheduler.add_noise(clean, noise, timesteps), scheduler.get_velocity(clean, noise, timesteps)
    torch.testing.assert_close(found, truth, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_scheduler_that_is_told_the_true_velocity_arrives_at_the_clean_latents(shift):
    scheduler = published(shift)
    schedule = NoiseSchedule(scheduler.alphas_cumprod)
    clean, noise = pair()
    scheduler.set_timesteps(10)
    latents = noise
    for timestep in scheduler.timesteps.tolist():
        torch.testing.assert_close(latents, schedule.add_noise(clean, noise, timestep), atol=1e-4, rtol=0)
        latents = scheduler.step(schedule.velocity(clean, noise, timestep), timestep, latents, return_dict=False)[0]
    torch.testing.assert_close(latents, clean, atol=1e-4, rtol=0)


def test_the_last_timestep_of_zero_terminal_signal_is_noise_alone():
    schedule = NoiseSchedule(published(1.0).alphas_cumprod)
    clean, noise = pair()
    torch.testing.assert_close(schedule.add_noise(clean, noise, 999), noise)
    torch.testing.assert_close(schedule.velocity(clean, noise, 999), -clean)


def test_half_precision_latents_are_mixed_in_single_precision():
    schedule = NoiseSchedule(published(1.0).alphas_cumprod)
    clean, noise = (tensor.half() for tensor in pair())
    found = schedule.add_noise(clean, noise, 500)
    torch.testing.assert_close(found, schedule.add_noise(clean.float(), noise.float(), 500), atol=0, rtol=0)


def test_mixed_noise_keeps_its_variance():
    inverted, fresh = torch.randn(2, 1, 200_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mixed_noise(inverted, fresh, 0.0), fresh) and torch.equal(
        mixed_noise(inverted, fresh, 1.0), inverted
    )
    assert float(mixed_noise(inverted, fresh, 0.3).std()) == pytest.approx(1, abs=0.01)


def test_an_euler_step_is_undone_by_the_levels_exchanged():
    latents, velocity = torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    there = euler_step(latents, velocity, 0.9, 0.4)
    torch.testing.assert_close(there, latents - 0.5 * velocity)
    torch.testing.assert_close(euler_step(there, velocity, 0.4, 0.9), latents)


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_a_ddim_step_is_undone(predicts: str):
    """Against the step as its clean latents and noise give it."""
    latents, output = torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    clean, noisy = 0.7, 0.2
    if predicts == "epsilon":
        first, noise = (latents - (1 - noisy) ** 0.5 * output) / noisy**0.5, output
    else:
        first = noisy**0.5 * latents - (1 - noisy) ** 0.5 * output
        noise = noisy**0.5 * output + (1 - noisy) ** 0.5 * latents
    stepped = clean**0.5 * first + (1 - clean) ** 0.5 * noise
    torch.testing.assert_close(undone_step(stepped, output, (clean, noisy), predicts), latents)
