"""Gradients through weights that hooks of diffusers move or cast, against those of weights that stay.

On a CPU a block that waits in main memory is where it was, so that nothing could go wrong. Here they wait in files instead, as
diffusers also allows: then the memory of whatever waits is empty, and a gradient that looks at it is not the same.
"""

import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lab.evidence import Loss, difference, gradient, noise_of
from motionlift.core.lattice import Shape
from motionlift.core.memory import Measures, Weights
from motionlift.models import offloading
from motionlift.models.families import serving
from motionlift.models.offloading import STORED, is_cast, is_offloaded
from tests.twins import TRANSFORMERS, as_kind, unet3d
from tests.twins.animatediff import animatediff

CPU = torch.device("cpu")
CLOSE = 1e-5
"""Largest difference of a gradient, by its largest value."""
UNETS: dict[str, Callable[[], Any]] = {"unet3d": unet3d, "animatediff": animatediff}
SIZE = Shape(4, 32, 32)
QUICK = ("wan-2.1", "unet3d")
"""Of these all is tried each time: one with convolutions, normalisation and parameters used as they are, and one without blocks."""


def slow_where(twin: str | None = None, **_: object) -> bool:
    """All but the two quick ones."""
    return twin is not None and twin not in QUICK


def built(twin: str) -> Any:
    return UNETS[twin]() if twin in UNETS else TRANSFORMERS[twin].build()


def taken(twin: str, pipeline: Any = None, given: bool = False, measures: Measures | None = None) -> Any:
    pipeline = built(twin) if pipeline is None else pipeline
    row: Any = serving(type(pipeline).__name__) if twin in UNETS else TRANSFORMERS[twin].row
    return row(pipeline, "twin", CPU, given, measures)


def shape_of(twin: str) -> Shape:
    return SIZE if twin in UNETS else TRANSFORMERS[twin].shape


def slope(model: Any, twin: str) -> torch.Tensor:
    """The gradient of the last block's displacement by the latents."""
    shape = shape_of(twin)
    loss = Loss(model, shape, model.about.blocks - 1).of_latents
    return gradient(model, loss, {"latents": noise_of(model, shape)})["latents"]


def network_of(pipeline: Any) -> Any:
    return pipeline.unet if hasattr(pipeline, "unet") else pipeline.transformer


def recomputing(model: Any, is_on: bool) -> Any:
    return model.saving(replace(model.about.measures, recomputed=is_on))


every_twin = pytest.mark.parametrize("twin", [*sorted(TRANSFORMERS), *UNETS])


@pytest.mark.slow
@every_twin
@pytest.mark.parametrize("level", ["block_level", "leaf_level"])
def test_gradients_through_weights_that_wait_are_those_of_weights_that_stay(twin: str, level: str, tmp_path: Path):
    wanted, pipeline = slope(taken(twin), twin), built(twin)
    for network in filter(None, (getattr(pipeline, name, None) for name in ("transformer", "transformer_2", "unet"))):
        network.enable_group_offload(
            onload_device=CPU,
            offload_type=level,
            num_blocks_per_group=1,
            offload_to_disk_path=str(tmp_path / str(id(network))),
        )
    model = taken(twin, pipeline, given=True)
    assert model.about.measures.offloaded
    for is_on in (False, True):
        assert difference(slope(recomputing(model, is_on), twin), wanted) < CLOSE


@pytest.mark.slow
@every_twin
def test_gradients_through_weights_of_8_bits_are_those_of_weights_rounded_to_them(twin: str):
    cast, rounded = (taken(twin, measures=measures) for measures in (Measures(weights=Weights.FP8), None))
    assert cast.about.measures.weights is Weights.FP8 and cast.about.identity == rounded.about.identity
    own, other = (dict(model.network.named_parameters()) for model in (cast, rounded))
    held = [name for name, weight in own.items() if weight.dtype is STORED]
    assert len(held) > len(own) / 4
    for name in held:
        other[name].data = own[name].data.to(other[name].dtype)
    wanted = slope(rounded, twin)
    for is_on in (False, True):
        assert difference(slope(recomputing(cast, is_on), twin), wanted) < CLOSE
    assert all(own[name].dtype is STORED for name in held)


