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
from motionlift.errors import InputError, ModelError, SettingError
from motionlift.models.families.unet3d import UNet3D, layers_of, variant_of
from motionlift.models.loading import load
from tests.twins import unet3d

CPU = torch.device("cpu")
PROMPT = "a red star"


@pytest.fixture
def backbone() -> UNet3D:
    return UNet3D(unet3d(), "twin", CPU)


def noise(backbone: UNet3D, frames: int = 4, clips: int = 1) -> torch.Tensor:
    shape = backbone.codec.latent_shape(backbone.codec.fitting(frames))
    return torch.randn(clips, *shape[1:], generator=torch.Generator().manual_seed(2))


def test_layers_are_found_by_name_and_come_in_running_order(backbone: UNet3D):
    assert backbone.about.places == ("down 0.0", "down 1.0", "mid 0", "up 0.0", "up 0.1", "up 1.0", "up 1.1")
    assert [layer.level for layer in backbone.layers] == [0, 1, 1, 1, 1, 0, 0]
    ran: list[int] = []
    for number, layer in enumerate(backbone.layers):
        layer.after.register_forward_hook(lambda *_, number=number: ran.append(number))
    backbone.predict(noise(backbone), 500, backbone.text.encode(PROMPT))
    assert ran == list(range(7))
    names = {module: name for name, module in backbone.network.named_modules()}
    for layer in backbone.layers:
        assert ".attentions." in names[layer.spatial] and names[layer.spatial].endswith("attn1")
        assert names[layer.cross] == names[layer.spatial].replace("attn1", "attn2")
        assert all(".temp_attentions." in names[module] for module in layer.temporal) and len(layer.temporal) == 2


def test_lattices(backbone: UNet3D):
    shape = backbone.codec.fitting(4)
    assert shape == Shape(4, 32, 32) and backbone.about.shape.frames == 16
    assert backbone.lattice(shape) == backbone.lattice(shape, 0) == Lattice(4, 8, 8)
    assert backbone.lattice(shape, 2) == Lattice(4, 4, 4)
    assert backbone.lattice(Shape(4, 36, 28), 1) == Lattice(4, 5, 4), (
        "odd sides are rounded up, as the convolution does"
    )
    assert backbone.codec.frame_times(3) == [0.0, 1.0, 2.0]
    with pytest.raises(SettingError, match="1 frames do not fit twin"):
        backbone.codec.fitting(1)


def test_plain_sampling_is_the_pipelines(backbone: UNet3D):
    """With guidance by text, step for step."""
    start, steps = noise(backbone), 4
    made = backbone.pipeline(
        PROMPT, num_frames=4, num_inference_steps=steps, guidance_scale=3.0, latents=start.clone(), output_type="latent"
    ).frames
    text, empty, latents = backbone.text.encode(PROMPT), backbone.text.encode(""), start
    for timestep in backbone.timesteps(steps):
        plain, wanted = (backbone.predict(latents, timestep, each) for each in (empty, text))
        latents = backbone.step(plain + 3.0 * (wanted - plain), timestep, latents)
    torch.testing.assert_close(latents, made, rtol=1e-4, atol=1e-5)


def attended(module: torch.nn.Module, states: torch.Tensor, others: torch.Tensor | None = None):
    """Queries and keys of an attention module, by its own linear layers."""
    others = states if others is None else others
    return [
        layer(given).unflatten(-1, (module.heads, -1)).transpose(1, 2)
        for layer, given in ((module.to_q, states), (module.to_k, others))
    ]


