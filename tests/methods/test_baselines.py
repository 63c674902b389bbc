import pytest
import torch

from motionlift.methods import injection, none
from tests.methods.references import aim, backbone, lifted, reference


@pytest.mark.parametrize("method", [none.METHOD, injection.METHOD])
def test_they_lift_the_latents_at_no_cost_and_optimise_nothing(method):
    model = backbone()
    given = reference(model)
    settings = method.settings(model)
    tensors, steps = lifted(method, given, model, settings)
    assert set(tensors) == {"latents"}
    torch.testing.assert_close(tensors["latents"], given.latents, atol=0, rtol=0)
    assert len(steps) == 1
    assert model.passes.forward == 0
    assert not method.blocks(settings)
    assert method.loss({}, aim(tensors, model.grid(given.shape)), settings) == 0


def test_one_injects_in_the_guided_steps_and_the_other_guides_nothing():
    model = backbone()
    assert injection.METHOD.settings(model).inject
    assert injection.METHOD.settings(model).share == 0.2
    assert not none.METHOD.settings(model).inject
    assert none.METHOD.settings(model).share == 0