@every_twin
def test_as_a_model_is_loaded_to_wait_it_gives_the_same(twin: str):
    plain, model = taken(twin), taken(twin, measures=Measures(offloaded=True, weights=Weights.OWN))
    assert model.about.measures.offloaded and not plain.about.measures.offloaded
    assert model.about.fingerprint == plain.about.fingerprint
    assert difference(slope(model, twin), slope(plain, twin)) < CLOSE


@pytest.mark.parametrize("twin", ["wan-2.1", "cogvideox-rotary", "cogvideox-table"])
def test_positions_have_the_same_gradients(twin: str, tmp_path: Path):
    plain, pipeline = taken(twin), built(twin)
    pipeline.transformer.enable_group_offload(
        onload_device=CPU, offload_type="block_level", num_blocks_per_group=1, offload_to_disk_path=str(tmp_path)
    )
    moved, shape = taken(twin, pipeline, given=True), shape_of(twin)
    positions = plain.positions(shape)
    for name, own in moved.positions(shape).items():
        assert torch.equal(own, positions[name])
    wanted, kept, again = (
        gradient(model, Loss(model, shape, 1).of_positions, positions)
        for model in (plain, moved, recomputing(moved, True))
    )
    for name, tensor in wanted.items():
        assert difference(kept[name], tensor) < CLOSE and difference(again[name], tensor) < CLOSE


@pytest.mark.slow
def test_both_at_once_and_in_half_precision():
    pipelines = [as_kind(built("wan-2.1"), torch.bfloat16) for _ in range(2)]
    both = taken("wan-2.1", pipelines[0], measures=Measures(offloaded=True, weights=Weights.FP8, recomputed=True))
    cast = taken("wan-2.1", pipelines[1], measures=Measures(weights=Weights.FP8))
    assert pipelines[0].transformer.dtype is torch.bfloat16
    assert torch.equal(slope(both, "wan-2.1"), slope(cast, "wan-2.1"))


# What it saves


def test_the_graph_keeps_no_weights(monkeypatch: pytest.MonkeyPatch):
    model, kept = taken("wan-2.1", measures=Measures(weights=Weights.FP8)), []
    real = torch.autograd.graph.saved_tensors_hooks

    def watched(pack: Callable[[torch.Tensor], Any], unpack: Callable[[Any], torch.Tensor]) -> Any:
        def watching(tensor: torch.Tensor) -> Any:
            held = pack(tensor)
            kept.append((tensor, held))
            return held

        return real(watching, unpack)

    monkeypatch.setattr(torch.autograd.graph, "saved_tensors_hooks", watched)
    slope(model, "wan-2.1")
    # A layer's weights, whichever way they lie: no activation of the twin is a matrix of their size.
    sizes = {tuple(sorted(layer.weight.shape)) for layer in model.network.modules() if isinstance(layer, nn.Linear)}
    matrices = [held for tensor, held in kept if tensor.ndim == 2 and tuple(sorted(tensor.shape)) in sizes]
    assert len(matrices) > 10 and not any(isinstance(held, torch.Tensor) for held in matrices)


@pytest.mark.parametrize(
    "measures", [Measures(offloaded=True, recomputed=True), Measures(weights=Weights.FP8, recomputed=True)]
)
@pytest.mark.parametrize("twin", QUICK)
def test_activations_are_recomputed_and_blocks_run_to_their_ends(twin: str, measures: Measures):
    model = taken(twin, measures=measures)
    name = model.linear_layers("temporal")[-1].partition(".attn")[0]
    begun, ended = [], []
    block = model.network.get_submodule(name)
    block.register_forward_pre_hook(lambda *_: begun.append(None))
    block.register_forward_hook(lambda *_: ended.append(None))
    slope(model, twin)
    assert len(begun) == len(ended) == 2


