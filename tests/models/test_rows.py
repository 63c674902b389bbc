"""Every diffusion transformer that a row serves, against its own pipeline of diffusers."""

import re
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as functional

import motionlift
from lab.evidence import (
    PROMPT,
    Loss,
    difference,
    finished,
    gradient,
    noise_of,
    own_video,
    round_trip,
    sampled,
    slope_error,
    video,
)
from motionlift.core.method import Reference
from motionlift.core.model import Model
from motionlift.errors import ModelError, SettingError
from motionlift.loops.invert import invert
from motionlift.loops.sample import Casting, cast
from motionlift.methods import methods
from motionlift.models import shared
from motionlift.signals.attention_maps import cross_probabilities
from tests.twins import GUIDED, TRANSFORMERS, as_kind

STEPS = 4
CLOSE = 1e-5
"""Largest difference from the pipeline's own, by the largest value."""
ROUNDED = {"kandinsky5": 10 * CLOSE}
"""The same with guidance, where a network rounds its queries and keys to bfloat16 whatever its weights are: a difference in the
last place of the latents now and then becomes one of 2^-9 of a query."""
STEEP = {"allegro": (96, 288)}
"""Steps of a coarse round trip and of a fine one, where they must be many: its first level has 0.006 of the clean latents, so that
what a network of random weights says there is made 157 times larger."""
SLOPE = 0.01
"""Largest share by which a slope may differ from one by differences, in single precision."""
COARSE = {"kandinsky5": (0.1, 0.03)}
"""How far differences reach, and that share, where queries and keys are rounded to bfloat16: small differences are noise."""


