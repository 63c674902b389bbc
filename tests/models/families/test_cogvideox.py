import re
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as functional
from diffusers import CogVideoXDPMScheduler, CogVideoXPipeline
from diffusers.models.attention_processor import CogVideoXAttnProcessor2_0

import motionlift
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.model import Model
from motionlift.errors import InputError, ModelError, SettingError
from motionlift.models.families import serving
from motionlift.models.families.cogvideox import MODEL
from motionlift.models.rotary import RotaryAttention
from motionlift.signals.attention_maps import cross_probabilities, spatial_probabilities, temporal_probabilities
from tests.twins import TWINS, WINDOW, cogvideox

CPU = torch.device("cpu")
PROMPT = "a red star on the blue field"


@pytest.fixture(scope="module", params=sorted(TWINS))
def twin(request):
    """Name of a twin."""
    return request.param


@pytest.fixture(scope="module")
def model(twin):
    return MODEL(TWINS[twin](), twin, CPU)


@pytest.fixture(scope="module")
def stock(twin):
    """The same weights in an untouched pipeline: what diffusers itself computes."""
    pipeline = TWINS[twin]()
    pipeline.text_encoder.eval()  # as it is when loaded from files
    return pipeline


def at(model, timestep):
    """A level of training."""
    return model.schedule(1).trained[timestep]


def timesteps_of(model, steps):
    return [level.timestep for level in model.schedule(steps).levels]


def tensor_of(condition):
    """What the network is given of a prompt."""
    return condition.tensors["encoder_hidden_states"]


def random(*sizes, seed=0, dtype=torch.float32):
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def latents_of(model, frames=9, seed=0):
    return random(*model.codec.latent_shape(model.codec.fitting(frames)), seed=seed)


def as_diffusers(pipeline, latents, timestep, text):
    """The network's output by diffusers' own words: rotary tensors from the pipeline, frames before channels."""
    rotary = None
    if pipeline.transformer.config.use_rotary_positional_embeddings:
        height, width = (side * pipeline.vae_scale_factor_spatial for side in latents.shape[-2:])
        rotary = pipeline._prepare_rotary_positional_embeddings(height, width, latents.shape[2], CPU)
    with torch.no_grad():
        output = pipeline.transformer(
            hidden_states=latents.permute(0, 2, 1, 3, 4),
            encoder_hidden_states=text,
            timestep=torch.tensor([timestep] * len(latents)),
            image_rotary_emb=rotary,
        ).sample
    return output.permute(0, 2, 1, 3, 4)


@contextmanager
def attention_through(change):
    """Every attention of every network passes through ``change(call number, query, key, value)``."""
    original, calls = functional.scaled_dot_product_attention, []

    def attend(query, key, value, *arguments, **options):
        calls.append(None)
        return original(*change(len(calls) - 1, query, key, value), *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "scaled_dot_product_attention", attend)
        yield


# The network


def test_it_is_a_model_and_serves_the_pipeline(model):
    assert isinstance(model, Model)
    assert serving("CogVideoXPipeline") is MODEL
    with pytest.raises(
        ModelError, match="no model family serves StableDiffusionPipeline; allowed are models of Allegro"
    ):
        serving("StableDiffusionPipeline")


@pytest.mark.parametrize("frames", [8, 9, 16])
def test_it_predicts_what_diffusers_predicts(model, stock, frames):
    shape = model.codec.fitting(frames)
    text = model.text.encode(PROMPT, shape).joined(model.text.encode("", shape))
    latents = latents_of(model, frames).expand(2, -1, -1, -1, -1)
    found = model.predict(latents, at(model, 700), text)
    torch.testing.assert_close(found, as_diffusers(stock, latents, 700, tensor_of(text)), atol=1e-6, rtol=0)
    assert not torch.allclose(found[0], found[1], atol=1e-4)


