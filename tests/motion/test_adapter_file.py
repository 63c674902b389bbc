"""What an adapter file is told to be: ours and others', of every family and form; and what is none."""

import json
import re
import struct
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import motionlift
from motionlift.cli.telling import adapter_lines
from motionlift.errors import InputError
from motionlift.motion import adapter_file
from motionlift.motion.adapter_file import look_into
from motionlift.motion.readers import READERS, known
from tests.adapters import RANK, adapter_of, linear_of, motion_of
from tests.twins import TRANSFORMERS
from tests.work.trials import a_clip

WAN = [
    f"blocks.{number}.{attention}.{name}"
    for number in range(40)
    for attention in ("self_attn", "cross_attn")
    for name in "qkvo"
]
"""Layers of attention of Wan 14B, as published."""


def factors(names: list[str], width: int, rank: int, ends: tuple[str, str] = ("lora_A", "lora_B")) -> dict[str, Tensor]:
    return {
        f"{name}.{end}.weight": torch.zeros(size, dtype=torch.float16)
        for name in names
        for end, size in zip(ends, ((rank, width), (width, rank)), strict=True)
    }


def saved(path: Path, tensors: dict[str, Tensor], **said: str) -> Path:
    save_file(tensors, path, said or None)
    return path


def read_by(path: Path) -> dict[str, int]:
    """How many layers each reader reads at most."""
    found: dict[str, int] = {}
    for own in look_into(path).readings:
        found[own.reader.name] = max(found.get(own.reader.name, 0), own.layers)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "name", [name for name in sorted(TRANSFORMERS) if name not in ("cogvideox-table", "wan-2.2-ti2v")]
)
def test_an_export_is_known_by_the_reader_that_it_was_written_for(name: str, reader: str, tmp_path: Path):
    twin = TRANSFORMERS[name]
    if not twin.row.readers.loading(reader):
        pytest.skip("not read, and so not written")
    model = twin.model()
    written = motionlift.export_adapter(
        motion_of(model, adapter_of(linear_of(model))), tmp_path / "a.safetensors", reader
    )
    for path in written.paths:
        found = look_into(path)
        assert found.families == (twin.row.family,), "it says so itself"
        assert found.said == {"model": "twin", "family": twin.row.family, "method": "vmc"}
        assert (found.blocks, found.scales, found.others, found.kinds) == (model.about.blocks, [1.0], 0, ())
        assert read_by(path)[reader] == len(found.layers) > 0
        assert min(found.ranks) == RANK
        assert f"family {twin.row.family}" in "\n".join(adapter_lines(found))
    bare = tmp_path / "bare.safetensors"
    with motionlift.motion.file.safe_open(written.paths[0], "pt") as opened:
        save_file({key: opened.get_tensor(key) for key in opened.keys()}, bare)
    assert twin.row.family in look_into(bare).families, "it is among those that its names may be for"


def test_an_adapter_of_comfyui(tmp_path: Path):
    path = saved(tmp_path / "star.safetensors", factors([f"diffusion_model.{name}" for name in WAN], 5120, 8))
    found = look_into(path)
    assert found.families == ("skyreels", "wan")
    assert found.models == ("SkyReels V2 14B", "Wan 2.1 14B or 2.2 A14B") and found.blocks == 40
    assert (len(found.layers), found.ranks, found.types) == (320, [8], ("F16",))
    assert read_by(path) == {"diffusers": 320, "comfyui": 320}
    lines = adapter_lines(found)
    assert lines[0].startswith(f"{path}: low-rank factors (LoRA) of rank 8; 320 layers, ")
    assert "read by  ComfyUI: its core's Load LoRA nodes" in lines
    assert lines[-1] == "not by   kohya's musubi-tuner, peft, as far as is known: other names"


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.int64])
def test_an_adapter_of_kohya_with_a_scale(kind: torch.dtype, tmp_path: Path):
    names = [f"lora_unet_{name.replace('.', '_')}" for name in (*WAN[:8], "blocks.0.ffn.0", "blocks.0.ffn.2")]
    tensors = factors(names, 1536, 8, ("lora_down", "lora_up"))
    tensors |= {f"{name}.alpha": torch.tensor(4, dtype=kind) for name in names}
    found = look_into(saved(tmp_path / "star.safetensors", tensors, ss_base_model_version="wan2.1", ss_tag="x"))
    assert found.scales == [0.5] and found.said == {"ss_base_model_version": "wan2.1"}
    assert found.models == ("SkyReels V2 1.3B", "Wan 2.1 1.3B"), "one of thirty blocks has the first too"
    assert read_by(found.path) == {"diffusers": 10, "comfyui": 10, "kohya": 10}
    assert "of rank 8, scaled by 0.5; 10 layers" in adapter_lines(found)[0]


