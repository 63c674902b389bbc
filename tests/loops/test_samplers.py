"""Samplers against diffusers' own schedulers, over whole runs of a network whose word depends on where it is."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
)
from diffusers.schedulers import scheduling_ddpm, scheduling_dpm_cogvideox

import motionlift
from lab.evidence import PROMPT, SEED, difference, finished, noise_of
from lab.pipelines import own_run
from motionlift.core.sampler_names import DIFFUSION_SAMPLERS, FLOW_SAMPLERS, OWN, SAMPLERS
from motionlift.core.schedule import Schedule
from motionlift.loops.sample import Casting, cast
from motionlift.loops.samplers import Sampler, Taken
from motionlift.methods import method
from motionlift.models.schedules import asked_schedule, diffusion_schedule, flow_schedule, shifted
from tests.frozen.measured import reference
from tests.twins import TRANSFORMERS, unet3d

DIFFUSION = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": True,
}
NO_SIGNAL = {
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "snr_shift_scale": 1.0,
    "clip_sample": False,
}
"""CogVideoX-5B's, whose first level is noise alone."""
STEPS = [2, 5, 20]


def network(latents: torch.Tensor, timestep: float) -> torch.Tensor:
    """What depends on latents and timestep, so that a wrong step is not made good by the next."""
    return torch.sin(2 * latents + timestep / 300) + 0.3 * latents


def start() -> torch.Tensor:
    return torch.randn(1, 4, 3, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def fresh(index: int) -> torch.Tensor:
    """Noise of a step, the same for both."""
    return torch.randn(1, 4, 3, 5, 6, generator=torch.Generator().manual_seed(100 + index), dtype=torch.float64)


class Given(Sampler):
    """A sampler whose noise is given."""

    def _fresh(self, index: int, like: torch.Tensor) -> torch.Tensor:
        return fresh(index)


def sampled(name: str, schedule: Schedule) -> list[torch.Tensor]:
    """Latents after every step."""
    sampler, latents, taken, found = Given(name, schedule, 0), start(), (), []
    for index, level in enumerate(schedule.levels):
        output = network(latents, level.timestep)
        latents, taken = sampler.step(index, latents, *schedule.estimates(output, latents, level), taken)
        found.append(latents)
    return found


def truth(scheduler: Any, **options: Any) -> list[torch.Tensor]:
    """The same by a scheduler of diffusers whose timesteps are set."""
    latents, found = start(), []
    for index, timestep in enumerate(scheduler.timesteps):
        noise = {"variance_noise": fresh(index)} if options.get("noisy") else {}
        latents = scheduler.step(network(latents, float(timestep)), timestep, latents, **noise, return_dict=False)[0]
        found.append(latents)
    return found


def close(found: list[torch.Tensor], wanted: list[torch.Tensor], last: bool = True) -> None:
    assert len(found) == len(wanted)
    for index, (own, other) in enumerate(zip(found, wanted, strict=True)):
        if last or index < len(found) - 1:
            torch.testing.assert_close(
                own, other.double(), atol=2e-4, rtol=2e-4, msg=lambda told, at=index: f"{at}: {told}"
            )


def diffusion(steps: int, predicts: str = "epsilon") -> Schedule:
    return diffusion_schedule(
        DDIMScheduler, {**DIFFUSION, "prediction_type": predicts}, steps, "twin", whole_strides=False
    )


def like(kind: Any, schedule: Schedule, predicts: str = "epsilon", **config: Any) -> Any:
    """A scheduler of diffusers on the levels of a schedule."""
    shared = {name: value for name, value in DIFFUSION.items() if name not in ("set_alpha_to_one", "clip_sample")}
    scheduler = kind(**shared, prediction_type=predicts, **config)
    scheduler.set_timesteps(len(schedule))
    assert scheduler.timesteps.tolist() == [level.timestep for level in schedule.levels]
    return scheduler


@pytest.mark.parametrize("steps", STEPS)
def test_ddpm_is_diffusers(steps: int, monkeypatch: pytest.MonkeyPatch):
    schedule = diffusion(steps)
    scheduler = like(DDPMScheduler, schedule, clip_sample=False)
    numbers = iter(range(steps))
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, **__: fresh(next(numbers)))
    close(sampled("ddpm", schedule), truth(scheduler))


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", STEPS)
def test_dpm_is_diffusers(steps: int, predicts: str):
    schedule = diffusion(steps, predicts)
    scheduler = like(DPMSolverMultistepScheduler, schedule, predicts, final_sigmas_type="zero")
    close(sampled("dpm", schedule), truth(scheduler))


