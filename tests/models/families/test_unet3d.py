"""The UNet family on its random twin: layers by name, three kinds of attention, early stops, injection, checkpointing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, PNDMScheduler
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from lab.training import tiny_unet
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.schedule import Level
from motionlift.errors import InputError, ModelError, SettingError
from motionlift.models.families.unet3d import UNet3D, variant_of
from motionlift.models.loading import load
from motionlift.models.shared import TEXT
from motionlift.models.unet import layers_of
from tests.twins import unet3d

CPU = torch.device("cpu")
PROMPT = "a red star"


@pytest.fixture
def model() -> UNet3D:
    return UNet3D(unet3d(), "twin", CPU)


def at(model: UNet3D, timestep: int) -> Level:
    """A level of training."""
    return model.schedule(1).trained[timestep]


@pytest.fixture
def recomputing(monkeypatch: pytest.MonkeyPatch) -> UNet3D:
    """One that counts as large."""
    monkeypatch.setattr("motionlift.models.shared.CHECKPOINTED_PARAMETERS", 0)
    return UNet3D(unet3d(), "twin", CPU)


def noise(model: UNet3D, frames: int = 4, clips: int = 1) -> torch.Tensor:
    shape = model.codec.latent_shape(model.codec.fitting(frames))
    return torch.randn(clips, *shape[1:], generator=torch.Generator().manual_seed(2))


@pytest.mark.slow
def test_layers_are_found_by_name_and_come_in_running_order(model: UNet3D):
    assert model.about.places == ("down 0.0", "down 1.0", "mid 0", "up 0.0", "up 0.1", "up 1.0", "up 1.1")
    assert [layer.level for layer in layers_of(model.network["unet"], "temp_attentions")] == [0, 1, 1, 1, 1, 0, 0]
    ran: list[int] = []
    for number, layer in enumerate(layers_of(model.network["unet"], "temp_attentions")):
        layer.after.register_forward_hook(lambda *_, number=number: ran.append(number))
    model.predict(noise(model), at(model, 500), model.text.encode(PROMPT))
    assert ran == list(range(7))
    names = {module: name for name, module in model.network["unet"].named_modules()}
    for layer in layers_of(model.network["unet"], "temp_attentions"):
        assert ".attentions." in names[layer.spatial] and names[layer.spatial].endswith("attn1")
        assert names[layer.cross] == names[layer.spatial].replace("attn1", "attn2")
        assert all(".temp_attentions." in names[module] for module in layer.temporal) and len(layer.temporal) == 2


def test_lattices(model: UNet3D):
    shape = model.codec.fitting(4)
    assert shape == Shape(4, 32, 32) and model.about.shape.frames == 16
    assert model.lattice(shape) == model.lattice(shape, 0) == Lattice(4, 8, 8)
    assert model.lattice(shape, 2) == Lattice(4, 4, 4)
    assert model.lattice(Shape(4, 36, 28), 1) == Lattice(4, 5, 4), "odd sides are rounded up, as the convolution does"
    assert model.codec.frame_times(3) == [0.0, 1.0, 2.0]
    with pytest.raises(SettingError, match="1 frames do not fit twin"):
        model.codec.fitting(1)


@pytest.mark.slow
def test_plain_sampling_is_the_pipelines(model: UNet3D):
    """With guidance by text, step for step."""
    start, steps = noise(model), 4
    made = unet3d()(
        PROMPT, num_frames=4, num_inference_steps=steps, guidance_scale=3.0, latents=start.clone(), output_type="latent"
    ).frames
    text, empty, latents = model.text.encode(PROMPT), model.text.encode(""), start
    schedule = model.schedule(steps)
    for index, level in enumerate(schedule.levels):
        plain, wanted = (model.predict(latents, level, each) for each in (empty, text))
        latents = schedule.step(index, plain + 3.0 * (wanted - plain), latents)
    torch.testing.assert_close(latents, made, rtol=1e-4, atol=1e-5)


def attended(module: torch.nn.Module, states: torch.Tensor, others: torch.Tensor | None = None):
    """Queries and keys of an attention module, by its own linear layers."""
    others = states if others is None else others
    return [
        layer(given).unflatten(-1, (module.heads, -1)).transpose(1, 2)
        for layer, given in ((module.to_q, states), (module.to_k, others))
    ]


@pytest.mark.parametrize("clips", [1, 2])
def test_what_is_recorded_is_what_the_layers_see(model: UNet3D, clips: int):
    """Against inputs caught by hooks of the test's own and unfolded by loops."""
    number, frames, area = 2, 4, 16
    layer = layers_of(model.network["unet"], "temp_attentions")[number]
    caught: dict[str, tuple] = {}
    modules = {"spatial": layer.spatial, "cross": layer.cross, "first": layer.temporal[0], "second": layer.temporal[1]}
    for name, module in modules.items():

        def keep(_module: torch.nn.Module, given: tuple, kwargs: dict, _output: torch.Tensor, name: str = name) -> None:
            caught[name] = (given, kwargs)

        module.register_forward_hook(keep, with_kwargs=True)
    text = model.text.encode(PROMPT)
    text = text if clips == 1 else text.joined(text)
    latents = noise(model, clips=clips)
    with torch.no_grad():
        seen = model.record(latents, at(model, 300), text, [number])[number]
    assert seen.query.shape == (clips, 4, frames * area, 8)
    for clip in range(clips):
        for frame in range(frames):
            tokens = slice(frame * area, frame * area + area)
            query, key = attended(layer.spatial, caught["spatial"][0][0][clip * frames + frame][None])
            torch.testing.assert_close(seen.query[clip, :, tokens], query[0])
            torch.testing.assert_close(seen.spatial.key[clip, :, tokens], key[0])
            (states,), kwargs = caught["cross"][0][:1], caught["cross"][1]
            query, key = attended(
                layer.cross, states[clip * frames + frame][None], kwargs["encoder_hidden_states"][clip * frames][None]
            )
            torch.testing.assert_close(seen.cross.query[clip, :, tokens], query[0])
            torch.testing.assert_close(seen.cross.key[clip], key[0])
        for own, name, module in zip(seen.temporal, ("first", "second"), layer.temporal, strict=True):
            for place in range(area):
                query, key = attended(module, caught[name][0][0][clip * area + place][None])
                torch.testing.assert_close(own.query[clip, :, place::area], query[0])
                torch.testing.assert_close(own.key[clip, :, place::area], key[0])