@pytest.mark.parametrize(
    ("start", "ends", "readers"),
    [
        ("diffusion_model.", ("lora_down", "lora_up"), {"diffusers": 320, "comfyui": 320}),
        ("base_model.model.", ("lora_A", "lora_B"), {}),
        ("", ("lora_A.default", "lora_B.default"), {}),
        ("lora_unet__", ("lora_down", "lora_up"), {"comfyui": 320}),
    ],
)
def test_forms_that_are_common_for_wan_are_known(
    start: str, ends: tuple[str, str], readers: dict[str, int], tmp_path: Path
):
    names = [start + (name.replace(".", "_") if start == "lora_unet__" else name) for name in WAN]
    found = look_into(saved(tmp_path / "star.safetensors", factors(names, 5120, 8, ends)))
    assert found.models == ("SkyReels V2 14B", "Wan 2.1 14B or 2.2 A14B") and read_by(found.path) == readers


@pytest.mark.parametrize("start", ["unet.", ""])
@pytest.mark.parametrize(
    ("layer", "ends"),
    [
        ("transformer_blocks.0.attn1.processor.to_q_lora", ("down", "up")),
        ("transformer_blocks.0.attn1.to_q.lora", ("down", "up")),
        ("temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.to_q_lora", ("down", "up")),
    ],
)
def test_motion_adapters_of_animatediff_are_known(layer: str, ends: tuple[str, str], start: str, tmp_path: Path):
    names = [f"{start}down_blocks.{n}.motion_modules.{m}.{layer}" for n in range(4) for m in range(2)]
    path = saved(tmp_path / "star.safetensors", factors(names, 320, 4, ends))
    if layer.startswith("temporal") and start:
        assert look_into(path).families == ()
        return
    assert look_into(path).families == ("animatediff",)
    assert read_by(path) == ({"diffusers": 8} if start else {})


def test_a_width_tells_models_apart_whose_layers_are_called_alike(tmp_path: Path):
    names = [f"transformer.transformer_blocks.{number}.attn1.to_{name}" for number in range(30) for name in "qkv"]
    found = look_into(saved(tmp_path / "star.safetensors", factors(names, 1920, 4)))
    assert (found.families, found.models) == (("cogvideox",), ("CogVideoX 2B",))
    assert read_by(found.path) == {"diffusers": 90}


def test_what_only_some_read_is_counted(tmp_path: Path):
    names = [f"diffusion_model.{name}" for name in WAN[:8]] + ["diffusion_model.text_embedding.0"]
    tensors = factors(names, 5120, 4) | {"diffusion_model.blocks.0.ffn.0.diff": torch.zeros(3, 2)}
    found = look_into(saved(tmp_path / "star.safetensors", tensors))
    assert read_by(found.path) == {"diffusers": 9, "comfyui": 10}
    assert "read by  diffusers, 9 of its 10 layers: pipeline.load_lora_weights" in adapter_lines(found)
    assert "differences of weights" in adapter_lines(found)[0]


def attention(blocks: str, number: int, start: str = "transformer.", name: str = "attn.to_") -> list[str]:
    return [f"{start}{blocks}.{n}.{name}{part}" for n in range(number) for part in "qkv"]


UNET = [
    f"down_blocks.{n}.attentions.{m}.transformer_blocks.{{}}.attn{a}.to_{part}"
    for n in (1, 2)
    for m in (0, 1)
    for a in (1, 2)
    for part in "qkv"
]
"""Layers of attention of both Stable Diffusion 1 and XL, which has more blocks in each."""
OF_OTHERS = {
    "flux": ("Flux.1", attention("transformer_blocks", 19) + attention("single_transformer_blocks", 38), 3072),
    "flux, one list": ("Flux.1", attention("transformer_blocks", 19), 3072),
    "flux of kohya": (
        "Flux.1",
        [f"lora_unet_double_blocks_{n}_img_attn_qkv" for n in range(19)]
        + [f"lora_unet_single_blocks_{n}_linear1" for n in range(38)],
        3072,
    ),
    "qwen-image": ("Qwen-Image", attention("transformer_blocks", 60), 3072),
    "qwen-image of comfyui": ("Qwen-Image", attention("transformer_blocks", 60, "diffusion_model."), 3072),
    "qwen-image, bare": ("Qwen-Image", attention("transformer_blocks", 60, ""), 3072),
    "z-image": ("Z-Image", [f"diffusion_model.layers.{n}.attention.qkv" for n in range(30)], 3840),
    "z-image of diffusers": ("Z-Image", attention("layers", 30, name="attention.to_"), 3840),
    "sdxl": ("Stable Diffusion XL", [f"unet.{name.format(n)}" for name in UNET for n in range(2)], 640),
    "sdxl of kohya": (
        "Stable Diffusion XL",
        [f"lora_unet_input_blocks_{n}_1_transformer_blocks_1_attn1_to_q" for n in (4, 5, 7, 8)],
        640,
    ),
}
"""Adapters of models of pictures, which are not served: of which, their layers, and their width."""


