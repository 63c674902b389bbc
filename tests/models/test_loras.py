"""Adapters of others become part of a model's weights, by diffusers' loaders; what they do not load is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import motionlift
from motionlift.core.model import Added
from motionlift.errors import ModelError, MotionliftError, SettingError
from motionlift.models.families import serving
from motionlift.models.lora_files import LoraFile
from motionlift.models.loras import fuse
from motionlift.motion.adapter import DOWN, UP
from motionlift.motion.export import exported
from motionlift.motion.file import Motion
from tests.adapters import adapter_of, linear_of, motion_of, outputs
from tests.twins import TRANSFORMERS, unet3d

LOADED = sorted(name for name in TRANSFORMERS if name != "allegro")
"""Models that diffusers loads adapters into."""
MERGED = 1e-4
"""How near, absolutely, a network with merged weights is to one with the adapter beside them: the twin of Kandinsky 5 moves by
1e-4 where its weights move by a last digit."""


def written(path: Path, tensors: dict[str, Tensor], **about: str) -> Path:
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path, about or None)
    return path


def for_diffusers(adapter: dict[str, Tensor], part: str = "transformer") -> dict[str, Tensor]:
    """An adapter of one network as diffusers has it in a file."""
    return {f"transformer.{n.removeprefix(f'{part}.')}": own for n, own in adapter.items() if n.startswith(f"{part}.")}


def fused(pipeline: Any, loras: list[LoraFile]) -> tuple[Added, ...]:
    """Adapters made part of a pipeline's weights, as a model of its family is loaded."""
    return fuse(pipeline, loras, "twin", serving(type(pipeline).__name__).readers)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pipelines of one network and of two, saved."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("wan-2.1", "wan-2.2")}
    for name, folder in made.items():
        TRANSFORMERS[name].build().save_pretrained(folder)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADED)