@pytest.mark.slow
def test_a_pass_stops_after_the_last_layer_and_is_exact(model: UNet3D):
    text, latents = model.text.encode(PROMPT), noise(model).requires_grad_()
    ran: list[str] = []
    for name in ("mid_block", "up_blocks.0", "conv_out"):
        model.network["unet"].get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    early = model.record(latents, at(model, 300), text, [2])[2]
    assert ran == ["mid_block"]
    whole = model.record(latents, at(model, 300), text, [2, 6])[2]
    torch.testing.assert_close(early.query, whole.query)
    torch.testing.assert_close(early.features, whole.features)
    one, other = (torch.autograd.grad(each.query.square().sum(), latents)[0] for each in (early, whole))
    torch.testing.assert_close(one, other)
    assert model.passes.forward == 2


@pytest.mark.parametrize("recomputed", [False, True])
def test_without_features_a_pass_stops_at_the_attention_and_is_exact(monkeypatch: pytest.MonkeyPatch, recomputed: bool):
    monkeypatch.setattr("motionlift.models.shared.CHECKPOINTED_PARAMETERS", 0 if recomputed else 1e9)
    model = UNet3D(unet3d(), "twin", CPU)
    text, latents = model.text.encode(PROMPT), noise(model).requires_grad_()
    ran: list[None] = []
    handle = layers_of(model.network["unet"], "temp_attentions")[2].after.register_forward_hook(
        lambda *_: ran.append(None)
    )
    bare = model.record(latents, at(model, 300), text, [0, 2], features=False)
    assert len(ran) == recomputed  # where activations are recomputed a block must run to its end
    handle.remove()
    whole = model.record(latents, at(model, 300), text, [0, 2])
    for number, seen in bare.items():
        torch.testing.assert_close(seen.temporal[-1].key, whole[number].temporal[-1].key)
        torch.testing.assert_close(seen.cross.query, whole[number].cross.query)
        assert seen.features.shape == (1, seen.query.shape[2], 0)
    with model.turn():  # what recomputes runs as it ran
        one, other = (
            torch.autograd.grad(each[2].temporal[-1].query.square().sum(), latents)[0] for each in (bare, whole)
        )
    torch.testing.assert_close(one, other)


