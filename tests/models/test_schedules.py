import pytest
import torch
from diffusers import CogVideoXDDIMScheduler

from motionlift.errors import SettingError
from motionlift.models.schedules import diffusion_schedule, flow_schedule, mixed_noise, shifted
from tests.twins import TRANSFORMERS

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


def made(shift, steps=10):
    return diffusion_schedule(CogVideoXDDIMScheduler, published(shift).config, steps, "twin", whole_strides=False)


def pair(batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, 4, 3, 5, 6, generator=generator) for _ in range(2))


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("timestep", TIMESTEPS)
def test_estimates_undo_noise_and_velocity(shift, timestep):
    schedule = made(shift)
    level, (clean, noise) = schedule.trained[timestep], pair()
    found = schedule.estimates(schedule.output(clean, noise, level), schedule.noised(clean, noise, level), level)
    torch.testing.assert_close(found, (clean, noise), atol=2e-6, rtol=0)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("timestep", TIMESTEPS)
def test_noise_and_velocity_are_those_of_diffusers(shift, timestep):
    scheduler, schedule = published(shift), made(shift)
    level = schedule.trained[timestep]
    clean, noise = (tensor.double() for tensor in pair())  # in single precision diffusers' own levels are rounded
    found = schedule.noised(clean, noise, level), schedule.output(clean, noise, level)
    timesteps = torch.tensor([timestep] * len(clean))
    truth = scheduler.add_noise(clean, noise, timesteps), scheduler.get_velocity(clean, noise, timesteps)
    torch.testing.assert_close(found, truth, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_scheduler_that_is_told_the_true_velocity_arrives_at_the_clean_latents(shift):
    scheduler, schedule = published(shift), made(shift)
    clean, noise = pair()
    scheduler.set_timesteps(10)
    latents = noise
    for timestep in scheduler.timesteps.tolist():
        level = schedule.trained[timestep]
        torch.testing.assert_close(latents, schedule.noised(clean, noise, level), atol=1e-4, rtol=0)
        latents = scheduler.step(schedule.output(clean, noise, level), timestep, latents, return_dict=False)[0]
    torch.testing.assert_close(latents, clean, atol=1e-4, rtol=0)


def test_the_last_timestep_of_zero_terminal_signal_is_noise_alone():
    schedule = made(1.0)
    clean, noise = pair()
    torch.testing.assert_close(schedule.noised(clean, noise, schedule.trained[999]), noise)
    torch.testing.assert_close(schedule.output(clean, noise, schedule.trained[999]), -clean)


def test_mixed_noise_keeps_its_variance():
    inverted, fresh = torch.randn(2, 1, 200_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mixed_noise(inverted, fresh, 0.0), fresh) and torch.equal(
        mixed_noise(inverted, fresh, 1.0), inverted
    )
    assert float(mixed_noise(inverted, fresh, 0.3).std()) == pytest.approx(1, abs=0.01)


def test_an_euler_step_goes_by_the_difference_of_the_sigmas_and_is_undone():
    latents, velocity = torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    schedule = flow_schedule([0.9, 0.4])
    there = schedule.step(0, velocity, latents)
    torch.testing.assert_close(there, latents - 0.5 * velocity)
    torch.testing.assert_close(schedule.unstep(0, velocity, there), latents)


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_a_ddim_step_is_undone(predicts: str):
    """Against the step as its clean latents and noise give it."""
    latents, output = torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    config = {**published(1.0).config, "prediction_type": predicts, "rescale_betas_zero_snr": False}
    config.pop("_use_default_values", None)
    schedule = diffusion_schedule(CogVideoXDDIMScheduler, config, 10, "twin", whole_strides=False)
    assert schedule.predicts == predicts
    alphas = CogVideoXDDIMScheduler.from_config(config).alphas_cumprod.tolist()
    noisy, clean = alphas[599], alphas[499]
    if predicts == "epsilon":
        first, noise = (latents - (1 - noisy) ** 0.5 * output) / noisy**0.5, output
    else:
        first = noisy**0.5 * latents - (1 - noisy) ** 0.5 * output
        noise = noisy**0.5 * output + (1 - noisy) ** 0.5 * latents
    stepped = clean**0.5 * first + (1 - clean) ** 0.5 * noise
    assert schedule.levels[4].timestep == 599
    torch.testing.assert_close(schedule.step(4, output, latents), stepped)
    torch.testing.assert_close(schedule.unstep(4, output, stepped), latents)


@pytest.mark.parametrize("sigmas", [[], [0.5, 0.5], [0.2, 0.4], [1.2, 0.4], [1.0, 0.0], [float("nan")]])
def test_sigmas_that_do_not_fall_within_bounds_are_refused(sigmas):
    with pytest.raises(SettingError, match=f"sigmas of {len(sigmas)} steps came; allowed are falling numbers"):
        flow_schedule(sigmas)


def test_shifted_sigmas_of_three():
    assert shifted([1.0, 0.5, 0.25], 3.0) == pytest.approx([1.0, 0.75, 0.5])
    assert shifted([0.7, 0.2], 1.0) == pytest.approx([0.7, 0.2])


PULLED = {"wan-2.1": 3.0, "wan-2.2": 12.0, "skyreels": 8.0, "hunyuan": 7.0, "hunyuan-1.5": 5.0}
"""How far the twins' schedules are shifted."""


@pytest.mark.parametrize("name", sorted(PULLED))
def test_levels_of_training_are_the_pipelines_own_shift_of_even_ones(name):
    """Tuning draws among them, so that it is the shifted schedule that it draws from."""
    twin = TRANSFORMERS[name]
    trained = twin.model().schedule(4, twin.shape).trained
    assert len(trained) == 1000
    below, above = (shifted([(number + more) / 1000 for number in range(1000)], PULLED[name]) for more in (1, 2))
    for level, low, high in zip(trained, below, above, strict=True):  # of schedulers, some leave out the cleanest
        assert low - 1e-5 <= level.noise <= min(high, 1) + 1e-5
    assert all(level.signal == pytest.approx(1 - level.noise) for level in trained)
    assert all(level.timestep == pytest.approx(1000 * level.noise, abs=1) for level in trained)


@pytest.mark.parametrize(("name", "timestep"), [("wan-2.1", 0.0), ("ltx", 0.0), ("mochi", 1000.0)])
def test_the_clean_level_is_without_noise_and_told_as_the_network_counts(name, timestep):
    """Mochi counts from the clean end. LTX's levels of training end at a sigma of 0.1; a clean reference is below them."""
    twin = TRANSFORMERS[name]
    schedule = twin.model().schedule(4, twin.shape)
    clean = schedule.clean
    assert (clean.timestep, clean.signal, clean.noise) == (timestep, 1.0, 0.0)
    noisiest = schedule.levels[0]
    assert noisiest.timestep == pytest.approx(1000 - timestep, abs=1) and noisiest.noise == pytest.approx(1, abs=1e-5)
    assert schedule.ends[-1].noise == 0