@pytest.mark.parametrize("steps", STEPS)
def test_dpm_with_fresh_noise_is_diffusers(steps: int):
    schedule = diffusion(steps)
    config = {"algorithm_type": "sde-dpmsolver++", "final_sigmas_type": "zero"}
    close(sampled("dpm-sde", schedule), truth(like(DPMSolverMultistepScheduler, schedule, **config), noisy=True))


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", STEPS)
def test_unipc_is_diffusers(steps: int, predicts: str):
    schedule = diffusion(steps, predicts)
    close(
        sampled("unipc", schedule), truth(like(UniPCMultistepScheduler, schedule, predicts, final_sigmas_type="zero"))
    )


@pytest.mark.parametrize("steps", STEPS)
def test_dpm_with_fresh_noise_is_that_of_cogvideox_from_a_level_without_signal(
    steps: int, monkeypatch: pytest.MonkeyPatch
):
    schedule = diffusion_schedule(CogVideoXDDIMScheduler, NO_SIGNAL, steps, "twin", whole_strides=False)
    scheduler: Any = CogVideoXDPMScheduler.from_config(NO_SIGNAL)
    scheduler.set_timesteps(steps)
    assert schedule.levels[0].signal == 0
    step = {"index": 0}
    monkeypatch.setattr(scheduling_dpm_cogvideox, "randn_tensor", lambda *_, **__: fresh(step["index"]))
    latents, old, found = start(), None, []
    for index, timestep in enumerate(scheduler.timesteps):
        step["index"] = index
        back = scheduler.timesteps[index - 1] if index else None
        output = network(latents, float(timestep))
        latents, old = scheduler.step(output, old, timestep, back, latents, return_dict=False)
        found.append(latents)
    close(sampled("dpm-sde", schedule), found)


@pytest.mark.parametrize("shift", [1.0, 5.0])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", ["dpm", "dpm-sde", "unipc"])
def test_samplers_of_flows_are_diffusers(name: str, steps: int, shift: float):
    config = {
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "flow_shift": shift,
        "final_sigmas_type": "zero",
    }
    if name == "unipc":
        kind: Any = UniPCMultistepScheduler
    else:
        kind, config = DPMSolverMultistepScheduler, {**config, "algorithm_type": f"{name[4:] and 'sde-'}dpmsolver++"}
    scheduler, trained = kind(**config), kind(**config)
    scheduler.set_timesteps(steps)
    trained.set_timesteps(1000)
    close(sampled(name, asked_schedule(scheduler, trained)), truth(scheduler, noisy=name == "dpm-sde"))


@pytest.mark.parametrize("name", ["own", "ddim"])
def test_the_first_order_is_the_schedules_own_step_to_the_bit(name: str):
    schedule, latents = diffusion(5), start()
    for index, (level, found) in enumerate(zip(schedule.levels, sampled(name, schedule), strict=True)):
        latents = schedule.step(index, network(latents, level.timestep), latents)
        assert torch.equal(found, latents)


def test_euler_is_own_of_flows():
    schedule = flow_schedule(shifted([1 - number / 5 for number in range(5)], 3.0))
    for own, other in zip(sampled("euler", schedule), sampled(OWN, schedule), strict=True):
        assert torch.equal(own, other)


def test_a_schedule_says_which_samplers_it_allows():
    assert diffusion(5).samplers == DIFFUSION_SAMPLERS and "euler" not in DIFFUSION_SAMPLERS
    assert flow_schedule([1.0, 0.5]).samplers == FLOW_SAMPLERS and not {"ddim", "ddpm"} & {*FLOW_SAMPLERS}
    assert {*SAMPLERS} == {*DIFFUSION_SAMPLERS, *FLOW_SAMPLERS}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_perfect_network_leads_to_the_clean_latents(name: str):
    """Where what it says never changes, no order and no noise matters at the end; and where noise is kept, not on the way."""
    clean, noise = start(), fresh(0)
    for schedule in (diffusion(5), flow_schedule([0.99, 0.8, 0.6, 0.4, 0.2])):
        if name not in schedule.samplers:
            continue
        sampler, taken = Sampler(name, schedule, 3), ()
        latents = schedule.noised(clean, noise, schedule.levels[0])
        for index, level in enumerate(schedule.levels):
            eps = (latents - level.signal * clean) / level.noise
            latents, taken = sampler.step(index, latents, clean, eps, taken)
            end = schedule.ends[index]
            if name not in ("ddpm", "dpm-sde"):
                torch.testing.assert_close(latents, schedule.noised(clean, noise, end), atol=1e-9, rtol=0)
        torch.testing.assert_close(latents, clean, atol=1e-9, rtol=0)