@pytest.mark.parametrize("rotary", [True, False])
def test_its_attention_equals_the_stock_one(rotary):
    attention = cogvideox().transformer.transformer_blocks[0].attn1
    for norm in (attention.norm_q, attention.norm_k):
        norm.weight.data += random(16, seed=3) / 4
    video, text = random(2, 12, 32), random(2, 5, 32, seed=1)
    angles = random(12, 8, seed=2).repeat_interleave(2, dim=1)
    given = {"image_rotary_emb": (angles.cos(), angles.sin())} if rotary else {}
    with torch.no_grad():
        found = RotaryAttention()(attention, video, text, **given)
        truth = CogVideoXAttnProcessor2_0()(attention, video, text, **given)
    torch.testing.assert_close(found, truth, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_gradients_of_its_attention_to_each_of_four_positional_tensors():
    attention = cogvideox().transformer.transformer_blocks[0].attn1.double()
    video, text = (random(1, tokens, 32, seed=tokens, dtype=torch.float64) for tokens in (4, 3))
    positions = tuple(random(4, 16, seed=10 + n, dtype=torch.float64).requires_grad_() for n in range(4))

    def attended(*rotary):
        return RotaryAttention()(attention, video, text, image_rotary_emb=rotary)

    assert torch.autograd.gradcheck(attended, positions, eps=1e-4, atol=1e-6)


def test_an_attention_that_cannot_be_read_is_refused():
    class ByHand(RotaryAttention):
        def __call__(self, attn, hidden_states, encoder_hidden_states, **_):
            return hidden_states, encoder_hidden_states

    model = MODEL(cogvideox(), "twin", CPU)
    whole, before = model.network["transformer"].transformer_blocks, model.network["transformer"].attn_processors
    with model.turn(), pytest.raises(ModelError, match="default attention processors"):
        model.network["transformer"].set_attn_processor(ByHand())
        model.record(latents_of(model), at(model, 0), model.text.encode(""), [1])
    assert model.network["transformer"].transformer_blocks is whole
    assert model.network["transformer"].attn_processors == before


def test_half_precision_weights_give_single_precision_results():
    single, half = (MODEL(cogvideox().to(kind), "twin", CPU) for kind in (torch.float32, torch.bfloat16))
    latents, text = latents_of(half), half.text.encode(PROMPT)
    found = half.predict(latents, at(half, 500), text)
    assert found.dtype == tensor_of(text).dtype == torch.float32
    assert half.codec.encode(random(9, 3, 32, 32).tanh()).dtype == torch.float32
    torch.testing.assert_close(found, single.predict(latents, at(single, 500), text), atol=0.05, rtol=0)


@pytest.mark.slow
def test_the_parts_are_frozen_and_have_no_dropout_while_they_run(twin):
    pipeline, ran = TWINS[twin](), []
    parts = (pipeline.transformer, pipeline.vae, pipeline.text_encoder)
    for part in parts:
        part.requires_grad_(True).train()

    def look(part):
        ran.append(part)
        assert not any(parameter.requires_grad for parameter in part.parameters())
        assert not any(module.training for module in part.modules())

    model = MODEL(pipeline, twin, CPU)
    for part, kind in zip(parts, ("patch_embed", "encoder", "encoder"), strict=True):
        part.get_submodule(kind).register_forward_pre_hook(lambda *_, part=part: look(part))
    latents = model.codec.encode(random(9, 3, 32, 32).tanh())
    model.predict(latents, at(model, 300), model.text.encode(PROMPT))
    assert set(ran) == set(parts)
    assert all(parameter.requires_grad for part in parts for parameter in part.parameters())
    assert all(module.training for part in parts for module in part.modules())


# Positions


def test_its_own_positions_change_nothing(model):
    for frames in (9, 16):
        latents, text = latents_of(model, frames), model.text.encode(PROMPT, model.codec.fitting(frames))
        positions = model.positions(model.codec.fitting(frames))
        plain = model.predict(latents, at(model, 300), text)
        torch.testing.assert_close(model.predict(latents, at(model, 300), text, positions), plain, atol=0, rtol=0)


@pytest.mark.parametrize("frames", [9, 16])  # the configured length, and one whose table is computed anew
def test_a_changed_table_is_an_edited_position_table(frames):
    model, stock = MODEL(cogvideox(rotary=False), "twin", CPU), cogvideox(rotary=False)
    latents, text = latents_of(model, frames), model.text.encode(PROMPT, model.codec.fitting(frames))
    shape = model.codec.fitting(frames)
    table = model.positions(shape)["table"]
    assert table.shape == (1, model.lattice(shape).tokens, 32)
    change = random(*table.shape, seed=5)
    embed = stock.transformer.patch_embed
    embed.pos_embedding[:, WINDOW:] += change if frames == 9 else 0
    computed = embed._get_positional_embeddings
    embed._get_positional_embeddings = lambda *given, **named: (
        computed(*given, **named) + functional.pad(change, (0, 0, WINDOW, 0))
    )
    found = model.predict(latents, at(model, 300), text, {"table": table + change})
    torch.testing.assert_close(found, as_diffusers(stock, latents, 300, tensor_of(text)), atol=1e-6, rtol=0)
    assert (found - model.predict(latents, at(model, 300), text)).abs().max() > 0.1


def test_changed_rotary_tensors_turn_queries_and_keys_apart():
    model = MODEL(cogvideox(), "twin", CPU)
    latents, text = latents_of(model), model.text.encode(PROMPT)
    names, tokens = ("query_cos", "query_sin", "key_cos", "key_sin"), model.lattice(model.about.shape).tokens
    unturned = {name: torch.full((tokens, 16), float(name.endswith("cos"))) for name in names}
    turned = {name: random(tokens, 16, seed=n) for n, name in enumerate(names)}
    assert {name: tensor.shape for name, tensor in model.positions(model.about.shape).items()} == {
        name: tensor.shape for name, tensor in turned.items()
    }
    before = model.record(latents, at(model, 300), text, [0], unturned)[0]
    after = model.record(latents, at(model, 300), text, [0], turned)[0]
    for name in ("query", "key"):
        even, odd = getattr(before, name)[..., ::2], getattr(before, name)[..., 1::2]
        cosine, sine = turned[f"{name}_cos"], turned[f"{name}_sin"]
        truth = torch.stack(
            [
                even * cosine[:, ::2] - odd * sine[:, ::2],
                odd * cosine[:, 1::2] + even * sine[:, 1::2],
            ],
            dim=-1,
        ).flatten(-2)
        torch.testing.assert_close(getattr(after, name), truth)
    torch.testing.assert_close(after.value, before.value, atol=0, rtol=0)


def recorded_loss(model, latents, positions, blocks=(0, 2)):
    record = model.record(latents, at(model, 600), model.text.encode(PROMPT), blocks, positions)
    seen = [
        tensor for number in blocks for tensor in (record[number].query, record[number].key, record[number].features)
    ]
    return sum((tensor * random(*tensor.shape, seed=n, dtype=tensor.dtype)).sum() for n, tensor in enumerate(seen))


def test_gradients_to_latents_and_to_each_positional_tensor_by_finite_differences(twin):
    pipeline = TWINS[twin]()
    pipeline.transformer.double()
    model = MODEL(pipeline, twin, CPU)
    leaves = {"latents": latents_of(model), **model.positions(model.about.shape)}
    leaves = {name: tensor.double().requires_grad_() for name, tensor in leaves.items()}

    def loss(given):
        return recorded_loss(model, given["latents"], {name: given[name] for name in given if name != "latents"})

    gradients = torch.autograd.grad(loss(leaves), list(leaves.values()))
    for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
        direction = random(*leaf.shape, seed=9, dtype=torch.float64)
        with torch.no_grad():
            up, down = (loss({**leaves, name: leaf + sign * 1e-3 * direction}) for sign in (1, -1))
        slope = float(up - down) / 2e-3
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-3), name
        assert abs(slope) > 0.1