def test_activations_are_recomputed_but_for_passes_that_end_within_the_down_blocks(recomputing: UNet3D):
    """Such a pass also stops at its attention; a block whose activations are recomputed must run to its end."""
    model = recomputing
    layers = layers_of(model.network["unet"], "temp_attentions")
    text, down, up = model.text.encode(PROMPT), layers[1], layers[-1]
    assert down.block == "down_blocks.1" and up.block.startswith("up_blocks")
    ran: list[None] = []
    ended: list[None] = []
    down.spatial.register_forward_hook(lambda *_: ran.append(None))
    up.after.register_forward_hook(lambda *_: ended.append(None))
    for number, times in ((1, 1), (model.about.blocks - 1, 2)):
        ran.clear()
        latents = noise(model).requires_grad_()
        with model.turn():
            seen = model.record(latents, at(model, 300), text, [number], features=False)[number]
            assert bool(ended) == (times == 2)
            torch.autograd.grad(seen.temporal[-1].query.square().sum(), latents)
        assert len(ran) == times


def test_recomputed_blocks_are_given_their_tensors_as_arguments(recomputing: UNet3D, monkeypatch: pytest.MonkeyPatch):
    """PyTorch keeps the state of dropout for the devices of those, and of no tensors that are named."""
    told: list[bool] = []

    def watched(function: Any, *arguments: Any, **named: Any) -> Any:
        leaves = tree_leaves(arguments)
        told.append(any(isinstance(leaf, torch.Tensor) for leaf in leaves))
        return checkpoint(function, *arguments, **named)

    monkeypatch.setattr("motionlift.models.recomputation.checkpoint", watched)
    model = recomputing
    model.predict(noise(model).requires_grad_(), at(model, 300), model.text.encode(PROMPT))
    assert len(told) == len(model.network["unet"].down_blocks) + 1 + len(model.network["unet"].up_blocks) and all(told)


@pytest.mark.slow
def test_a_network_that_is_taken_over_again_recomputes_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.models.shared.CHECKPOINTED_PARAMETERS", 0)
    pipeline = unet3d()
    for _ in range(3):
        model = UNet3D(pipeline, "twin", CPU)
    ran: list[None] = []
    layers_of(model.network["unet"], "temp_attentions")[0].spatial.register_forward_hook(lambda *_: ran.append(None))
    for number, times in ((0, 1), (model.about.blocks - 1, 2)):
        ran.clear()
        latents = noise(model).requires_grad_()
        with model.turn():
            seen = model.record(latents, at(model, 300), model.text.encode(PROMPT), [number], features=False)[number]
            torch.autograd.grad(seen.temporal[-1].query.square().sum(), latents)
        assert len(ran) == times


@pytest.mark.slow
def test_checkpointing_changes_nothing_but_memory(model: UNet3D, recomputing: UNet3D):
    def gradient(model: UNet3D) -> torch.Tensor:
        latents = noise(model).requires_grad_()
        with model.turn():
            seen = model.record(latents, at(model, 300), model.text.encode(PROMPT), [1, 3])
            loss = sum(each.key.square().sum() + each.cross.query.sum() + each.features.sum() for each in seen.values())
            return torch.autograd.grad(loss, latents)[0]

    torch.testing.assert_close(gradient(recomputing), gradient(model))


