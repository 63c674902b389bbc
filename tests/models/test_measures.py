"""What is done so that a model takes less memory: by its size, as asked for, and otherwise in a view."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from motionlift.core.memory import Measures, Weights
from motionlift.errors import SettingError
from motionlift.models.loading import load
from motionlift.models.turns import Turns
from tests.twins import EVERY_TWIN, TRANSFORMERS, cogvideox, unet3d

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("twin", "small", "large"),
    [
        ("cogvideox-rotary", Measures(), Measures(one_by_one=True, parts=True, recomputed=True)),
        ("unet3d", Measures(), Measures(one_by_one=True, recomputed=True)),
    ],
)
def test_by_default_they_go_with_the_size(twin, small, large, monkeypatch: pytest.MonkeyPatch):
    assert load(EVERY_TWIN[twin](), "cpu").about.measures == small
    monkeypatch.setattr("motionlift.models.shared.CHECKPOINTED_PARAMETERS", 0)
    assert load(EVERY_TWIN[twin](), "cpu").about.measures == large


def test_what_a_model_cannot_do_without_is_so_whatever_is_asked_for():
    wan, allegro = (TRANSFORMERS[name].model() for name in ("wan-2.1", "allegro"))
    assert wan.about.measures == Measures(one_by_one=True)
    assert allegro.about.measures == allegro.saving(Measures()).about.measures == Measures(one_by_one=True, parts=True)


def test_they_are_as_asked_for_and_the_bundled_models_take_none():
    assert load("tiny-dit", "cpu").about.measures == Measures()
    asked = Measures(parts=True, recomputed=True)
    model = load("tiny-dit", "cpu", measures=asked)
    assert model.about.measures == asked and model.codec.in_parts
    assert model.counted().about.measures == asked


def test_nothing_waits_where_all_is_on_the_device():
    assert not load("tiny-dit", "cpu", measures=Measures(waiting=True)).about.measures.waiting


@pytest.mark.parametrize("waiting", [True, False])
def test_parts_wait_where_they_were_unless_they_are_to_stay_on_the_device(waiting, monkeypatch: pytest.MonkeyPatch):
    away, parts = torch.device("meta"), [torch.nn.Linear(1, 1) for _ in range(2)]
    lying, moves = dict.fromkeys(parts, away), []

    def move(part: torch.nn.Module, place: torch.device) -> None:
        moves.append((parts.index(part), place))
        lying[part] = place

    monkeypatch.setattr("motionlift.models.turns._device_of", lying.__getitem__)
    monkeypatch.setattr(torch.nn.Module, "to", move)
    turns = Turns(parts, parts, CPU, nullcontext, waiting)
    assert turns.waiting is waiting
    for part in (*parts, parts[0]):
        with turns.using(part):
            assert lying[part] == CPU
    back = [(0, away), (1, CPU), (1, away), (0, CPU)]
    assert moves == [(0, CPU), *(back if waiting else [(1, CPU)])]


@pytest.mark.parametrize("build", [cogvideox, unet3d])
def test_a_view_has_its_own_and_leaves_the_model_as_it_is(build):
    model = load(build(), "cpu")
    asked = Measures(one_by_one=True, parts=True, recomputed=True)
    view = model.saving(asked)
    assert view.about.measures == asked and model.about.measures == Measures()
    assert view.codec.in_parts and not model.codec.in_parts and view.passes is model.passes
    shape = model.codec.fitting(8)
    level, text = model.schedule(1).trained[300], model.text.encode("a dog", shape)
    gradients, last = [], model.about.blocks - 1
    for own, times in ((model, 1), (view, 2), (model, 1), (view.saving(Measures()), 1)):
        latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(2))
        latents.requires_grad_()
        ran: list[None] = []
        name = model.linear_layers("temporal")[-1]
        handle = model.network.get_submodule(name).register_forward_hook(lambda *_, ran=ran: ran.append(None))
        with own.turn():
            seen = own.record(latents, level, text, [last])[last]
            gradients.append(torch.autograd.grad(seen.features.square().sum(), latents)[0])
        handle.remove()
        assert len(ran) == times
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], atol=1e-5, rtol=1e-5)


def test_a_view_cannot_choose_what_is_settled_at_loading():
    model = load(cogvideox(), "cpu", measures=Measures(recomputed=True))
    for other in ({"waiting": True}, {"offloaded": True}, {"weights": Weights.FP8}):
        with pytest.raises(SettingError, match=r"was loaded with recomputed: .* load it again with others"):
            model.saving(replace(model.about.measures, **other))