def test_gradients_are_the_same_when_activations_are_recomputed(twin, monkeypatch):
    found = []
    for limit in (0, 1e9):  # with recomputation, without
        monkeypatch.setattr("motionlift.models.shared.CHECKPOINTED_PARAMETERS", limit)
        model = MODEL(TWINS[twin](), twin, CPU)
        with model.turn():
            assert model.network["transformer"].gradient_checkpointing == (limit == 0)
        assert not model.network["transformer"].gradient_checkpointing
        leaves = {"latents": latents_of(model), **model.positions(model.about.shape)}
        leaves = {name: tensor.requires_grad_() for name, tensor in leaves.items()}
        positions = {name: leaves[name] for name in leaves if name != "latents"}
        reference = model.record(latents_of(model, seed=8), at(model, 600), model.text.encode(PROMPT), [0, 1])
        with model.injecting(reference):
            loss = recorded_loss(model, leaves["latents"], positions)
            found.append(torch.autograd.grad(loss, list(leaves.values()), allow_unused=True))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


# Recording and injecting


def assert_slices(seen, attention, grid):
    """The three kinds of attention are slices of the one map over text and video."""
    query, key, _ = (tensor[0] for tensor in attention)
    full = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(dim=-1).mean(dim=0)[WINDOW:]
    cross, spatial = seen.cross, seen.spatial
    found = cross_probabilities(cross.query[0], cross.key[0], [each[0] for each in cross.joint_keys])
    torch.testing.assert_close(found, full[:, :WINDOW], atol=1e-6, rtol=1e-4)
    video = full[:, WINDOW:].unflatten(1, (grid.frames, grid.area)).unflatten(0, (grid.frames, grid.area))
    own = torch.stack([video[frame, :, frame] for frame in range(grid.frames)])
    found = spatial_probabilities(spatial.query[0], spatial.key[0], grid, [each[0] for each in spatial.joint_keys])
    torch.testing.assert_close(found, own, atol=1e-6, rtol=1e-4)
    own = torch.stack([video[:, place, :, place] for place in range(grid.area)])
    (temporal,) = seen.temporal
    found = temporal_probabilities(temporal.query[0], temporal.key[0], grid, [each[0] for each in temporal.joint_keys])
    torch.testing.assert_close(found, own, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 30, 50, 61, 103, 121, 206, 1000])