@pytest.mark.slow
def test_injecting_own_keys_and_values_changes_nothing_and_others_do(model: UNet3D):
    text, latents = model.text.encode(PROMPT), noise(model)
    other = torch.randn(latents.shape, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        plain = model.predict(latents, at(model, 300), text)
        own, foreign = (model.record(each, at(model, 300), text, [0]) for each in (latents, other))
        with model.injecting(own):
            torch.testing.assert_close(model.predict(latents, at(model, 300), text), plain)
        with model.injecting(foreign):
            single = model.predict(latents, at(model, 300), text)
            both = model.predict(torch.cat([latents, latents]), at(model, 300), text.joined(text))
            seen = model.record(latents, at(model, 300), text, [0])[0]
    assert not torch.allclose(single, plain, atol=1e-3)
    torch.testing.assert_close(both, torch.cat([single, single]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen.query, own[0].query, msg="queries stay its own")
    torch.testing.assert_close(model.predict(latents, at(model, 300), text), plain, msg="nothing stays injected")


def test_a_video_through_the_autoencoder(model: UNet3D):
    pixels = torch.rand(4, 3, 32, 32) * 2 - 1
    latents = model.codec.encode(pixels)
    assert latents.shape == model.codec.latent_shape(Shape(4, 32, 32)) == (1, 4, 4, 8, 8)
    frame = model.codec.vae.encode(pixels[2:3]).latent_dist.mode()
    torch.testing.assert_close(latents[0, :, 2], frame[0] * model.codec.vae.config.scaling_factor, rtol=1e-4, atol=1e-5)
    assert model.codec.decode(latents).shape == (4, 3, 32, 32)


def test_prompts(model: UNet3D):
    assert {model.text.encode(each).tensors[TEXT].shape for each in (PROMPT, "")} == {(1, 32, 16)}
    with pytest.raises(InputError, match=r"the prompt has .* tokens; twin reads 32"):
        model.text.encode("abcdefghij " * 4)
    places = model.text.places("a red star", "star")
    assert places == (5, 6, 7, 8)
    assert model.text.places("a red star", "dog") == model.text.places("a starfish", "star") == ()
    assert model.text.places("star on star", "star") == (1, 2, 3, 4, 7, 8, 9, 10)


def test_no_positions(model: UNet3D):
    assert model.positions(model.about.shape) == {}


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_a_step_back_undoes_a_step(predicts: str):
    pipeline = unet3d()
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, prediction_type=predicts)
    model = UNet3D(pipeline, "twin", CPU)
    schedule, latents = model.schedule(5), noise(model)
    assert schedule.predicts == predicts
    output = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))
    for index in range(len(schedule)):
        cleaner = schedule.step(index, output, latents)
        torch.testing.assert_close(schedule.unstep(index, output, cleaner), latents, rtol=1e-4, atol=1e-4)


def test_layers_of_a_published_network():
    """The class's own sizes, without weights: three down blocks of two layers, the middle, three up blocks of three."""
    from diffusers import UNet3DConditionModel

    with torch.device("meta"):
        layers = layers_of(UNet3DConditionModel(), "temp_attentions")
    places = [layer.place for layer in layers]
    assert places[:7] == ["down 0.0", "down 0.1", "down 1.0", "down 1.1", "down 2.0", "down 2.1", "mid 0"]
    assert places[7:10] == ["up 1.0", "up 1.1", "up 1.2"] and places[-1] == "up 3.2"
    assert [layer.level for layer in layers][:7] == [0, 0, 1, 1, 2, 2, 3]
    assert [layer.level for layer in layers][7:] == [2, 2, 2, 1, 1, 1, 0, 0, 0]


@pytest.mark.slow
def test_a_saved_pipeline_loads_by_the_door_of_every_model(tmp_path: Path):
    unet3d().save_pretrained(tmp_path / "model", safe_serialization=True)
    loaded = load(tmp_path / "model", "cpu")
    assert (loaded.about.family, loaded.about.variant, loaded.about.blocks) == ("unet3d", "unet3d", 7)
    assert loaded.about.identity == UNet3D(unet3d(), "twin", CPU).about.identity


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    unet3d().save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_part_of_the_folder_is_missing(saved: Path, part: str):
    shutil.rmtree(saved / part)
    with pytest.raises(ModelError, match="incomplete or damaged") as told:
        load(saved, "cpu")
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_weights_saved_as_pickles_are_refused_with_the_way_out(saved: Path):
    """The published ZeroScope has no others; diffusers' own conversion, as the message says it, makes a folder that loads."""
    saved = saved.rename(saved.parent / "zeroscope_v2_576w")
    for path in saved.rglob("*.safetensors"):
        path.unlink()
    unet3d().save_pretrained(saved, safe_serialization=False)
    with pytest.raises(ModelError, match="pickles, which are never read here") as told:
        load(saved, "cpu")
    program = str(told.value).split('python -c "')[1].split('"')[0]
    subprocess.run([sys.executable, "-c", program], cwd=saved.parent, check=True, capture_output=True)
    converted = load(saved.parent / "converted" / "zeroscope_v2_576w", "cpu")
    assert converted.about.fingerprint == UNet3D(unet3d(), "twin", CPU).about.fingerprint
    assert (converted.about.variant, converted.about.shape) == ("zeroscope", Shape(16, 320, 576))


