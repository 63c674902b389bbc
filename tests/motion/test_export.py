"""What is exported is loaded by its reader: the network then gives what it gives with the adapter in its weights."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from motionlift.cli.main import run
from motionlift.core.lattice import Lattice, Shape
from motionlift.errors import MotionError, OutputError, SettingError
from motionlift.models.families import families
from motionlift.motion.adapter import DIFFERENCE, DOWN, UP, low_rank
from motionlift.motion.export import exported, write_adapter
from motionlift.motion.file import Motion, Source
from motionlift.motion.names import adapter_name
from motionlift.motion.readers import known
from tests.motion.weight_changes import weight_changes
from tests.twins import cogvideox, unet3d

RANK = 4
PARTS = {"cogvideox": "transformer", "unet3d": "unet"}
PIPELINES: dict[str, Callable[[], Any]] = {"cogvideox": cogvideox, "unet3d": unet3d}
READERS_OF = {name: families()[name].readers for name in PIPELINES}
TUNED = ("to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2")
COMFYUI_KEYS = {
    f"diffusion_model.blocks.{block}.{layer}"
    for block in range(3)
    for layer in ("q", "k", "v", "attn_out", "ff_proj", "ff_out")
}
"""Linear layers of the blocks of a CogVideoX of three blocks in ComfyUI, as its own state dict names them, without ``.weight``."""


def output_of(network: nn.Module, family: str) -> Tensor:
    """What the network gives for fixed inputs."""
    random = torch.Generator().manual_seed(0)
    text, time = torch.randn(1, 8, 16, generator=random), torch.tensor([500])
    with torch.no_grad():
        if family == "unet3d":
            return network(torch.randn(1, 4, 4, 8, 8, generator=random), time, text).sample
        rotary = tuple(torch.randn(48, 16, generator=random) for _ in range(2))
        return network(torch.randn(1, 3, 4, 8, 8, generator=random), text, time, image_rotary_emb=rotary).sample


def layers_of(network: nn.Module) -> dict[str, nn.Linear]:
    """What methods tune: the linear layers of attention and of what follows it."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and "blocks" in name and name.endswith(TUNED)
    }


def adapter_of(network: nn.Module, kind: str) -> dict[str, Tensor]:
    """A random adapter, of factors, or of differences of the rank of these."""
    random = torch.Generator().manual_seed(1)
    adapter = {}
    for name, layer in layers_of(network).items():
        down = 0.3 * torch.randn(RANK, layer.in_features, generator=random)
        up = 0.3 * torch.randn(layer.out_features, RANK, generator=random)
        adapter |= {name + DOWN: down, name + UP: up} if kind == "factors" else {name + DIFFERENCE: up @ down}
    return adapter


def motion_of(adapter: dict[str, Tensor], part: str, **more: Tensor) -> Motion:
    tensors = {"latents": torch.zeros(1, 4, 3, 8, 8), **more}
    tensors |= {adapter_name(part, name): tensor for name, tensor in adapter.items()}
    return Motion(tensors, "vmc", {}, "some/model", "0", Lattice(3, 4, 4), Source("0", 8.0, Shape(9, 32, 32)), "0")


def merged(network: nn.Module, adapter: dict[str, Tensor]) -> nn.Module:
    """A copy of a network with the adapter in its weights."""
    whole = copy.deepcopy(network)
    for name, change in weight_changes(adapter).items():
        whole.get_submodule(name).weight.data += change
    return whole


def with_peft(network: nn.Module, file: Path, rank: int) -> None:
    """Load a file as the page for users says."""
    adapter = load_file(file)
    layers = sorted({name.rpartition(".lora_")[0] for name in adapter})
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers), network)
    assert not set_peft_model_state_dict(network, adapter).unexpected_keys


