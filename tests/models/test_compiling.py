"""Passes that run compiled: the same numbers, only where nothing looks, and one line where nothing can be compiled."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from motionlift.core.memory import Measures, Weights
from motionlift.errors import ModelError, SettingError
from motionlift.models import compiling
from motionlift.models.loading import load
from motionlift.models.shared import PipelineModel
from tests.adapters import PROMPT, adapter_of, linear_of, outputs
from tests.twins import EVERY_TWIN, TRANSFORMERS

NAMES = ("wan-2.1", "wan-2.2", "unet3d")


def slow_where(name: str = NAMES[0], **_others: Any) -> bool:
    """A network that is traced as a whole takes its time."""
    return name != NAMES[0]


class Counting:
    """A stand-in for a compiler's last part: what was traced runs as it is, and calls are counted."""

    def __init__(self):
        self.calls = 0

    def __call__(self, graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            self.calls += 1
            return graph.forward(*given)

        return run


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    backend = Counting()
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    yield backend
    torch._dynamo.reset()


def twin(name: str) -> PipelineModel:
    model = load(EVERY_TWIN[name](), "cpu") if name in EVERY_TWIN else TRANSFORMERS[name].model()
    assert isinstance(model, PipelineModel)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_the_same_with_adapters_and_without(name: str, counting: Counting):
    model = twin(name)
    compiled = model.compiling()
    assert compiled.about.compiled
    assert not model.about.compiled
    adapters = [None, *[adapter_of(linear_of(model), kind) for kind in ("factors", "differences")], None]
    for adapter in adapters:
        before = counting.calls
        found, plain = outputs(compiled, adapter), outputs(model, adapter)
        assert counting.calls > before
        torch.testing.assert_close(found, plain)
    assert not torch.allclose(outputs(model)[0], outputs(model, adapters[1])[0])


@pytest.mark.slow
def test_what_looks_changes_or_learns_runs_plain(counting: Counting):
    model = twin("wan-2.1")
    compiled, shape = model.compiling(), model.about.shape
    level, condition = model.schedule(4, shape).levels[1], model.text.encode(PROMPT, shape)
    latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(2))
    with torch.no_grad(), compiled.turn():
        compiled.predict(latents, level, condition)
        ran = counting.calls
        other = model.record(latents.flip(3), level, condition, [1])
        seen, known = (own.record(latents, level, condition, [1])[1] for own in (compiled, model))
        torch.testing.assert_close(seen.query, known.query, atol=0, rtol=0)
        with compiled.injecting(other):
            found = compiled.predict(latents, level, condition)
        with model.injecting(other):
            torch.testing.assert_close(found, model.predict(latents, level, condition), atol=0, rtol=0)
    latents.requires_grad_(True)
    with compiled.turn():
        compiled.predict(latents, level, condition).sum().backward()
    assert latents.grad is not None
    assert counting.calls == ran


@pytest.mark.parametrize("measures", [Measures(offloaded=True), Measures(weights=Weights.FP8)])
def test_weights_that_move_are_not_compiled(measures: Measures):
    with pytest.raises(SettingError, match="leave compiling out"):
        load("tiny-dit", "cpu", measures=measures, compiled=True)


def test_without_a_compiler_it_is_one_line(monkeypatch: pytest.MonkeyPatch):
    def failing(*_: Any, **__: Any) -> Any:
        raise RuntimeError("No working C++ compiler\nfound in PATH")

    monkeypatch.setattr(torch, "compile", failing)
    with pytest.raises(SettingError, match=r"compiled for cpu \(No working C\+\+ compiler found in PATH\)"):
        compiling.check_compiler(torch.device("cpu"))


@pytest.mark.slow
def test_a_compiler_that_gives_up_is_one_line_and_the_model_is_as_it_was(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> Any:
        raise ValueError("no such operation")

    model = twin("wan-2.1")
    monkeypatch.setattr("motionlift.models.shared.check_compiler", lambda _: None)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    torch._dynamo.reset()
    with pytest.raises(ModelError, match=r"cannot be compiled here .*no such operation"):
        outputs(model.compiling())
    assert not any("forward" in vars(module) for module in model.network.modules())
    outputs(model)


@pytest.mark.slow
def test_the_true_compiler_gives_the_same_numbers():
    model = load("tiny-dit", "cpu", compiled=True)
    torch.testing.assert_close(outputs(model), outputs(load("tiny-dit", "cpu")), atol=1e-4, rtol=1e-4)
