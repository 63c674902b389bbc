"""FlowMotion: known answers of its loss and of its damping, and what it costs."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from motionlift.core.method import Aim, Observed, Prediction
from motionlift.core.model import Model
from motionlift.core.schedule import Level, Schedule
from motionlift.errors import SettingError
from motionlift.loops import sample
from motionlift.methods.flowmotion import METHOD, FlowMotionSettings, damped, guidance_loss, mean_course
from motionlift.models.schedules import flow_level, flow_schedule
from motionlift.work.prepare import settings_for
from tests.methods.references import finished, flow_twin, lifted, reference, twin

SETTINGS = FlowMotionSettings()
LEVELS = {
    "flow_prediction": flow_level(0.6),
    **dict.fromkeys(("v_prediction", "epsilon", "sample"), Level(600.0, 0.6, 0.8)),
}
"""A level for each kind of prediction."""


def frames(*values: float) -> torch.Tensor:
    """A video of one number a frame."""
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, -1, 1, 1)


def test_the_loss_is_that_of_the_video_and_of_its_changes():
    made, wanted = frames(0, 1, 3), frames(1, 1, 1)
    video = (1 + 0 + 4) / 3
    consecutive, every_two = (1 + 4) / 2, (1 + 4 + 9) / 3  # of absolute differences: 1, 2 and 3 against 0
    assert guidance_loss(made, wanted, SETTINGS).item() == pytest.approx(20 * video + 5 * (consecutive + every_two))


def test_the_loss_of_the_reference_itself_is_zero_and_so_is_its_gradient():
    made = frames(0.5, 1, 3).requires_grad_()
    loss = guidance_loss(made, made.detach(), SETTINGS)
    loss.backward()
    assert loss == 0 and made.grad is not None and made.grad.abs().max() == 0


def test_a_single_frame_has_no_changes():
    assert guidance_loss(frames(2), frames(0), SETTINGS).item() == pytest.approx(80)


def test_only_what_is_orthogonal_to_the_course_is_damped():
    velocity, course = frames(3, 4), frames(2, 0)
    torch.testing.assert_close(damped(velocity, course, 0.1), frames(3, 0.4))
    torch.testing.assert_close(damped(velocity, course, 1.0), velocity)


def test_the_mean_course_of_a_straight_way_is_its_velocity():
    clean, begun = torch.randn(2, 1, 2, 3, 4, 4, dtype=torch.float64)
    schedule = flow_schedule([1.0, 0.6, 0.2])
    level = schedule.levels[1]
    course = mean_course(schedule.noised(clean, begun, level), begun, level.signal, level.noise)
    torch.testing.assert_close(course, (begun - clean) * level.signal)


def observed(latents: torch.Tensor, output: torch.Tensor, level: Level) -> Observed:
    clean, noise = flow_schedule([1.0, 0.5]).estimates(output, latents, level)
    return Observed(latents, level, prediction=Prediction(latents, level, output, clean, noise))


@pytest.mark.parametrize("step", [0, 1])
def test_the_gradient_reaches_the_latents_through_the_estimate_alone(step: int):
    generator = torch.Generator().manual_seed(0)
    latents, output, begun, wanted = torch.randn(4, 1, 2, 3, 4, 4, dtype=torch.float64, generator=generator)
    level = flow_level(0.5)
    seen = observed(wanted, output, level).prediction
    aim = Aim({}, {}, step, reference=seen, begun=begun)
    velocity = output if step == 0 else damped(output, mean_course(latents, begun, 0.5, 0.5), 0.1)

    def loss(given: torch.Tensor) -> torch.Tensor:
        """With the velocity as it was at the given latents."""
        assert seen is not None
        return guidance_loss(given - 0.5 * velocity, seen.clean, SETTINGS)

    leaf = latents.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(METHOD.loss(observed(leaf, output, level), aim, SETTINGS), leaf)
    direction = torch.randn(latents.shape, dtype=torch.float64, generator=generator)
    slope = (loss(latents + 1e-6 * direction) - loss(latents - 1e-6 * direction)) / 2e-6
    assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=1e-5)


@pytest.mark.slow
def test_it_runs_the_network_forward_alone():
    """At the paper's settings 1.7 times as often as plain sampling; the paper sees the reference with two prompts: 1.8."""
    model = twin().counted()
    given = reference(model)
    motion, _ = lifted(METHOD, given, model, SETTINGS)
    casting = sample.Casting(model, METHOD, SETTINGS, motion, given.shape, "a red star", 0)
    result = finished(sample.cast(casting))
    assert (model.passes.forward, model.passes.backward) == (2 * 50 + 10 * (1 + 3 * 2), 0)
    assert result.latents.isfinite().all() and len(result.losses) == 30