@pytest.mark.parametrize("name", OF_OTHERS)
def test_an_adapter_of_a_model_that_is_not_served_is_told_to_be_one(name: str, tmp_path: Path):
    model, names, width = OF_OTHERS[name]
    ends = ("lora_down", "lora_up") if "kohya" in name else ("lora_A", "lora_B")
    found = look_into(saved(tmp_path / "star.safetensors", factors(names, width, 4, ends)))
    assert found.models == (model,) and found.readings == ()
    assert adapter_lines(found)[-1] == f"read by  programs for {model}; motionlift serves no such model"


def test_what_fits_models_of_several_families_may_be_for_any_of_them(tmp_path: Path):
    part = attention("transformer_blocks", 10) + attention("single_transformer_blocks", 12)
    found = look_into(saved(tmp_path / "part.safetensors", factors(part, 3072, 4)))
    assert found.models == ("Flux.1", "HunyuanVideo") and found.families == ("flux", "hunyuan")
    lines = adapter_lines(found)
    assert lines[1].startswith(
        "for      may be Flux.1, or HunyuanVideo (family flux or hunyuan), by its width and 22 blocks"
    )
    assert (
        "read by  diffusers, if it is of the family hunyuan: pipeline.load_lora_weights, as does motionlift's own --lora"
        in lines
    )
    whole = attention("transformer_blocks", 20) + attention("single_transformer_blocks", 40)
    found = look_into(saved(tmp_path / "whole.safetensors", factors(whole, 3072, 4)))
    assert (found.models, found.blocks) == (("HunyuanVideo",), 60)
    one = attention("single_transformer_blocks", 40)
    assert look_into(saved(tmp_path / "one.safetensors", factors(one, 3072, 4))).models == ("HunyuanVideo",)
    spatial = [f"unet.{name.format(0)}" for name in UNET]
    found = look_into(saved(tmp_path / "pictures.safetensors", factors(spatial, 640, 4)))
    assert {"AnimateDiff", "Stable Diffusion 1 or 2"} <= {*found.models}


@pytest.mark.slow
def test_the_names_of_models_that_are_not_served_are_those_of_their_networks():
    with torch.device("meta"):
        networks = {
            "flux": diffusers.FluxTransformer2DModel(),
            "qwen-image": diffusers.QwenImageTransformer2DModel(),
            "z-image": diffusers.ZImageTransformer2DModel(),
            "sdxl": diffusers.UNet2DConditionModel(
                block_out_channels=(320, 640, 1280),
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
                transformer_layers_per_block=(1, 2, 10),  # pyright: ignore[reportArgumentType]
                cross_attention_dim=2048,
                use_linear_projection=True,
            ),
        }
        first = diffusers.UNet2DConditionModel(cross_attention_dim=768)
    data = known()
    assert networks.keys() == data.others.keys()
    for family, network in networks.items():
        (size,) = [own for own in data.sizes.values() if own.family == family]
        lists = [len(network.get_submodule(own[-1])) for own in data.lists.get(family, ())]  # pyright: ignore[reportArgumentType]
        assert tuple(lists) == size.blocks
        layers = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
        told = [
            name for name in layers if any(form.pattern.fullmatch(form.start + name) for form in data.elsewhere[family])
        ]
        inside = [name for name in layers if re.search(r"(blocks|layers|refiner|attentions)\.", name)]
        assert {*told} >= {name for name in inside if "emb" not in name}
        if size.width:
            assert size.width in {network.get_submodule(name).in_features for name in told}
    linear = (name for name, module in first.named_modules() if isinstance(module, torch.nn.Linear))
    attended = [name for name in linear if ".attentions." in name]
    forms = [form for form in data.readers["diffusers"].families["animatediff"] if form.start == "unet."]
    assert attended and all(forms[0].pattern.fullmatch(f"unet.{name}") for name in attended)


