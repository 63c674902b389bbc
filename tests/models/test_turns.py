"""Turns: several callers on one model, and a pipeline that is as it was."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch

import motionlift
from motionlift.core.method import Reference
from motionlift.loops import sample
from motionlift.loops.adapters import Addition, fitted
from motionlift.loops.sample import Casting, guided_output
from motionlift.methods import methods
from motionlift.models.loading import load
from motionlift.motion.adapter import DOWN, UP
from motionlift.video.clip import Clip
from tests.twins import WINDOW, cogvideox, unet3d

PROMPT, OTHER = "a red star", "a dog on the ring"
QUICK = {"steps": 3, "share": 0.67, "inner": 1}
BOTH = {"cogvideox": cogvideox, "unet3d": unet3d}


def random(*sizes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


def a_clip(frames: int = 8) -> Clip:
    pixels = torch.zeros(frames, 32, 32, 3, dtype=torch.uint8)
    for number in range(frames):
        pixels[number, 8:16, number * 2 : number * 2 + 8] = 255
    return Clip.of(pixels, 8.0)


def finished(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def taking_turns(*runs: Any) -> list[Any]:
    """What generators return that are asked for a step each in turn."""
    results: dict[int, Any] = {}
    while len(results) < len(runs):
        for number, run in enumerate(runs):
            if number not in results:
                try:
                    next(run)
                except StopIteration as stop:
                    results[number] = stop.value
    return [results[number] for number in range(len(runs))]


def guided_casting(model: Any) -> Casting:
    """Four steps, of which two are guided by DiTFlow."""
    shape = model.codec.fitting(8)
    pixels = a_clip().frames.permute(0, 3, 1, 2).float() / 127.5 - 1
    method = methods()["ditflow"]
    settings = replace(method.settings(model), steps=4, share=0.5, inner=2)
    motion = finished(method.lift(Reference(model.codec.encode(pixels), pixels, pixels, shape), model, settings))
    return Casting(model.counted(), method, settings, motion, shape, PROMPT, 0)


def adapted_casting(model: Any) -> Casting:
    """Seven steps with an adapter on one layer, and none guided."""
    method, name = methods()["none"], model.linear_layers("temporal")[0]
    layer = model.network.get_submodule(name)
    tensors = {
        name + DOWN: random(2, layer.in_features),
        name + UP: random(layer.out_features, 2, seed=1),
    }
    settings = replace(method.settings(model), steps=7)
    adapter = fitted(model, [Addition(tensors)])
    return Casting(model.counted(), method, settings, {}, model.codec.fitting(8), OTHER, 1, adapter)


@pytest.mark.slow
@pytest.mark.parametrize("twin", BOTH)
def test_two_loops_that_take_turns_make_what_each_makes_alone_and_count_their_own_passes(twin: str):
    model = load(BOTH[twin](), "cpu")
    alone = [guided_casting(model), adapted_casting(model)]
    truths = [finished(sample.cast(casting)) for casting in alone]
    plain = finished(sample.cast(replace(alone[1], adapter=None))).latents
    assert not torch.equal(truths[1].latents, plain), "the adapter does something"
    alone[1] = adapted_casting(model)
    finished(sample.cast(alone[1]))
    together = [guided_casting(model), adapted_casting(model)]
    found = taking_turns(*[sample.cast(casting) for casting in together])
    for casting, single, result, truth in zip(together, alone, found, truths, strict=True):
        assert torch.equal(result.latents, truth.latents) and result.losses == truth.losses
        assert casting.model.passes == single.model.passes
    assert together[1].model.passes.forward == 7 * 2 and together[1].model.passes.backward == 0
    assert together[0].model.passes.backward == 2 * 2


@pytest.mark.slow
def test_eight_threads_on_one_model_make_what_eight_calls_make():
    model = load(cogvideox(), "cpu")

    def made(seed: int) -> Any:
        return motionlift.transfer(a_clip(), PROMPT, model, seed=seed, frames=8, settings=QUICK, cached=False)

    truths = [made(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(made, range(8)))
    for one, other in zip(found, truths, strict=True):
        assert torch.equal(one.clip.frames, other.clip.frames)
        assert one.record["passes"] == other.record["passes"]
    assert len({each.clip.sha256 for each in truths}) == 8


@pytest.mark.slow
@pytest.mark.parametrize("twin", BOTH)
def test_guidance_in_two_passes_is_guidance_in_one_batch(twin: str):
    model = load(BOTH[twin](), "cpu")
    shape = model.codec.fitting(8)
    latents = random(*model.codec.latent_shape(shape))
    level = model.schedule(1).trained[600]
    conditions = model.text.encode("a dog", shape), model.text.encode(PROMPT, shape)
    one, two = model.counted(), model.counted()
    two = two.saving(replace(two.about.measures, one_by_one=True))
    sizes: dict[str, list[int]] = {"one": [], "two": []}
    for name, view in (("one", one), ("two", two)):
        handle = next(iter(model.network.values())).register_forward_hook(
            lambda _module, _given, output, name=name: sizes[name].append(len(output[0]))
        )
        output = guided_output(view, latents, level, conditions, 3.0)
        handle.remove()
        plain, wanted = (model.predict(latents, level, each) for each in conditions)
        torch.testing.assert_close(output, plain + 3.0 * (wanted - plain), atol=1e-5, rtol=1e-4)
        assert view.passes.forward == 2
    assert sizes == {"one": [2], "two": [1, 1]}
    for weight, condition in ((0.0, conditions[0]), (1.0, conditions[1])):
        view = model.counted()
        found = guided_output(view, latents, level, conditions, weight)
        assert view.passes.forward == 1 and torch.equal(found, model.predict(latents, level, condition))


@pytest.mark.slow
def test_a_negative_prompt_changes_the_video_and_an_empty_one_does_not():
    model = load(cogvideox(), "cpu")
    assert len(model.text.encode("").tensors["encoder_hidden_states"][0]) == WINDOW
    motion = motionlift.lift(a_clip(), model, "none", frames=8, settings={"steps": 2}, cached=False)
    made = {
        negative: motionlift.cast(motion, PROMPT, model, settings={"negative_prompt": negative}).clip
        for negative in ("", "a blue field")
    }
    assert torch.equal(made[""].frames, motionlift.cast(motion, PROMPT, model).clip.frames)
    assert not torch.equal(made[""].frames, made["a blue field"].frames)
