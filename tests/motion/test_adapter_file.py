"""What an adapter file is told to be: ours and others', of every family and form; and what is none."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import motionlift
from motionlift.cli.telling import adapter_lines
from motionlift.errors import InputError
from motionlift.motion import adapter_file
from motionlift.motion.adapter_file import look_into
from motionlift.motion.readers import READERS
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
    names = [f"lora_unet_{name.replace('.', '_')}" for name in WAN[:8]]
    tensors = factors(names, 1536, 8, ("lora_down", "lora_up"))
    tensors |= {f"{name}.alpha": torch.tensor(4, dtype=kind) for name in names}
    found = look_into(saved(tmp_path / "star.safetensors", tensors, ss_base_model_version="wan2.1", ss_tag="x"))
    assert found.scales == [0.5] and found.said == {"ss_base_model_version": "wan2.1"}
    assert found.models == ("SkyReels V2 1.3B", "Wan 2.1 1.3B"), "one of thirty blocks has the first too"
    assert read_by(found.path) == {"diffusers": 8, "comfyui": 8, "kohya": 8}
    assert "of rank 8, scaled by 0.5; 8 layers" in adapter_lines(found)[0]


def test_a_width_tells_models_apart_whose_layers_are_called_alike(tmp_path: Path):
    names = [f"transformer.transformer_blocks.{number}.attn1.to_{name}" for number in range(30) for name in "qkv"]
    found = look_into(saved(tmp_path / "star.safetensors", factors(names, 1920, 4)))
    assert (found.families, found.models) == (("cogvideox",), ("CogVideoX 2B",))
    assert read_by(found.path) == {"diffusers": 90}


def test_what_only_some_read_is_counted(tmp_path: Path):
    names = [f"diffusion_model.{name}" for name in WAN[:8]] + ["diffusion_model.text_embedding.0"]
    tensors = factors(names, 5120, 4) | {
        "diffusion_model.blocks.0.ffn.0.diff": torch.zeros(3, 2),
        "x.diff_b": torch.zeros(3),
    }
    found = look_into(saved(tmp_path / "star.safetensors", tensors))
    assert read_by(found.path) == {"diffusers": 8, "comfyui": 9}
    assert "read by  diffusers, 8 of its 10 layers: pipeline.load_lora_weights" in adapter_lines(found)
    assert "differences of weights" in adapter_lines(found)[0]


def test_adapters_of_other_models_and_kinds_are_told_as_such(tmp_path: Path):
    names = ["lora_unet_input_blocks_1_1_proj_in", "lora_te_text_model_encoder_layers_0_mlp_fc1"]
    other = look_into(saved(tmp_path / "a.safetensors", factors(names, 320, 4, ("lora_down", "lora_up"))))
    assert other.families == () and other.text_layers == 1
    assert "no model that is known here" in "\n".join(adapter_lines(other))
    loha = look_into(saved(tmp_path / "b.safetensors", {"lora_unet_a.hada_w1_a": torch.zeros(2, 2)}))
    assert loha.kinds == ("LoHa",) and loha.layers == ()
    assert adapter_lines(loha)[0].startswith(f"{loha.path}: LoHa; ")


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
    refused("large.safetensors", "its header tells .* bytes, and at most", b"\xff" * 40)
    for text in (
        b"[]",
        b"null",
        b"{",
        b'{"a": 1}',
        b'{"a.diff": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}',
    ):
        refused("odd.safetensors", "damaged or no safetensors file", struct.pack("<Q", len(text)) + text)
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