def test_a_fused_adapter_gives_what_a_cast_gives_with_it(name: str, tmp_path: Path):
    model = TRANSFORMERS[name].model()
    adapter = {n: own for n, own in adapter_of(linear_of(model)).items() if n.startswith("transformer.")}
    path = written(tmp_path / "star.safetensors", for_diffusers(adapter))
    pipeline = TRANSFORMERS[name].build()
    network = "high" if name == "wan-2.2" else None
    (added,) = fused(pipeline, [LoraFile(path, 0.5, network)])
    assert (added.layers, added.left_out, added.part, added.weight) == (len(adapter) // 2, 0, "transformer", 0.5)
    own = TRANSFORMERS[name].model(pipeline)
    for ours, theirs in zip(outputs(model, adapter, 0.5), outputs(own), strict=True):
        torch.testing.assert_close(theirs, ours, atol=MERGED, rtol=10 * MERGED)
    assert outputs(own, adapter_of(linear_of(own))), "it can be tuned and cast with adapters as any other"


@pytest.mark.slow
def test_several_are_added_and_a_weight_may_take_away(tmp_path: Path):
    name = "wan-2.1"
    model, pipeline = TRANSFORMERS[name].model(), TRANSFORMERS[name].build()
    first, second = (adapter_of(linear_of(model), seed=seed) for seed in (1, 2))
    paths = [written(tmp_path / f"{n}.safetensors", for_diffusers(own)) for n, own in enumerate((first, second))]
    added = fused(pipeline, [LoraFile(paths[0], 0.5), LoraFile(paths[1]), LoraFile(paths[0], -0.5)])
    assert [each.weight for each in added] == [0.5, 1.0, -0.5]
    for ours, theirs in zip(outputs(model, second), outputs(TRANSFORMERS[name].model(pipeline)), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_forms_of_other_programs_are_read(tmp_path: Path):
    model = TRANSFORMERS["wan-2.1"].model()
    adapter = adapter_of(linear_of(model))
    comfyui, _ = exported(motion_of(model, adapter), "comfyui", TRANSFORMERS["wan-2.1"].row.readers)
    own = comfyui["transformer"]
    kohya = {}
    for name in {name.removesuffix(DOWN) for name in own if name.endswith(DOWN)}:
        start = "lora_unet_" + name.removeprefix("diffusion_model.").replace(".", "_")
        kohya |= {f"{start}.lora_down.weight": own[name + DOWN], f"{start}.lora_up.weight": own[name + UP]}
        kohya[f"{start}.alpha"] = torch.tensor(float(len(own[name + DOWN])))
    for number, tensors in enumerate((own, kohya)):
        pipeline = TRANSFORMERS["wan-2.1"].build()
        (added,) = fused(pipeline, [LoraFile(written(tmp_path / f"{number}.safetensors", tensors))])
        assert (added.layers, added.left_out) == (len(adapter) // 2, 0)
        for ours, theirs in zip(outputs(model, adapter), outputs(TRANSFORMERS["wan-2.1"].model(pipeline)), strict=True):
            torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_the_scale_in_a_file_counts(tmp_path: Path):
    """diffusers keeps it beside the tensors."""
    model = TRANSFORMERS["ltx"].model()
    adapter = adapter_of(linear_of(model))
    settings = {"r": 3, "lora_alpha": 6, "target_modules": sorted({n.split(".", 1)[1] for n in linear_of(model)})}
    about = json.dumps({f"transformer.{name}": value for name, value in settings.items()})
    path = written(tmp_path / "star.safetensors", for_diffusers(adapter), lora_adapter_metadata=about)
    pipeline = TRANSFORMERS["ltx"].build()
    fused(pipeline, [LoraFile(path)])
    for ours, theirs in zip(outputs(model, adapter, 2.0), outputs(TRANSFORMERS["ltx"].model(pipeline)), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


def test_weights_in_half_precision_are_the_nearest(tmp_path: Path):
    pipeline, plain = (TRANSFORMERS["wan-2.1"].build() for _ in range(2))
    adapter = adapter_of(linear_of(TRANSFORMERS["wan-2.1"].model(plain)))
    pipeline.transformer.to(torch.bfloat16)
    path = written(tmp_path / "star.safetensors", for_diffusers(adapter))
    fused(pipeline, [LoraFile(path)])
    assert pipeline.transformer.dtype == torch.bfloat16
    layer = "blocks.1.attn1.to_q"
    own = plain.transformer.get_submodule(layer).weight
    change = adapter[f"transformer.{layer}{UP}"] @ adapter[f"transformer.{layer}{DOWN}"]
    found = pipeline.transformer.get_submodule(layer).weight.float()
    torch.testing.assert_close(found, own + change, rtol=2**-6, atol=2**-6)


@pytest.mark.slow
def test_a_model_with_an_adapter_is_another_of_the_same_identity(folders: dict[str, Path], tmp_path: Path):
    twin = TRANSFORMERS["wan-2.1"]
    adapter = adapter_of(linear_of(twin.model()))
    path = written(tmp_path / "star.safetensors", for_diffusers(adapter))
    plain = motionlift.load(folders["wan-2.1"], "cpu")
    full, half, tiny = (motionlift.load(folders["wan-2.1"], "cpu", [f"{path}{end}"]) for end in ("", ":0.5", ":1e-9"))
    assert len({model.about.fingerprint for model in (plain, full, half, tiny)}) == 4
    assert {model.about.identity for model in (plain, full, half, tiny)} == {plain.about.identity}
    assert plain.about.added == () and [each.weight for each in half.about.added] == [0.5]
    assert motionlift.load(folders["wan-2.1"], "cpu", str(path)).about.fingerprint == full.about.fingerprint
    moved = written(tmp_path / "renamed.safetensors", for_diffusers(adapter))
    assert motionlift.load(folders["wan-2.1"], "cpu", [moved]).about.fingerprint == full.about.fingerprint
    for ours, theirs in zip(outputs(plain, adapter, 0.5, twin.shape), outputs(half, shape=twin.shape), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "parts"), [("high", 1), ("low", 1), ("both", 2)])
def test_of_two_networks_the_named_one_is_changed(network: str, parts: int, tmp_path: Path):
    twin = TRANSFORMERS["wan-2.2"]
    model, pipeline = twin.model(), twin.build()
    part = "transformer_2" if network == "low" else "transformer"
    own = {n: tensor for n, tensor in adapter_of(linear_of(model)).items() if n.startswith(f"{part}.")}
    path = written(tmp_path / "star.safetensors", for_diffusers(own, part))
    added = fused(pipeline, [LoraFile(path, 0.5, network)])
    assert len(added) == parts and {each.part for each in added} >= {part}
    if network == "both":
        own |= {n.replace("transformer.", "transformer_2.", 1): tensor for n, tensor in own.items()}
    for ours, theirs in zip(outputs(model, own, 0.5), outputs(twin.model(pipeline)), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


def test_which_of_two_networks_must_be_said(tmp_path: Path):
    two, one = TRANSFORMERS["wan-2.2"].build(), TRANSFORMERS["wan-2.1"].build()
    path = written(tmp_path / "star.safetensors", {"a": torch.ones(1)})
    with pytest.raises(SettingError, match=r"two networks.*FILE:0.8:high, FILE:0.8:low or FILE:0.8:both"):
        fused(two, [LoraFile(path, 0.8)])
    with pytest.raises(SettingError, match="has one network"):
        fused(one, [LoraFile(path, 0.8, "low")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.safetensors", LoraFile(Path("a.safetensors"))),
        ("a.safetensors:0.8", LoraFile(Path("a.safetensors"), 0.8)),
        ("a:b.safetensors:-1", LoraFile(Path("a:b.safetensors"), -1.0)),
        ("a.safetensors:low", LoraFile(Path("a.safetensors"), 1.0, "low")),
        ("a.safetensors:0.5:both", LoraFile(Path("a.safetensors"), 0.5, "both")),
        ("C:\\a.safetensors", LoraFile(Path("C:\\a.safetensors"))),
    ],
)
def test_a_file_is_given_with_weight_and_network(text: str, expected: LoraFile):
    assert LoraFile.parsed(text) == expected


@pytest.mark.parametrize("weight", ["5", "nan", "inf", "-4.5"])
def test_weights_out_of_range_are_refused(weight: str):
    with pytest.raises(SettingError, match="allowed is a number from -4 to 4"):
        LoraFile.parsed(f"a.safetensors:{weight}")


def _garbage(path: Path) -> None:
    path.write_bytes(b"no tensors" * 9)


def _motion(path: Path) -> None:
    model = TRANSFORMERS["cogvideox-rotary"].model()
    motion = motion_of(model, adapter_of(linear_of(model)))
    replace(motion, tensors={**motion.tensors, "latents": torch.zeros(1, 4, 3, 4, 4)}).save(path)
    assert Motion.load(path).family == "cogvideox"


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("star.ckpt", _garbage, "is a pickle, which is never read here"),
        ("star.pt", _garbage, "is a pickle"),
        ("star.gguf", _garbage, r"does not end in \.safetensors"),
        ("star.safetensors", _garbage, "is damaged or no safetensors file"),
        ("star.safetensors", lambda path: None, "is not there"),
        ("star.safetensors", Path.mkdir, "is a folder"),
        ("star.safetensors", lambda path: written(path, {}), "holds no tensors"),
        ("star.safetensors", _motion, "is a motion: cast it"),
    ],
)
def test_bad_files_are_refused_before_a_model_is_loaded(name: str, make: Any, message: str, tmp_path: Path):
    make(tmp_path / name)
    with pytest.raises(ModelError, match=message) as caught:
        motionlift.load("no/such-model", "cpu", [tmp_path / name])
    assert "\n" not in str(caught.value)


def foreign(name: str) -> dict[str, Tensor]:
    model = TRANSFORMERS["wan-2.1"].model()
    layers = linear_of(model)
    if name == "another family":
        return {f"transformer.single_blocks.0.to_q{end}": torch.ones(2, 2) for end in (DOWN, UP)}
    if name == "text encoder alone":
        return {f"text_encoder.layers.0.q{end}": torch.ones(2, 2) for end in (DOWN, UP)}
    if name == "wider":
        return {f"{n}{end}": torch.ones((2, 99) if end == DOWN else (99, 2)) for n in layers for end in (DOWN, UP)}
    if name == "not finite":
        return {n: tensor * float("nan") for n, tensor in adapter_of(layers).items()}
    if name == "original names of another family":
        return {f"diffusion_model.double_blocks.0.img_attn_qkv{end}": torch.ones(2, 2) for end in (DOWN, UP)}
    return {"weights": torch.ones(2, 2)}


@pytest.mark.parametrize(
    "name",
    ["another family", "text encoder alone", "wider", "not finite", "original names of another family", "no adapter"],
)
def test_what_diffusers_does_not_load_is_refused_in_one_line(name: str, tmp_path: Path):
    path = written(tmp_path / "star.safetensors", foreign(name))
    with pytest.raises(ModelError, match=r"star\.safetensors") as caught:
        fused(TRANSFORMERS["wan-2.1"].build(), [LoraFile(path)])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("end", [".lora_A.default.weight", ".lora_A"])
def test_names_that_are_taken_without_their_tensors_are_refused(end: str, tmp_path: Path):
    """Into HunyuanVideo 1.5 diffusers makes the layers of such files, and loads nothing into them, without an error."""
    twin = TRANSFORMERS["hunyuan-1.5"]
    named = for_diffusers(adapter_of(linear_of(twin.model())))
    tensors = {n.replace(DOWN, end).replace(UP, end.replace("_A", "_B")): own for n, own in named.items()}
    path = written(tmp_path / "star.safetensors", tensors)
    with pytest.raises(ModelError, match=r"diffusers loads nothing of .*star\.safetensors into twin"):
        fused(twin.build(), [LoraFile(path)])


def test_layers_that_a_model_lacks_are_counted(tmp_path: Path):
    adapter = adapter_of(linear_of(TRANSFORMERS["wan-2.1"].model()))
    longer = {re.sub(r"blocks\.2", "blocks.7", n): tensor for n, tensor in for_diffusers(adapter).items()}
    path = written(tmp_path / "star.safetensors", for_diffusers(adapter) | longer)
    (added,) = fused(TRANSFORMERS["wan-2.1"].build(), [LoraFile(path)])
    assert (added.layers, added.left_out) == (len(adapter) // 2, len(adapter) // 6)


@pytest.mark.parametrize("build", [TRANSFORMERS["allegro"].build, unet3d])
def test_models_without_a_loader_are_refused(build: Any, tmp_path: Path):
    path = written(tmp_path / "star.safetensors", {"a": torch.ones(1)})
    with pytest.raises(ModelError, match="diffusers loads no adapters into models of the kind of twin"):
        fused(build(), [LoraFile(path)])


@pytest.mark.slow
def test_a_pipeline_that_is_handed_in_is_not_changed(tmp_path: Path):
    path = written(tmp_path / "star.safetensors", {"a": torch.ones(1)})
    with pytest.raises(MotionliftError, match=r"pipeline\.fuse_lora\(\) and pipeline\.unload_lora_weights\(\)"):
        motionlift.load(TRANSFORMERS["wan-2.1"].build(), "cpu", [path])
