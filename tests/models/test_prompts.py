"""Prompts are encoded once for each model, and the last are remembered."""

import pytest
import torch

import motionlift
from motionlift.models import prompts
from tests.frozen.measured import SETTINGS, reference
from tests.twins import EVERY_TWIN

PROMPT = "a red star on the field"
each_twin = pytest.mark.parametrize("twin", sorted(EVERY_TWIN))


@pytest.fixture
def counted(twin):
    """A model, and a list that grows with every run of its text encoder."""
    pipeline, runs = EVERY_TWIN[twin](), []
    pipeline.text_encoder.register_forward_hook(lambda *_: runs.append(None))
    return motionlift.load(pipeline, "cpu"), runs


@pytest.mark.slow
@each_twin
def test_a_transfer_encodes_each_prompt_once(counted):
    model, runs = counted
    settings = {"steps": 3, "share": 0.5, "inner": 1, **SETTINGS["motionflow"], "inversion": True, "beta": 0.3}
    given = {"method": "motionflow", "frames": 16, "settings": settings, "cached": False}
    motionlift.transfer(reference(8), PROMPT, model, **given)
    assert len(runs) == 3, "the source prompt, the prompt, and the empty one"
    motionlift.transfer(reference(8), PROMPT, model, **given, seed=1)
    assert len(runs) == 3
    motionlift.transfer(reference(8), "a dog star on the field", model, **given)
    assert len(runs) == 4


@each_twin
def test_views_of_a_model_share_what_is_remembered_and_other_models_do_not(counted, twin):
    model, runs = counted
    first = model.text.encode(PROMPT)
    assert model.counted().text.encode(PROMPT) is first and len(runs) == 1
    other = motionlift.load(EVERY_TWIN[twin](), "cpu")
    assert other.text.encode(PROMPT) is not first


@each_twin
def test_prompts_beyond_the_limit_are_forgotten_the_one_unused_longest_first(counted, monkeypatch):
    model, runs = counted
    monkeypatch.setattr(prompts, "REMEMBERED", 2)
    encoded = {prompt: model.text.encode(prompt) for prompt in ("a star", "a dog")}
    model.text.encode("a star")
    model.text.encode("a ring")  # the dog goes
    assert len(runs) == 3
    assert model.text.encode("a star") is encoded["a star"] and len(runs) == 3
    again = model.text.encode("a dog")
    assert again is not encoded["a dog"]
    for name, tensor in again.tensors.items():
        assert torch.equal(tensor, encoded["a dog"].tensors[name])