@pytest.mark.slow
def test_the_published_models_go_by_name(saved: Path):
    for name, row in {
        "cerspense/zeroscope_v2_576w": "zeroscope",
        "/models/zeroscope_v2_XL/": "zeroscope",
        "ali-vilab/text-to-video-ms-1.7b": "modelscope",
        "someone/else": "unet3d",
        "tiny-unet": "tiny-unet",
    }.items():
        assert variant_of(name) == row
    wide = load(saved.rename(saved.parent / "zeroscope_v2_576w"), "cpu")
    assert (wide.about.shape, wide.about.defaults["cfg"]) == (Shape(16, 320, 576), 9.0)
    unknown = load((saved.parent / "zeroscope_v2_576w").rename(saved.parent / "zeroscope_mine"), "cpu")
    assert (unknown.about.shape, unknown.about.defaults["cfg"]) == (Shape(16, 32, 32), 9.0), (
        "its own size, the family's weight"
    )


def test_a_pipeline_of_other_parts_is_refused(saved: Path):
    index = json.loads((saved / "model_index.json").read_text())
    index["unet"] = ["diffusers", "UNet2DConditionModel"]
    (saved / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(
        ModelError, match=r"UNet2DConditionModel; allowed is UNet3DConditionModel|incomplete or damaged"
    ):
        load(saved, "cpu")


def test_other_schedulers_become_ddim_without_clipping():
    pipeline = unet3d()
    pipeline.scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    signals = torch.tensor([level.signal**2 for level in UNet3D(pipeline, "twin", CPU).schedule(4).trained])
    torch.testing.assert_close(signals, pipeline.scheduler.alphas_cumprod)
    assert type(pipeline.scheduler) is PNDMScheduler
    clipping, plain = unet3d(), UNet3D(unet3d(), "twin", CPU)
    clipping.scheduler = DDIMScheduler.from_config(clipping.scheduler.config, clip_sample=True)
    output, latents = 30 * noise(plain), noise(plain)
    steps = [model.schedule(4).step(1, output, latents) for model in (plain, UNet3D(clipping, "twin", CPU))]
    assert torch.equal(*steps) and clipping.scheduler.config.clip_sample


@pytest.mark.parametrize("steps", [501, 1000])
def test_too_many_steps_are_refused(model: UNet3D, steps: int):
    with pytest.raises(SettingError, match=f"steps is {steps}; twin allows 1 to 500"):
        model.schedule(steps)
    assert model.schedule(500).levels[0].timestep == 999


def test_words_that_are_spelt_letter_by_letter_are_unknown():
    """As the bundled tokenizer spells what is not in its world; the twin spells every word so."""
    torch.manual_seed(0)
    small = UNet3D(tiny_unet.pipeline(tiny_unet.autoencoder()), "twin", CPU)
    assert small.text.unknown_words("a red star on a blue striped background") == []
    assert small.text.unknown_words("a red zebra on a moonlit background") == ["zebra", "moonlit"]


@pytest.mark.slow
def test_it_loads_without_the_class_that_diffusers_has_given_up():
    """In a process in which importing that class fails."""
    program = (
        "import sys\n"
        "sys.modules['diffusers.pipelines.deprecated.text_to_video_synthesis'] = None\n"
        "import motionlift\n"
        "model = motionlift.load('tiny-unet', 'cpu')\n"
        "print(model.about.variant, len(model.text.encode('a red star').tensors))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["tiny-unet", "1"]
