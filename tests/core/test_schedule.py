"""Steps against diffusers' schedulers, and the arithmetic against its own inverse."""

from dataclasses import FrozenInstanceError

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, DDIMScheduler, FlowMatchEulerDiscreteScheduler

from motionlift.core.schedule import PREDICTIONS, Level, Schedule
from motionlift.errors import SettingError
from motionlift.models.schedules import diffusion_schedule, flow_schedule, shifted

COGVIDEOX = {
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "snr_shift_scale": 3.0,
    "clip_sample": False,
}
MODELSCOPE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
STEPS = [1, 4, 10, 20, 50, 100, 250, 30, 61]  # those that divide 1000, and two that do not


def pair(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, 4, 3, 5, 6, generator=generator, dtype=torch.float64) for _ in range(2))


def made(predicts, steps=8):
    """A run of a few levels, all with some signal and some noise; each prediction on noise that it is used with."""
    if "flow" in predicts:
        sigmas = [0.95 - 0.1 * step for step in range(steps)]
        return flow_schedule(sigmas, reverse=predicts == "reversed_flow")
    config = {**MODELSCOPE, "prediction_type": predicts}
    return diffusion_schedule(DDIMScheduler, config, steps, "twin", whole_strides=True)


@pytest.mark.parametrize("predicts", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("steps", STEPS)
def test_ddim_steps_are_those_of_diffusers(steps, predicts):
    config = {**MODELSCOPE, "prediction_type": predicts}
    scheduler = DDIMScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    schedule = diffusion_schedule(DDIMScheduler, config, steps, "twin", whole_strides=True)
    assert [level.timestep for level in schedule.levels] == scheduler.timesteps.tolist()[:steps]
    check_steps(schedule, scheduler)


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", STEPS)
def test_cogvideox_steps_are_those_of_diffusers(steps, predicts):
    config = {**COGVIDEOX, "prediction_type": predicts, "rescale_betas_zero_snr": predicts == "v_prediction"}
    scheduler = CogVideoXDDIMScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    schedule = diffusion_schedule(CogVideoXDDIMScheduler, config, steps, "twin", whole_strides=False)
    timesteps = [timestep for timestep in scheduler.timesteps.tolist() if timestep >= 0][:steps]
    assert len(schedule) == steps and [level.timestep for level in schedule.levels] == timesteps
    check_steps(schedule, scheduler)


def check_steps(schedule, scheduler):
    """Every step from the same latents with the same output."""
    output, latents = pair()
    for index, level in enumerate(schedule.levels):
        truth = scheduler.step(output, int(level.timestep), latents, return_dict=False)[0]
        torch.testing.assert_close(schedule.step(index, output, latents), truth, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("steps", [1, 4, 30, 61])
def test_flow_steps_are_those_of_diffusers(steps, shift):
    plain = [1 - number / steps for number in range(steps)]
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=plain)
    schedule = flow_schedule(shifted(plain, shift))
    output, latents = pair()
    for index, level in enumerate(schedule.levels):
        timestep = scheduler.timesteps[index]
        assert level.timestep == pytest.approx(float(timestep), abs=1e-3)
        truth = scheduler.step(output, timestep, latents, return_dict=False)[0]
        torch.testing.assert_close(schedule.step(index, output, latents), truth, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 30])
def test_a_constant_velocity_is_integrated_exactly(steps, reverse):
    """From noise to the clean latents on a straight line, whatever the steps."""
    clean, noise = pair()
    schedule = flow_schedule(shifted([1 - number / steps for number in range(steps)], 3.0), reverse)
    velocity, latents = (clean - noise) if reverse else (noise - clean), noise
    for index in range(steps):
        latents = schedule.step(index, velocity, latents)
    torch.testing.assert_close(latents, clean, atol=1e-12, rtol=0)


