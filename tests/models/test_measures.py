"""What is done so that a model takes less memory: by its size, as asked for, and otherwise in a view."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKLCogVideoX

from motionlift.core.memory import Measures, Weights
from motionlift.errors import SettingError
from motionlift.models.codecs import can_tile
from motionlift.models.loading import load
from motionlift.models.sources import Source
from motionlift.models.turns import Turns
from tests.twins import EVERY_TWIN, TRANSFORMERS, cogvideox, unet3d

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("twin", "small", "large"),
    [
        ("cogvideox-rotary", Measures(), Measures(one_by_one=True, recomputed=True)),
        ("wan-2.1", Measures(one_by_one=True), Measures(one_by_one=True, parts=True, recomputed=True)),
        ("unet3d", Measures(), Measures(one_by_one=True, recomputed=True)),
    ],
)
def test_by_default_they_go_with_the_size(twin, small, large, monkeypatch: pytest.MonkeyPatch):
    build = EVERY_TWIN[twin] if twin in EVERY_TWIN else TRANSFORMERS[twin].build
    assert load(build(), "cpu").about.measures == small
    monkeypatch.setattr("motionlift.models.shared.CHECKPOINTED_PARAMETERS", 0)
    assert load(build(), "cpu").about.measures == large


def test_what_a_model_cannot_do_without_is_so_whatever_is_asked_for():
    wan, allegro = (TRANSFORMERS[name].model() for name in ("wan-2.1", "allegro"))
    assert wan.about.measures == Measures(one_by_one=True)
    assert allegro.about.measures == allegro.saving(Measures()).about.measures == Measures(one_by_one=True, parts=True)


@pytest.mark.slow
def test_they_are_as_asked_for_and_the_bundled_models_take_none():
    assert load("tiny-dit", "cpu").about.measures == Measures()
    asked = Measures(one_by_one=True, recomputed=True, offloaded=True, weights=Weights.FP8)
    model = load("tiny-dit", "cpu", measures=asked)
    assert model.about.measures == model.counted().about.measures == asked
    assert load("tiny-unet", "cpu", measures=Measures(parts=True)).codec.in_parts


@pytest.mark.slow
def test_nothing_waits_where_all_is_on_the_device():
    assert not load("tiny-dit", "cpu", measures=Measures(waiting=True)).about.measures.waiting


@pytest.mark.parametrize("waiting", [True, False])
def test_parts_wait_where_they_were_unless_they_are_to_stay_on_the_device(waiting, monkeypatch: pytest.MonkeyPatch):
    away, parts = torch.device("meta"), [torch.nn.Linear(1, 1) for _ in range(2)]
    lying, moves = dict.fromkeys(parts, away), []

    def move(part: torch.nn.Module, place: torch.device) -> None:
        moves.append((parts.index(part), place))
        lying[part] = place

    monkeypatch.setattr("motionlift.models.turns._device_of", lying.__getitem__)
    monkeypatch.setattr(torch.nn.Module, "to", move)
    turns = Turns(parts, parts, CPU, nullcontext, waiting)
    assert turns.waiting is waiting
    for part in (*parts, parts[0]):
        with turns.using(part):
            assert lying[part] == CPU
    back = [(0, away), (1, CPU), (1, away), (0, CPU)]
    assert moves == [(0, CPU), *(back if waiting else [(1, CPU)])]


@pytest.mark.slow
@pytest.mark.parametrize("build", [TRANSFORMERS["wan-2.1"].build, unet3d])
def test_a_view_has_its_own_and_leaves_the_model_as_it_is(build):
    model = load(build(), "cpu")
    own, asked = model.about.measures, Measures(one_by_one=True, parts=True, recomputed=True)
    view = model.saving(asked)
    assert view.about.measures == asked and model.about.measures == own != asked
    assert view.codec.in_parts and not model.codec.in_parts and view.passes is model.passes
    shape = model.codec.fitting(9, 32, 32)
    level, text = model.schedule(1).trained[300], model.text.encode("a dog", shape)
    gradients, last = [], model.about.blocks - 1
    for own, times in ((model, 1), (view, 2), (model, 1), (view.saving(Measures()), 1)):
        latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(2))
        latents.requires_grad_()
        ran: list[None] = []
        name = model.linear_layers("temporal")[-1]
        handle = model.network.get_submodule(name).register_forward_hook(lambda *_, ran=ran: ran.append(None))
        with own.turn():
            seen = own.record(latents, level, text, [last])[last]
            gradients.append(torch.autograd.grad(seen.features.square().sum(), latents)[0])
        handle.remove()
        assert len(ran) == times
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], atol=1e-5, rtol=1e-5)


def test_a_view_cannot_choose_what_is_settled_at_loading():
    model = load(cogvideox(), "cpu", measures=Measures(recomputed=True))
    for other in ({"waiting": True}, {"offloaded": True}, {"weights": Weights.FP8}):
        with pytest.raises(SettingError, match=r"was loaded with recomputed: .* load it again with others"):
            model.saving(replace(model.about.measures, **other))


# What cannot be


@pytest.mark.parametrize(
    "measures",
    [
        Measures(offloaded=True),
        Measures(weights=Weights.FP8),
        Measures(weights=Weights.NF4),
        Measures(True, offloaded=True),
    ],
)
def test_the_weights_of_a_pipeline_that_was_handed_in_stay_where_and_as_they_are(measures):
    with pytest.raises(SettingError, match=r"^this pipeline is yours, and its weights stay where and as they are: .*$"):
        load(cogvideox(), "cpu", measures=measures)


def test_hooks_that_a_pipeline_came_with_are_told():
    pipeline = cogvideox()
    pipeline.transformer.enable_layerwise_casting(torch.float8_e4m3fn, torch.float32)
    pipeline.transformer.enable_group_offload(onload_device=CPU, offload_type="leaf_level")
    assert load(pipeline, "cpu").about.measures == Measures(offloaded=True, weights=Weights.FP8)


def test_an_autoencoder_that_cannot_work_in_parts_is_told_of_before_any_work():
    told = r"^the autoencoder of \S+ cannot work in parts: leave that measure out, and make the video smaller if it does not fit$"
    with pytest.raises(SettingError, match=told):
        load("tiny-dit", "cpu", measures=Measures(parts=True))
    model = load("tiny-dit", "cpu")
    with pytest.raises(SettingError, match=told):
        model.saving(Measures(parts=True))


@pytest.mark.slow
def test_which_autoencoders_can_work_in_parts():
    tiled = {name: can_tile(twin.build().vae) for name, twin in TRANSFORMERS.items()}
    assert {name for name, can in tiled.items() if not can} == {"cogvideox-1.5", "cogvideox-rotary", "cogvideox-table"}
    with init_empty_weights():
        published = AutoencoderKLCogVideoX(
            block_out_channels=(128, 256, 256, 512),
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
        )
    assert can_tile(published) and not can_tile(torch.nn.Linear(1, 1))


@pytest.mark.parametrize("weights", [Weights.NF4, Weights.INT8])
def test_a_quantizer_that_is_not_installed_is_named_before_any_weights_are_read(
    weights, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("motionlift.core.memory.find_spec", lambda _name: None)
    monkeypatch.setattr("motionlift.models.loading.device_named", lambda _name: torch.device("cuda"))
    monkeypatch.setattr("motionlift.models.loading._read", None)
    told = rf"^weights in {weights} need the package bitsandbytes, which is not installed: pip install bitsandbytes, or hold .*$"
    with pytest.raises(SettingError, match=told):
        load("tiny-dit", "cpu", measures=Measures(weights=weights))


@pytest.mark.parametrize(
    ("measures", "more", "told"),
    [
        (Measures(weights=Weights.NF4, offloaded=True), {}, "do not go with offloaded"),
        (Measures(weights=Weights.INT8), {"loras": "a.safetensors"}, "do not go with adapters"),
        (Measures(weights=Weights.NF4), {"model": "{base}+{adapter}"}, "do not go with a motion adapter"),
    ],
)
def test_what_does_not_go_with_a_quantizer(measures, more, told, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.models.precision.check_quantizer", lambda _weights: None)
    monkeypatch.setattr("motionlift.models.loading.device_named", lambda _name: torch.device("cuda"))
    monkeypatch.setattr("motionlift.models.loading._read", None)
    monkeypatch.setattr("motionlift.models.loras.LoraFile.check", lambda _own: None)
    source = Source("a", "a", "AnimateDiffPipeline", {"unet": ["diffusers", "UNet2DConditionModel"]}, True)
    monkeypatch.setattr("motionlift.models.loading.joined_sources", lambda name: (source, "b" if "+" in name else None))
    with pytest.raises(
        SettingError, match=rf"^weights in {measures.weights} {told}.*: hold them in fp8, or as they are$"
    ):
        load(**{"model": "a", "device": "cpu", "measures": measures, **more})
