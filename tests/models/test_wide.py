"""Rows on thin twins of true width: shapes, lattices, positions and captured arguments as at true size."""

import gc

import pytest
import torch

from lab.evidence import PROMPT, noise_of
from motionlift.models.families import serving
from tests.twins.wide import WIDE, wide

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")


@pytest.fixture(params=sorted(WIDE))
def name(request):
    yield request.param
    gc.collect()


def test_it_is_as_at_true_size(name):
    own, pipeline = WIDE[name], wide(name)
    model = serving(type(pipeline).__name__)(pipeline, "thin", CPU)
    if own.variant is not None:
        assert model.about.variant == own.variant
    assert (
        model.codec.latent_shape(model.codec.fitting(own.shape.frames, own.shape.height, own.shape.width))
        == own.latents
    )
    assert model.about.shape == own.shape
    assert model.lattice(own.shape) == own.lattice
    for tensor in model.positions(own.shape).values():
        assert own.lattice.tokens in (tensor.numel() // tensor[..., :1].numel(), *tensor.shape) or (
            tensor.shape[1:4] == (own.lattice.frames, own.lattice.height, own.lattice.width)
        )
    whole = model.text.encode(PROMPT, own.shape)
    small = model.text.encode(PROMPT, own.small)
    assert whole.others.keys() == small.others.keys() and whole.tensors.keys() == small.tensors.keys()
    level, latents = model.schedule(4, own.small).levels[1], noise_of(model, own.small)
    with torch.no_grad():
        output = model.predict(latents, level, small)
        seen = model.record(latents, level, small, [1], features=False)[1]
    assert output.shape == latents.shape and output.isfinite().all() and output.std() > 0
    tokens = model.lattice(own.small).tokens
    assert seen.query.shape == (1, own.query[0], tokens, own.query[1])
    assert seen.cross.key.shape == (1, own.query[0], own.words, own.query[1])
    leaf = latents.clone().requires_grad_()
    with model.turn():
        model.record(leaf, level, small, [0], features=False)[0].query.float().square().mean().backward()
    assert leaf.grad.isfinite().all() and leaf.grad.abs().max() > 0
