"""Every diffusion transformer that a row serves, against its own pipeline of diffusers."""

from dataclasses import replace

import pytest
import torch
from diffusers import ClassifierFreeGuidance

from lab.pipelines import first_order, own_run
from motionlift.loops.sample import Casting, cast
from motionlift.methods import methods
from tests.methods.references import finished
from tests.twins import GUIDED, TRANSFORMERS

PROMPT = "a red star on the field"
STEPS = 4
CLOSE = 1e-5
"""Largest difference from the pipeline's own, by the largest value."""
ROUNDED = {"kandinsky5": 10 * CLOSE}
"""The same with guidance, where a network rounds its queries and keys to bfloat16 whatever its weights are: a difference in the last
place of the latents now and then becomes one of 2^-9 of a query."""


@pytest.fixture(scope="module", params=sorted(TRANSFORMERS))
def twin(request):
    return TRANSFORMERS[request.param]


@pytest.fixture(scope="module")
def model(twin):
    return twin.model()


@pytest.fixture(scope="module")
def row(twin):
    return twin.row


def random(*sizes, seed=0):
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


def noise_of(model, twin, seed=1):
    return random(*model.codec.latent_shape(twin.shape), seed=seed)


def difference(found, wanted):
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())


def own(twin, row, model, call):
    """What the pipeline makes by itself, of the noise of a seed."""
    pipeline = twin.build()
    first_order(pipeline, row, STEPS)
    window = {"max_sequence_length": row.window(pipeline)} if row.family == "cogvideox" else {}
    if row.family == "hunyuan15":
        pipeline.guider = ClassifierFreeGuidance(guidance_scale=call.pop("guidance_scale", 1.0))
    with torch.no_grad():
        return own_run(pipeline, row, twin.shape, noise_of(model, twin), PROMPT, STEPS, {**window, **row.call, **call})


def ours(twin, model, **values):
    """What the library's loop makes of the same noise."""
    method = methods()["none"]
    settings = replace(method.settings(model), steps=STEPS, **values)
    return finished(cast(Casting(model, method, settings, {}, twin.shape, PROMPT, 1))).latents


def test_a_video_is_the_pipelines_own(twin, row, model):
    found, wanted = ours(twin, model, cfg=1.0), own(twin, row, model, {})
    assert difference(found, wanted.latents) < CLOSE


def test_each_pass_of_the_network_is_the_pipelines_own(twin, row, model):
    wanted, schedule = own(twin, row, model, {}), model.schedule(STEPS, twin.shape)
    condition = model.text.encode(PROMPT, twin.shape)
    assert len(wanted.left) == STEPS
    for level, entered, left in zip(schedule.levels, wanted.entered, wanted.left, strict=True):
        assert difference(model.predict(entered, level, condition), left) < CLOSE


def test_a_prompt_is_weighed_as_the_pipeline_weighs_it(twin, row, model):
    found = ours(twin, model, cfg=GUIDED, dynamic_cfg=False)
    wanted = own(twin, row, model, dict(twin.guided))
    assert difference(found, wanted.latents) < ROUNDED.get(row.family, CLOSE)
    assert difference(found, ours(twin, model, cfg=1.0)) > 100 * CLOSE