@pytest.mark.parametrize("clips", [1, 2])
def test_what_is_recorded_is_what_the_layers_see(backbone: UNet3D, clips: int):
    """Against inputs caught by hooks of the test's own and unfolded by loops."""
    number, frames, area = 2, 4, 16
    layer = backbone.layers[number]
    caught: dict[str, tuple] = {}
    modules = {"spatial": layer.spatial, "cross": layer.cross, "first": layer.temporal[0], "second": layer.temporal[1]}
    for name, module in modules.items():

        def keep(_module: torch.nn.Module, given: tuple, kwargs: dict, _output: torch.Tensor, name: str = name) -> None:
            caught[name] = (given, kwargs)

        module.register_forward_hook(keep, with_kwargs=True)
    text = backbone.text.encode(PROMPT).expand(clips, -1, -1)
    latents = noise(backbone, clips=clips)
    with torch.no_grad():
        seen = backbone.record(latents, 300, text, [number])[number]
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


def test_a_pass_stops_after_the_last_layer_and_is_exact(backbone: UNet3D):
    text, latents = backbone.text.encode(PROMPT), noise(backbone).requires_grad_()
    ran: list[str] = []
    for name in ("mid_block", "up_blocks.0", "conv_out"):
        backbone.network.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    early = backbone.record(latents, 300, text, [2])[2]
    assert ran == ["mid_block"]
    whole = backbone.record(latents, 300, text, [2, 6])[2]
    torch.testing.assert_close(early.query, whole.query)
    torch.testing.assert_close(early.features, whole.features)
    one, other = (torch.autograd.grad(each.query.square().sum(), latents)[0] for each in (early, whole))
    torch.testing.assert_close(one, other)
    assert backbone.passes.forward == 2


@pytest.mark.parametrize("recomputed", [False, True])
def test_without_features_a_pass_stops_at_the_attention_and_is_exact(backbone: UNet3D, recomputed: bool):
    text, latents = backbone.text.encode(PROMPT), noise(backbone).requires_grad_()
    if recomputed:
        backbone.checkpoint_activations()
    ran: list[None] = []
    handle = backbone.layers[2].after.register_forward_hook(lambda *_: ran.append(None))
    bare = backbone.record(latents, 300, text, [0, 2], features=False)
    assert len(ran) == recomputed  # where activations are recomputed a block must run to its end
    handle.remove()
    whole = backbone.record(latents, 300, text, [0, 2])
    for number, seen in bare.items():
        torch.testing.assert_close(seen.temporal[-1].key, whole[number].temporal[-1].key)
        torch.testing.assert_close(seen.cross.query, whole[number].cross.query)
        assert seen.features.shape == (1, seen.query.shape[2], 0)
    one, other = (torch.autograd.grad(each[2].temporal[-1].query.square().sum(), latents)[0] for each in (bare, whole))
    torch.testing.assert_close(one, other)


def test_activations_are_recomputed_but_for_passes_that_end_within_the_down_blocks(backbone: UNet3D):
    """Such a pass also stops at its attention; a block whose activations are recomputed must run to its end."""
    backbone.checkpoint_activations()
    text, down, up = backbone.text.encode(PROMPT), backbone.layers[1], backbone.layers[-1]
    assert down.block == "down_blocks.1" and up.block.startswith("up_blocks")
    ran: list[None] = []
    ended: list[None] = []
    down.spatial.register_forward_hook(lambda *_: ran.append(None))
    up.after.register_forward_hook(lambda *_: ended.append(None))
    for number, times in ((1, 1), (backbone.about.blocks - 1, 2)):
        ran.clear()
        latents = noise(backbone).requires_grad_()
        seen = backbone.record(latents, 300, text, [number], features=False)[number]
        assert bool(ended) == (times == 2)
        torch.autograd.grad(seen.temporal[-1].query.square().sum(), latents)
        assert len(ran) == times
    assert backbone.recomputes