@pytest.mark.slow
@pytest.mark.parametrize(("cfg", "plain"), [(5.0, 2), (1.0, 1)])
@pytest.mark.parametrize("read", ["prediction", "clean_latent"])
def test_on_a_flow_model_it_costs_at_most_1_8_times_the_passes_of_plain_sampling(cfg: float, plain: int, read: str):
    model = flow_twin().counted()
    given = reference(model)
    settings = replace(METHOD.settings(model), cfg=cfg, read=read)
    casting = sample.Casting(model, METHOD, settings, {"latents": given.latents}, given.shape, "a red star", 0)
    finished(sample.cast(casting))
    looks = 10 * (read == "prediction")
    assert (model.passes.forward, model.passes.backward) == (plain * (50 + 10 * 3) + looks, 0)
    assert model.passes.forward == model.passes.work <= 1.8 * plain * 50


def test_on_a_flow_model_all_is_as_the_paper_writes_it():
    """On given tensors: ``x0 = x - t v``, of the reference ``z_t - t v``; the mean velocity is ``(x - eps) / (t - 1)``."""
    latents, output, begun, source, source_output = random_videos(5)
    time = 0.9
    level, schedule = flow_level(time), flow_schedule([1.0, time])
    noised = schedule.noised(source, begun, level)
    torch.testing.assert_close(noised, (1 - time) * source + time * begun)
    seen = Prediction(noised, level, source_output, *schedule.estimates(source_output, noised, level))
    made = Prediction(latents, level, output, *schedule.estimates(output, latents, level))
    mean = (latents - begun) / (time - 1)
    along = (output * mean).sum() / (mean * mean).sum() * mean
    velocity = {0: output, 1: along + 0.1 * (output - along)}
    for step, read in ((0, "prediction"), (1, "prediction"), (1, "clean_latent")):
        clean = latents - time * velocity[step]
        wanted = source if read == "clean_latent" else noised - time * source_output
        loss = 20 * ((clean - wanted) ** 2).mean()
        pairs = [(first, second) for second in range(3) for first in range(second)]
        apart = {
            (i, j): ((clean[:, :, j] - clean[:, :, i]).abs() - (wanted[:, :, j] - wanted[:, :, i]).abs()).pow(2).mean()
            for i, j in pairs
        }
        loss += 5 * ((apart[0, 1] + apart[1, 2]) / 2 + sum(apart.values()) / 3)
        settings = replace(SETTINGS, read=read)
        aim = Aim(
            {"latents": source}, {}, step, reference=seen if METHOD.needs(settings).reference else None, begun=begun
        )
        torch.testing.assert_close(METHOD.loss(Observed(latents, level, prediction=made), aim, settings), loss)
        found = METHOD.steered(made, aim, settings)
        end = flow_level(0.7)
        torch.testing.assert_close(schedule.noised(*found, end), latents + (0.7 - time) * velocity[step])


