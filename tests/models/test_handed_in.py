"""A pipeline that was handed in is as it was whenever no turn is held, and its parts go home."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch
from diffusers import AutoencoderKLWan
from torch import nn

import motionlift
from motionlift.core.method import Guide, Reference
from motionlift.errors import ModelError
from motionlift.loops import sample, tuning
from motionlift.loops.adapters import Addition, fitted
from motionlift.methods import methods
from motionlift.models import turns
from motionlift.models.families import serving
from motionlift.motion import names
from tests.frozen.measured import reference
from tests.twins import EVERY_TWIN, TRANSFORMERS, WINDOW

CPU, AWAY = torch.device("cpu"), torch.device("cuda", 7)
PROMPT = "a red star on the field"
LIFTED: Mapping[str, Mapping[str, Any]] = {
    "ditflow": {"steps": 4, "share": 0.5, "inner": 2},
    "vmc": {"steps": 4, "source_prompt": "a ring", "tuning_steps": 2, "tuning_lr": 0.01, "reduced": False, "beta": 0.0},
}
"""A method that guides and one that tunes, with settings that take a second."""
each_twin = pytest.mark.parametrize("twin", sorted(EVERY_TWIN))


def model_of(twin, given=False):
    pipeline = EVERY_TWIN[twin]()
    return serving(type(pipeline).__name__)(pipeline, "twin", CPU, given)


def frames_for(twin):
    """A short length that fits: of CogVideoX 1.5, two latent frames are one of the lattice."""
    return 16 if twin == "cogvideox-1.5" else 8


def finished(steps):
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize("kind", ["FirstBlockCacheConfig", "FasterCacheConfig"])
def test_a_cache_between_steps_is_refused(kind):
    """It ended in an error of diffusers, or in a reading that was refused without a reason."""
    pipeline = EVERY_TWIN["cogvideox-rotary"]()
    pipeline.transformer.enable_cache(getattr(diffusers, kind)())
    with pytest.raises(ModelError, match=r"call pipeline.transformer.disable_cache\(\) first"):
        motionlift.load(pipeline, "cpu")
    pipeline.transformer.disable_cache()
    assert motionlift.load(pipeline, "cpu").about.shape.frames


def castings(model):
    """A guided cast and one with a tuned adapter."""
    shape, pixels = model.codec.fitting(16), reference(16).pixels()
    given = Reference(model.codec.encode(pixels), pixels, pixels, shape)
    made = []
    for seed, (name, steps) in enumerate((("ditflow", 4), ("vmc", 3))):
        method = methods()[name]
        settings = replace(method.settings(model), **{**LIFTED.get(name, {}), "steps": steps})
        adapter, motion = None, {}
        if isinstance(method, Guide):
            motion = finished(method.lift(given, model, settings))
        else:
            tuned = finished(tuning.tuned(model, method, settings, given))
            adapter = fitted(model, [Addition(names.adapter(tuned))])
        made.append(sample.Casting(model, method, settings, motion, shape, PROMPT, seed, adapter))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("twin", ["cogvideox-rotary", "unet3d"])
def test_eight_threads_give_what_eight_calls_give_where_activations_are_recomputed(twin, monkeypatch):
    monkeypatch.setattr("motionlift.models.shared.CHECKPOINTED_PARAMETERS", 0)
    model, clip = model_of(twin), reference(8)
    model.codec = replace(model.codec, in_parts=False)  # diffusers' tiles overlap by no whole number at a twin's size

    def transferred(seed):
        video = motionlift.transfer(
            clip, PROMPT, model, seed=seed, frames=8, settings={"steps": 2, "share": 0.5, "inner": 1}, cached=False
        )
        return video.clip.frames, video.record["losses"], video.record["passes"]

    expected = [transferred(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(transferred, range(8)))
    for (frames, losses, passes), own in zip(found, expected, strict=True):
        assert (frames == own[0]).all()
        assert (losses, passes) == own[1:]
    assert len({losses[-1] for _, losses, _ in found}) == 8


# A pipeline that was handed in


def state(pipeline):
    """All of a pipeline that somebody could have changed, as plain values."""
    parts = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    network = pipeline.transformer if hasattr(pipeline, "transformer") else pipeline.unet
    modules = [(f"{part}.{name}", module) for part, own in parts.items() for name, module in own.named_modules()]
    weights = [(f"{part}.{name}", own) for part, module in parts.items() for name, own in module.named_parameters()]
    flags = ("gradient_checkpointing", "use_tiling", "use_slicing", "training")
    return {
        "scheduler": (id(pipeline.scheduler), dict(pipeline.scheduler.config), repr(vars(pipeline.scheduler))),
        "modules": [(name, id(module)) for name, module in modules],
        "processors": [(name, id(own)) for name, own in getattr(network, "attn_processors", {}).items()],
        "flags": [(name, flag, getattr(module, flag, None)) for name, module in modules for flag in flags],
        "own": [(name, sorted(vars(module))) for name, module in modules],
        "hooks": [(name, len(module._forward_hooks), len(module._forward_pre_hooks)) for name, module in modules],
        "weights": [(name, id(own), own.requires_grad, own.grad is None, str(own.device)) for name, own in weights],
        "values": {name: own.detach().clone() for name, own in weights},
    }


def assert_same(found, before):
    for name in found.keys() - {"values"}:
        assert found[name] == before[name], name
    assert all(torch.equal(own, before["values"][name]) for name, own in found["values"].items())


def own_video(pipeline):
    """What the pipeline itself makes, with dropout where it comes so."""
    torch.manual_seed(5)
    window = {"max_sequence_length": WINDOW} if hasattr(pipeline, "transformer") else {}
    frames = 4 if hasattr(pipeline, "unet") else 16
    options = {"num_frames": frames, "num_inference_steps": 2, "height": 32, "width": 32, "output_type": "latent"}
    return pipeline(PROMPT, **options, **window).frames


class StopError(Exception):
    """Raised in the middle of work."""


@pytest.fixture(params=["as built", "as loaded"])
def pipeline(twin, request):
    """A pipeline whose parts learn, as they are built; or rest but for a switch, as they are loaded."""
    made = EVERY_TWIN[twin]()
    for part in made.components.values():
        if isinstance(part, nn.Module):
            learning = request.param == "as built"
            part.train(learning).requires_grad_(learning)
    made.vae.use_slicing = request.param == "as loaded"
    return made


@pytest.mark.slow
@each_twin
def test_a_pipeline_makes_the_videos_that_it_made_before_while_and_after_it_is_used(twin, pipeline):
    video = own_video(pipeline)
    before = state(pipeline)
    model = motionlift.load(pipeline, "cpu")
    phases = set()

    def advance(step):
        assert_same(state(pipeline), before)
        if step.phase not in phases:
            assert torch.equal(own_video(pipeline), video), step.phase
            before["scheduler"] = state(pipeline)["scheduler"]  # its own run counts its own steps
        phases.add(step.phase)

    for method, settings in LIFTED.items():
        given = {"method": method, "frames": frames_for(twin), "settings": settings, "cached": False}
        motionlift.transfer(reference(8), PROMPT, model, **given, advance=advance)
        assert_same(state(pipeline), before)
    assert {"guide", "sample", "tune"} <= phases
    assert torch.equal(own_video(pipeline), video)


@pytest.mark.slow
@each_twin
@pytest.mark.parametrize("phase", ["guide", "sample", "tune"])
def test_a_pipeline_is_as_it_was_when_work_fails_in_the_middle(twin, pipeline, phase):
    before = state(pipeline)
    method = "vmc" if phase == "tune" else "ditflow"

    def advance(step):
        if step.phase == phase and step.index == 1:
            raise StopError

    with pytest.raises(StopError):
        given = {"method": method, "frames": frames_for(twin), "settings": LIFTED[method], "cached": False}
        motionlift.transfer(reference(8), PROMPT, motionlift.load(pipeline, "cpu"), **given, advance=advance)
    assert_same(state(pipeline), before)


@pytest.mark.slow
@each_twin
@pytest.mark.parametrize("steps", [1, 2])
def test_a_pipeline_is_as_it_was_when_a_loop_is_abandoned(twin, pipeline, steps):
    before = state(pipeline)
    running = [sample.cast(casting) for casting in castings(motionlift.load(pipeline, "cpu"))]
    for one in running:
        for _ in range(steps):
            next(one)
    assert_same(state(pipeline), before)
    for one in running:
        one.close()
    assert_same(state(pipeline), before)


@pytest.fixture(params=sorted(TRANSFORMERS.keys() - EVERY_TWIN.keys()))
def row_twin(request):
    """A twin that a row serves, whose own size of videos is hundreds of pixels."""
    return TRANSFORMERS[request.param]


@pytest.mark.slow
def test_a_pipeline_of_every_row_is_as_it_was_while_a_model_is_used_and_when_work_fails(row_twin):
    pipeline, shape = row_twin.build(), row_twin.shape
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.train().requires_grad_(True)

    def made():
        torch.manual_seed(5)
        size = {"num_frames": shape.frames, "height": shape.height, "width": shape.width}
        return pipeline(prompt=PROMPT, num_inference_steps=2, output_type="latent", **size).frames

    if isinstance(pipeline.vae, AutoencoderKLWan):  # counts its layers in attributes when it is first used
        with torch.no_grad():
            pipeline.vae.decode(pipeline.vae.encode(torch.zeros(1, 3, 5, 64, 64)).latent_dist.mode())
    video, before = made(), state(pipeline)
    model = motionlift.load(pipeline, "cpu")

    def advance(step):
        assert_same(state(pipeline), before)
        if step.phase == "sample" and step.index == 2:
            raise StopError

    for method, settings in LIFTED.items():
        given = {"frames": shape.frames, "size": (shape.width, shape.height), "settings": settings, "cached": False}
        with pytest.raises(StopError):
            motionlift.transfer(reference(8), PROMPT, model, method=method, **given, advance=advance)
        assert_same(state(pipeline), before)
    assert torch.equal(made(), video)


# Devices


@pytest.fixture
def places(monkeypatch):
    """Where parts seem to be, and every move, while their tensors stay."""
    lying: dict[nn.Module, torch.device] = {}
    moves: list[tuple[nn.Module, torch.device]] = []

    def move(part, device):
        lying[part] = torch.device(device)
        moves.append((part, lying[part]))
        return part

    monkeypatch.setattr(turns, "_device_of", lambda part: lying.get(part, CPU))
    monkeypatch.setattr(nn.Module, "to", move)
    return lying, moves


@each_twin
def test_one_part_at_a_time_is_on_the_device_and_all_go_home(twin, places):
    lying, moves = places
    pipeline = EVERY_TWIN[twin]()
    network, vae, text = _parts(pipeline)
    lying.update({network: AWAY, vae: AWAY, text: AWAY})
    model = serving(type(pipeline).__name__)(pipeline, "twin", CPU, given=True)
    shape = model.codec.fitting(16)
    latents, condition = torch.zeros(model.codec.latent_shape(shape)), model.text.encode(PROMPT, shape)
    assert moves == [(text, CPU)]
    model.predict(latents, model.schedule(4).levels[0], condition)
    assert moves[1:] == [(text, AWAY), (network, CPU)]
    model.predict(latents, model.schedule(4).levels[1], condition)
    assert len(moves) == 3, "it stays while nothing else is used"
    model.codec.decode(latents)
    assert moves[3:] == [(network, AWAY), (vae, CPU)]
    model.rest()
    assert moves[5:] == [(vae, AWAY)] and set(lying.values()) == {AWAY}


@each_twin
def test_a_part_that_lay_on_the_device_stays_there(twin, places):
    lying, moves = places
    pipeline = EVERY_TWIN[twin]()
    network, vae, text = _parts(pipeline)
    lying.update({network: CPU, vae: AWAY, text: CPU})
    model = serving(type(pipeline).__name__)(pipeline, "twin", CPU, given=True)
    shape = model.codec.fitting(16)
    latents = torch.zeros(model.codec.latent_shape(shape))
    for _ in range(2):
        model.predict(latents, model.schedule(4).levels[0], model.text.encode(PROMPT, shape))
        model.codec.decode(latents)
    assert moves == [(vae, CPU), (vae, AWAY), (vae, CPU)]
    model.rest()
    assert moves[3:] == [(vae, AWAY)]


def test_parts_that_the_library_read_itself_are_put_nowhere(places):
    lying, moves = places
    pipeline = EVERY_TWIN["unet3d"]()
    lying[pipeline.text_encoder] = AWAY
    model = serving(type(pipeline).__name__)(pipeline, "twin", CPU)
    model.text.encode(PROMPT)
    model.rest()
    assert moves == [(pipeline.text_encoder, CPU)]


def _parts(pipeline):
    return getattr(pipeline, "transformer", None) or pipeline.unet, pipeline.vae, pipeline.text_encoder