def test_adapters_of_other_models_and_kinds_are_told_as_such(tmp_path: Path):
    names = ["lora_unet_input_blocks_1_1_proj_in", "lora_te_text_model_encoder_layers_0_mlp_fc1"]
    other = look_into(saved(tmp_path / "a.safetensors", factors(names, 320, 4, ("lora_down", "lora_up"))))
    assert other.families == () and other.text_layers == 1
    assert "no model that is known here" in "\n".join(adapter_lines(other))
    loha = look_into(saved(tmp_path / "b.safetensors", {"lora_unet_a.hada_w1_a": torch.zeros(2, 2)}))
    assert loha.kinds == ("LoHa",) and loha.layers == ()
    assert adapter_lines(loha)[0].startswith(f"{loha.path}: LoHa; ")


@pytest.mark.slow
def test_what_is_no_adapter_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(name: str, said: str, content: bytes | dict[str, Tensor] | None = None) -> None:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            save_file(content, path)
        with pytest.raises(InputError, match=said) as caught:
            look_into(path)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 600

    refused("none.safetensors", "does not exist; give an adapter")
    refused("a.pt", "is a pickle, which is never read", b"x")
    refused("empty.safetensors", "is empty", b"")
    refused("short.safetensors", "damaged or no safetensors file", b"1234")
    refused("large.safetensors", "its header tells .* bytes, and at most", struct.pack("<Q", 2**32) + b'{"a":{}}')
    refused("noise.safetensors", "is no safetensors file; give an adapter", b"\xff" * 40)
    refused("clip.mp4", "is no safetensors file: it is a video; give an adapter", b"\0\0\0 ftypisom" + b"\0" * 40)
    refused("record.json", "is no safetensors file: it is JSON", b'{"version": {"a": 1}, "b": 2}')
    for text in (
        b"[]",
        b"null",
        b"{",
        b'{"a": 1}',
        b'{"a.diff": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}',
    ):
        refused("odd.safetensors", "no safetensors file", struct.pack("<Q", len(text)) + text)
    refused("weights.safetensors", "no adapter: its tensors, such as 'a.weight'", {"a.weight": torch.zeros(2, 2)})
    refused("half.safetensors", "no adapter", {"a.lora_A.weight": torch.zeros(2, 2)})
    scale = {**factors(["a"], 4, 2), "a.alpha": torch.zeros(5)}
    refused("scale.safetensors", r"a scale is of \[5\] numbers", scale)
    refused("odd_scale.safetensors", "a scale is nan", {**factors(["a"], 4, 2), "a.alpha": torch.tensor(float("nan"))})
    unlike = {"a.lora_A.weight": torch.zeros(4, 8), "a.lora_B.weight": torch.zeros(8, 9)}
    refused("unlike.safetensors", "the factors of a are of ranks 4 and 9", unlike)
    motion = motionlift.lift(a_clip(), TRANSFORMERS["wan-2.1"].model(), "none", settings={"steps": 3}, cached=False)
    motion.save(tmp_path / "motion.safetensors")
    refused("motion.safetensors", "is a motion: cast it, or make an adapter of it by motionlift export")
    (tmp_path / "folder").mkdir()
    refused("folder", "is a folder; give an adapter")
    monkeypatch.setattr(adapter_file, "MOST_TENSORS", 1)
    refused("many.safetensors", "holds 2 tensors, and at most 1 are looked at", factors(["a"], 4, 2))


def test_numbers_beyond_all_blocks_are_of_no_layer_that_is_known(tmp_path: Path):
    name = f"transformer.blocks.{'9' * 5000}.attn1.to_q"
    told = look_into(saved(tmp_path / "a.safetensors", factors([name], 4, 2)))
    assert (len(told.layers), told.blocks, told.readings) == (1, 0, ())


def test_what_a_file_says_of_itself_stays_short(tmp_path: Path):
    said = {"model": "x" * 10_000, "family": json.dumps(["wan"])}
    found = look_into(saved(tmp_path / "a.safetensors", factors(["n" * 5000], 4, 2), **said))
    assert len(found.said["model"]) == 100
    assert all(len(line) < 600 for line in adapter_lines(found))
