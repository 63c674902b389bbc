"""A pipeline is asked what it gives its network, and is as it was before."""

from contextlib import contextmanager

import pytest
import torch

from motionlift.errors import ModelError
from motionlift.models import asking
from motionlift.models.asking import Asking
from tests.twins import ready
from tests.twins.wan import wan, wan_of_two

CPU = torch.device("cpu")
CALL = {"prompt": "a red star", "height": 32, "width": 32, "num_frames": 9, "guidance_scale": 1.0}


@contextmanager
def held(runs=None):
    if runs is not None:
        runs.append(None)
    yield


def test_what_the_network_is_given_in_the_first_step():
    pipeline, given = ready(wan()), []
    asked = Asking(pipeline, [pipeline.transformer], CPU, held).ask(num_inference_steps=4, **CALL)
    pipeline.transformer.register_forward_pre_hook(lambda _module, _given, named: given.append(named), with_kwargs=True)
    pipeline(num_inference_steps=4, output_type="latent", generator=torch.Generator().manual_seed(0), **CALL)
    first = {name: value for name, value in given[0].items() if value is not None}
    assert first.keys() == asked.arguments.keys() >= {"hidden_states", "timestep", "encoder_hidden_states"}
    for name, value in first.items():
        assert (
            value == asked.arguments[name] if not torch.is_tensor(value) else torch.equal(value, asked.arguments[name])
        )
    assert asked.scheduler.timesteps.tolist() == pipeline.scheduler.timesteps.tolist()


@pytest.mark.slow
def test_nothing_of_the_pipeline_is_changed():
    pipeline = ready(wan_of_two())
    before, scheduler = dict(vars(pipeline)), repr(vars(pipeline.scheduler))
    own = [
        (vars(part).keys(), dict(part._forward_pre_hooks)) for part in (pipeline.transformer, pipeline.transformer_2)
    ]
    Asking(pipeline, [pipeline.transformer, pipeline.transformer_2], CPU, held).ask(num_inference_steps=3, **CALL)
    assert vars(pipeline) == before and repr(vars(pipeline.scheduler)) == scheduler
    for part, (attributes, hooks) in zip((pipeline.transformer, pipeline.transformer_2), own, strict=True):
        assert vars(part).keys() == attributes and dict(part._forward_pre_hooks) == hooks


def test_a_prompt_is_encoded_once_whatever_the_size_and_the_steps(monkeypatch: pytest.MonkeyPatch):
    pipeline, runs = ready(wan()), []
    own = Asking(pipeline, [pipeline.transformer], CPU, lambda: held(runs))
    for changed in ({}, {"width": 48}, {"num_frames": 5}):
        own.ask(num_inference_steps=2 + len(changed), **{**CALL, **changed})
    assert len(runs) == 1
    monkeypatch.setattr(asking, "REMEMBERED", 1)
    own.ask(num_inference_steps=2, **{**CALL, "prompt": "a dog"})
    own.ask(num_inference_steps=2, **CALL)
    assert len(runs) == 3, "the one unused longest was forgotten"


def test_what_the_pipeline_refuses():
    pipeline = ready(wan())
    with pytest.raises(ModelError, match=r"WanPipeline refuses what it was asked: .*divisible by 16"):
        Asking(pipeline, [pipeline.transformer], CPU, held).ask(num_inference_steps=2, **{**CALL, "height": 33})


def test_a_pipeline_that_never_calls_its_network():
    pipeline = ready(wan())
    with pytest.raises(ModelError, match="never calls its network"):
        Asking(pipeline, [torch.nn.Linear(1, 1)], CPU, held).ask(num_inference_steps=1, **CALL)