@pytest.fixture(scope="module", params=sorted(TRANSFORMERS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def twin(name):
    return TRANSFORMERS[name]


@pytest.fixture(scope="module")
def model(twin):
    return twin.model()


@pytest.fixture(scope="module")
def row(twin):
    return twin.row


@pytest.fixture(scope="module")
def own(twin, row, model):
    """What the pipeline makes by itself, without guidance."""
    return own_video(twin.build(), row, model, twin.shape, STEPS, {})


def level_of(model, twin, index=1):
    return model.schedule(STEPS, twin.shape).levels[index]


# The pipeline's own


def test_it_is_a_model(model):
    assert isinstance(model, Model)


def test_sides_that_are_allowed_are_those_that_its_pipeline_takes(twin, model):
    """By its own checks: multiples of what is told, and of no less where that is not the size of a token."""
    multiple, token = model.codec.multiple, model.codec.side * model.codec.tokens
    allowed = model.codec.fitting(None, multiple, 3 * multiple)
    model.text.encode(PROMPT, allowed)
    if multiple != token:
        with pytest.raises(ModelError, match="divisible by"):
            model.text.encode(PROMPT, replace(allowed, width=3 * multiple - token))


def test_a_video_is_the_pipelines_own(twin, model, own):
    assert difference(video(model, twin.shape, STEPS, cfg=1.0), own.latents) < CLOSE


def test_each_pass_of_the_network_is_the_pipelines_own(twin, model, own):
    condition, schedule = model.text.encode(PROMPT, twin.shape), model.schedule(STEPS, twin.shape)
    assert len(own.left) == STEPS
    for level, entered, left in zip(schedule.levels, own.entered, own.left, strict=True):
        assert difference(model.predict(entered, level, condition), left) < CLOSE


def test_a_prompt_is_weighed_as_the_pipeline_weighs_it(twin, row, model):
    found = video(model, twin.shape, STEPS, cfg=GUIDED)
    wanted = own_video(twin.build(), row, model, twin.shape, STEPS, twin.guided).latents
    assert difference(found, wanted) < ROUNDED.get(row.family, CLOSE)
    assert difference(found, video(model, twin.shape, STEPS, cfg=1.0)) > 100 * CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("second_cfg", [1.0, 5.0])
def test_a_second_network_weighs_the_prompt_as_the_pipeline_has_it_weigh(second_cfg):
    twin = TRANSFORMERS["wan-2.2"]
    two = twin.model()
    levels = two.schedule(STEPS, twin.shape).levels
    assert two.about.second_below == 875 and levels[-1].timestep < 875 < levels[0].timestep
    found = video(two, twin.shape, STEPS, cfg=GUIDED, second_cfg=second_cfg)
    call = {**twin.guided, "guidance_scale_2": second_cfg}
    assert difference(found, own_video(twin.build(), twin.row, two, twin.shape, STEPS, call).latents) < CLOSE
    assert difference(found, video(two, twin.shape, STEPS, cfg=GUIDED)) > 100 * CLOSE


@pytest.mark.slow
def test_one_network_weighs_the_prompt_alike_at_all_levels():
    twin = TRANSFORMERS["wan-2.1"]
    assert twin.model().about.second_below == 0
    one, same = (video(twin.model(), twin.shape, STEPS, cfg=GUIDED, second_cfg=each) for each in (0.0, 1.0))
    assert torch.equal(one, same)


def test_a_video_comes_back_from_the_autoencoder_at_its_size(twin, model):
    latents = noise_of(model, twin.shape)
    pixels = model.codec.decode(latents)
    assert pixels.shape == (twin.shape.frames, 3, twin.shape.height, twin.shape.width) and pixels.abs().max() <= 1
    assert model.codec.encode(pixels).shape == latents.shape
    assert len(model.codec.frame_times(twin.shape.frames)) == model.lattice(twin.shape).frames


# Gradients


def test_displacement_has_the_slope_that_differences_have(twin, row, model):
    noise = noise_of(model, twin.shape)
    reach, share = COARSE.get(row.family, (0.02, SLOPE))
    for number in (0, model.about.blocks - 1):
        loss = Loss(model, twin.shape, number).of_latents
        steepest = gradient(model, loss, {"latents": noise})
        assert slope_error(model, loss, {"latents": noise}, steepest, reach) < share
        if row.family not in COARSE:
            other, down = noise_of(model, twin.shape, seed=3), steepest["latents"]
            aside = {"latents": down / down.norm() + other / other.norm()}
            assert slope_error(model, loss, {"latents": noise}, aside, reach) < share


def test_recomputed_activations_give_the_same_gradients(twin, model, monkeypatch):
    at, last = {"latents": noise_of(model, twin.shape)}, model.about.blocks - 1
    plain = gradient(model, Loss(model, twin.shape, last).of_latents, at)
    monkeypatch.setattr(shared, "CHECKPOINTED_PARAMETERS", 0)
    large = twin.model()
    with large.turn():
        assert all(network.gradient_checkpointing for network in large.network.values())
    found = gradient(large, Loss(large, twin.shape, last).of_latents, at)
    assert difference(found["latents"], plain["latents"]) < CLOSE
    assert not any(network.gradient_checkpointing for network in large.network.values())


# Positions


def test_its_own_positions_change_nothing(twin, model):
    latents, condition, positions = noise_of(model, twin.shape), model.text.encode(PROMPT), model.positions(twin.shape)
    plain = model.predict(latents, level_of(model, twin), condition)
    torch.testing.assert_close(
        model.predict(latents, level_of(model, twin), condition, positions), plain, atol=0, rtol=0
    )


@pytest.mark.parametrize("recomputed", [False, True], ids=["kept", "recomputed"])
def test_positions_have_the_slope_that_differences_have(twin, row, monkeypatch, recomputed):
    if recomputed:
        monkeypatch.setattr(shared, "CHECKPOINTED_PARAMETERS", 0)
    model = twin.model()
    positions = model.positions(twin.shape)
    if not positions:
        assert row.family == "allegro", (
            "of Allegro alone the rotary tensors are no module's output, nor an argument that is read"
        )
        return
    reach, share = COARSE.get(row.family, (0.02, SLOPE))
    loss = Loss(model, twin.shape, model.about.blocks - 1).of_positions
    steepest = gradient(model, loss, positions)
    assert all(tensor.abs().max() > 0 for tensor in steepest.values())
    assert slope_error(model, loss, positions, steepest, reach) < share
    if not recomputed:
        for key, own in steepest.items():
            alone = {name: own if name == key else torch.zeros_like(tensor) for name, tensor in positions.items()}
            assert slope_error(model, loss, positions, alone, reach) < share, key


# Attention


@contextmanager
def spied(modules, calls, change=None):
    """Keep every call of ``scaled_dot_product_attention`` that modules make: query, key, value and mask."""
    original, running = functional.scaled_dot_product_attention, []

    def attend(query, key, value, attn_mask=None, **options):
        if running:
            calls[running[-1]].append((query, key, value, attn_mask))
            if change is not None:
                key, value = change(running[-1], key, value)
        return original(query, key, value, attn_mask=attn_mask, **options)

    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "scaled_dot_product_attention", attend)
        for module in modules:
            stack.callback(module.register_forward_pre_hook(lambda own, *_: running.append(own)).remove)
            stack.callback(module.register_forward_hook(lambda *_: running.pop() and None).remove)
        yield


def probabilities(query, key, mask):
    """What attention weighs values by, of one video: ``(heads, queries, keys)``."""
    logits = query[0].float() @ key[0].float().transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        mask = mask.expand(len(query), *mask.shape[1:])[0]
        logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
    return logits.softmax(dim=-1)


def attentions(model, row, twin, number):
    network = model._network_at(level_of(model, twin))
    block = [block for name in row.blocks for block in network.get_submodule(name)][number]
    return [block.get_submodule(part) for part in (row.attention, row.cross) if part]


def test_what_is_recorded_is_what_the_network_computes(twin, row, model):
    latents, level, condition = noise_of(model, twin.shape), level_of(model, twin), model.text.encode(PROMPT)
    tokens = model.lattice(twin.shape).tokens
    for number in (0, model.about.blocks - 1):
        seen = model.record(latents, level, condition, [number])[number]
        modules, calls = attentions(model, row, twin, number), defaultdict(list)
        with spied(modules, calls):
            model.predict(latents, level, condition)
        query, key, value, mask = calls[modules[0]][-1]
        truth = probabilities(query, key, mask)
        if row.cross is None:
            text = truth.shape[-1] - tokens
            video = slice(text, None) if row.text_first else slice(0, tokens)
            words = slice(0, text) if row.text_first else slice(tokens, None)
            found = torch.cat(
                [
                    cross_probabilities(seen.query[0], each[0], [k[0] for k in seen.cross.joint_keys])
                    for each in seen.cross.joint_keys
                ],
                dim=1,
            )
            of_words, of_video = truth[:, video, words].mean(0), truth[:, video, video].mean(0)
            value = value[:, :, video]
        else:
            self_found = probabilities(seen.query, seen.key, None).mean(0)
            torch.testing.assert_close(self_found, truth.mean(0), atol=1e-6, rtol=1e-5)
            query, key, _, mask = calls[modules[1]][-1]
            of_words, of_video = probabilities(query, key, mask).mean(0), torch.zeros(tokens, 0)
            found = cross_probabilities(seen.cross.query[0], seen.cross.key[0])
        known = of_words.amax(dim=0) > 0
        torch.testing.assert_close(found, torch.cat([of_words[:, known], of_video], dim=1), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(seen.value, value, atol=1e-6, rtol=1e-5)
        assert seen.features.shape[:2] == (1, tokens)


def test_a_token_is_where_the_lattice_says(twin, model):
    """Before tokens are mixed, what is changed of one place of the latents is seen at its token alone."""
    latents, level, condition = noise_of(model, twin.shape), level_of(model, twin), model.text.encode(PROMPT)
    lattice = model.lattice(twin.shape)
    sizes = [
        whole // own
        for whole, own in zip(latents.shape[2:], (lattice.frames, lattice.height, lattice.width), strict=True)
    ]
    place = (lattice.frames - 1, 0, lattice.width - 1)
    inner = tuple(slice(size * at, size * (at + 1)) for size, at in zip(sizes, place, strict=True))
    changed = latents.clone()
    changed[:, :, *inner] += 1
    before, after = (model.record(each, level, condition, [0], features=False)[0].query for each in (latents, changed))
    moved = (after - before).abs().amax(dim=(0, 1, 3)) > 1e-6
    assert moved.nonzero().flatten().tolist() == [(place[0] * lattice.height + place[1]) * lattice.width + place[2]]


MIXING = re.compile(
    r"(SelfAttention\.o|self_attn\.(o_proj|out_proj)|token_refiner.*attn\.to_out\.0|text_transformer_blocks.*out_layer"
    r"|time_embed\.pooler\.to_out|context_embedder\.time_text_embed\.text_embedder\.linear_2)\."
)
"""Names of what text encoders, and networks before their blocks, let one token say of others, or all of one."""


def test_a_word_is_at_its_places(twin, row):
    """Where no token hears of another, another word is another key at that word's places alone."""
    pipeline = twin.build()
    for part in (pipeline.text_encoder, pipeline.transformer):
        for key, weight in part.named_parameters():
            if MIXING.search(key):
                weight.data.zero_()
    if row.family in ("hunyuan", "kandinsky5"):  # their other encoder makes one vector of the prompt, for every token
        pipeline.text_encoder_2.get_input_embeddings().weight.data.zero_()
    model = twin.model(pipeline)
    if not row.finds_words:
        with pytest.raises(SettingError, match="mixes the tokens of a prompt"):
            model.text.places(PROMPT, "star")
        return
    latents, level = noise_of(model, twin.shape), level_of(model, twin)
    keys = [
        model.record(latents, level, model.text.encode(prompt, twin.shape), [0])[0].cross.key
        for prompt in (PROMPT, PROMPT.replace("star", "ring"))
    ]
    changed = (keys[0] - keys[1]).abs().amax(dim=(0, 1, 3))
    assert tuple((changed > 1e-5).nonzero().flatten().tolist()) == model.text.places(PROMPT, "star")


# Injection


def test_its_own_keys_and_values_change_nothing(twin, model):
    latents, level, condition = noise_of(model, twin.shape), level_of(model, twin), model.text.encode(PROMPT)
    blocks = [0, model.about.blocks - 1]
    plain = model.predict(latents, level, condition)
    with model.injecting(model.record(latents, level, condition, blocks)):
        found = model.predict(latents, level, condition)
    torch.testing.assert_close(found, plain, atol=0, rtol=0)


def test_injection_replaces_the_videos_keys_and_values_and_nothing_else(twin, row, model):
    level, condition, last = level_of(model, twin), model.text.encode(PROMPT), model.about.blocks - 1
    other = model.record(noise_of(model, twin.shape, seed=5), level, condition, [last])[last]
    latents, (module, *_) = noise_of(model, twin.shape), attentions(model, row, twin, last)
    tokens = other.key.shape[2]

    def replaced(_module, key, value):
        key, value = key.clone(), value.clone()
        video = slice(key.shape[2] - tokens, None) if row.cross is None and row.text_first else slice(0, tokens)
        key[:, :, video], value[:, :, video] = other.key, other.value
        return key, value

    with spied([module], defaultdict(list), replaced):
        truth = model.predict(latents, level, condition)
    with model.injecting({last: other}):
        found = model.predict(latents, level, condition)
    assert difference(found, truth) < CLOSE
    assert difference(found, model.predict(latents, level, condition)) > 100 * CLOSE


# Inversion


def test_inversion_is_exact_where_the_prediction_is_constant(twin, model, monkeypatch):
    latents, condition = noise_of(model, twin.shape, seed=4), model.text.encode(PROMPT, twin.shape)
    constant = noise_of(model, twin.shape, seed=5)
    with monkeypatch.context() as patch:
        patch.setattr(model, "predict", lambda *_: constant)
        trajectory = finished(invert(model, latents, condition, 6, twin.shape))
        back = sampled(model, trajectory[0], condition, 6, twin.shape)
    torch.testing.assert_close(back, latents, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_inversion_nears_the_clean_video_as_steps_grow_finer(twin, row, model):
    if row.family in STEEP:
        pytest.skip("it takes hundreds of steps")
    assert round_trip(model, twin.shape, 24) < round_trip(model, twin.shape, 4) / 2


@pytest.mark.slow
@pytest.mark.parametrize("steep", sorted(STEEP))
def test_inversion_nears_the_clean_video_where_its_first_level_is_nearly_noise(steep):
    twin, (few, many) = TRANSFORMERS[steep], STEEP[steep]
    model = twin.model()
    assert round_trip(model, twin.shape, many) < round_trip(model, twin.shape, few) / 2


# Files, and several at once


def test_a_saved_model_is_loaded_from_its_folder(twin, model, tmp_path):
    twin.build().save_pretrained(tmp_path / "saved")
    loaded = motionlift.load(str(tmp_path / "saved"), device="cpu")
    assert (loaded.about.identity, loaded.about.fingerprint) == (model.about.identity, model.about.fingerprint)
    latents, level = noise_of(model, twin.shape), level_of(model, twin)
    assert loaded.schedule(STEPS, twin.shape) == model.schedule(STEPS, twin.shape)
    truth = model.predict(latents, level, model.text.encode(PROMPT, twin.shape))
    found = loaded.predict(latents, level, loaded.text.encode(PROMPT, twin.shape))
    assert difference(found, truth) < CLOSE


def castings(twin, model):
    """A guided cast, with injection where there is a block to inject, and one that is not guided."""
    latents = noise_of(model, twin.shape, seed=6)
    for seed, (method, values) in enumerate((("smm", {"share": 0.5, "inner": 2}), ("none", {"cfg": GUIDED}))):
        chosen = methods()[method]
        settings = replace(chosen.settings(model), steps=STEPS, **values)
        pixels = torch.zeros(twin.shape.frames, 3, twin.shape.height, twin.shape.width)
        reference = Reference(latents, pixels, pixels, twin.shape)
        motion = finished(chosen.lift(reference, model, settings))
        yield Casting(model, chosen, settings, motion, twin.shape, PROMPT, seed)


@pytest.mark.slow
def test_two_casts_in_turns_are_what_each_is_alone(twin, model):
    alone = [finished(cast(casting)).latents for casting in castings(twin, model)]
    running = [cast(casting) for casting in castings(twin, model)]
    made = {}
    while len(made) < len(running):
        for number, one in enumerate(running):
            try:
                next(one)
            except StopIteration as stop:
                made.setdefault(number, stop.value)
    for number, latents in enumerate(alone):
        torch.testing.assert_close(made[number].latents, latents, atol=0, rtol=0)


# Precision


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_is_near_single_precision(twin, model, kind):
    """Rounding adds up over some thirty operations of three blocks, as the root of their number: below eight of its steps.

    Kandinsky 5's two text encoders make it up to three times that, by the weights that transformers draws for them: 4 to 13 steps
    with those of five seeds, 17 with those of version 5.10.
    """
    half = twin.model(as_kind(twin.build(), kind))
    latents, level = noise_of(model, twin.shape), level_of(model, twin)
    found, wanted = (each.predict(latents, level, each.text.encode(PROMPT, twin.shape)) for each in (half, model))
    assert found.dtype == torch.float32
    assert difference(found, wanted) < (24 if twin is TRANSFORMERS["kandinsky5"] else 8) * torch.finfo(kind).eps