def test_there_are_as_many_timesteps_as_were_asked_for(model, steps):
    timesteps = timesteps_of(model, steps)
    assert len(timesteps) == steps and timesteps[0] == 999 and timesteps[-1] >= 0
    assert timesteps == sorted(set(timesteps), reverse=True)


@pytest.mark.parametrize("frames", [9, 16])
def test_a_record_is_what_diffusers_computes(model, stock, frames):
    latents, text = latents_of(model, frames), model.text.encode(PROMPT, model.codec.fitting(frames))
    calls, outputs = [], []
    handles = [
        block.register_forward_hook(lambda _module, _arguments, output: outputs.append(output[0]))
        for block in stock.transformer.transformer_blocks
    ]
    with attention_through(lambda _, *attention: calls.append(attention) or attention):
        as_diffusers(stock, latents, 250, tensor_of(text))
    for handle in handles:
        handle.remove()
    record = model.record(latents, at(model, 250), text, [2, 0])
    assert set(record) == {0, 2}
    for number, seen in record.items():
        for name, truth in zip(("query", "key", "value"), calls[number], strict=True):
            torch.testing.assert_close(getattr(seen, name), truth[:, :, WINDOW:], atol=1e-5, rtol=0)
        torch.testing.assert_close(seen.features, outputs[number], atol=1e-5, rtol=0)
        assert_slices(seen, calls[number], model.lattice(model.codec.fitting(frames)))
        assert seen.query.shape == (1, 2, model.lattice(model.codec.fitting(frames)).tokens, 16)


@pytest.mark.parametrize(("blocks", "count"), [([0], 1), ([1], 2), ([2], 3), ([1, 0], 2)])
def test_a_record_stops_after_the_last_block_it_needs(model, blocks, count):
    ran, before = [], model.passes.forward
    handles = [
        block.register_forward_hook(lambda *_: ran.append(None))
        for block in model.network["transformer"].transformer_blocks
    ]
    model.record(latents_of(model), at(model, 250), model.text.encode(PROMPT), blocks)
    for handle in handles:
        handle.remove()
    assert len(ran) == count
    assert model.passes.forward - before == 1


@pytest.mark.parametrize("recomputed", [False, True])
def test_without_features_a_record_stops_at_the_attention_and_is_exact(model, recomputed):
    text, latents = model.text.encode(PROMPT), latents_of(model).requires_grad_()
    if recomputed:
        model.network["transformer"].enable_gradient_checkpointing()
    ran: list[None] = []
    handle = model.network["transformer"].transformer_blocks[1].ff.register_forward_hook(lambda *_: ran.append(None))
    bare = model.record(latents, at(model, 250), text, [0, 1], features=False)
    assert len(ran) == recomputed  # where activations are recomputed a block must run to its end
    handle.remove()
    whole = model.record(latents, at(model, 250), text, [0, 1])
    for number, seen in bare.items():
        torch.testing.assert_close(seen.query, whole[number].query)
        assert seen.features.shape == (1, seen.query.shape[2], 0)
    with model.turn():  # what recomputes runs as it ran
        one, other = (torch.autograd.grad(each[1].key.square().sum(), latents)[0] for each in (bare, whole))
    torch.testing.assert_close(one, other)
    model.network["transformer"].disable_gradient_checkpointing()


