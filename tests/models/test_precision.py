"""The type of numbers that a model computes with: chosen, or refused before its weights are read."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel, HunyuanVideoTransformer3DModel

from lab.evidence import Loss, gradient, noise_of
from motionlift.core.memory import Measures, Weights
from motionlift.errors import SettingError
from motionlift.models.families import families, serving
from motionlift.models.loading import device_named, load
from motionlift.models.precision import chosen, named
from motionlift.models.sources import BUNDLED_MODELS, Source, found
from tests.twins import TRANSFORMERS, as_kind, cogvideox

CPU, GPU, APPLE = torch.device("cpu"), torch.device("cuda:0"), torch.device("mps")
NAN = {"fp16": "it is black (somebody/model, issue 1)"}
SHARED = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "in_channels": 4,
    "text_embed_dim": 8,
    "time_embed_dim": 8,
}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A GPU of a compute capability."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: request.param)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Tesla V100")


@pytest.mark.parametrize("asked", ["auto", "fp32", "fp16", "bf16"])
def test_a_cpu_computes_in_all_and_by_itself_in_single_precision(asked: str):
    kinds = {"auto": torch.float32, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    assert chosen(asked, CPU, "model", {}) is kinds[asked]


@pytest.mark.parametrize(
    ("gpu", "broken", "kind"),
    [
        ((8, 0), {}, torch.bfloat16),
        ((9, 0), NAN, torch.bfloat16),
        ((7, 5), {}, torch.float16),
        ((7, 0), NAN, torch.float32),
    ],
    indirect=["gpu"],
)
@pytest.mark.usefixtures("gpu")
def test_on_a_gpu_the_first_is_taken_that_neither_device_nor_model_forbids(broken: dict[str, str], kind: torch.dtype):
    assert chosen("auto", GPU, "model", broken) is kind


@pytest.mark.parametrize("gpu", [(7, 0)], indirect=True)
@pytest.mark.usefixtures("gpu")
def test_before_ampere_there_is_no_bf16():
    told = "^dtype bf16 cannot be: Tesla V100 has no convolutions in it, which came with Ampere; allowed here are auto, fp16, fp32$"
    with pytest.raises(SettingError, match=told):
        chosen("bf16", GPU, "model", {})


def test_apples_gpus_compute_in_bf16_from_macos_14(monkeypatch: pytest.MonkeyPatch):
    for newer, kind in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *_, newer=newer: newer)
        assert chosen("auto", APPLE, "model", {}) is kind
    with pytest.raises(
        SettingError,
        match=r"^dtype bf16 cannot be: on Apple's GPUs it needs macOS 14; allowed here are auto, fp16",
    ):
        chosen("bf16", APPLE, "model", {})


def test_what_breaks_a_model_is_refused_with_what_is_known():
    told = "^dtype fp16 cannot be: it breaks some/model: it is black .somebody/model, issue 1.; allowed here are auto, bf16, fp32$"
    for device in (CPU, GPU):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SettingError, match=told):
            patch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
            chosen("fp16", device, "some/model", NAN)


@pytest.mark.parametrize("asked", ["float16", "", "FP16", "half" * 50])
def test_a_type_that_has_no_name_here_is_refused_whatever_the_model(asked: str):
    for model in ("tiny-dit", cogvideox()):
        with pytest.raises(SettingError, match=r"^dtype is '.{0,40}'; allowed are auto, bf16, fp16, fp32$"):
            load(model, "cpu", dtype=asked)


def test_names():
    assert [named(kind) for kind in (torch.bfloat16, torch.float16, torch.float32, torch.float64)] == [
        *("bf16", "fp16", "fp32", "float64")
    ]


# What is known of models


def folder_of(path: Path, pipeline: str, network: Any) -> Source:
    """A folder with a network's configuration and no weights."""
    network.save_config(path / "transformer")
    index = {"_class_name": pipeline, "transformer": ["diffusers", type(network).__name__]}
    (path / "model_index.json").write_text(json.dumps(index))
    return found(str(path))


@pytest.mark.parametrize(
    ("network", "broken"),
    [
        ({"num_layers": 30}, set()),
        ({"num_layers": 42, "use_rotary_positional_embeddings": True}, {"fp16"}),
        (
            {"num_layers": 2, "sample_height": 300, "sample_width": 300, "patch_size_t": 2, "patch_bias": False},
            {"fp16"},
        ),
    ],
    ids=["2b", "5b", "1.5"],
)
def test_of_cogvideox_all_but_the_2b_break_in_fp16(network: dict[str, Any], broken: set[str], tmp_path: Path):
    with torch.device("meta"):
        made = CogVideoXTransformer3DModel(**{**SHARED, **network})
    source = folder_of(tmp_path, "CogVideoXPipeline", made)
    assert set(serving(source.pipeline).breaking(source)) == broken