def test_fresh_noise_follows_from_seed_and_step_alone_and_keeps_the_variance():
    schedule = diffusion(10)
    sampler, clean = Sampler("ddpm", schedule, 1), torch.zeros(1, 1, 1, 300, 300)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(5))
    first, _ = sampler.step(3, schedule.noised(clean, noise, schedule.levels[3]), clean, noise, ())
    again, _ = Sampler("ddpm", schedule, 1).step(3, first * 0, clean, noise, ())
    assert torch.equal(first, again), "whatever ran before"
    assert float(first.std()) == pytest.approx(schedule.ends[3].noise, rel=0.02)
    other, _ = Sampler("ddpm", schedule, 2).step(3, first, clean, noise, ())
    further, _ = sampler.step(4, first, clean, noise, ())
    assert not torch.allclose(first, other) and not torch.allclose(first, further)


def test_latents_that_guidance_moved_are_not_corrected():
    schedule, latents = diffusion(4), start()
    taken = (Taken(0, latents, latents / 2, False),)
    moved = latents + 1
    clean = moved / 3
    noise = (moved - schedule.levels[1].signal * clean) / schedule.levels[1].noise
    kept, _ = Sampler("unipc", schedule, 0).step(1, moved, clean, noise, taken, moved=True)
    plain, _ = Sampler("dpm", schedule, 0).step(1, moved, clean, noise, taken)
    assert torch.equal(kept, plain)
    corrected, _ = Sampler("unipc", schedule, 0).step(1, moved, clean, noise, taken)
    assert not torch.allclose(corrected, plain)


def test_the_second_order_needs_the_step_right_before():
    """By hand, from 0.5 over 0.5 of a flow to 0.25: h is log 3, and so was the one before from 0.75."""
    schedule = flow_schedule([0.75, 0.5, 0.25, 0.1])
    latents, clean = torch.full((1, 1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1, 1), 1.0)
    taken = (Taken(0, latents, torch.zeros(1, 1, 1, 1, 1), False),)
    found, kept = Sampler("dpm", schedule, 0).step(1, latents, clean, torch.full((1, 1, 1, 1, 1), 3.0), taken)
    first = 0.75 * 1 + 0.25 * 3
    assert float(found) == pytest.approx(first + 0.75 * (1 - 1 / 3) * (math.log(3) / math.log(3)) / 2 * (1 - 0))
    assert [own.index for own in kept] == [0, 1] and kept[-1].is_second
    gap, _ = Sampler("dpm", schedule, 0).step(2, latents, clean, torch.full((1, 1, 1, 1, 1), 3.0), taken)
    assert float(gap) == pytest.approx(0.9 * 1 + 0.1 * 3)


# In the loop


@pytest.mark.slow
def test_a_video_by_unipc_is_that_of_the_published_pipeline_of_wan():
    """Whose own scheduler is UniPC of the second order."""
    twin, chosen = TRANSFORMERS["wan-2.1"], method("none")
    model: Any = twin.model()
    pipeline = twin.build()
    with torch.no_grad():
        own = own_run(pipeline, twin.row, twin.shape, noise_of(model, twin.shape), PROMPT, 5, twin.row.call)
    settings = replace(chosen.settings(model), steps=5, cfg=1.0, sampler="unipc")
    found = finished(cast(Casting(model, chosen, settings, {}, twin.shape, PROMPT, SEED))).latents
    assert difference(found, own.latents) < 1e-5
    plain = finished(
        cast(Casting(model, chosen, replace(settings, sampler="euler"), {}, twin.shape, PROMPT, SEED))
    ).latents
    assert difference(plain, own.latents) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ddpm", "dpm", "dpm-sde", "unipc"])
def test_every_sampler_guides_and_is_recorded_and_made_again(name: str):
    model = motionlift.load(unet3d(), "cpu")
    settings = {"steps": 4, "share": 0.5, "inner": 1, "sampler": name}
    first, again = (
        motionlift.transfer(reference(8), PROMPT, model, frames=3, seed=3, settings=settings, cached=False)
        for _ in range(2)
    )
    assert first.record["settings"]["sampler"] == name and torch.equal(first.clip.frames, again.clip.frames)
    own = motionlift.transfer(
        reference(8), PROMPT, model, frames=3, seed=3, settings={**settings, "sampler": "ddim"}, cached=False
    )
    assert not torch.equal(own.clip.frames, first.clip.frames)


@pytest.mark.slow
def test_two_casts_with_memory_in_turns_are_what_each_is_alone():
    model, chosen = motionlift.load(unet3d(), "cpu"), method("none")
    shape = model.codec.fitting(3)
    settings = replace(chosen.settings(model), steps=4, sampler="unipc")

    def running(seed: int) -> Any:
        return cast(Casting(model, chosen, settings, {}, shape, PROMPT, seed))

    alone = [finished(running(seed)).latents for seed in (1, 2)]
    both = [running(seed) for seed in (1, 2)]
    ends: list[Any] = [None, None]
    while None in ends:
        for number, each in enumerate(both):
            try:
                next(each)
            except StopIteration as stop:
                ends[number] = ends[number] or stop.value
    assert all(torch.equal(found.latents, wanted) for found, wanted in zip(ends, alone, strict=True))
