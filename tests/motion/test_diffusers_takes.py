"""What is told of diffusers is what its own loaders do: files of every form are given to them and held against the data."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.version import Version
from peft import LoraConfig, get_peft_model, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from motionlift.cli.telling import adapter_lines
from motionlift.motion.adapter_file import AdapterFile, Reading, look_into
from motionlift.motion.original import WAN
from motionlift.motion.readers import known
from tests.twins import TRANSFORMERS
from tests.twins.animatediff import animatediff

TWINS: Mapping[str, Callable[[], Any]] = {
    **{twin.row.family: twin.build for name, twin in reversed([*TRANSFORMERS.items()]) if name != "allegro"},
    "animatediff": animatediff,
}
"""A twin of every family that diffusers loads adapters into."""
QUICK = ("cogvideox", "mochi", "wan")
"""Families that the quick tests try."""


def slow_where(family: str = QUICK[0], **_others: Any) -> bool:
    """Those that take their time, and are made as others are."""
    return family not in QUICK


PLAIN = ("", "transformer.", "unet.", "diffusion_model.", "base_model.model.")
FLAT = ("lora_unet_", "lora_unet__", "transformer.")
"""What stands before a name in files that are met, with dots in it and without."""
RANK = 2
BLOCKS = {"hunyuan": 2, "hunyuan15": 3, "wan": 3, "skyreels": 3}
"""Of the twins whose layers have other names originally."""
HUNYUAN = {
    "img_mod.linear": ("norm1.linear", 1),
    "img_attn_qkv": ("attn.to_q", 3),
    "img_attn_proj": ("attn.to_out.0", 1),
    "img_mlp.fc1": ("ff.net.0.proj", 1),
    "img_mlp.fc2": ("ff.net.2", 1),
    "txt_mod.linear": ("norm1_context.linear", 1),
    "txt_attn_qkv": ("attn.add_q_proj", 3),
    "txt_attn_proj": ("attn.to_add_out", 1),
    "txt_mlp.fc1": ("ff_context.net.0.proj", 1),
    "txt_mlp.fc2": ("ff_context.net.2", 1),
    "linear2": ("proj_out", 1),
    "modulation.linear": ("norm.linear", 1),
}
"""Layers of HunyuanVideo as published, but for the one that diffusers reads at the true width alone: the first of diffusers' layers
that it holds, and how many these are."""
WAN_BESIDE = {
    "time_projection.1": "condition_embedder.time_proj",
    "head.head": "proj_out",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
}
"""Layers of Wan outside of its blocks, and diffusers' names of them."""
DATA = json.loads((files("motionlift.motion") / "readers.json").read_text(encoding="utf-8"))
TOLD = DATA["readers"]["diffusers"]["sources"][0]["version"]
pytestmark = pytest.mark.skipif(
    Version(version("diffusers")) < Version(TOLD), reason="the names are of a newer version of diffusers"
)
Weights = dict[str, Tensor]
Layers = Mapping[str, tuple[nn.Module, int]]
"""By name: a layer, and how many times as many rows the name stands for."""


def network_of(pipeline: Any) -> nn.Module:
    return pipeline.unet if hasattr(pipeline, "unet") else pipeline.transformer


def own_layers(pipeline: Any) -> Layers:
    """The layers of a network by diffusers' names."""
    kinds = (nn.Linear, nn.Conv2d, nn.Conv3d)
    found = {name: (layer, 1) for name, layer in network_of(pipeline).named_modules() if isinstance(layer, kinds)}
    if hasattr(pipeline, "unet"):  # of a UNet the layers that adapters are trained for alone are told
        return {name: own for name, own in found.items() if re.search(r"(attentions|motion_modules)\.", name)}
    return found


