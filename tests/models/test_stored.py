"""In which types weights are stored, and that those which are not made anew take no memory of the process's own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors.torch import save_file

from motionlift.models.blank import blank
from motionlift.models.counting import counting
from motionlift.models.shared import PipelineModel
from motionlift.models.stored import stored_type
from tests.twins import cogvideox


def test_the_type_of_most_weights(tmp_path: Path):
    few, many = torch.zeros(3), torch.zeros(40, dtype=torch.bfloat16)
    save_file({"a": few, "b": many}, tmp_path / "model.safetensors")
    assert stored_type(tmp_path) is torch.bfloat16


def test_files_in_half_precision_are_read_where_there_are_no_others(tmp_path: Path):
    save_file({"a": torch.zeros(3, dtype=torch.float16)}, tmp_path / "a.fp16.safetensors")
    assert stored_type(tmp_path) is torch.float16
    save_file({"a": torch.zeros(3)}, tmp_path / "model.safetensors")
    assert stored_type(tmp_path) is torch.float32


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_of_what_is_not_there_or_damaged_nothing_is_known(content: bytes | None, tmp_path: Path):
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)
    assert stored_type(tmp_path) is None


@pytest.mark.slow
def test_weights_of_another_type_are_made_anew(tmp_path: Path):
    cogvideox().save_pretrained(tmp_path)
    anew: list[int | None] = []
    for kind, dtype in (("cpu", "auto"), ("cpu", "bf16")):
        with counting():
            model = blank(str(tmp_path), kind, dtype)
        assert isinstance(model, PipelineModel)
        anew.append(model.anew)
    whole = sum(weight.nbytes for parts in model.held.values() for part in parts for weight in part.parameters())
    assert anew == [0, whole]
    for file in (tmp_path / "vae").glob("*.safetensors"):
        file.unlink()
    with counting():
        model = blank(str(tmp_path), "cpu")
    assert isinstance(model, PipelineModel) and model.anew is None


GROWN = """
import sys
import torch
from diffusers import CogVideoXTransformer3DModel
from motionlift.work.memory import own_memory

before = own_memory()
own = CogVideoXTransformer3DModel.from_pretrained(sys.argv[1], dtype=getattr(torch, sys.argv[2]))
sum(weight.data.sum() for weight in own.parameters())
print(own_memory() - before)
"""
"""What a process that does nothing else takes for weights of a type, in bytes."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts pages as Linux tells them")
def test_weights_of_the_type_of_their_file_stay_in_it(tmp_path: Path):
    sizes: dict[str, Any] = {
        "num_attention_heads": 16,
        "attention_head_dim": 64,
        "time_embed_dim": 64,
        "text_embed_dim": 64,
    }
    made = CogVideoXTransformer3DModel(**sizes, num_layers=4, sample_width=8, sample_height=8, sample_frames=9)
    made.save_pretrained(tmp_path)
    size = sum(weight.nbytes for weight in made.parameters())
    same, other = (
        int(subprocess.run([sys.executable, "-c", GROWN, str(tmp_path), kind], capture_output=True, check=True).stdout)
        for kind in ("float32", "bfloat16")
    )
    assert same < 0.2 * size
    assert other > 0.4 * size, "made anew, in half of the bytes"
