import math
from dataclasses import replace

import pytest
import torch

from motionlift.core.cost import Passes
from motionlift.core.seen import Projections, Recorded
from motionlift.errors import SettingError
from motionlift.loops import sample
from motionlift.methods.ditflow import METHOD, DiTFlowSettings
from motionlift.models.loading import load
from motionlift.work.prepare import ask, prepare, settings_for
from tests.methods.references import aim, finished, flow_twin, level, lifted, record, reference, seen, twin
from tests.twins import TRANSFORMERS


@pytest.fixture(scope="module")
def model():
    return twin()


@pytest.fixture(scope="module")
def given(model):
    return reference(model)


def written_out(seen, lattice, temperature=None):
    """The displacement by its definition: hard where no temperature is given."""
    logits = (seen.query[0] @ seen.key[0].mT / math.sqrt(seen.query.shape[-1])).mean(dim=0)
    logits = logits.reshape(lattice.frames, lattice.area, lattice.frames, lattice.area).transpose(1, 2)
    if temperature is None:
        weights = torch.nn.functional.one_hot(logits.argmax(dim=-1), lattice.area).float()
    else:
        weights = torch.softmax(temperature * logits, dim=-1)
    places = torch.tensor([[float(n % lattice.width), float(n // lattice.width)] for n in range(lattice.area)])
    return weights @ places - places


@pytest.mark.slow
def test_it_lifts_the_hard_displacement_of_the_clean_video_at_timestep_zero_and_an_empty_prompt(model, given):
    settings = DiTFlowSettings(block=(2, 0))
    tensors, steps = lifted(METHOD, given, model, settings)
    shown = record(model, given.latents, [0, 1, 2])
    assert set(tensors) == {"latents", "displacement.0", "displacement.2"}
    torch.testing.assert_close(tensors["latents"], given.latents, atol=0, rtol=0)
    lattice = model.lattice(given.shape)
    for number in (0, 2):
        assert not tensors[f"displacement.{number}"].requires_grad
        torch.testing.assert_close(tensors[f"displacement.{number}"], written_out(shown[number], lattice))
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
    times = model.codec.frame_times(frames)
    lattice = model.lattice(given.shape)
    field = tensors["displacement"]
    assert field.shape == (lattice.frames, lattice.frames, lattice.area, 2)
    known = field[0, 1][~field[0, 1].isnan().any(dim=-1)]
    assert len(known) >= lattice.area // 2
    # Two of 64 pixels a frame are an eighth of a token of the lattice's four; times are read to the nearest frame.
    drift = (round(times[1]) - round(times[0])) * 2 * lattice.width / 64
    assert known[:, 0].mean() == pytest.approx(drift, rel=0.1)
    assert known[:, 1].abs().max() < 0.1


def test_the_loss_is_the_mean_over_blocks_of_the_squared_distance_where_the_reference_moves(model, given):
    settings = DiTFlowSettings(block=(0, 2), temperature=3.0)
    motion, _ = lifted(METHOD, given, model, settings)
    lattice = model.lattice(given.shape)
    noise = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(0))
    shown = record(model, noise, [0, 2], level(model, 500), "a dog")
    truth = []
    for number in (0, 2):
        target = motion[f"displacement.{number}"]
        distance = (written_out(shown[number], lattice, 3.0) - target).square().mean(dim=-1)
        truth.append(distance[(target != 0).any(dim=-1)].mean())
    torch.testing.assert_close(METHOD.loss(seen(shown), aim(motion, lattice), settings), torch.stack(truth).mean())


def test_one_field_of_the_pixels_serves_every_block_and_its_unknowns_do_not_count(model, given):
    settings = DiTFlowSettings(block=(0, 2), read="flow")
    lattice = model.lattice(given.shape)
    shown = record(model, given.latents, [0, 2], level(model, 500), "a dog")
    field = torch.full((lattice.frames, lattice.frames, lattice.area, 2), torch.nan)
    field[0, 1, 5] = torch.tensor([1.0, -2.0])
    truth = [(written_out(shown[n], lattice, 2.0)[0, 1, 5] - field[0, 1, 5]).square().mean() for n in (0, 2)]
    found = METHOD.loss(seen(shown), aim({"displacement": field}, lattice), settings)
    torch.testing.assert_close(found, torch.stack(truth).mean())


def test_the_threshold_leaves_out_what_moves_no_further(model, given):
    settings = DiTFlowSettings(block=(1,), threshold=1.5)
    lattice = model.lattice(given.shape)
    shown = record(model, given.latents, [1], level(model, 500), "a dog")
    field = torch.zeros(lattice.frames, lattice.frames, lattice.area, 2)
    field[0, 1, 5] = torch.tensor([1.0, 0.0])
    field[2, 0, 3] = torch.tensor([0.0, 2.0])
    soft = written_out(shown[1], lattice, 2.0)
    truth = (soft[2, 0, 3] - field[2, 0, 3]).square().mean()
    torch.testing.assert_close(METHOD.loss(seen(shown), aim({"displacement.1": field}, lattice), settings), truth)
    both = METHOD.loss(seen(shown), aim({"displacement.1": field}, lattice), replace(settings, threshold=0.0))
    torch.testing.assert_close(both, (truth + (soft[0, 1, 5] - field[0, 1, 5]).square().mean()) / 2)


def test_the_loss_is_zero_for_a_video_that_attends_as_the_reference_moves(model, given):
    """Sharp attention to the very key: the soft displacement is then the hard one."""
    lattice = model.lattice(given.shape)
    one_hot = torch.eye(lattice.area).roll(1, dims=1).repeat(lattice.frames, 1)[None, None] * 40
    keys = torch.eye(lattice.area).repeat(lattice.frames, 1)[None, None] * 40
    own = Projections(one_hot, keys)
    shown = Recorded(one_hot, keys, keys, keys[0], own, own, (own,))
    settings = DiTFlowSettings(block=(1,))
    field = written_out(shown, lattice)
    assert (field != 0).any()
    assert METHOD.loss(seen({1: shown}), aim({"displacement.1": field}, lattice), settings).item() == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize("target", ["latents", "positions"])
def test_gradients_reach_the_target(model, given, target):
    settings = DiTFlowSettings(block=(1,))
    motion, _ = lifted(METHOD, given, model, settings)
    latents = given.latents.flip(-1).clone().requires_grad_(target == "latents")
    positions = model.positions(given.shape) if target == "positions" else None
    leaves = [latents] if positions is None else [tensor.requires_grad_() for tensor in positions.values()]
    shown = model.record(latents, level(model, 500), model.text.encode("a dog"), [1], positions)
    loss = METHOD.loss(seen(shown), aim(motion, model.lattice(given.shape)), settings)
    for gradient in torch.autograd.grad(loss, leaves):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def warped(model, given, field, **values):
    """A video of a motion that is known, and the passes that it took."""
    view = model.counted()
    settings = replace(
        METHOD.settings(view), **{"block": (1,), "steps": 4, "share": 0.5, "inner": 0, "inject": False, **values}
    )
    motion = {"latents": given.latents, "displacement": field}
    result = finished(sample.cast(sample.Casting(view, METHOD, settings, motion, given.shape, "a dog", 0)))
    return result.latents, view.passes


def still(model, given):
    lattice = model.lattice(given.shape)
    return torch.zeros(lattice.frames, lattice.frames, lattice.area, 2)


@pytest.mark.slow
@pytest.mark.parametrize("build", [twin, flow_twin], ids=["cogvideox", "wan"])
def test_a_warp_that_optimises_nothing_costs_no_more_than_plain_sampling(build):
    model = build()
    given = reference(model)
    field = still(model, given)
    plain, passes = warped(model, given, field)
    own, with_warp = warped(model, given, field, warp=True)
    assert torch.equal(own, plain), "where nothing moves nothing changes"
    field[1:, 0] = torch.tensor([0.7, -0.4])
    moved, again = warped(model, given, field, warp=True)
    assert passes == with_warp == again == Passes(forward=8, backward=0, work=8.0)
    assert moved.isfinite().all() and (moved - plain).abs().max() > 1e-4
    unknown, _ = warped(model, given, torch.full_like(field, torch.nan), warp=True)
    assert torch.equal(unknown, plain), "what is unknown stays"


@pytest.mark.parametrize("build", [twin, flow_twin], ids=["cogvideox", "wan"])
def test_a_token_has_the_place_that_it_came_from_in_the_first_frame(build):
    model = build()
    given = reference(model)
    lattice, own, field = model.lattice(given.shape), model.positions(given.shape), still(model, given)
    # In the last frame the second token of the first row is what was the first token in the first frame.
    field[-1, 0, 1] = torch.tensor([-1.0, 0.0])
    field[0, -1, 0] = torch.tensor([9.0, 9.0])  # from the first frame on: not asked for
    settings = DiTFlowSettings(block=(1,), warp=True)
    found = METHOD.placed(own, {"displacement.1": field}, lattice, settings)
    assert found.keys() == own.keys()
    last = (lattice.frames - 1) * lattice.area
    for name, tensor in own.items():
        axis = list(tensor.shape).index(lattice.tokens)
        before, after = tensor.movedim(axis, 0), found[name].movedim(axis, 0)
        torch.testing.assert_close(after[last + 1], before[last], atol=1e-6, rtol=0)
        others = [number for number in range(lattice.tokens) if number != last + 1]
        assert torch.equal(after[others], before[others])


@pytest.mark.parametrize("name", ["cogvideox-table", "ltx", "ltx-2", "mochi", "kandinsky5", "allegro"])
def test_positions_that_cannot_be_moved_are_refused_before_work(name):
    model = TRANSFORMERS[name].model()
    request = ask("ditflow", {"warp": True, "block": "0"}, prompt="a dog")
    with pytest.raises(SettingError, match=r"warp is true, but the model.*; allowed is warp=false") as refused:
        prepare(request, model)
    assert "\n" not in str(refused.value)
    assert prepare(ask("ditflow", {"block": "0"}, prompt="a dog"), model).settings


def test_a_soft_reference_is_the_mean_place_at_the_temperature(model, given):
    settings = DiTFlowSettings(block=(2,), reference="soft", temperature=3.0)
    tensors, _ = lifted(METHOD, given, model, settings)
    shown = record(model, given.latents, [2])[2]
    expected = written_out(shown, model.lattice(given.shape), 3.0)
    torch.testing.assert_close(tensors["displacement.2"], expected, atol=1e-5, rtol=1e-5)
    own = METHOD.loss(seen({2: shown}), aim(tensors, model.lattice(given.shape)), settings)
    assert float(own) == pytest.approx(0, abs=1e-9), "the reference itself has moved as it has"


def test_a_soft_reference_depends_on_the_temperature_that_it_is_lifted_with():
    hard, soft = DiTFlowSettings(), DiTFlowSettings(reference="soft")
    assert "temperature" not in hard.lifting_values() and soft.lifting_values()["temperature"] == 2.0
    assert hard.lifting_values() != soft.lifting_values()


@pytest.mark.parametrize("other", [{"read": "flow"}, {"mutual": True}])
def test_a_soft_reference_where_it_says_nothing_is_refused(model, other):
    with pytest.raises(SettingError, match=r"reference is 'soft', .* allowed is reference=hard"):
        METHOD.check(model, DiTFlowSettings(reference="soft", **other))


def test_flow_is_read_with_defaults_of_its_own_and_what_is_given_stands():
    model = load("tiny-wan", "cpu")
    plain, flow = settings_for(METHOD, model, {}), settings_for(METHOD, model, {"read": "flow"})
    assert (plain.block, plain.threshold) == ((3,), 0.0)
    assert (flow.block, flow.threshold, flow.lr) == ((6,), 0.25, plain.lr)
    assert settings_for(METHOD, model, {"read": "flow", "block": 5}).block == (5,)
    other = load("tiny-dit", "cpu")
    assert settings_for(METHOD, other, {"read": "flow"}) == replace(settings_for(METHOD, other, {}), read="flow")