def original_layers(family: str, pipeline: Any) -> Layers:
    """The layers of a network by the names that they were published with."""
    own = own_layers(pipeline)
    if family in ("wan", "skyreels"):
        blocks = range(BLOCKS[family])
        inner = {f"blocks.{n}.{name}": f"blocks.{n}.{layers[0]}" for n in blocks for name, layers in WAN.layers.items()}
        return {name: own[layer] for name, layer in inner.items() if layer in own}
    if family != "hunyuan":
        return {}
    found = {}
    for name, (layer, times) in HUNYUAN.items():
        kind = "single" if name in ("linear2", "modulation.linear") else "double"
        listed = "single_transformer_blocks" if kind == "single" else "transformer_blocks"
        for n in range(BLOCKS[family]):
            found[f"{kind}_blocks.{n}.{name}"] = (own[f"{listed}.{n}.{layer}"][0], times)
    return found


def factors(layers: Layers, start: str, kind: str, flat: bool = False, alpha: float | None = None) -> Weights:
    """A file of factors that change every layer."""
    ends, made = known().ends[kind], {}
    for name, (layer, times) in layers.items():
        written = start + (name.replace(".", "_") if flat else name)
        if kind == "diffusers oldest":
            written = written.removesuffix(".0").replace(".to_", ".processor.to_")
        weight = layer.weight
        assert isinstance(weight, Tensor)
        made[written + ends[0]] = torch.ones(RANK, *weight.shape[1:])
        made[written + ends[1]] = torch.ones(times * len(weight), RANK, *[1] * (weight.ndim - 2))
        if alpha is not None:
            made[f"{written}.alpha"] = torch.tensor(alpha)
    return made


def taken(pipeline: Any, file: Path) -> int:
    """How many layers diffusers changes by a file; none where it refuses it."""
    try:
        if hasattr(pipeline, "load_lora_weights"):
            pipeline.load_lora_weights(str(file.parent), weight_name=file.name)
        else:
            pipeline.transformer.load_lora_adapter(load_file(file), prefix="transformer")
    except Exception:  # files that it does not know make diffusers raise errors of every kind
        return 0
    return sum(any(map(filled, layer.get_submodule("lora_B").children())) for layer in adapted(pipeline))


def filled(factor: nn.Module) -> bool:
    """Whether something was loaded into a factor, which has no memory or is zero before."""
    weight = factor.weight
    assert isinstance(weight, Tensor)
    return not weight.is_meta and bool(weight.any())


def adapted(pipeline: Any) -> list[nn.Module]:
    """Layers of a pipeline that have an adapter, whether anything was loaded into it or not."""
    parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
    return [layer for part in parts for layer in part.modules() if isinstance(layer, BaseTunerLayer)]


def changed_by(layer: Any) -> float:
    """The greatest change of a weight by an adapter of ones, with its scale."""
    (down,), (up,) = layer.lora_A.values(), layer.lora_B.values()
    change: Tensor = up.weight.flatten(1) @ down.weight.flatten(1)
    return change.max().item() * layer.scaling[layer.active_adapters[0]]


def reading_of(file: AdapterFile, family: str, reader: str = "diffusers") -> Reading | None:
    return next((own for own in file.readings if (own.reader.name, own.family) == (reader, family)), None)