def test_injecting_its_own_keys_and_values_changes_nothing(model):
    latents, text = latents_of(model), model.text.encode(PROMPT)
    plain = model.predict(latents, at(model, 250), text)
    with model.injecting(model.record(latents, at(model, 250), text, [0, 1])):
        torch.testing.assert_close(model.predict(latents, at(model, 250), text), plain, atol=1e-6, rtol=0)


def test_injecting_replaces_video_keys_and_values_in_both_branches_and_nothing_else(model, stock):
    text = model.text.encode("").joined(model.text.encode(PROMPT))
    latents = latents_of(model).expand(2, -1, -1, -1, -1)
    other = model.record(latents_of(model, seed=4), at(model, 250), model.text.encode(PROMPT), [1])

    def replaced(number, query, key, value):
        if number == 1:
            key, value = key.clone(), value.clone()
            for row in range(2):
                key[row, :, WINDOW:], value[row, :, WINDOW:] = other[1].key[0], other[1].value[0]
        return query, key, value

    with attention_through(replaced):
        truth = as_diffusers(stock, latents, 250, tensor_of(text))
    with model.injecting(other):
        found = model.predict(latents, at(model, 250), text)
    torch.testing.assert_close(found, truth, atol=1e-5, rtol=0)
    plain = model.predict(latents, at(model, 250), text)
    torch.testing.assert_close(plain, as_diffusers(stock, latents, 250, tensor_of(text)), atol=1e-5, rtol=0)
    assert ((found - plain).abs().amax(dim=(1, 2, 3, 4)) > 1e-3).all()


def test_a_record_under_injection_shows_what_the_model_uses(model):
    text = model.text.encode(PROMPT)
    other = model.record(latents_of(model, seed=4), at(model, 250), text, [0])
    with model.injecting(other):
        seen = model.record(latents_of(model), at(model, 250), text, [0])[0]
    torch.testing.assert_close((seen.key, seen.value), (other[0].key, other[0].value), atol=0, rtol=0)
    assert not torch.allclose(seen.query, other[0].query, atol=1e-3)


# Videos


@pytest.mark.slow
def test_encoding_and_decoding_are_the_pipelines(model, stock):
    for vae in (stock.vae, model.codec.vae):
        vae.register_to_config(scaling_factor=0.7)
    stock.vae_scaling_factor_image = 0.7
    for frames in (9, 16):
        pixels = random(frames, 3, 32, 32).tanh()
        shape = model.codec.fitting(frames)
        latents = model.codec.encode(pixels)
        assert latents.shape == model.codec.latent_shape(shape)
        with torch.no_grad():
            mean = stock.vae.encode(pixels.permute(1, 0, 2, 3)[None]).latent_dist.mean
            video = stock.decode_latents(latents.permute(0, 2, 1, 3, 4))[0].permute(1, 0, 2, 3)
        torch.testing.assert_close(latents, mean * 0.7)
        found = model.codec.decode(latents * 3)
        assert found.shape == pixels.shape
        assert found.abs().max() <= 1
        torch.testing.assert_close(model.codec.decode(latents), video.clamp(-1, 1), atol=1e-5, rtol=1e-5)


def accepted(model, frames):
    try:
        return model.codec.fitting(frames) == Shape(frames, 32, 32)
    except SettingError:
        return False


@pytest.mark.slow
def test_exactly_the_frame_counts_that_the_autoencoder_gives_back_are_accepted():
    model = MODEL(cogvideox(), "twin", CPU)
    for frames in [*range(2, 26), 48, 49]:
        latents = model.codec.encode(torch.zeros(frames, 3, 16, 16))
        given_back = len(model.codec.decode(latents))
        assert accepted(model, frames) == (given_back == frames), frames
        if accepted(model, frames):
            assert latents.shape[2] == model.codec.latent_shape(model.codec.fitting(frames))[2]


