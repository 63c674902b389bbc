"""Adapters of AnimateDiff: tuned, written for diffusers, and those of others in its weights."""

from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import motionlift
from motionlift.core.lattice import Shape
from motionlift.errors import MotionError
from motionlift.models.families import serving
from motionlift.models.families.animatediff import AnimateDiff
from motionlift.models.lora_files import LoraFile
from motionlift.models.loras import fuse
from motionlift.motion.adapter import DOWN, UP
from motionlift.motion.adapter_file import look_into
from tests.adapters import RANK, adapter_of, linear_of, motion_of, outputs
from tests.twins.animatediff import animatediff
from tests.twins.text import WIDTH
from tests.work.trials import PROMPT, TUNED, a_clip

SHAPE = Shape(4, 32, 32)
ENCODER = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"


def model_of(pipeline=None) -> AnimateDiff:
    pipeline = animatediff() if pipeline is None else pipeline
    return serving("AnimateDiffPipeline")(pipeline, "twin", torch.device("cpu"))


@pytest.mark.slow
def test_diffusers_loads_what_is_written_for_it_and_it_is_fused_alike(tmp_path: Path):
    model = model_of()
    adapter = adapter_of(linear_of(model))
    (path,) = motionlift.export_adapter(motion_of(model, adapter), tmp_path / "adapter.safetensors").paths
    kept, fused = animatediff(), animatediff()
    kept.load_lora_weights(str(path))
    (added,) = fuse(fused, [LoraFile(path)], "twin", AnimateDiff.readers)
    assert (added.part, added.layers, added.left_out) == ("unet", len(adapter) // 2, 0)
    plain = outputs(model, shape=SHAPE)
    for pipeline in (kept, fused):
        found = outputs(model_of(pipeline), shape=SHAPE)
        for ours, theirs, bare in zip(outputs(model, adapter, shape=SHAPE), found, plain, strict=True):
            torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)
            assert (ours - bare).abs().mean() > 1e-3


def release(package: str) -> tuple[int, ...]:
    """The numbers of the version that is installed."""
    return tuple(int(number) for number in version(package).split(".")[:3] if number.isdecimal())


@pytest.mark.slow
@pytest.mark.skipif(
    release("diffusers") < (0, 42, 1) or release("peft") < (0, 19),
    reason="diffusers before 0.42.1, or with peft 0.18, does not load what changes the text encoder: docs/versions.md",
)
def test_a_picture_model_s_adapter_changes_its_text_encoder_too(tmp_path: Path):
    adapter = adapter_of(linear_of(model_of()))
    tensors = dict(adapter) | {ENCODER + DOWN: torch.ones(RANK, WIDTH), ENCODER + UP: torch.ones(WIDTH, RANK)}
    save_file(tensors, tmp_path / "star.safetensors")
    pipeline, plain = animatediff(), animatediff()
    (added,) = fuse(pipeline, [LoraFile(tmp_path / "star.safetensors", 0.5)], "twin", AnimateDiff.readers)
    assert added.layers == len(tensors) // 2
    own, before = (each.text_encoder.state_dict() for each in (pipeline, plain))
    (name,) = [name for name in before if name.endswith("layers.0.self_attn.q_proj.weight")]
    torch.testing.assert_close(own[name], before[name] + 0.5 * RANK)


@pytest.mark.slow
def test_diffusers_reads_kohya_s_adapters_of_the_picture_model(tmp_path: Path):
    """So the data of readers tells."""
    model = model_of()
    adapter = {name: own for name, own in adapter_of(linear_of(model)).items() if ".attentions." in name}
    kohya = {}
    for name in {name.removesuffix(DOWN) for name in adapter if name.endswith(DOWN)}:
        start = "lora_unet_" + name.removeprefix("unet.").replace(".", "_")
        kohya |= {f"{start}.lora_down.weight": adapter[name + DOWN], f"{start}.lora_up.weight": adapter[name + UP]}
        kohya[f"{start}.alpha"] = torch.tensor(float(RANK))
    save_file(kohya, tmp_path / "star.safetensors")
    found = look_into(tmp_path / "star.safetensors")
    assert found.families == ("animatediff", "stable diffusion")
    layers = len(adapter) // 2
    assert {(own.reader.name, own.layers) for own in found.readings} == {("diffusers", layers), ("comfyui", layers)}
    pipeline = animatediff()
    pipeline.load_lora_weights(str(tmp_path / "star.safetensors"))
    for ours, theirs in zip(
        outputs(model, adapter, shape=SHAPE), outputs(model_of(pipeline), shape=SHAPE), strict=True
    ):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["motionmatcher", "motiondirector"])
def test_what_was_tuned_is_exported(tmp_path: Path, method: str):
    settings = {**TUNED, "tuning_steps": 2}
    motion = motionlift.lift(a_clip(), model_of(), method, frames=4, settings=settings, cached=False)
    (path,) = motionlift.export_adapter(motion, tmp_path / "adapter.safetensors").paths
    animatediff().load_lora_weights(str(path))
    assert all(name.startswith("unet.") for name in load_file(path))
    motionlift.cast(motion, PROMPT, model_of(), mixed=[(motion, 0.5)])
    with pytest.raises(MotionError, match="comfyui loads no adapters of twin; write it --for diffusers, or --for peft"):
        motionlift.export_adapter(motion, tmp_path / "no.safetensors", "comfyui")