def random_videos(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_a_straight_course_is_left_as_it_is(level: Level):
    clean, begun = random_videos(2)
    latents = level.signal * clean + level.noise * begun
    prediction = Prediction(latents, level, latents, clean, begun)
    torch.testing.assert_close(METHOD.steered(prediction, Aim({}, {}, 3, begun=begun), SETTINGS), (clean, begun))


@pytest.mark.parametrize(("kind", "level"), LEVELS.items(), ids=LEVELS)
def test_the_first_step_is_as_the_network_says_and_later_ones_are_damped(kind: str, level: Level):
    latents, output, begun = random_videos(3)
    schedule = Schedule((level,), (level,), (level,), level, kind)
    prediction = Prediction(latents, level, output, *schedule.estimates(output, latents, level))
    first = METHOD.steered(prediction, Aim({}, {}, 0, begun=begun), SETTINGS)
    torch.testing.assert_close(first, (prediction.clean, prediction.noise))
    clean, noise = METHOD.steered(prediction, Aim({}, {}, 1, begun=begun), SETTINGS)
    course = mean_course(latents, begun, level.signal, level.noise)
    torch.testing.assert_close(noise - clean, damped(prediction.noise - prediction.clean, course, 0.1))
    torch.testing.assert_close(schedule.noised(clean, noise, level), latents)


@pytest.mark.slow
@pytest.mark.parametrize("read", ["prediction", "clean_latent"])
@pytest.mark.parametrize("build", [twin, flow_twin], ids=["diffusion", "flow"])
def test_a_run_is_adam_on_the_latents_with_the_output_held(build: Callable[[], Model], read: str):
    model = build()
    given = reference(model)
    settings = FlowMotionSettings(steps=3, share=1.0, inner=2, cfg=3.0, read=read)
    schedule = model.schedule(3, given.shape)
    empty, prompt = (model.text.encode(text, given.shape) for text in ("", "a red star"))
    begun = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(3))

    def looked(latents: torch.Tensor, level: Level, weight: float) -> Prediction:
        with torch.no_grad():
            plain = model.predict(latents, level, empty)
            output = plain + weight * (model.predict(latents, level, prompt) - plain)
        return Prediction(latents, level, output, *schedule.estimates(output, latents, level))

    latents, losses = begun, []
    for index, (level, end) in enumerate(zip(schedule.levels, schedule.ends, strict=True)):
        seen = looked(schedule.noised(given.latents, begun, level), level, 0.0)
        seen = seen if read == "prediction" else None
        aim = Aim({"latents": given.latents}, {}, index, reference=seen, begun=begun)
        leaf = latents.clone().requires_grad_()
        adam = torch.optim.Adam([leaf], lr=0.003)
        for _ in range(2):
            adam.zero_grad()
            loss = METHOD.loss(Observed(leaf, level, prediction=looked(leaf, level, 3.0)), aim, settings)
            loss.backward()
            adam.step()
            losses.append(loss.item())
        latents = schedule.noised(*METHOD.steered(looked(leaf.detach(), level, 3.0), aim, settings), end)
    casting = sample.Casting(model, METHOD, settings, {"latents": given.latents}, given.shape, "a red star", 3)
    result = finished(sample.cast(casting))
    torch.testing.assert_close(result.latents, latents, atol=2e-4, rtol=0)
    assert result.losses == pytest.approx(losses, rel=1e-3)


def test_a_negative_prompt_says_nothing_of_the_reference():
    model = twin()
    given = reference(model)
    values = FlowMotionSettings(steps=2, share=0.5, inner=1, cfg=1.0)  # at 1 the video does not see it either
    made = [
        finished(
            sample.cast(sample.Casting(model, METHOD, settings, {"latents": given.latents}, given.shape, "a star", 0))
        )
        for settings in (values, replace(values, negative_prompt="a dog"))
    ]
    assert made[0].losses == made[1].losses


def test_a_model_without_a_preset_gets_the_papers_constants():
    settings = METHOD.settings(twin())
    assert (settings.share, settings.inner, settings.lr, settings.lr_end) == (0.2, 3, 0.003, 0.003)
    assert (settings.alignment, settings.differences, settings.orthogonal) == (20.0, 5.0, 0.1)
    assert (settings.optimizer, settings.inject) == ("adam", False)


@pytest.mark.parametrize("target", ["positions", "saved"])
def test_only_latents_can_be_optimised(target: str):
    with pytest.raises(SettingError, match=f"target is '{target}'; allowed is latents|allowed are latents"):
        settings_for(METHOD, twin(), {"target": target})