@pytest.mark.parametrize("frames", [-8, 0, 1, 10, 12])
def test_a_frame_count_that_does_not_fit_is_refused_by_name(model, frames):
    message = f"{frames} frames do not fit {model.about.name}: allowed are 8n and 8n+1 (8, 9, 16, 17, 24, ...; "
    with pytest.raises(SettingError, match=re.escape(message)):
        model.codec.fitting(frames)


def test_sizes_of_latents_and_lattice(model):
    assert model.about.shape == model.codec.fitting(None) == Shape(9, 32, 32)
    assert model.codec.latent_shape(Shape(16, 32, 32)) == (1, 4, 4, 8, 8)
    assert model.lattice(Shape(16, 32, 32)) == Lattice(4, 4, 4)
    assert model.lattice(Shape(9, 32, 64)) == Lattice(3, 4, 8)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [8, 9, 16, 17, 24, 25])
def test_frame_times_are_the_middles_of_the_pixel_frames_behind_each_latent_frame(frames):
    """Without its norms the autoencoder is causal: a pixel frame belongs to the first latent frame that it changes."""
    model = MODEL(cogvideox(), "twin", CPU)
    for module in model.codec.vae.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.forward = lambda values: values
    pixels = random(frames, 3, 16, 16).tanh()
    before = model.codec.encode(pixels)
    behind = {}
    for number in range(frames):
        changed = pixels.clone()
        changed[number] *= -1
        difference = (model.codec.encode(changed) - before).abs().amax(dim=(0, 1, 3, 4))
        behind.setdefault(int(torch.nonzero(difference > 1e-7)[0]), []).append(number)
    middles = [sum(numbers) / len(numbers) for _, numbers in sorted(behind.items())]
    assert model.codec.frame_times(frames) == middles
    assert len(middles) == model.lattice(model.codec.fitting(frames)).frames


# Text


def test_text_is_the_pipelines_in_the_models_window(model, stock):
    for prompt in (PROMPT, "", "a"):
        with torch.no_grad():
            truth = stock.encode_prompt(prompt, do_classifier_free_guidance=False, max_sequence_length=WINDOW)[0]
        found = model.text.encode(prompt)
        assert tensor_of(found).shape == (1, WINDOW, 16)
        torch.testing.assert_close(tensor_of(found), truth, atol=0, rtol=0)


def test_a_prompt_longer_than_the_window_is_refused(model):
    model.text.encode("a red star on the blue field")  # seven words and the end token
    message = f"the prompt has 9 tokens; {model.about.name} reads 8: shorten it"
    with pytest.raises(InputError, match=message):
        model.text.encode("a red star on the blue field field")


def test_unknown_words(model):
    assert model.text.unknown_words("a green star on the moon") == ["green", "moon"]
    assert model.text.unknown_words(PROMPT) == []


# Steps


def test_timesteps_trail_from_the_noisiest(model):
    assert timesteps_of(model, 4) == [999, 749, 499, 249]


@pytest.mark.parametrize("steps", [4, 10])
def test_steps_with_the_true_velocity_arrive_at_the_clean_latents(model, steps):
    clean, noise = latents_of(model), latents_of(model, seed=1)
    latents, schedule = noise, model.schedule(steps)
    for index, level in enumerate(schedule.levels):
        torch.testing.assert_close(latents, schedule.noised(clean, noise, level), atol=1e-4, rtol=0)
        velocity = level.signal * noise - level.noise * clean
        latents = schedule.step(index, velocity, latents)
    torch.testing.assert_close(latents, clean, atol=1e-4, rtol=0)


def test_another_scheduler_becomes_ddim_of_the_same_noise():
    pipeline = cogvideox()
    config = {**pipeline.scheduler.config, "snr_shift_scale": 3.0}
    pipeline.scheduler = CogVideoXDPMScheduler.from_config(config)
    alphas = pipeline.scheduler.alphas_cumprod.clone()
    model = MODEL(pipeline, "twin", CPU)
    signals = torch.tensor([level.signal for level in model.schedule(4).trained], dtype=torch.float64)
    torch.testing.assert_close(signals, alphas.double().sqrt(), atol=1e-12, rtol=0)
    assert type(pipeline.scheduler) is CogVideoXDPMScheduler
    assert timesteps_of(model, 4) == [999, 749, 499, 249]