@pytest.mark.parametrize("predicts", PREDICTIONS)
def test_a_perfect_network_leads_from_the_noisiest_level_to_the_last_end(predicts):
    clean, noise = pair()
    schedule = made(predicts)
    latents = schedule.noised(clean, noise, schedule.levels[0])
    for index, (level, end) in enumerate(zip(schedule.levels, schedule.ends, strict=True)):
        latents = schedule.step(index, schedule.output(clean, noise, level), latents)
        torch.testing.assert_close(latents, end.signal * clean + end.noise * noise, atol=1e-10, rtol=0)


@pytest.mark.parametrize("predicts", PREDICTIONS)
def test_a_step_back_undoes_a_step_and_a_step_a_step_back(predicts):
    schedule = made(predicts)
    output, latents = pair()
    for index in range(len(schedule)):
        there = schedule.step(index, output, latents)
        if (
            schedule.ends[index].noise or predicts != "sample"
        ):  # clean latents, once reached, forget where they came from
            torch.testing.assert_close(schedule.unstep(index, output, there), latents, atol=1e-9, rtol=0)
            back = schedule.unstep(index, output, latents)
            torch.testing.assert_close(schedule.step(index, output, back), latents, atol=1e-9, rtol=0)


@pytest.mark.parametrize("predicts", PREDICTIONS)
def test_estimates_are_the_inverse_of_the_output(predicts):
    schedule = made(predicts)
    clean, noise = pair()
    for level in schedule.levels:
        output, latents = schedule.output(clean, noise, level), schedule.noised(clean, noise, level)
        torch.testing.assert_close(schedule.estimates(output, latents, level), (clean, noise), atol=1e-9, rtol=0)
        again = schedule.output(*schedule.estimates(noise, clean, level), level)  # of any output and any latents
        torch.testing.assert_close(again, noise, atol=1e-9, rtol=0)


def test_what_a_network_predicts_by_hand():
    """The level 0.6 and 0.8 of diffusion, of clean latents 1 and noise 2: latents 2.2, velocity 0.6 x 2 - 0.8 x 1."""
    clean, noise, level = torch.tensor([1.0]), torch.tensor([2.0]), Level(500.0, 0.6, 0.8)
    outputs = {"epsilon": 2.0, "sample": 1.0, "v_prediction": 0.4, "flow_prediction": 1.0, "reversed_flow": -1.0}
    for predicts, output in outputs.items():
        schedule = Schedule((level,), (Level(0.0, 1.0, 0.0),), (level,), Level(0.0, 1.0, 0.0), predicts)
        assert float(schedule.output(clean, noise, level)) == pytest.approx(output)
        assert float(schedule.noised(clean, noise, level)) == pytest.approx(2.2)


def test_an_unknown_prediction_is_refused_by_name():
    level = Level(0.0, 1.0, 0.0)
    refusal = (
        "a network that predicts 'score' came; allowed are epsilon, sample, v_prediction, flow_prediction, reversed_"
    )
    with pytest.raises(SettingError, match=refusal):
        Schedule((level,), (level,), (level,), level, "score")


@pytest.mark.parametrize("steps", [501, 1000])
def test_more_steps_than_whole_strides_allow_are_refused(steps):
    with pytest.raises(SettingError, match=f"steps is {steps}; twin allows 1 to 500"):
        diffusion_schedule(DDIMScheduler, MODELSCOPE, steps, "twin", whole_strides=True)


def test_a_schedule_never_changes():
    schedule = made("epsilon")
    with pytest.raises(FrozenInstanceError):
        schedule.predicts = "sample"
    with pytest.raises(FrozenInstanceError):
        schedule.levels[0].noise = 0.0
    assert all(isinstance(levels, tuple) for levels in (schedule.levels, schedule.ends, schedule.trained))
    before, (output, latents) = hash(schedule), pair()
    schedule.unstep(0, output, schedule.step(0, output, latents))
    assert hash(schedule) == before and schedule == made("epsilon")
    torch.testing.assert_close((output, latents), pair(), atol=0, rtol=0)
