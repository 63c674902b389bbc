"""Inversion: exact where the network says the same along the way, and nearer with more steps where it does not."""

import pytest
import torch

from motionlift.errors import DivergenceError
from motionlift.loops.invert import invert
from motionlift.models.families import serving
from tests.twins import EVERY_TWIN

CPU = torch.device("cpu")


@pytest.fixture(params=["cogvideox-rotary", "unet3d"])
def backbone(request: pytest.FixtureRequest):
    pipeline = EVERY_TWIN[request.param]()
    return serving(type(pipeline).__name__)(pipeline, request.param, CPU)


def clean(backbone) -> torch.Tensor:
    shape = backbone.codec.latent_shape(backbone.codec.fitting(8))
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def finished(steps):
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return stop.value, seen


def sampled(backbone, latents: torch.Tensor, text: torch.Tensor, steps: int) -> torch.Tensor:
    with torch.no_grad():
        for timestep in backbone.timesteps(steps):
            latents = backbone.step(backbone.predict(latents, timestep, text), timestep, latents)
    return latents


def test_it_is_exact_where_the_prediction_is_constant(backbone, monkeypatch: pytest.MonkeyPatch):
    latents, text = clean(backbone), backbone.text.encode("a red star")
    constant = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))
    monkeypatch.setattr(backbone, "predict", lambda *_: constant)
    trajectory, steps = finished(invert(backbone, latents, text, 6))
    assert sorted(trajectory, reverse=True) == list(backbone.timesteps(6))
    assert [step.index for step in steps] == list(range(6)) and steps[0].phase == "invert"
    back = sampled(backbone, trajectory[max(trajectory)], text, 6)
    torch.testing.assert_close(back, latents, rtol=1e-3, atol=1e-3)
    for timestep in backbone.timesteps(6)[:-1]:
        one = backbone.step(constant, timestep, trajectory[timestep])
        cleaner = max(known for known in trajectory if known < timestep)
        torch.testing.assert_close(one, trajectory[cleaner], rtol=1e-3, atol=1e-3)


def test_it_nears_the_clean_video_as_steps_grow_finer(backbone):
    latents, text = clean(backbone), backbone.text.encode("a red star")
    errors = []
    for steps in (5, 20, 80):
        trajectory, _ = finished(invert(backbone, latents, text, steps))
        back = sampled(backbone, trajectory[max(trajectory)], text, steps)
        errors.append(float((back - latents).norm() / latents.norm()))
    assert errors[2] < errors[1] < errors[0] and errors[2] < errors[0] / 2


def test_it_asks_the_network_once_a_step(backbone):
    finished(invert(backbone, clean(backbone), backbone.text.encode(""), 5))
    assert (backbone.passes.forward, backbone.passes.backward) == (5, 0)


def test_latents_that_diverge_are_refused(backbone, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backbone, "predict", lambda latents, *_: latents * float("inf"))
    with pytest.raises(DivergenceError, match="after inversion step 1"):
        finished(invert(backbone, clean(backbone), backbone.text.encode(""), 5))