# Names, files and hashes


@pytest.mark.slow
def test_a_saved_model_predicts_bit_for_bit_and_keeps_its_hashes(twin, model, tmp_path):
    pipeline = TWINS[twin]()
    fresh = MODEL(pipeline, twin, CPU)
    pipeline.save_pretrained(tmp_path / "one", safe_serialization=True)
    loaded = motionlift.load(str(tmp_path / "one"), device="cpu")
    CogVideoXPipeline.from_pretrained(tmp_path / "one").save_pretrained(tmp_path / "elsewhere" / "two")
    again = motionlift.load(str(tmp_path / "elsewhere" / "two"), device="cpu")
    latents = latents_of(fresh)
    truth = fresh.predict(latents, at(fresh, 700), fresh.text.encode(PROMPT))
    for model in (loaded, again):
        torch.testing.assert_close(
            model.predict(latents, at(model, 700), model.text.encode(PROMPT)), truth, atol=0, rtol=0
        )
        assert (model.about.identity, model.about.fingerprint) == (fresh.about.identity, fresh.about.fingerprint)
        assert model.about.shape == fresh.about.shape
    assert loaded.about.name == str(tmp_path / "one")


def test_models_of_another_architecture_have_another_identity():
    identities = {name: MODEL(build(), "same", CPU).about.identity for name, build in TWINS.items()}
    assert len(set(identities.values())) == len(TWINS)


@pytest.mark.parametrize(
    ("part", "parameter"),
    [
        ("transformer", "transformer_blocks.1.attn1.to_q.weight"),  # what a low-rank fine-tuning changes
        ("transformer", "patch_embed.proj.weight"),
        ("vae", "encoder.conv_in.conv.weight"),
        ("text_encoder", "shared.weight"),
    ],
)
def test_other_weights_have_another_fingerprint_and_the_same_identity(part, parameter):
    plain, changed = cogvideox(), cogvideox()
    weights = getattr(changed, part).get_parameter(parameter)
    weights.data += random(*weights.shape) * 1e-3
    plain, changed = (MODEL(pipeline, "same", CPU) for pipeline in (plain, changed))
    assert plain.about.identity == changed.about.identity
    assert plain.about.fingerprint != changed.about.fingerprint


def test_a_temporal_patch_takes_only_frames_that_it_divides_and_predicts_what_diffusers_predicts():
    pipeline = cogvideox(True, temporal_patch=2)
    model = MODEL(pipeline, "patched", CPU)
    assert model.codec.fitting(None).frames == 16
    assert (model.lattice(model.codec.fitting(None)).frames, model.about.variant) == (2, "cogvideox")
    assert model.codec.frame_times(16) == [3.5, 11.5]
    with pytest.raises(SettingError, match="9 frames do not fit patched"):
        model.codec.fitting(9)
    latents = torch.randn(model.codec.latent_shape(model.codec.fitting(None)))
    text = model.text.encode("a red star")
    stock = cogvideox(True, temporal_patch=2)
    positions = stock._prepare_rotary_positional_embeddings(32, 32, latents.shape[2], CPU)
    expected = stock.transformer(
        latents.transpose(1, 2), tensor_of(text), torch.tensor([500]), image_rotary_emb=positions, return_dict=False
    )[0].transpose(1, 2)
    torch.testing.assert_close(model.predict(latents, at(model, 500), text), expected, atol=1e-6, rtol=1e-5)


def test_a_base_of_positions_is_no_size():
    """The published configuration of CogVideoX 1.5 says 300x300 and means neither pixels nor latents."""
    pipeline = cogvideox(True, temporal_patch=2)
    small = MODEL(pipeline, "twin", CPU)
    assert (small.about.shape.height, small.about.shape.width, small.about.fps) == (32, 32, 8.0)
    pipeline.transformer.register_to_config(sample_height=300, sample_width=300)
    large = MODEL(pipeline, "twin", CPU)
    assert (large.about.shape.height, large.about.shape.width, large.about.fps) == (768, 1360, 16.0)
