"""MotionDirector: where its two kinds of factors lie, what each is tuned by, and that looks stay out of the motion."""

import math
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch

from motionlift.core.method import LOOKS, MOTION, Draw
from motionlift.loops import tune, tuning
from motionlift.loops.adapters import Tunable
from motionlift.methods.motiondirector import METHOD, debiased, motion_loss
from tests.methods.references import flow_twin, reference, twin, unet_twin
from tests.twins import PICTURED, TRANSFORMERS

PROMPT = "a red star"
MODELS = {
    "unet3d": unet_twin,
    "cogvideox-1.5": TRANSFORMERS["cogvideox-1.5"].model,
    "wan": flow_twin,
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> Any:
    return MODELS[request.param]()


def draw(model: Any, only: Any = nullcontext, index: int = 700) -> Draw:
    given = reference(model, model.about.shape.frames)
    noise = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(0))
    stills = tuning.stills_of(model, given, PROMPT)
    condition = model.text.encode(PROMPT, given.shape)
    return Draw(given.latents, noise, index, model.schedule(10), condition, given.shape, only, stills)


def test_published_settings():
    settings = METHOD.settings(unet_twin("zeroscope"))
    assert (settings.steps, settings.cfg, settings.beta, settings.inversion_prompt) == (30, 12.0, 0.5, "")
    assert (settings.tuning_steps, settings.tuning_lr, settings.weight_decay, settings.clip) == (150, 5e-4, 0.01, 0)
    assert (settings.rank, settings.dropout, settings.debias, settings.without_looks) == (32, 0.1, 1.0, 0.2)
    assert (settings.clean_share, settings.strength, settings.inversion) == (0, 1.0, True)


def test_motion_lies_over_time_and_looks_within_frames():
    """As the released program chooses layers: of the transformers over time all, of those within frames not the cross attention."""
    unet = unet_twin()
    plan = METHOD.plan(unet, METHOD.settings(unet))
    layers = {name for name, module in unet.network.named_modules() if isinstance(module, torch.nn.Linear)}
    inner = {name for name in layers if ".transformer_blocks." in name and ".norm" not in name}
    over_time = {name for name in inner if "temp_attentions" in name or "transformer_in" in name}
    assert set(plan.layers) == over_time
    assert set(plan.looks) == {name for name in inner - over_time if ".attn2." not in name}
    assert (plan.rank, plan.dropout) == (32, 0.1)


@pytest.mark.slow
def test_both_kinds_of_factors_may_begin_as_released():
    unet = unet_twin()
    settings = replace(METHOD.settings(unet), rank=4, factors="released")
    for name, parameter in Tunable(unet.network, METHOD.plan(unet, settings), 0).parameters.items():
        if name.endswith("lora_A.weight"):
            assert float(parameter.detach().std()) == pytest.approx(1 / 4, rel=0.4), (
                "uniform ones have other deviations"
            )
        else:
            assert not parameter.any()


def test_on_joint_attention_both_lie_on_the_same_layers():
    wan = flow_twin()
    plan = METHOD.plan(wan, METHOD.settings(wan))
    assert plan.layers and set(plan.layers) == set(plan.looks)
    assert not any(".attn2." in name for name in plan.layers), "attention to the text is left alone"
    assert {name.split(".")[3] for name in plan.layers} == {"attn1", "ffn"}


def test_a_model_that_is_shown_a_picture_gets_no_factors_for_looks():
    """Its looks come from there, and a still would be asked for beside another picture."""
    pictured = PICTURED["wan-2.1"].model()
    settings = replace(METHOD.settings(pictured), without_looks=0.0)
    plan = METHOD.plan(pictured, settings)
    assert plan.layers and not plan.looks
    model = flow_twin()
    losses = list(METHOD.losses(replace(draw(model), stills=None), model, settings))
    assert len(losses) == 1 and losses[0].isfinite()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet3d", "wan-2.1", "cogvideox-1.5", "allegro"])
def test_a_still_is_the_shortest_that_the_network_takes(name: str):
    """A picture; where tokens join latent frames, as many as one token; where frames are joined from the first, one group."""
    model = unet_twin() if name == "unet3d" else TRANSFORMERS[name].model()
    assert model.codec.fewest == {"unet3d": 1, "wan-2.1": 1, "cogvideox-1.5": 8, "allegro": 4}[name]
    given = draw(model)
    assert given.stills is not None
    frames, _, held, *sides = given.stills.latents.shape
    assert frames == model.about.shape.frames and sides == list(given.latents.shape[3:])
    per_lattice_frame = given.latents.shape[2] // model.lattice(given.shape).frames
    assert held == per_lattice_frame


@pytest.mark.slow
def test_stills_of_an_autoencoder_of_pictures_are_the_frames_of_the_video():
    given = draw(unet_twin())
    assert given.stills is not None
    torch.testing.assert_close(given.stills.latents[:, :, 0].transpose(0, 1)[None], given.latents)


def test_the_debiased_loss_by_hand():
    """Frame by frame and number by number, as the paper writes it."""
    generator = torch.Generator().manual_seed(1)
    predicted, true = torch.randn(2, 1, 2, 4, 3, 2, generator=generator)
    strength, anchor, found, count = 1.5, 2, 0.0, predicted.numel()
    for channel in range(2):
        for frame in range(4):
            for row in range(3):
                for column in range(2):
                    at, still = (0, channel, frame, row, column), (0, channel, anchor, row, column)
                    plain = float(predicted[at] - true[at])
                    moved = [
                        math.sqrt(strength**2 + 1) * float(noise[at]) - strength * float(noise[still])
                        for noise in (predicted, true)
                    ]
                    found += (plain**2 + (moved[0] - moved[1]) ** 2) / count
    assert float(motion_loss(predicted, true, anchor, strength)) == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 3.0])
