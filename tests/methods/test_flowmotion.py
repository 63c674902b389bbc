"""FlowMotion: known answers of its loss and of its damping, and what it costs."""

import pytest
import torch

from motionlift.core.cost import Passes
from motionlift.core.method import Aim, Observed, Prediction
from motionlift.core.schedule import Level
from motionlift.loops import sample
from motionlift.methods.flowmotion import METHOD, FlowMotionSettings, damped, guidance_loss, mean_course
from motionlift.models.schedules import flow_level, flow_schedule
from tests.methods.references import finished, lifted, reference, twin

SETTINGS = FlowMotionSettings()


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


def test_it_runs_the_network_forward_alone():
    """At the paper's settings 1.7 times as often as plain sampling; the paper sees the reference with two prompts: 1.8."""
    model = twin().counted()
    given = reference(model)
    motion, _ = lifted(METHOD, given, model, SETTINGS)
    casting = sample.Casting(model, METHOD, SETTINGS, motion, given.shape, "a red star", 0)
    result = finished(sample.cast(casting))
    assert model.passes == Passes(forward=2 * 50 + 10 * (1 + 3 * 2), backward=0)
    assert result.latents.isfinite().all() and len(result.losses) == 30