def assert_ends_as_asked(file: Path, reader: str, family: str) -> None:
    """Every name in a file begins and ends as the reader's own sources have it."""
    form = known().readers[reader].families[family][0]
    ends = {end for kind in form.ends for end in known().ends[kind]}
    found = [next((end for end in ends if name.endswith(end)), name) for name in load_file(file)]
    assert {*found} == ends and all(name.startswith(form.start) for name in load_file(file))


def test_the_help_names_the_wrapper_of_comfyui_that_reads_the_names_of_diffusers(capsys: pytest.CaptureFixture[str]):
    assert run(["export", "--help"]) == 0
    told = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "diffusers, which kijai's CogVideoX wrapper calls too" in told


@pytest.mark.parametrize("kind", ["factors", "differences"])
@pytest.mark.parametrize(("family", "reader"), [("cogvideox", "diffusers"), ("cogvideox", "peft"), ("unet3d", "peft")])
def test_readers_load_what_is_written(family: str, reader: str, kind: str, tmp_path: Path):
    pipeline = PIPELINES[family]()
    network = getattr(pipeline, PARTS[family])
    adapter = adapter_of(network, kind)
    bare, expected = output_of(network, family), output_of(merged(network, adapter), family)
    file = tmp_path / "adapter.safetensors"
    motion, rank = motion_of(adapter, PARTS[family]), RANK if kind == "differences" else None
    written = write_adapter(motion, file, reader, READERS_OF[family], rank)
    missed = written.missed
    assert written.paths == (file,)
    assert missed is None if kind == "factors" else missed == pytest.approx(0, abs=1e-5)
    if reader == "diffusers":
        assert_ends_as_asked(file, reader, family)
        pipeline.load_lora_weights(tmp_path, weight_name=file.name)
    else:
        with_peft(network, file, RANK)
    torch.testing.assert_close(output_of(network, family), expected, atol=1e-4, rtol=1e-3)
    assert (expected - bare).abs().mean() > 0.01, "the adapter changes something"


@pytest.mark.parametrize("reader", ["diffusers", "comfyui", "kohya"])
@pytest.mark.parametrize("rank", [None, RANK])
def test_a_unet_has_no_reader_but_peft(reader: str, rank: int | None):
    motion = motion_of(adapter_of(unet3d().unet, "differences"), "unet")
    with pytest.raises(MotionError, match=rf"{reader} loads no adapters of some/model.*--for peft"):
        exported(motion, reader, READERS_OF["unet3d"], rank)


@pytest.mark.parametrize(("kind", "ends"), [("factors", {DOWN, UP}), ("differences", {".diff"})])
def test_comfyui_knows_every_name(kind: str, ends: set[str]):
    network = cogvideox().transformer
    adapter = adapter_of(network, kind)
    written, missed = exported(motion_of(adapter, "transformer"), "comfyui", READERS_OF["cogvideox"])
    tensors = written["transformer"]
    assert missed is None
    split = {name: next(end for end in ends if name.endswith(end)) for name in tensors}
    assert {name.removesuffix(end) for name, end in split.items()} == COMFYUI_KEYS
    assert set(split.values()) == ends
    layer, end = "transformer_blocks.2.ff.net.0.proj", ".difference" if kind == "differences" else UP
    shown = ".diff" if kind == "differences" else UP
    assert torch.equal(tensors[f"diffusion_model.blocks.2.ff_proj{shown}"], adapter[layer + end])


def test_comfyui_takes_factors_of_differences_too():
    adapter = adapter_of(cogvideox().transformer, "differences")
    written, missed = exported(motion_of(adapter, "transformer"), "comfyui", READERS_OF["cogvideox"], rank=2)
    tensors = written["transformer"]
    assert missed == pytest.approx(low_rank(adapter, 2)[1]) and missed > 0.1
    assert {tensor.shape for name, tensor in tensors.items() if name.endswith(".q.lora_A.weight")} == {(2, 32)}


