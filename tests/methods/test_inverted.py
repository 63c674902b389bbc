"""Inverted noise alone: what it lifts, what it asks for, and that it does nothing else."""

from dataclasses import asdict, replace

import pytest
import torch

import motionlift
from motionlift import Clip
from motionlift.core.method import Needs
from motionlift.core.tensors import INVERTED
from motionlift.errors import InputError, SettingError
from motionlift.methods.inverted import METHOD
from tests.methods.references import twin

SHOWN, PROMPT = "a blue ring on the field", "a red star on the field"
STEPS = {"steps": 4}


@pytest.fixture(scope="module")
def model():
    return twin()


@pytest.fixture(scope="module")
def clip(model) -> Clip:
    pattern = torch.rand(8, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    return Clip.of((pattern * 255).to(torch.uint8), model.about.fps)


def lifted(model, clip: Clip, method: str = "inverted", **settings) -> motionlift.Motion:
    return motionlift.lift(clip, model, method, frames=8, settings={**STEPS, **settings}, cached=False)


def test_nothing_is_guided_and_nothing_injected(model):
    settings = METHOD.settings(model)
    assert (settings.share, settings.inject, settings.inversion, settings.beta) == (0, False, True, 1)
    assert METHOD.needs(settings) == Needs() and not METHOD.blocks(settings)


@pytest.mark.slow
def test_its_noise_is_that_of_the_tuned_methods(model, clip):
    """By either prompt: VMC's inversion of the same clip with as many steps."""
    for chosen in ("source", "empty"):
        about = {"source_prompt": SHOWN, "inverted_with": chosen}
        own = lifted(model, clip, **about)
        other = lifted(model, clip, "vmc", **about, tuning_steps=1, reduced=False)
        torch.testing.assert_close(own.tensors[INVERTED], other.tensors[INVERTED], atol=0, rtol=0)
        assert set(own.tensors) == {"latents", INVERTED}


@pytest.mark.slow
def test_the_prompts_of_inversion_differ(model, clip):
    by_source, by_empty = (lifted(model, clip, source_prompt=SHOWN, inverted_with=each) for each in ("source", "empty"))
    plain = lifted(model, clip, "none", inversion=True)
    assert not torch.equal(by_source.tensors[INVERTED], by_empty.tensors[INVERTED])
    torch.testing.assert_close(plain.tensors[INVERTED], by_empty.tensors[INVERTED], atol=0, rtol=0)


@pytest.mark.slow
def test_all_of_the_noise_leaves_a_seed_nothing_to_do(model, clip):
    motion = lifted(model, clip, source_prompt=SHOWN)
    whole = [motionlift.cast(motion, PROMPT, model, seed=seed).clip.frames for seed in (0, 1)]
    half = [motionlift.cast(motion, PROMPT, model, seed=seed, settings={"beta": 0.5}).clip.frames for seed in (0, 1)]
    assert torch.equal(*whole) and not torch.equal(*half) and not torch.equal(whole[0], half[0])


def test_a_reference_of_which_nothing_is_said_is_refused(model, clip):
    for nothing in ("", "  "):
        with pytest.raises(
            (SettingError, InputError), match="needs to know what the reference shows: give source_prompt"
        ):
            lifted(model, clip, source_prompt=nothing)
    assert INVERTED in lifted(model, clip, inverted_with="empty").tensors
    with pytest.raises(SettingError, match="allowed is source or empty"):
        lifted(model, clip, inverted_with="caption")


def test_only_what_lifting_depends_on_decides_what_is_lifted(model):
    settings = METHOD.settings(model)
    assert replace(settings, beta=0.3).lifting_values() == settings.lifting_values()
    assert {"inverted_with", "steps", "source_prompt"} <= settings.lifting_values().keys() <= asdict(settings).keys()