def every_form(family: str, pipeline: Any) -> Iterator[tuple[str, Weights, int]]:
    """Files of every form, each with what it is and how many layers of diffusers it is for."""
    names = {"diffusers": own_layers(pipeline), "published": original_layers(family, pipeline)}
    for called, layers in names.items():
        many = sum(times for _, times in layers.values())
        for starts, flat in ((PLAIN, False), (FLAT, True)):
            for start in starts if layers else ():
                for kind in [kind for kind in known().ends if kind != "diff"]:
                    for alpha in (None, 2.0 * RANK):
                        about = f"{called} names after {start!r}, {kind}, {'flat, ' * flat}alpha {alpha}"
                        yield about, factors(layers, start, kind, flat, alpha), many


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(TWINS))
def test_diffusers_takes_the_forms_that_it_is_told_to_and_no_others(family: str, tmp_path: Path):
    assert TWINS.keys() == known().readers["diffusers"].families.keys()
    pipeline, wrong, found = TWINS[family](), [], 0
    for number, (about, tensors, many) in enumerate(every_form(family, pipeline)):
        file = tmp_path / f"{number}.safetensors"
        save_file(tensors, file, {"family": family})
        looked = look_into(file)
        reading, own = reading_of(looked, family), taken(pipeline, file)
        layers = reading.layers if reading else 0
        expected = many if layers == len(looked.layers) else layers
        found += own > 0
        if own != expected:
            wrong.append(f"{about}: {expected} are told of, and {own} taken")
        if reading and own:
            scale = 1.0 if reading.unscaled else looked.scales[0]
            changes = {changed_by(layer) for layer in adapted(pipeline)}
            assert changes == {RANK * scale}, f"{about}: its scale is read as is told"
        if adapted(pipeline):
            pipeline = TWINS[family]()
    assert not wrong and found, "\n".join(wrong)


def without(tensors: Weights, part: str) -> Weights:
    return {name: own for name, own in tensors.items() if part not in name}


def of_wan(name: str) -> Weights:
    """Files for Wan as they are met, and as they are broken."""
    pipeline = TWINS["wan"]()
    layers, own = original_layers("wan", pipeline), own_layers(pipeline)
    dotted = factors(layers, "diffusion_model.", "kohya")
    flat = factors(layers, "lora_unet_", "kohya", True, 1.0)
    ups = {name.removesuffix(".lora_up.weight"): up for name, up in dotted.items() if name.endswith(".lora_up.weight")}
    biases = {f"{name}.diff_b": torch.ones(len(up)) for name, up in ups.items()}
    norms = {
        "diffusion_model.blocks.0.norm3.diff": torch.ones(32),
        "diffusion_model.blocks.0.norm3.diff_b": torch.ones(32),
    }
    around = factors({name: own[layer] for name, layer in WAN_BESIDE.items()}, "diffusion_model.", "kohya")
    one = {"diffusion_model.text_embedding.0.alpha": torch.tensor(1.0)}
    return {
        "distilled": dotted | biases | norms,
        "biases of some": dotted | dict([*biases.items()][:2]),
        "attention alone": without(dotted, "ffn"),
        "a difference": without(dotted, "ffn") | {"diffusion_model.blocks.0.ffn.0.diff": torch.ones(64, 32)},
        "around the blocks": dotted | around,
        "around the blocks with a scale": dotted | around | one,
        "a name of another": dotted | {"x.diff_b": torch.ones(3)},
        "a text encoder": dotted | {"text_encoder.q.lora_down.weight": torch.ones(2, 3)},
        "kohya": flat,
        "kohya, attention alone": without(flat, "ffn"),
        "kohya, not from the first block": without(flat, "blocks_0"),
        "kohya, two blocks": without(flat, "blocks_2"),
        "kohya, without scales": without(flat, "alpha"),
        "kohya, a text encoder": flat | {"lora_te_q.lora_down.weight": torch.ones(2, 3)},
        "kohya, a bias": flat | {"lora_unet_blocks_0_ffn_0.diff_b": torch.ones(3)},
        "diffusers, a bias": factors(own, "transformer.", "peft") | {"transformer.proj_out.diff_b": torch.ones(3)},
        "diffusers, a text encoder": factors(own, "transformer.", "peft")
        | {"text_encoder.q.lora_A.weight": torch.ones(2, 3)},
    }[name]


WAN_FILES = {
    "distilled": True,
    "biases of some": True,
    "attention alone": True,
    "a difference": True,
    "around the blocks": True,
    "around the blocks with a scale": False,
    "a name of another": False,
    "a text encoder": False,
    "kohya": True,
    "kohya, attention alone": False,
    "kohya, not from the first block": False,
    "kohya, two blocks": True,
    "kohya, without scales": False,
    "kohya, a text encoder": False,
    "kohya, a bias": False,
    "diffusers, a bias": False,
    "diffusers, a text encoder": True,
}
"""Whether diffusers takes any of them."""


