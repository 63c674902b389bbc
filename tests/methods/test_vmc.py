"""VMC: what it tunes, and that its loss is the paper's."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch

from motionlift.core.method import Draw
from motionlift.errors import InputError, SettingError
from motionlift.methods import vmc
from motionlift.models.schedules import flow_level
from motionlift.signals.residuals import residual_loss
from tests.methods.references import reference, twin, unet_twin
from tests.twins import TRANSFORMERS


@pytest.fixture(scope="module")
def model() -> Any:
    return twin()


@pytest.fixture(scope="module")
def unet() -> Any:
    return unet_twin()


def draw(model: Any, timestep: int, frames: int = 9) -> Draw:
    given = reference(model, frames)
    noise = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(0))
    condition = model.text.encode("a star")
    return Draw(given.latents, noise, timestep, model.schedule(10), condition, given.shape, nullcontext)


@pytest.mark.slow
def test_published_settings(unet: Any):
    settings = vmc.METHOD.settings(unet)
    assert (settings.steps, settings.cfg, settings.beta, settings.form) == (75, 9.0, 1.0, "cos")
    assert (settings.tuning_steps, settings.tuning_lr, settings.weight_decay, settings.clip) == (400, 1e-4, 0.01, 1.0)
    assert (settings.clean_share, settings.accumulation, settings.inversion) == (0, 1, True)


def test_it_tunes_queries_keys_and_values_of_temporal_attention_alone(unet: Any):
    plan = vmc.METHOD.plan(unet, vmc.METHOD.settings(unet))
    expected = {
        name
        for name, module in unet.network.named_modules()
        if isinstance(module, torch.nn.Linear)
        and ("temp_attentions" in name or "transformer_in" in name)
        and name.rpartition(".")[2] in ("to_q", "to_k", "to_v")
    }
    assert set(plan.layers) == expected and len(plan.layers) == 6 * (unet.about.blocks + 1)
    assert plan.rank is None
    spatial = vmc.METHOD.plan(unet, replace(vmc.METHOD.settings(unet), attention="spatial")).layers
    assert len(spatial) == 3 * unet.about.blocks and not set(spatial) & expected


def test_on_joint_attention_it_tunes_all_of_it(model: Any):
    layers = vmc.METHOD.plan(model, vmc.METHOD.settings(model)).layers
    assert set(layers) == {f"transformer.transformer_blocks.{n}.attn1.to_{part}" for n in range(3) for part in "qkv"}
    with pytest.raises(SettingError, match=r"attends jointly .* ask for temporal"):
        vmc.METHOD.plan(model, replace(vmc.METHOD.settings(model), attention="spatial"))


@pytest.mark.parametrize("kind", ["cogvideox", "unet3d"])
def test_its_loss_is_of_the_noise_that_the_output_speaks_of(
    model: Any, unet: Any, kind: str, monkeypatch: pytest.MonkeyPatch
):
    """A network that predicts some noise exactly, in its own parameterisation, gives the residual loss of that noise."""
    own = {"cogvideox": model, "unet3d": unet}[kind]
    given = draw(own, 600)
    guess = torch.randn(given.noise.shape, generator=torch.Generator().manual_seed(1))
    signal, spread = given.level.signal, given.level.noise
    assert signal**2 + spread**2 == pytest.approx(1)
    noised = signal * given.latents + spread * given.noise
    clean = (noised - spread * guess) / signal
    output = guess if kind == "unet3d" else signal * guess - spread * clean
    asked = []

    def predict(latents, at, condition):
        asked.append((latents, at, condition))
        return output

    monkeypatch.setattr(own, "predict", predict)
    loss = vmc.METHOD.loss(given, own, vmc.METHOD.settings(own))
    torch.testing.assert_close(loss, residual_loss(guess, given.noise), atol=1e-4, rtol=1e-4)
    ((latents, at, condition),) = asked
    torch.testing.assert_close(latents, noised)
    assert at == given.level and at.timestep == 600 and condition is given.condition


@pytest.mark.parametrize("kind", ["cogvideox", "unet3d"])
def test_for_comparison_it_is_of_denoised_frames_or_of_the_noise_itself(
    model: Any, unet: Any, kind: str, monkeypatch: pytest.MonkeyPatch
):
    own = {"cogvideox": model, "unet3d": unet}[kind]
    given = draw(own, 600)
    guess = torch.randn(given.noise.shape, generator=torch.Generator().manual_seed(1))
    signal, spread = given.level.signal, given.level.noise
    clean = given.latents + spread / signal * (given.noise - guess)
    output = guess if kind == "unet3d" else signal * guess - spread * clean
    monkeypatch.setattr(own, "predict", lambda *_: output)
    settings = vmc.METHOD.settings(own)
    plain = vmc.METHOD.loss(given, own, replace(settings, form="noise"))
    torch.testing.assert_close(plain, (guess - given.noise).square().mean(), atol=1e-4, rtol=1e-4)
    changes, true = (values.diff(dim=2).transpose(1, 2).flatten(2) for values in (clean, given.latents))
    cosines = (changes * true).sum(dim=2) / (changes.norm(dim=2) * true.norm(dim=2))
    denoised = vmc.METHOD.loss(given, own, replace(settings, form="clean"))
    torch.testing.assert_close(denoised, 1 - cosines.mean(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["wan-2.1", "mochi"])
def test_of_a_flow_an_error_of_the_network_counts_whole_at_every_level(name: str, monkeypatch: pytest.MonkeyPatch):
    """In the noise that the flow speaks of, it would count a hundredth at a sigma of 0.99 (a ten-thousandth, squared)."""
    model = TRANSFORMERS[name].model()
    given = draw(model, 0, TRANSFORMERS[name].shape.frames)
    noisy = replace(given.schedule, trained=(flow_level(0.99, model.about.family == "mochi"),))
    given = replace(given, schedule=noisy)
    flow = (given.noise - given.latents) * (-1 if name == "mochi" else 1)
    ramp = torch.arange(float(flow.shape[2])).reshape(1, 1, -1, 1, 1)
    places = flow[0, :, 0].numel()
    settings = replace(vmc.METHOD.settings(model), form="l2")
    for error, expected in ((0.0, 0.0), (0.1, 0.01 * places), (0.2, 0.04 * places)):
        monkeypatch.setattr(model, "predict", lambda *_, error=error: flow + error * ramp)
        loss = vmc.METHOD.loss(given, model, settings)
        assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    monkeypatch.setattr(model, "predict", lambda *_: -flow)  # every change the other way round
    assert vmc.METHOD.loss(given, model, replace(settings, form="cos")).item() == pytest.approx(2, abs=1e-5)
    expected = float(4 * flow.square().mean())
    assert vmc.METHOD.loss(given, model, replace(settings, form="noise")).item() == pytest.approx(expected, rel=1e-5)


def test_the_prompt_of_tuning_and_that_of_inversion(model: Any):
    settings = replace(vmc.METHOD.settings(model), source_prompt="a red star on a blue plain background")
    assert vmc.METHOD.caption(settings) == "a star"
    assert vmc.METHOD.caption(replace(settings, reduced=False)) == settings.source_prompt
    assert vmc.METHOD.caption(replace(settings, tuning_prompt="a star, falling")) == "a star, falling"
    assert settings.inversion_prompt == ""
    assert replace(settings, inverted_with="source").inversion_prompt == settings.source_prompt
    with pytest.raises(InputError, match="no subject"):
        vmc.METHOD.check(model, replace(settings, source_prompt="on a blue background"))


def test_as_released_it_tunes_temp_attentions_alone(model: Any, unet: Any):
    layers = vmc.METHOD.plan(unet, replace(vmc.METHOD.settings(unet), attention="temp_attentions")).layers
    whole = vmc.METHOD.plan(unet, vmc.METHOD.settings(unet)).layers
    left_out = {*whole} - {*layers}
    assert len(layers) == 6 * unet.about.blocks and len(left_out) == 6
    assert all(".transformer_in." in f".{name}." for name in left_out)
    with pytest.raises(
        SettingError, match="has no layers that are temp_attentions and no others; allowed are temporal, "
    ):
        vmc.METHOD.plan(model, replace(vmc.METHOD.settings(model), attention="temp_attentions"))