def test_recomputed_blocks_are_given_their_tensors_as_arguments(backbone: UNet3D, monkeypatch: pytest.MonkeyPatch):
    """PyTorch keeps the state of dropout for the devices of those, and of no tensors that are named."""
    told: list[bool] = []

    def watched(function: Any, *arguments: Any, **named: Any) -> Any:
        leaves = tree_leaves(arguments)
        told.append(any(isinstance(leaf, torch.Tensor) for leaf in leaves))
        return checkpoint(function, *arguments, **named)

    monkeypatch.setattr("motionlift.models.families.unet3d.checkpoint", watched)
    backbone.checkpoint_activations()
    backbone.predict(noise(backbone).requires_grad_(), 300, backbone.text.encode(PROMPT))
    assert len(told) == len(backbone.network.down_blocks) + 1 + len(backbone.network.up_blocks) and all(told)


def test_a_network_that_is_taken_over_again_recomputes_once():
    pipeline = unet3d()
    for _ in range(3):
        backbone = UNet3D(pipeline, "twin", torch.device("cpu"))
        backbone.checkpoint_activations()
    ran: list[None] = []
    backbone.layers[0].spatial.register_forward_hook(lambda *_: ran.append(None))
    for number, times in ((0, 1), (backbone.about.blocks - 1, 2)):
        ran.clear()
        latents = noise(backbone).requires_grad_()
        seen = backbone.record(latents, 300, backbone.text.encode(PROMPT), [number], features=False)[number]
        torch.autograd.grad(seen.temporal[-1].query.square().sum(), latents)
        assert len(ran) == times


def test_checkpointing_changes_nothing_but_memory(backbone: UNet3D):
    text = backbone.text.encode(PROMPT)

    def gradient() -> torch.Tensor:
        latents = noise(backbone).requires_grad_()
        seen = backbone.record(latents, 300, text, [1, 3])
        loss = sum(each.key.square().sum() + each.cross.query.sum() + each.features.sum() for each in seen.values())
        return torch.autograd.grad(loss, latents)[0]

    plain = gradient()
    backbone.checkpoint_activations()
    torch.testing.assert_close(gradient(), plain)


def test_injecting_own_keys_and_values_changes_nothing_and_others_do(backbone: UNet3D):
    text, latents = backbone.text.encode(PROMPT), noise(backbone)
    other = torch.randn(latents.shape, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        plain = backbone.predict(latents, 300, text)
        own, foreign = (backbone.record(each, 300, text, [0]) for each in (latents, other))
        with backbone.injecting(own):
            torch.testing.assert_close(backbone.predict(latents, 300, text), plain)
        with backbone.injecting(foreign):
            single = backbone.predict(latents, 300, text)
            both = backbone.predict(torch.cat([latents, latents]), 300, torch.cat([text, text]))
            seen = backbone.record(latents, 300, text, [0])[0]
    assert not torch.allclose(single, plain, atol=1e-3)
    torch.testing.assert_close(both, torch.cat([single, single]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen.query, own[0].query, msg="queries stay its own")
    torch.testing.assert_close(backbone.predict(latents, 300, text), plain, msg="nothing stays injected")


def test_a_video_through_the_autoencoder(backbone: UNet3D):
    pixels = torch.rand(4, 3, 32, 32) * 2 - 1
    latents = backbone.codec.encode(pixels)
    assert latents.shape == backbone.codec.latent_shape(Shape(4, 32, 32)) == (1, 4, 4, 8, 8)
    frame = backbone.vae.encode(pixels[2:3]).latent_dist.mode()
    torch.testing.assert_close(latents[0, :, 2], frame[0] * backbone.vae.config.scaling_factor, rtol=1e-4, atol=1e-5)
    assert backbone.codec.decode(latents).shape == (4, 3, 32, 32)


def test_prompts(backbone: UNet3D):
    assert backbone.text.encode(PROMPT).shape == backbone.text.encode("").shape == (1, 32, 16)
    with pytest.raises(InputError, match=r"the prompt has .* tokens; twin reads 32"):
        backbone.text.encode("abcdefghij " * 4)
    places = backbone.text.places("a red star", "star")
    assert places == (5, 6, 7, 8)
    assert backbone.text.places("a red star", "dog") == backbone.text.places("a starfish", "star") == ()
    assert backbone.text.places("star on star", "star") == (1, 2, 3, 4, 7, 8, 9, 10)


def test_no_positions(backbone: UNet3D):
    assert backbone.positions(backbone.about.shape) == {}


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_a_step_back_undoes_a_step(backbone: UNet3D, predicts: str):
    backbone.scheduler.register_to_config(prediction_type=predicts)
    steps, latents = backbone.timesteps(5), noise(backbone)
    output = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))
    for timestep in steps:
        cleaner = backbone.step(output, timestep, latents)
        torch.testing.assert_close(backbone.step_back(output, timestep, cleaner), latents, rtol=1e-4, atol=1e-4)


