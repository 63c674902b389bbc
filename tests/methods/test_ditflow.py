import math
from dataclasses import replace

import pytest
import torch

from motionlift.core.seen import Projections, Recorded
from motionlift.methods.ditflow import METHOD, DiTFlowSettings
from tests.methods.references import aim, backbone, lifted, reference


@pytest.fixture(scope="module")
def model():
    return backbone()


@pytest.fixture(scope="module")
def given(model):
    return reference(model)


def written_out(seen, grid, temperature=None):
    """The displacement by its definition: hard where no temperature is given."""
    logits = (seen.query[0] @ seen.key[0].mT / math.sqrt(seen.query.shape[-1])).mean(dim=0)
    logits = logits.reshape(grid.frames, grid.area, grid.frames, grid.area).transpose(1, 2)
    if temperature is None:
        weights = torch.nn.functional.one_hot(logits.argmax(dim=-1), grid.area).float()
    else:
        weights = torch.softmax(temperature * logits, dim=-1)
    places = torch.tensor([[float(n % grid.width), float(n // grid.width)] for n in range(grid.area)])
    return weights @ places - places


def test_it_lifts_the_hard_displacement_of_the_clean_video_at_timestep_zero_and_an_empty_prompt(model, given):
    settings = DiTFlowSettings(block=(2, 0))
    tensors, steps = lifted(METHOD, given, model, settings)
    with torch.no_grad():
        seen = model.record(given.latents, 0, model.text(""), [0, 1, 2])
    assert set(tensors) == {"latents", "displacement.0", "displacement.2"}
    torch.testing.assert_close(tensors["latents"], given.latents, atol=0, rtol=0)
    grid = model.grid(given.shape)
    for number in (0, 2):
        assert not tensors[f"displacement.{number}"].requires_grad
        torch.testing.assert_close(tensors[f"displacement.{number}"], written_out(seen[number], grid))
    assert [step.phase for step in steps] == ["lift"]


def test_lifting_needs_one_pass_and_no_backward_pass(model, given):
    before = model.passes.forward, model.passes.backward
    lifted(METHOD, given, model, DiTFlowSettings(block=(2, 0)))
    assert (model.passes.forward, model.passes.backward) == (before[0] + 1, before[1])


@pytest.mark.parametrize("frames", [8, 9])
def test_it_reads_the_drift_of_the_pixels_without_the_model(model, frames):
    given = reference(model, frames)
    before = model.passes.forward
    tensors, _ = lifted(METHOD, given, model, DiTFlowSettings(block=(1,), read="flow"))
    assert model.passes.forward == before
    assert set(tensors) == {"latents", "displacement"}
    times = model.frame_times(frames)
    grid = model.grid(given.shape)
    field = tensors["displacement"]
    assert field.shape == (grid.frames, grid.frames, grid.area, 2)
    known = field[0, 1][~field[0, 1].isnan().any(dim=-1)]
    assert len(known) >= grid.area // 2
    # Two of 64 pixels a frame are an eighth of a token of the lattice's four; times are read to the nearest frame.
    drift = (round(times[1]) - round(times[0])) * 2 * grid.width / 64
    assert known[:, 0].mean() == pytest.approx(drift, rel=0.1)
    assert known[:, 1].abs().max() < 0.1


def test_the_loss_is_the_mean_over_blocks_of_the_squared_distance_where_the_reference_moves(model, given):
    settings = DiTFlowSettings(block=(0, 2), temperature=3.0)
    motion, _ = lifted(METHOD, given, model, settings)
    grid = model.grid(given.shape)
    noise = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen = model.record(noise, 500, model.text("a dog"), [0, 2])
    truth = []
    for number in (0, 2):
        target = motion[f"displacement.{number}"]
        distance = (written_out(seen[number], grid, 3.0) - target).square().sum(dim=-1)
        truth.append(distance[(target != 0).any(dim=-1)].mean())
    torch.testing.assert_close(METHOD.loss(seen, aim(motion, grid), settings), torch.stack(truth).mean())


def test_one_field_of_the_pixels_serves_every_block_and_its_unknowns_do_not_count(model, given):
    settings = DiTFlowSettings(block=(0, 2), read="flow")
    grid = model.grid(given.shape)
    with torch.no_grad():
        seen = model.record(given.latents, 500, model.text("a dog"), [0, 2])
    field = torch.full((grid.frames, grid.frames, grid.area, 2), torch.nan)
    field[0, 1, 5] = torch.tensor([1.0, -2.0])
    truth = [(written_out(seen[n], grid, 2.0)[0, 1, 5] - field[0, 1, 5]).square().sum() for n in (0, 2)]
    found = METHOD.loss(seen, aim({"displacement": field}, grid), settings)
    torch.testing.assert_close(found, torch.stack(truth).mean())


def test_the_threshold_leaves_out_what_moves_no_further(model, given):
    settings = DiTFlowSettings(block=(1,), threshold=1.5)
    grid = model.grid(given.shape)
    with torch.no_grad():
        seen = model.record(given.latents, 500, model.text("a dog"), [1])
    field = torch.zeros(grid.frames, grid.frames, grid.area, 2)
    field[0, 1, 5] = torch.tensor([1.0, 0.0])
    field[2, 0, 3] = torch.tensor([0.0, 2.0])
    soft = written_out(seen[1], grid, 2.0)
    truth = (soft[2, 0, 3] - field[2, 0, 3]).square().sum()
    torch.testing.assert_close(METHOD.loss(seen, aim({"displacement.1": field}, grid), settings), truth)
    both = METHOD.loss(seen, aim({"displacement.1": field}, grid), replace(settings, threshold=0.0))
    torch.testing.assert_close(both, (truth + (soft[0, 1, 5] - field[0, 1, 5]).square().sum()) / 2)


def test_the_loss_is_zero_for_a_video_that_attends_as_the_reference_moves(model, given):
    """Sharp attention to the very key: the soft displacement is then the hard one."""
    grid = model.grid(given.shape)
    one_hot = torch.eye(grid.area).roll(1, dims=1).repeat(grid.frames, 1)[None, None] * 40
    keys = torch.eye(grid.area).repeat(grid.frames, 1)[None, None] * 40
    own = Projections(one_hot, keys)
    seen = Recorded(one_hot, keys, keys, keys[0], own, own, (own,))
    settings = DiTFlowSettings(block=(1,))
    field = written_out(seen, grid)
    assert (field != 0).any()
    assert METHOD.loss({1: seen}, aim({"displacement.1": field}, grid), settings).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("target", ["latents", "positions"])
def test_gradients_reach_the_target(model, given, target):
    settings = DiTFlowSettings(block=(1,))
    motion, _ = lifted(METHOD, given, model, settings)
    latents = given.latents.flip(-1).clone().requires_grad_(target == "latents")
    positions = model.positions(given.shape) if target == "positions" else None
    leaves = [latents] if positions is None else [tensor.requires_grad_() for tensor in positions.values()]
    seen = model.record(latents, 500, model.text("a dog"), [1], positions)
    loss = METHOD.loss(seen, aim(motion, model.grid(given.shape)), settings)
    for gradient in torch.autograd.grad(loss, leaves):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0
