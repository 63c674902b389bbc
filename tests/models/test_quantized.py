"""Weights that quantizers hold: refused in a line where they cannot be, planned as they are held, and exact gradients."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from motionlift.core.memory import QUANTIZERS, Measures, Weights, check_quantizer
from motionlift.errors import MotionliftError, SettingError
from motionlift.models.loading import load
from motionlift.models.quantized import bytes_of, is_quantized, keep_held, quantizer_of, within
from motionlift.models.shared import PipelineModel
from motionlift.work import planning
from motionlift.work.memory import Room
from motionlift.work.planning import Asked, planned
from motionlift.work.prepare import ask
from tests.twins import cogvideox

ANYWHERE = [weights for weights, own in QUANTIZERS.items() if not own.on_gpus]
"""Those that need no GPU."""
REQUEST = ask("ditflow", {"steps": 4}, prompt="a red star")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("saved") / "twin"
    cogvideox().save_pretrained(place)
    return str(place)


def installed(weights: Weights) -> None:
    """Skip where the package of a quantizer is not there."""
    try:
        check_quantizer(weights)
    except SettingError as error:
        pytest.skip(str(error))


# What cannot be


@pytest.mark.parametrize("weights", list(QUANTIZERS))
def test_a_package_that_is_not_installed_is_named(weights: Weights, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.core.memory.find_spec", lambda _name: None)
    package = QUANTIZERS[weights].package
    told = rf"^weights in {weights} need the package {package}, which is not installed: pip install {package}, or hold them in fp8"
    with pytest.raises(SettingError, match=told):
        check_quantizer(weights)


def test_what_stands_before_a_dot_may_be_missing_too():
    check_quantizer(Weights.OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            QUANTIZERS, Weights.QUANTO_INT8, QUANTIZERS[Weights.NF4].__class__("no.such", "nosuch", (1,), 1.0)
        )
        with pytest.raises(SettingError, match="need the package nosuch"):
            check_quantizer(Weights.QUANTO_INT8)


@pytest.mark.parametrize(
    ("version", "is_old"), [("0.14.1", True), ("0.15.0", False), ("0.18.0+cpu", False), ("1.0", False)]
)
def test_a_package_that_is_too_old_is_told(version: str, is_old: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.core.memory.find_spec", lambda _name: object())
    monkeypatch.setattr("motionlift.core.memory.metadata.version", lambda _name: version)
    if not is_old:
        return check_quantizer(Weights.TORCHAO_INT8)
    told = rf"^weights in torchao-int8 need torchao 0\.15 or newer, and {version} is installed: pip install -U torchao, or hold "
    with pytest.raises(SettingError, match=told):
        check_quantizer(Weights.TORCHAO_INT8)


def planning_it(name: str, _device: str, measures: Measures) -> None:
    """Plan a job on a model with weights that are held so."""
    planned(Asked(REQUEST, weights=measures.weights), name, Room("cpu", "cpu", 10**9))


@pytest.mark.parametrize("act", [load, planning_it])
def test_bundled_models_are_small(act, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.models.precision.check_quantizer", lambda _weights: None)
    monkeypatch.setattr("motionlift.models.loading._read", None)
    told = "^tiny-dit is small, and no quantizer holds its weights: leave quanto-int8 out, or take a larger model$"
    with pytest.raises(SettingError, match=told):
        act("tiny-dit", "cpu", measures=Measures(weights=Weights.QUANTO_INT8))


def test_weights_that_change_in_a_pass_do_not_go_with_a_compiled_network():
    with pytest.raises(
        SettingError, match=r"weights in quanto-int8 change while a pass runs, .*: leave one of them out"
    ):
        Asked(REQUEST, compiled=True, weights=Weights.QUANTO_INT8)
    with pytest.raises(SettingError, match="weights are to be held as 'int9'; allowed are own, fp8"):
        Asked(REQUEST, weights="int9")


# Plans


@pytest.mark.slow
@pytest.mark.parametrize("weights", [Weights.FP8, *ANYWHERE])
def test_what_is_asked_for_is_planned_and_is_no_measure_to_fit(
    weights: Weights, folder: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("motionlift.models.precision.check_quantizer", lambda _weights: None)
    space = Room("cuda", "a card", 10**10, main=10**10)
    own, held = (planned(Asked(REQUEST, weights=how), folder, space) for how in (None, weights))
    assert held.measures.weights is weights and not held.notices
    sizes = [{phase.name: phase.weights for phase in plan.phases}["guide"] for plan in (own, held)]
    assert sizes[1] < sizes[0]


def test_a_quantizer_holds_linear_layers_alone():
    network = nn.Sequential(nn.Linear(64, 64), nn.Conv2d(64, 64, 3))
    linear, convolution = 64 * 64, 64 * 64 * 9
    rest = 4 * (64 + convolution + 64)
    assert planning._size(network, Weights.INT8) == linear + rest
    assert planning._size(network, Weights.NF4) == linear * 0.5625 + rest


@pytest.mark.slow
def test_weights_that_are_to_stay_as_they_are_are_never_cast(folder: str, monkeypatch: pytest.MonkeyPatch):
    """fp8 is what the planner takes at last; here it is not wanted."""
    monkeypatch.setattr(
        planning, "resident", lambda _model, _phase, measures: 10 if measures.weights == "fp8" else 10**12
    )
    space = Room("cuda", "a card", 10**10, main=10**10)
    assert planned(Asked(REQUEST), folder, space).measures.weights is Weights.FP8
    with pytest.raises(MotionliftError, match=r"^it does not fit"):
        planned(Asked(REQUEST, weights=Weights.OWN), folder, space)


# With the packages


@pytest.mark.parametrize("weights", ANYWHERE)
def test_a_model_runs_with_weights_that_a_quantizer_holds(weights: Weights, folder: str):
    installed(weights)
    model = load(folder, "cpu", measures=Measures(weights=weights))
    assert isinstance(model, PipelineModel)
    network = model.held["network"][0]
    assert model.about.measures.weights is weights is quantizer_of(network) and is_quantized(network)
    assert load(folder, "cpu", measures=Measures(weights=weights)).about.fingerprint == model.about.fingerprint
    assert load(folder, "cpu").about.fingerprint != model.about.fingerprint


@pytest.mark.parametrize("weights", ANYWHERE)
def test_plans_count_what_quantizers_hold(weights: Weights, tmp_path: Path):
    """A network as wide as a real one, of one block; the sizes within the 15 % that plans are held to."""
    installed(weights)
    from diffusers import WanTransformer3DModel

    from motionlift.models.precision import quantizing

    sizes: dict[str, Any] = {
        "num_attention_heads": 4,
        "attention_head_dim": 64,
        "ffn_dim": 1024,
        "num_layers": 1,
        "text_dim": 256,
    }
    plain = WanTransformer3DModel(**sizes, freq_dim=64)
    plain.save_pretrained(tmp_path)
    held = WanTransformer3DModel.from_pretrained(
        tmp_path, quantization_config=quantizing(Measures(weights=weights), torch.float32)
    )
    true = sum(bytes_of(own) for own in (*held.parameters(), *held.buffers()))
    assert planning._size(plain, weights) == pytest.approx(true, rel=0.15)
    assert true < 0.5 * planning._size(plain)


@pytest.mark.parametrize("weights", ANYWHERE)
def test_a_job_on_a_loaded_model_is_planned(weights: Weights, folder: str):
    installed(weights)
    model = load(folder, "cpu", measures=Measures(weights=weights))
    assert isinstance(model, PipelineModel)
    plan = planned(Asked(REQUEST), model, Room("cpu", "cpu", 10**9))
    assert plan.measures.weights is weights and plan.largest.peak > 0


def test_the_graph_keeps_the_weights_of_torchao_as_they_are_held():
    installed(Weights.TORCHAO_INT8)
    torchao = import_module("torchao.quantization")
    network = nn.Sequential(nn.Linear(64, 64)).requires_grad_(False)
    torchao.quantize_(network, torchao.Int8WeightOnlyConfig())
    given = torch.randn(3, 64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    (slope,) = torch.autograd.grad(network(given).square().sum(), given)
    plain = network(given).detach()
    keep_held(network)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda own: (kept.append(own.nbytes), own)[1], lambda own: own):
        made = network(given)
    assert torch.equal(made.detach(), plain) and sum(kept) == 0
    (mended,) = torch.autograd.grad(made.square().sum(), given)
    assert torch.allclose(mended, slope, rtol=1e-4, atol=1e-5)


def test_a_plain_tensor_is_within_itself():
    tensor = torch.zeros(3)
    assert [*within(tensor)] == [tensor] and bytes_of(nn.Parameter(tensor)) == 12
    assert not is_quantized(nn.Linear(1, 1)) and quantizer_of(nn.Linear(1, 1)) is Weights.OWN