def test_what_all_frames_share_counts_for_less(strength: float):
    """An error of 0.1 in every frame is one of ``sqrt(s^2 + 1) - s`` tenths without the anchor."""
    true = torch.randn(1, 2, 5, 3, 3, generator=torch.Generator().manual_seed(2))
    left = math.sqrt(strength**2 + 1) - strength
    found = float(motion_loss(true + 0.1, true, 3, strength))
    assert found == pytest.approx(0.01 * (1 + left**2), rel=1e-4)


def test_the_variance_of_debiased_noise():
    """Of independent frames of variance one: ``(s^2 + 1) + s^2`` where it is not the anchor's, ``(sqrt(s^2 + 1) - s)^2`` there."""
    noise = torch.randn(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    moved = debiased(noise, 0, 1.0)
    assert float(moved[:, :, 1].var()) == pytest.approx(2 + 1, rel=0.05)
    assert float(moved[:, :, 0].std()) == pytest.approx(math.sqrt(2) - 1, rel=0.05)


@pytest.mark.slow
def test_the_loss_is_that_of_the_networks_own_output(model: Any):
    settings = replace(METHOD.settings(model), debias=0.7)
    given = draw(model)
    level = given.schedule.trained[700]
    noised = level.signal * given.latents + level.noise * given.noise
    output = model.predict(noised, level, given.condition).detach()
    true = {
        "epsilon": given.noise,
        "v_prediction": level.signal * given.noise - level.noise * given.latents,
        "flow_prediction": given.noise - given.latents,
    }[given.schedule.predicts]
    torch.manual_seed(4)
    anchor = int(torch.randint(true.shape[2], ()))
    torch.manual_seed(4)
    found = float(METHOD.loss(given, model, settings).detach())
    apart = math.sqrt(1.49) * (output - true) - 0.7 * (output - true)[:, :, [anchor]]
    expected = float((output - true).square().mean() + apart.square().mean())
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_each_loss_reaches_its_own_factors_alone(model: Any):
    settings = replace(METHOD.settings(model), rank=2, without_looks=0.0)
    adapter = Tunable(model.network, METHOD.plan(model, settings), 0)
    with torch.no_grad():
        for parameter in adapter.parameters.values():
            parameter.add_(0.01)  # a factor of zeros lets no gradient to the other
    reached = []
    with model.turn(), adapter.attached():
        for loss in METHOD.losses(draw(model, adapter.only), model, settings):
            loss.backward()
            got = [name for name, parameter in adapter.parameters.items() if parameter.grad is not None]
            reached.append({name for name in got if bool((adapter.parameters[name].grad != 0).any())})
            for parameter in adapter.parameters.values():
                parameter.grad = None
    looks, motion = reached
    kept = set(adapter.tensors())
    assert motion and motion <= kept
    assert looks and looks <= adapter.parameters.keys() - kept
    assert {name.removesuffix(".lora_A.weight").removesuffix(".lora_B.weight") for name in kept} == set(
        METHOD.plan(model, settings).layers
    )


@pytest.mark.slow
def test_motion_is_tuned_with_looks_on_but_for_some_draws():
    """The loss of motion is that of a network with the looks of the reference; in the other draws, of one without."""
    model = unet_twin()
    settings = replace(METHOD.settings(model), rank=2, dropout=0.0)
    adapter = Tunable(model.network, METHOD.plan(model, settings), 0)
    with torch.no_grad():
        for parameter in adapter.parameters.values():
            parameter.add_(0.05)
    given = draw(model, adapter.only)

    def motion_with(kinds: tuple[str, ...]) -> float:
        with adapter.only(kinds):
            torch.manual_seed(6)
            return float(METHOD.loss(given, model, settings).detach())

    with model.turn(), adapter.attached(), torch.no_grad():
        assert motion_with((MOTION,)) != motion_with((MOTION, LOOKS))
        for share, expected in ((0.0, [(LOOKS,), (MOTION, LOOKS)]), (1.0, [(MOTION,)])):
            seen = [
                tuple(sorted(adapter.switched_on, key=(MOTION, LOOKS).index))
                for _ in METHOD.losses(given, model, replace(settings, without_looks=share))
            ]
            assert seen == expected


@pytest.mark.slow
def test_activations_that_are_computed_again_are_those_of_the_same_factors():
    """A network that keeps no activations runs again in the backward pass, within what is switched for the loss."""
    model, tuned = twin(), []
    given = reference(model)
    settings = replace(METHOD.settings(model), rank=2, tuning_steps=4, tuning_lr=0.01, without_looks=0.3)
    for again in (False, True):
        (network,) = model.network.values()
        if again:
            network.enable_gradient_checkpointing()
        adapter = Tunable(model.network, METHOD.plan(model, settings), 0)
        stills = tuning.stills_of(model, given, PROMPT)
        condition = model.text.encode(PROMPT)
        job = tune.Tuning(model, METHOD, settings, adapter, given.latents, condition, given.shape, None, stills)
        list(tune.tune(job))
        tuned.append(adapter.state_dict())
        network.disable_gradient_checkpointing()
    torch.testing.assert_close(tuned[1], tuned[0], atol=1e-5, rtol=1e-4)
    assert all(value.abs().sum() > 0 for value in tuned[0].values()), "both kinds were tuned"
