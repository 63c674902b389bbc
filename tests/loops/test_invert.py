"""Inversion: exact where the network says the same along the way, and nearer with more steps where it does not."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from motionlift.core.condition import Condition
from motionlift.core.schedule import Level
from motionlift.errors import DivergenceError
from motionlift.loops.invert import invert
from motionlift.models.families import serving
from tests.twins import EVERY_TWIN

CPU = torch.device("cpu")


@pytest.fixture(params=["cogvideox-rotary", "unet3d"])
def model(request: pytest.FixtureRequest):
    pipeline = EVERY_TWIN[request.param]()
    return serving(type(pipeline).__name__)(pipeline, request.param, CPU)


FRAMES = 8


def encoded(model, prompt: str = "a red star") -> Condition:
    return model.text.encode(prompt, model.codec.fitting(FRAMES))


def clean(model) -> torch.Tensor:
    shape = model.codec.latent_shape(model.codec.fitting(FRAMES))
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def finished(steps):
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return stop.value, seen


def sampled(model, latents: torch.Tensor, condition: Condition, steps: int) -> torch.Tensor:
    schedule = model.schedule(steps)
    with torch.no_grad():
        for index, level in enumerate(schedule.levels):
            latents = schedule.step(index, model.predict(latents, level, condition), latents)
    return latents


def test_it_is_exact_where_the_prediction_is_constant(model, monkeypatch: pytest.MonkeyPatch):
    latents, condition, schedule = clean(model), encoded(model), model.schedule(6)
    constant = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))
    asked = []

    def predict(_latents, level, _condition):
        asked.append(level)
        return constant

    monkeypatch.setattr(model, "predict", predict)
    trajectory, steps = finished(invert(model, latents, condition, 6))
    assert asked == list(reversed(schedule.levels)) and len(trajectory) == 6
    assert [step.index for step in steps] == list(range(6)) and steps[0].phase == "invert"
    back = sampled(model, trajectory[0], condition, 6)
    torch.testing.assert_close(back, latents, rtol=1e-3, atol=1e-3)
    for index in range(5):
        one = schedule.step(index, constant, trajectory[index])
        torch.testing.assert_close(one, trajectory[index + 1], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_it_nears_the_clean_video_as_steps_grow_finer(model):
    latents, condition = clean(model), encoded(model)
    errors = []
    for steps in (5, 20, 80):
        trajectory, _ = finished(invert(model, latents, condition, steps))
        back = sampled(model, trajectory[0], condition, steps)
        errors.append(float((back - latents).norm() / latents.norm()))
    assert errors[2] < errors[1] < errors[0] and errors[2] < errors[0] / 2


def test_it_asks_the_network_once_a_step(model):
    finished(invert(model, clean(model), encoded(model, ""), 5))
    assert (model.passes.forward, model.passes.backward) == (5, 0)


class Marking:
    """An adapter that is only known to be on."""

    def __init__(self):
        self.on: Level | None = None

    @contextmanager
    def at(self, level: Level) -> Iterator[None]:
        self.on = level
        yield
        self.on = None


@pytest.mark.slow
def test_an_adapter_is_on_at_every_level_and_off_between(model, monkeypatch: pytest.MonkeyPatch):
    adapter, asked = Marking(), []

    def predict(latents, level, _condition):
        asked.append(level == adapter.on)
        return latents

    monkeypatch.setattr(model, "predict", predict)
    for _ in invert(model, clean(model), encoded(model, ""), 5, adapter=adapter):
        assert adapter.on is None
    assert asked == [True] * 5


def test_latents_that_diverge_are_refused(model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model, "predict", lambda latents, *_: latents * float("inf"))
    with pytest.raises(DivergenceError, match="after inversion step 1"):
        finished(invert(model, clean(model), encoded(model, ""), 5))