@pytest.mark.parametrize("name", WAN_FILES)
def test_what_diffusers_asks_of_files_for_wan_is_told(name: str, tmp_path: Path):
    file = tmp_path / "star.safetensors"
    save_file(of_wan(name), file)
    reading, pipeline = reading_of(look_into(file), "wan"), TWINS["wan"]()
    assert reading is not None and (reading.layers > 0) == WAN_FILES[name]
    assert taken(pipeline, file) == reading.layers
    told = "\n".join(adapter_lines(look_into(file)))
    assert reading.layers or f"not by   diffusers: {reading.refused}" in told


def of_others(name: str) -> tuple[str, Weights]:
    """Files for other families with something beside: the family, and the file."""
    family, _, what = name.partition(": ")
    pipeline = TWINS[family]()
    if family == "hunyuan":
        tensors = factors(original_layers(family, pipeline), "transformer.", "peft")
        return family, tensors if what == "published" else without(tensors, "img_attn_qkv")
    if family == "animatediff":
        spatial = {name: own for name, own in own_layers(pipeline).items() if "motion_modules" not in name}
        tensors = factors(spatial, "lora_unet_", "kohya", True, 1.0)
        text = {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.ones(2, 16)}
        text["lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight"] = torch.ones(64, 2)
        more = {
            "text": text,
            "a bias": {"lora_unet_conv_in.diff_b": torch.ones(3)},
            "a foreign name": {"x.lora": torch.ones(1)},
        }
        return family, tensors | more[what]
    tensors = factors(own_layers(pipeline), "diffusion_model.", "peft")
    return family, tensors | {"text_encoder.q.lora_A.weight": torch.ones(2, 3)}


OTHER_FILES = {
    "hunyuan: published": True,
    "hunyuan: without the layer by which it is known": False,
    "animatediff: a bias": False,
    "animatediff: a foreign name": False,
    "ltx: a text encoder": False,
    "ltx2: a text encoder": True,
}
"""Whether diffusers takes any of them."""


@pytest.mark.parametrize("name", OTHER_FILES)
def test_what_diffusers_asks_of_other_files_is_told(name: str, tmp_path: Path):
    file = tmp_path / "star.safetensors"
    family, tensors = of_others(name)
    save_file(tensors, file, {"family": family})
    reading = reading_of(look_into(file), family)
    assert reading is not None and (reading.layers > 0) == OTHER_FILES[name]
    assert (taken(TWINS[family](), file) > 0) == OTHER_FILES[name]


@pytest.mark.parametrize("start", PLAIN)
@pytest.mark.parametrize("kind", ["peft", "peft named", "kohya"])
def test_peft_takes_the_forms_that_it_is_told_to_and_no_others(kind: str, start: str, tmp_path: Path):
    pipeline = TWINS["wan"]()
    tensors = factors(own_layers(pipeline), start, kind)
    save_file(tensors, tmp_path / "star.safetensors", {"family": "wan"})
    reading = reading_of(look_into(tmp_path / "star.safetensors"), "wan", "peft")
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=[*own_layers(pipeline)])
    if start == "base_model.model.":  # as peft writes files itself, and reads them into a network that it has wrapped
        network: Any = get_peft_model(pipeline.transformer, config, "star")
    else:
        network = inject_adapter_in_model(config, pipeline.transformer, "star")
    set_peft_model_state_dict(
        network, tensors, "star"
    )  # newer versions take names with "default" in them, if it is called so
    own = sum(any(map(filled, layer.get_submodule("lora_B").children())) for layer in adapted(pipeline))
    assert own == (reading.layers if reading else 0)