def test_hunyuanvideo_breaks_in_fp16_and_is_refused_before_its_weights_are_read(tmp_path: Path):
    with torch.device("meta"):
        made = HunyuanVideoTransformer3DModel(num_layers=1, num_single_layers=1, num_attention_heads=1)
    source = folder_of(tmp_path, "HunyuanVideoPipeline", made)
    with pytest.raises(
        SettingError, match=r"^dtype fp16 cannot be: it breaks \S+: it overflows and the video is black .*issue 60"
    ):
        load(source.name, "cpu", dtype="fp16")


def test_what_is_known_is_of_types_that_have_names():
    rows = families().values()
    known = [own for row in rows for own in (row, *getattr(row, "published", {}).values())]
    kinds = {kind for own in known for kind in getattr(own, "broken", {})}
    assert kinds == {"fp16"}


def test_a_configuration_that_cannot_be_read_says_nothing(tmp_path: Path):
    source = Source(
        "x", str(tmp_path), "CogVideoXPipeline", {"transformer": ["diffusers", "CogVideoXTransformer3DModel"]}, True
    )
    assert not serving("CogVideoXPipeline").breaking(source)


# As models are loaded


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLED_MODELS)
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_the_bundled_models_run_in_half_precision(name: str, dtype: str):
    plain, half = load(name, "cpu"), load(name, "cpu", dtype=dtype)
    assert (plain.about.dtype, half.about.dtype) == ("fp32", dtype) and plain.about.identity == half.about.identity
    shape = plain.codec.fitting(4 if name == "tiny-unet" else 9)
    latents = torch.randn(plain.codec.latent_shape(shape), generator=torch.Generator().manual_seed(0))
    level = plain.schedule(4, shape).levels[1]
    outputs = [own.predict(latents, level, own.text.encode("a red star", shape)) for own in (plain, half)]
    assert outputs[1].dtype is torch.float32
    assert (outputs[1] - outputs[0]).norm() / outputs[0].norm() < 0.05  # bf16 has 8 bits: 0.4 % a number


@pytest.mark.slow
@pytest.mark.parametrize("twin", sorted(TRANSFORMERS))
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_every_family_runs_in_half_precision_on_a_cpu_forwards_and_backwards(twin: str, kind: torch.dtype):
    single, half = (TRANSFORMERS[twin].model(as_kind(TRANSFORMERS[twin].build(), own)) for own in (torch.float32, kind))
    shape, found = TRANSFORMERS[twin].shape, []
    for model in (single, half):
        loss = Loss(model, shape, model.about.blocks - 1).of_latents
        found.append(gradient(model, loss, {"latents": noise_of(model, shape)})["latents"])
        assert (
            model.codec.decode(model.codec.encode(torch.zeros(shape.frames, 3, shape.height, shape.width)))
            .isfinite()
            .all()
        )
    assert (found[1] - found[0]).norm() < 0.3 * found[0].norm()  # ours: direction and length are right


def test_parts_that_want_single_precision_have_it_on_a_cpu_too(tmp_path: Path):
    TRANSFORMERS["wan-2.1"].build().save_pretrained(tmp_path)
    model: Any = load(tmp_path, "cpu", dtype="bf16")
    pipeline = model._pipeline
    assert (pipeline.vae.dtype, pipeline.transformer.dtype) == (torch.float32, torch.bfloat16)
    assert pipeline.transformer.scale_shift_table.dtype is torch.float32, "what diffusers keeps so"


def test_a_pipeline_that_was_handed_in_keeps_its_type():
    pipeline = cogvideox().to(torch.bfloat16)
    assert load(pipeline, "cpu").about.dtype == "bf16"
    with pytest.raises(
        SettingError, match=r"^dtype is fp32, and this pipeline is yours: make it with dtype=torch\.bfloat16 or"
    ):
        load(pipeline, "cpu", dtype="fp32")


def test_auto_is_apples_gpu_where_pytorch_finds_no_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    asked: list[torch.device] = []
    found = SimpleNamespace(tolist=list, device=torch.device("mps:0"))
    monkeypatch.setattr(torch, "zeros", lambda *_, device: asked.append(device) or found)
    assert device_named("auto") == found.device != APPLE and asked == [APPLE]


def test_a_device_is_called_as_tensors_on_it_call_it():
    """By which it is known what lies on it: a device without its number equals none of a tensor."""
    assert device_named("cpu:0") == torch.zeros(1, device="cpu:0").device != torch.device("cpu:0")


@pytest.mark.parametrize(
    ("device", "weights", "told"),
    [
        (APPLE, Weights.FP8, r"cannot be held in fp8 on Apple's GPUs; .*take offloaded"),
        (APPLE, Weights.NF4, "in nf4 need an Nvidia or AMD GPU; .*"),
        (CPU, Weights.INT8, "in int8 need an Nvidia or AMD GPU; .*"),
    ],
)
def test_ways_of_holding_weights_that_a_device_lacks_are_refused(
    device: torch.device, weights: Weights, told: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("motionlift.models.loading.device_named", lambda _name: device)
    with pytest.raises(SettingError, match=f"^weights {told}$"):
        load("tiny-dit", "somewhere", measures=Measures(weights=weights))