def test_layers_of_a_published_network():
    """The class's own sizes, without weights: three down blocks of two layers, the middle, three up blocks of three."""
    from diffusers import UNet3DConditionModel

    with torch.device("meta"):
        layers = layers_of(UNet3DConditionModel())
    places = [layer.place for layer in layers]
    assert places[:7] == ["down 0.0", "down 0.1", "down 1.0", "down 1.1", "down 2.0", "down 2.1", "mid 0"]
    assert places[7:10] == ["up 1.0", "up 1.1", "up 1.2"] and places[-1] == "up 3.2"
    assert [layer.level for layer in layers][:7] == [0, 0, 1, 1, 2, 2, 3]
    assert [layer.level for layer in layers][7:] == [2, 2, 2, 1, 1, 1, 0, 0, 0]


def test_a_saved_pipeline_loads_by_the_door_of_every_model(tmp_path: Path):
    unet3d().save_pretrained(tmp_path / "model", safe_serialization=True)
    loaded = load(tmp_path / "model", "cpu")
    assert (loaded.family, loaded.variant, loaded.blocks) == ("unet3d", "unet3d", 7)
    assert loaded.identity == UNet3D(unet3d(), "twin", CPU).identity


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    unet3d().save_pretrained(folder, safe_serialization=True)
    return folder


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
    assert converted.fingerprint == UNet3D(unet3d(), "twin", CPU).fingerprint
    assert (converted.variant, converted.shape) == ("zeroscope", Shape(16, 320, 576))


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
    assert (wide.shape, wide.defaults["cfg"]) == (Shape(16, 320, 576), 9.0)
    unknown = load((saved.parent / "zeroscope_v2_576w").rename(saved.parent / "zeroscope_mine"), "cpu")
    assert (unknown.shape, unknown.defaults["cfg"]) == (Shape(16, 32, 32), 9.0), "its own size, the family's weight"


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
    backbone = UNet3D(pipeline, "twin", CPU)
    assert not backbone.scheduler.config.clip_sample and not backbone.scheduler.config.thresholding
    torch.testing.assert_close(backbone.scheduler.alphas_cumprod, pipeline.scheduler.alphas_cumprod)
    clipping = unet3d()
    clipping.scheduler = DDIMScheduler.from_config(clipping.scheduler.config, clip_sample=True)
    assert not UNet3D(clipping, "twin", CPU).scheduler.config.clip_sample


@pytest.mark.parametrize("steps", [501, 1000])
def test_too_many_steps_are_refused(backbone: UNet3D, steps: int):
    with pytest.raises(SettingError, match=f"steps is {steps}; twin allows 1 to 500"):
        backbone.timesteps(steps)
    assert backbone.timesteps(500)[0] == 999


def test_words_that_are_spelt_letter_by_letter_are_unknown():
    """As the bundled tokenizer spells what is not in its world; the twin spells every word so."""
    torch.manual_seed(0)
    small = UNet3D(tiny_unet.pipeline(tiny_unet.autoencoder()), "twin", CPU)
    assert small.unknown_words("a red star on a blue striped background") == []
    assert small.unknown_words("a red zebra on a moonlit background") == ["zebra", "moonlit"]