def test_nothing_is_mended_where_nothing_moves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.autograd.graph, "saved_tensors_hooks", None)
    slope(taken("wan-2.1"), "wan-2.1")
    cast = taken("wan-2.1", measures=Measures(weights=Weights.FP8))
    with torch.no_grad(), cast.turn():
        Loss(cast, shape_of("wan-2.1"), 0).of_latents({"latents": noise_of(cast, shape_of("wan-2.1"))})


def test_as_they_are_convolutions_of_8_bits_have_no_gradients(monkeypatch: pytest.MonkeyPatch):
    """What is mended: were diffusers or PyTorch to mend it, ours could go."""
    model = taken("unet3d", measures=Measures(weights=Weights.FP8))
    monkeypatch.setattr("motionlift.models.shared.exact_gradients", lambda _network: nullcontext())
    with pytest.raises(RuntimeError, match="Float8"):
        slope(model, "unet3d")


# Pipelines that came with hooks


@pytest.mark.slow
def test_what_waits_is_moved_by_nothing_else(monkeypatch: pytest.MonkeyPatch):
    pipeline = built("wan-2.1")
    model = taken("wan-2.1", pipeline, measures=Measures(offloaded=True, waiting=True))
    assert is_offloaded(pipeline.transformer) and is_offloaded(pipeline.text_encoder) and not is_offloaded(pipeline.vae)
    moved: list[nn.Module] = []
    monkeypatch.setattr("motionlift.models.turns._device_of", lambda part: torch.device("meta"))
    monkeypatch.setattr(nn.Module, "to", lambda part, *_, **__: moved.append(part))
    with model._turns.using(pipeline.transformer), model._turns.using(pipeline.text_encoder):
        assert not moved
    with model._turns.using(pipeline.vae):
        assert moved == [pipeline.vae]


def test_a_pipeline_that_recomputes_already_is_right_too_and_stays_so(tmp_path: Path):
    pipeline = built("wan-2.1")
    pipeline.transformer.enable_gradient_checkpointing()
    pipeline.transformer.enable_group_offload(
        onload_device=CPU, offload_type="leaf_level", offload_to_disk_path=str(tmp_path)
    )
    model = taken("wan-2.1", pipeline, given=True)
    assert difference(slope(model, "wan-2.1"), slope(taken("wan-2.1"), "wan-2.1")) < CLOSE
    assert pipeline.transformer.is_gradient_checkpointing and is_offloaded(pipeline.transformer)


@pytest.mark.slow
def test_weights_in_files_are_read_there(tmp_path: Path):
    plain, pipeline = taken("wan-2.1"), built("wan-2.1")
    weight = pipeline.transformer.blocks[0].attn1.to_q.weight
    values = weight.detach().clone()
    pipeline.transformer.enable_group_offload(
        onload_device=CPU, offload_type="leaf_level", offload_to_disk_path=str(tmp_path)
    )
    weight.data.zero_()
    assert torch.equal(offloading.reading(pipeline.transformer)(weight), values)
    assert taken("wan-2.1", pipeline, given=True).about.fingerprint == plain.about.fingerprint
    assert not is_cast(pipeline.transformer)


def test_weights_are_pinned_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    """diffusers pins a part whole before it lets anything go; of what is pinned already it makes no copy."""
    part = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    wanted = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    gone: list[bool] = []
    before = [weakref.ref(tensor.untyped_storage()) for tensor in (*part.parameters(), *part.buffers())]

    def pinned(tensor: torch.Tensor) -> torch.Tensor:
        gone.append(all(own() is None for own in before[: len(gone)]))
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pinned)
    offloading.pin(part)
    assert gone == [True] * len(before)
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in part.state_dict().items())
