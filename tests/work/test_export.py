"""What is exported is loaded by its reader, and then gives what a cast gives with the adapter on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders import single_file_utils
from diffusers.loaders.lora_conversion_utils import _convert_hunyuan_video_lora_to_diffusers
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

import motionlift
from motionlift.core.lattice import Lattice
from motionlift.errors import MotionError
from motionlift.models.families import families
from motionlift.models.transformer import Row
from motionlift.motion.adapter import DOWN, UP
from motionlift.motion.export import exported
from motionlift.motion.file import Motion, Source
from motionlift.motion.names import adapter_name
from motionlift.motion.readers import known
from tests.adapters import RANK, adapter_of, linear_of, motion_of, outputs
from tests.motion import foreign
from tests.motion.weight_changes import weight_changes
from tests.twins import TRANSFORMERS, unet3d
from tests.work.trials import PROMPT, TUNED, a_clip

PUBLISHED_HUNYUAN = {
    "_mod.lin.": "_mod.linear.",
    "_attn.qkv.": "_attn_qkv.",
    "_attn.proj.": "_attn_proj.",
    "mlp.0.": "mlp.fc1.",
    "mlp.2.": "mlp.fc2.",
    ".modulation.lin.": ".modulation.linear.",
}
"""Parts of HunyuanVideo's names as ComfyUI's network has them, and as they were published."""
NO_READER = ("allegro",)
"""Of whose adapters neither diffusers nor ComfyUI loads any."""
READ = sorted(name for name in TRANSFORMERS if name not in NO_READER)
ORIGINAL_IN_DIFFUSERS = ("wan-2.1", "wan-2.2", "wan-2.2-ti2v", "skyreels", "ltx", "ltx-2")
"""Whose files for ComfyUI diffusers reads too, at any width."""


def load_into(pipeline: Any, paths: tuple[Path, ...]) -> None:
    """As diffusers' users do."""
    if not hasattr(pipeline, "load_lora_weights"):
        pipeline.transformer.load_lora_adapter(load_file(paths[0]), prefix="transformer")
        return
    pipeline.load_lora_weights(str(paths[0]))
    for path in paths[1:]:
        pipeline.load_lora_weights(str(path), load_into_transformer_2=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
def test_diffusers_loads_what_is_written_for_it(name: str, tmp_path: Path):
    model = TRANSFORMERS[name].model()
    adapter = adapter_of(linear_of(model))
    written = motionlift.export_adapter(motion_of(model, adapter), tmp_path / "adapter.safetensors")
    bare, expected = outputs(model), outputs(model, adapter)
    pipeline = TRANSFORMERS[name].build()
    load_into(pipeline, written.paths)
    for ours, theirs, plain in zip(expected, outputs(TRANSFORMERS[name].model(pipeline)), bare, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)
        assert (ours - plain).abs().mean() > 1e-3, "the adapter changes something"


@pytest.mark.slow
@pytest.mark.parametrize("name", ORIGINAL_IN_DIFFUSERS)
def test_diffusers_reads_original_names_too(name: str, tmp_path: Path):
    model = TRANSFORMERS[name].model()
    adapter = adapter_of(linear_of(model))
    written = motionlift.export_adapter(motion_of(model, adapter), tmp_path / "adapter.safetensors", "comfyui")
    pipeline = TRANSFORMERS[name].build()
    load_into(pipeline, written.paths)
    for ours, theirs in zip(outputs(model, adapter), outputs(TRANSFORMERS[name].model(pipeline)), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


def test_two_networks_are_two_files_named_by_their_noise(tmp_path: Path):
    model = TRANSFORMERS["wan-2.2"].model()
    adapter = adapter_of(linear_of(model))
    for reader in ("diffusers", "comfyui", "kohya", "peft"):
        written = motionlift.export_adapter(motion_of(model, adapter), tmp_path / f"{reader}.safetensors", reader)
        assert [path.name for path in written.paths] == [
            f"{reader}_high_noise.safetensors",
            f"{reader}_low_noise.safetensors",
        ]
    high, low = (load_file(path) for path in written.paths)
    first = "blocks.0.attn1.to_q" + UP
    assert torch.equal(high[first], adapter[f"transformer.{first}"])
    assert torch.equal(low[first], adapter[f"transformer_2.{first}"])
    assert len(list(tmp_path.iterdir())) == 8


@pytest.mark.slow
def test_a_motion_that_was_tuned_on_two_networks_is_mixed_and_exported(tmp_path: Path):
    model = TRANSFORMERS["wan-2.2"].model()
    lifted = {
        name: motionlift.lift(a_clip(), model, name, settings={**TUNED, "tuning_steps": 6}, cached=False)
        for name in ("vmc", "motionmatcher", "motiondirector")
    }
    alone = motionlift.cast(lifted["vmc"], PROMPT, model)
    mixed = motionlift.cast(lifted["vmc"], PROMPT, model, mixed=[(lifted["motionmatcher"], 0.5)])
    assert not torch.equal(alone.clip.frames, mixed.clip.frames)
    ends = {}
    for name, motion in lifted.items():
        written = motionlift.export_adapter(motion, tmp_path / f"{name}.safetensors", "comfyui")
        ends[name] = [path.stem.removeprefix(name) for path in written.paths]
        assert all(not foreign.loaded("comfyui", "wan", 3, load_file(path))[1] for path in written.paths)
    both = ["_high_noise", "_low_noise"]
    assert ends == {"vmc": both, "motionmatcher": ["_high_noise"], "motiondirector": both}, (
        "MotionMatcher tunes the noisier half, which the first network serves"
    )


class _Checkpoint(dict[str, Tensor]):
    """Weights as published, of which those that a converter asks for beside are made up."""

    def pop(self, key: str, *_default: Any) -> Tensor:
        return super().pop(key, torch.zeros(6, 2))


def in_diffusers(family: str, changes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Changes of the weights of a reader's own network as diffusers' converter of published checkpoints names and orders them."""
    weights = _Checkpoint({f"{name}.weight": change for name, change in changes.items()})
    if family in ("wan", "skyreels"):
        return single_file_utils.convert_wan_transformer_to_diffusers(weights)
    if family == "ltx":
        return single_file_utils.convert_ltx_transformer_checkpoint_to_diffusers(weights)
    if family == "ltx2":
        return single_file_utils.convert_ltx2_transformer_to_diffusers(weights)
    if family == "mochi":
        return single_file_utils.convert_mochi_transformer_checkpoint_to_diffusers(weights)
    if family in ("hunyuan", "hunyuan15"):
        double = {name: weight for name, weight in weights.items() if name.startswith("double_blocks")}
        for own, other in PUBLISHED_HUNYUAN.items():
            double = {name.replace(own, other): weight for name, weight in double.items()}
        return single_file_utils.convert_hunyuan_video_transformer_to_diffusers(_fused(double))
    if family == "cogvideox":  # diffusers' converter is a script of its own; q, k, v and the others are apart in both
        renamed = {"attn_out": "attn1.to_out.0", "ff_proj": "ff.net.0.proj", "ff_out": "ff.net.2"}
        renamed |= {name: f"attn1.to_{name}" for name in "qkv"}
        names = {name: name.removesuffix(".weight").split(".", 2) for name in weights}
        return {
            f"transformer_blocks.{n}.{renamed[layer]}.weight": weights[name] for name, (_, n, layer) in names.items()
        }
    return weights  # Kandinsky 5: its names are diffusers'


def _fused(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """HunyuanVideo 1.5's queries, keys and values, which are apart as published, in one layer, as the converter takes them."""
    fused = dict(weights)
    for name in [name for name in weights if name.endswith("_attn_q.weight")]:
        start = name.removesuffix("q.weight")
        fused[f"{start}qkv.weight"] = torch.cat([fused.pop(f"{start}{part}.weight") for part in "qkv"])
    return fused


OTHERS = [
    (name, reader) for name in READ for reader in ("comfyui", "kohya") if TRANSFORMERS[name].row.readers.loading(reader)
]
"""Every twin with each of the readers that have networks of their own."""


@pytest.mark.parametrize("kind", ["factors", "differences"])
@pytest.mark.parametrize(("name", "reader"), OTHERS)
def test_others_load_every_tensor_into_the_right_rows(name: str, reader: str, kind: str, tmp_path: Path):
    model = TRANSFORMERS[name].model()
    family = model.about.family
    adapter = adapter_of(linear_of(model), kind)
    rank = RANK if kind == "differences" and reader == "kohya" else None
    written = motionlift.export_adapter(motion_of(model, adapter), tmp_path / "adapter.safetensors", reader, rank)
    expected = weight_changes(adapter)
    for part, path in zip(model.network, written.paths, strict=True):
        changes, ignored = foreign.loaded(reader, family, model.about.blocks, load_file(path))
        assert not ignored
        found = in_diffusers(family, changes)
        own = {layer: change for layer, change in expected.items() if layer.startswith(f"{part}.")}
        if family == "hunyuan":  # the converter of whose blocks of one stream knows one width only
            own = {layer: change for layer, change in own.items() if ".single_" not in layer}
        for layer, change in own.items():
            torch.testing.assert_close(
                found[layer.removeprefix(f"{part}.") + ".weight"], change, atol=1e-4, rtol=1e-3 if rank else 1e-5
            )


def test_the_names_of_a_reader_are_those_that_ours_are_written_by():
    """Names that only one side has are a slip in either."""
    read = known().readers
    for family, own in families().items():
        for reader in ("comfyui", "kohya"):
            assert own.readers.loading(reader) == (family in read[reader].families)
            blocks = getattr(own.readers, reader)
            written = {f"{each.original}.*.{layer}" for each in blocks for layer in each.layers}
            forms = read[reader].families.get(family, ())
            assert written <= {name for form in forms for name in form.names}
        assert own.readers.loading("diffusers") == (family in read["diffusers"].families)
        assert family in read["peft"].families


@pytest.mark.parametrize("name", [*sorted(TRANSFORMERS), "unet3d"])
def test_names_of_diffusers_are_those_of_its_networks(name: str):
    pipeline = unet3d() if name == "unet3d" else TRANSFORMERS[name].build()
    family = "unet3d" if name == "unet3d" else TRANSFORMERS[name].row.family
    network = pipeline.unet if name == "unet3d" else pipeline.transformer
    own = known().readers["peft"].families[family][0]
    linear = {name for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    known_layers = {name for name in linear if own.pattern.fullmatch(name)}
    model: Any = TRANSFORMERS[name].model(pipeline) if name != "unet3d" else motionlift.load(pipeline, "cpu")
    tuned = {layer.split(".", 1)[1] for layer in linear_of(model)}
    assert tuned <= known_layers and tuned


def of(adapter: dict[str, Tensor], name: str) -> Tensor:
    """What a layer's factors make of a vector, without the rounding of processors, which differs."""
    up, down = (adapter[name + end].double() for end in (UP, DOWN))
    return up @ (down @ torch.randn(down.shape[1], generator=torch.Generator().manual_seed(3)).double())


@pytest.mark.slow
def test_blocks_of_one_stream_are_read_by_diffusers_at_their_true_width():
    width = 3072
    names = {
        f"single_transformer_blocks.1.{layer}": layer for layer in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
    }
    layers = {f"transformer.{name}": nn.Linear(width, width * (4 if "mlp" in name else 1)) for name in names}
    adapter = adapter_of(layers | {"transformer.single_transformer_blocks.1.proj_out": nn.Linear(5 * width, width)})
    found = back_from_comfyui(adapter)
    for name in layers:
        torch.testing.assert_close(of(found, name), of(adapter, name))
    for end in (DOWN, UP):
        out = f"transformer.single_transformer_blocks.1.proj_out{end}"
        assert torch.equal(found[out], adapter[out])


def test_rows_that_were_not_tuned_are_not_changed():
    width = 3072
    layers = {f"transformer.single_transformer_blocks.0.attn.to_{name}": nn.Linear(width, width) for name in "qkv"}
    adapter = adapter_of(layers)
    found = back_from_comfyui(adapter)
    for name in layers:
        torch.testing.assert_close(of(found, name), of(adapter, name))
    rest = found[f"transformer.single_transformer_blocks.0.proj_mlp{UP}"]
    assert rest.shape == (4 * width, 3 * RANK) and not rest.any()


def back_from_comfyui(adapter: dict[str, Tensor]) -> dict[str, Tensor]:
    """HunyuanVideo's file for ComfyUI, as diffusers turns it back."""
    about = Motion(
        {}, "vmc", {}, "hunyuan", "0", Lattice(3, 4, 4), Source("0", 8.0, TRANSFORMERS["hunyuan"].shape), "0"
    )
    tensors = {adapter_name(*name.split(".", 1)): tensor for name, tensor in adapter.items()}
    written, _ = exported(replace(about, tensors=tensors), "comfyui", families()["hunyuan"].readers)
    return _convert_hunyuan_video_lora_to_diffusers(dict(written["transformer"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRANSFORMERS))
def test_peft_loads_what_is_written_for_it(name: str, tmp_path: Path):
    model = TRANSFORMERS[name].model()
    adapter = adapter_of(linear_of(model, "temporal"))
    written = motionlift.export_adapter(motion_of(model, adapter), tmp_path / "adapter.safetensors", "peft")
    expected = outputs(model, adapter)
    other = TRANSFORMERS[name].model()
    for network, path in zip(other.network.values(), written.paths, strict=True):
        tensors = load_file(path)
        layers = sorted({layer.rpartition(".lora_")[0] for layer in tensors})
        inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=layers), network)
        assert not set_peft_model_state_dict(network, tensors).unexpected_keys
    for ours, theirs in zip(expected, outputs(other), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_every_row_has_a_twin_here():
    rows = {name for name, family in families().items() if isinstance(family, Row)}
    assert {TRANSFORMERS[name].row.family for name in TRANSFORMERS} == rows


@pytest.mark.parametrize("reader", ["diffusers", "comfyui", "kohya"])
def test_what_no_reader_loads_is_not_written(reader: str, tmp_path: Path):
    allegro = TRANSFORMERS["allegro"].model()
    motion = motion_of(allegro, adapter_of(linear_of(allegro)))
    with pytest.raises(MotionError, match=f"{reader} loads no adapters of twin; write it --for peft"):
        motionlift.export_adapter(motion, tmp_path / "adapter.safetensors", reader)
    unet = adapter_of({"unet.down_blocks.0.attentions.0.proj_in": nn.Linear(8, 8)})
    with pytest.raises(MotionError, match=f"{reader} loads no adapters of some/model; write it --for peft"):
        motionlift.export_adapter(
            replace(motion_of(allegro, unet), family="", model="some/model"), tmp_path / "adapter.safetensors", reader
        )
    assert list(tmp_path.iterdir()) == []


def test_diffusers_itself_loads_nothing_into_them():
    """Once it does, the refusals can go."""
    assert not hasattr(TRANSFORMERS["allegro"].build(), "load_lora_weights")
    assert not hasattr(TRANSFORMERS["allegro"].build().transformer, "load_lora_adapter")
    with pytest.raises(AttributeError, match="load_lora_adapter"):
        unet3d().load_lora_weights({f"unet.up_blocks.1.attentions.0.proj_in{UP}": torch.ones(8, 8)})


def test_a_motion_of_the_former_version_is_of_cogvideox(tmp_path: Path):
    model = TRANSFORMERS["cogvideox-rotary"].model()
    motion = replace(motion_of(model, adapter_of(linear_of(model))), family="")
    path = motionlift.export_adapter(motion, tmp_path / "adapter.safetensors", "comfyui").paths[0]
    assert not foreign.loaded("comfyui", "cogvideox", 3, load_file(path))[1]