@pytest.mark.parametrize("layer", ["transformer_blocks.0.norm1.linear", "proj_out", "blocks.0.attn1.to_q"])
@pytest.mark.parametrize("reader", ["diffusers", "comfyui"])
def test_layers_that_are_not_known_to_load_are_refused(reader: str, layer: str):
    motion = motion_of({layer + DOWN: torch.ones(2, 3), layer + UP: torch.ones(3, 2)}, "transformer")
    with pytest.raises(MotionError, match=f"{reader} is not known to load the layer"):
        exported(motion, reader, READERS_OF["cogvideox"])


def test_what_cannot_be_exported_is_refused(tmp_path: Path):
    factors = motion_of(adapter_of(cogvideox().transformer, "factors"), "transformer")
    differences = motion_of(adapter_of(cogvideox().transformer, "differences"), "transformer")
    with pytest.raises(SettingError, match="allowed are diffusers, comfyui, kohya, peft"):
        exported(factors, "webui", READERS_OF["cogvideox"])
    with pytest.raises(
        MotionError, match=r"kohya loads no adapters of .*; write it --for diffusers, or --for comfyui, or --for peft"
    ):
        exported(factors, "kohya", READERS_OF["cogvideox"])
    with pytest.raises(SettingError, match="has factors already"):
        exported(factors, "diffusers", READERS_OF["cogvideox"], rank=2)
    for reader in ("diffusers", "peft"):
        with pytest.raises(SettingError, match=f"which {reader} does not load; give a rank, such as 16"):
            exported(differences, reader, READERS_OF["cogvideox"])
    with pytest.raises(MotionError, match="vmc holds no adapter; lift one with a method that tunes"):
        exported(motion_of({}, "transformer"), "comfyui", READERS_OF["cogvideox"])
    with pytest.raises(OutputError, match=r"must end in \.safetensors"):
        write_adapter(factors, tmp_path / "adapter.bin", "diffusers", READERS_OF["cogvideox"])
    assert list(tmp_path.iterdir()) == []


def test_others_may_read_the_file(tmp_path: Path):
    motion = motion_of(adapter_of(cogvideox().transformer, "factors"), "transformer")
    write_adapter(motion, tmp_path / "adapter.safetensors", "diffusers", READERS_OF["cogvideox"])
    (tmp_path / "plain").touch()
    assert (tmp_path / "adapter.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({DIFFERENCE: torch.ones(3)}, r"is of \(3,\); allowed are rows and columns"),
        ({DIFFERENCE: torch.ones(2, 2, 2)}, r"is of \(2, 2, 2\); allowed are rows and columns"),
        ({DIFFERENCE: torch.full((2, 2), torch.nan)}, "not finite"),
        ({DOWN: torch.ones(2, 3)}, "one factor without the other"),
        ({UP: torch.ones(3, 2)}, "one factor without the other"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(3, 4)}, "different ranks, 2 to 4"),
        ({DOWN: torch.ones(2, 3), UP: torch.ones(3, 2), DIFFERENCE: torch.ones(3, 3)}, "factors and a difference"),
        ({".weight": torch.ones(3, 3)}, "allowed is the name of a layer with"),
    ],
)
@pytest.mark.parametrize("rank", [None, 2])
def test_what_is_no_adapter_is_refused(changes: dict[str, Tensor], said: str, rank: int | None, tmp_path: Path):
    motion = motion_of({f"transformer_blocks.0.attn1.to_q{end}": own for end, own in changes.items()}, "transformer")
    with pytest.raises(MotionError, match=said):
        write_adapter(motion, tmp_path / "adapter.safetensors", "comfyui", READERS_OF["cogvideox"], rank)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rank", [0, -1, 1025, True])
def test_ranks_that_are_none(rank: int):
    differences = motion_of(adapter_of(cogvideox().transformer, "differences"), "transformer")
    with pytest.raises(SettingError, match="allowed is a whole number from 1 to 1024"):
        exported(differences, "comfyui", READERS_OF["cogvideox"], rank)
