"""MotionMatcher: where it looks, what it compares, and that its gradient is that of the whole step."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch

from motionlift.core.method import Draw
from motionlift.loops.adapters import Tunable
from motionlift.methods import motionmatcher
from motionlift.methods.motionmatcher import METHOD, Features, feature_loss, motion_features, published_places
from tests.methods.references import level, record, reference, twin, unet_twin
from tests.twins import TRANSFORMERS


@pytest.fixture(params=["cogvideox", "unet3d"])
def model(request: pytest.FixtureRequest) -> Any:
    return twin() if request.param == "cogvideox" else unet_twin()


def draw(model: Any, timestep: int, only: Any) -> Draw:
    given = reference(model)
    noise = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(0))
    condition = model.text.encode("a red star")
    return Draw(given.latents, noise, timestep, model.schedule(20), condition, given.shape, only)


def test_published_settings_and_places():
    settings = METHOD.settings(unet_twin("zeroscope"))
    assert (settings.steps, settings.cfg, settings.beta, settings.clean_share) == (75, 12.0, 0.3, 0.5)
    assert (settings.tuning_steps, settings.tuning_lr, settings.rank, settings.dropout) == (200, 5e-4, 32, 0.1)
    assert (settings.cross, settings.temporal) == (2000.0, 2000.0)
    zeroscope = [f"down {block}.{layer}" for block in range(3) for layer in range(2)] + ["mid 0", "up 1.0"]
    assert published_places(zeroscope) == (4, 5)
    assert published_places(["down 1.0", "mid 0", "up 0.0"]) == (0,)
    assert published_places(["block 0", "block 1"]) == (0,)


def test_factors_lie_on_every_linear_layer_of_the_transformers(model: Any):
    plan = METHOD.plan(model, replace(METHOD.settings(model), rank=3, dropout=0.2))
    outside = {
        name
        for name, module in model.network.named_modules()
        if isinstance(module, torch.nn.Linear) and name not in plan.layers
    }
    words = ("time_emb", "time_embedding", "norm", "proj_out", "patch_embed")
    assert all(any(word in name for word in words) for name in outside), outside
    assert (plan.rank, plan.dropout) == (3, 0.2)


def test_without_factors_the_same_layers_weights_are_tuned(model: Any):
    settings = METHOD.settings(model)
    plan = METHOD.plan(model, replace(settings, factors="none"))
    assert (plan.layers, plan.rank) == (METHOD.plan(model, settings).layers, None)


def test_the_loss_of_known_features():
    own = [Features(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2, 2))]
    true = [Features(torch.tensor([[0.0, 0.0]]), torch.full((1, 2, 2), 0.1))]
    settings = motionmatcher.MotionMatcherSettings(cross=2.0, temporal=300.0)
    assert float(feature_loss(own, true, settings)) == pytest.approx(2 * 0.5 + 300 * 0.01)
    assert float(feature_loss(own, true, replace(settings, temporal=0.0))) == pytest.approx(1)
    assert float(feature_loss(own + own, true + own, settings)) == pytest.approx((2 * 0.5 + 300 * 0.01) / 2)


@pytest.mark.slow
def test_features_are_probabilities_of_every_lattice(model: Any):
    given = reference(model)
    blocks = tuple(range(model.about.blocks))
    shown = record(model, given.latents, blocks, level(model, 700), "a red star")
    found = motion_features([(seen, model.lattice(given.shape, number)) for number, seen in shown.items()])
    grids = dict.fromkeys(model.lattice(given.shape, number) for number in blocks)
    assert len(found) == len(grids)
    for own, grid in zip(found, grids, strict=True):
        assert own.cross.shape[0] == grid.tokens
        assert own.temporal.shape == (grid.area, grid.frames, grid.frames)
        if model.about.family == "unet3d":
            torch.testing.assert_close(own.cross.sum(dim=1), torch.ones(grid.tokens))
            torch.testing.assert_close(own.temporal.sum(dim=2), torch.ones(grid.area, grid.frames))
        else:
            assert float(own.cross.sum(dim=1).max()) < 1


def test_features_are_means_over_heads_layers_and_both_attentions_over_time():
    """Against loops, on the layers of a UNet that share a lattice, each with two attentions over time."""
    unet: Any = unet_twin()
    given = reference(unet)
    lattices = [unet.lattice(given.shape, number) for number in range(unet.about.blocks)]
    lattice = max(lattices, key=lattices.count)
    blocks = [number for number, own in enumerate(lattices) if own == lattice]
    shown = record(unet, given.latents, blocks, level(unet, 700), "a red star")
    (found,) = motion_features([(seen, lattice) for seen in shown.values()])

    def probabilities(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return torch.softmax(query @ key.T / query.shape[1] ** 0.5, dim=1)

    cross, temporal, count = torch.zeros_like(found.cross), torch.zeros_like(found.temporal), 0
    for seen in shown.values():
        heads = seen.cross.query.shape[1]
        for head in range(heads):
            cross += probabilities(seen.cross.query[0, head], seen.cross.key[0, head]) / heads / len(blocks)
        assert len(seen.temporal) == 2
        for own in seen.temporal:
            count += 1
            for head in range(own.query.shape[1]):
                for place in range(lattice.area):
                    query, key = (each[0, head, place :: lattice.area] for each in (own.query, own.key))
                    temporal[place] += probabilities(query, key) / own.query.shape[1]
    assert count == 2 * len(blocks) > 2
    torch.testing.assert_close(found.cross, cross)
    torch.testing.assert_close(found.temporal, temporal / count)


@pytest.mark.slow
def test_what_predicts_the_true_noise_has_no_loss(model: Any, monkeypatch: pytest.MonkeyPatch):
    settings = replace(METHOD.settings(model), steps=20)
    adapter = Tunable(model.network, METHOD.plan(model, settings), 0)
    with adapter.attached():
        given = draw(model, 700, adapter.only)
        signal, spread = given.level.signal, given.level.noise
        noised = signal * given.latents + spread * given.noise
        velocity = signal * given.noise - spread * given.latents
        true = given.noise if model.about.family == "unet3d" else velocity
        monkeypatch.setattr(model, "predict", lambda latents, at, condition: true)
        assert float(METHOD.loss(given, model, settings)) < 1e-7
        monkeypatch.setattr(model, "predict", lambda latents, at, condition: true + 0.3 * noised)
        assert float(METHOD.loss(given, model, settings)) > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("recomputed", "factors"), [(False, "peft"), (True, "peft"), (False, "none")])
def test_its_gradient_is_that_of_the_whole_step(model: Any, recomputed: bool, factors: str):
    """Against one graph from what is tuned to the features, with a second network in the place of the one without it.

    Also where activations are recomputed, as large models do.
    """
    if recomputed and model.about.family == "cogvideox":
        model.network["transformer"].enable_gradient_checkpointing()
    elif recomputed:
        model._recomputation.on = True
    settings = replace(METHOD.settings(model), steps=20, dropout=0.0, factors=factors)
    frozen = twin() if model.about.family == "cogvideox" else unet_twin()
    adapter = Tunable(model.network, METHOD.plan(model, settings), 0)
    with torch.no_grad():
        for parameter in adapter.parameters.values():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    with model.turn(), adapter.attached():
        given = draw(model, 700, adapter.only)
        parameters = list(adapter.parameters.values())
        loss = METHOD.loss(given, model, settings)
        assert all(parameter.requires_grad for parameter in parameters)
        found = torch.autograd.grad(loss, parameters, allow_unused=True)

        schedule = given.schedule
        noised = schedule.noised(given.latents, given.noise, given.level)
        estimates = schedule.estimates(model.predict(noised, given.level, given.condition), noised, given.level)
        later = level(model, 700 - 1000 // 20)
        features = [
            METHOD._features(schedule.noised(*pair, later), later, given, frozen, settings)
            for pair in (estimates, (given.latents, given.noise))
        ]
        expected = feature_loss(*features, settings)
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-9)
        whole = torch.autograd.grad(expected, parameters, allow_unused=True)
    assert sum(gradient is not None and bool(gradient.abs().max() > 0) for gradient in whole) > len(whole) / 2
    for one, other in zip(found, whole, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=2e-3, atol=1e-7)


@pytest.mark.slow
def test_the_second_look_ends_with_the_last_layer_and_without_factors(model: Any):
    settings = replace(METHOD.settings(model), block=(0,))
    seen: list[bool] = []
    adapter = Tunable(model.network, METHOD.plan(model, settings), 0)
    with model.turn(), adapter.attached():

        @contextmanager
        def watched(on: Any, fixed: Any = ()):
            seen.append(True)
            with adapter.only(on, fixed):
                yield

        ran: list[int] = []
        (network,) = model.network.values()
        blocks = (
            list(network.transformer_blocks)
            if model.about.family == "cogvideox"
            else [*network.down_blocks, network.mid_block, *network.up_blocks]
        )
        handles = [block.register_forward_pre_hook(lambda *_, n=n: ran.append(n)) for n, block in enumerate(blocks)]
        METHOD.loss(draw(model, 700, watched), model, settings)
        for handle in handles:
            handle.remove()
    assert len(seen) == 2
    assert ran == [*range(len(blocks)), 0, 0]


@pytest.mark.parametrize("name", ["wan-2.1", "ltx", "mochi"])
def test_on_a_flow_model_it_looks_one_euler_step_of_the_loop_on(name: str, monkeypatch: pytest.MonkeyPatch):
    """Drawn at a level of sampling, whose schedule is shifted, the step ends where the loop's does."""
    model = TRANSFORMERS[name].model()
    settings = replace(METHOD.settings(model), steps=50)
    given = reference(model, TRANSFORMERS[name].shape.frames)
    schedule = model.schedule(50, given.shape)
    noise, output = torch.randn(2, *given.latents.shape, generator=torch.Generator().manual_seed(0))
    looked = []

    def features(latents, level, draw, model, settings):
        looked.append((latents, level))
        return motion_features([])

    monkeypatch.setattr(model, "predict", lambda *_: output)
    monkeypatch.setattr(METHOD, "_features", features)
    monkeypatch.setattr(motionmatcher, "feature_loss", lambda predicted, true, settings: torch.zeros(()))
    monkeypatch.setattr(motionmatcher, "used_at_once", lambda distance, latents: distance(latents))
    for step in range(3):
        sigmas = [level.noise for level in schedule.trained]
        index = min(range(len(sigmas)), key=lambda at: abs(sigmas[at] - schedule.levels[step].noise))
        assert sigmas[index] == pytest.approx(schedule.levels[step].noise, abs=1e-3)
        looked.clear()
        METHOD.loss(
            Draw(given.latents, noise, index, schedule, model.text.encode(""), given.shape, nullcontext),
            model,
            settings,
        )
        (true, later), (predicted, same) = looked
        level, end = schedule.trained[index], schedule.ends[step]
        assert later is same and later.noise == pytest.approx(end.noise, abs=1e-3)
        noised = schedule.noised(given.latents, noise, level)
        sign = -1 if name == "mochi" else 1
        torch.testing.assert_close(
            predicted, noised + sign * (later.noise - level.noise) * output, atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(
            true, noised + (later.noise - level.noise) * (noise - given.latents), atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(predicted, schedule.step(step, output, noised), atol=5e-3, rtol=0)


def test_as_released_factors_lie_on_the_blocks_of_the_transformers():
    model: Any = unet_twin()
    settings = replace(METHOD.settings(model), layers="blocks", factors="released")
    plan = METHOD.plan(model, settings)
    assert plan.as_released and len(plan.layers) == len(set(plan.layers))
    parts = [name.split(".transformer_blocks.")[1].split(".")[1] for name in plan.layers]
    places = ["temp" if "temp_attentions" in name or "transformer_in" in name else "frame" for name in plan.layers]
    assert {*zip(places, parts, strict=True)} == {
        ("frame", "attn1"), ("frame", "ff"), ("temp", "attn1"), ("temp", "attn2"), ("temp", "ff"),
    }  # fmt: skip
    joint: Any = twin()
    names = METHOD.plan(joint, replace(METHOD.settings(joint), layers="blocks")).layers
    assert names and len(names) == len(set(names))


@pytest.mark.parametrize(("stride", "later"), [("sampling", 650), ("timestep", 699)])
def test_the_step_before_it_looks_is_one_of_sampling_or_one_timestep(
    stride: str, later: int, monkeypatch: pytest.MonkeyPatch
):
    model: Any = unet_twin()
    settings, looked = replace(METHOD.settings(model), steps=20, stride=stride), []

    def features(latents: Any, level: Any, *_: Any) -> list[Features]:
        looked.append(level.timestep)
        return motion_features([])

    monkeypatch.setattr(model, "predict", lambda latents, *_: latents)
    monkeypatch.setattr(METHOD, "_features", features)
    monkeypatch.setattr(motionmatcher, "feature_loss", lambda *_: torch.zeros(()))
    monkeypatch.setattr(motionmatcher, "used_at_once", lambda distance, latents: distance(latents))
    METHOD.loss(draw(model, 700, nullcontext), model, settings)
    assert looked == [later, later]


def test_the_prompt_of_the_inversion():
    settings = replace(METHOD.settings(unet_twin("tiny-unet")), source_prompt="a red star")
    assert settings.inversion_prompt == "a red star"
    assert replace(settings, inverted_with="empty").inversion_prompt == ""
