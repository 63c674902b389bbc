import pytest
import torch

from motionlift.core.method import Needs
from motionlift.methods import injection, none
from tests.methods.references import aim, lifted, reference, seen, twin


@pytest.mark.parametrize("method", [none.METHOD, injection.METHOD])
def test_they_lift_the_latents_at_no_cost_and_optimise_nothing(method):
    model = twin()
    given = reference(model)
    settings = method.settings(model)
    tensors, steps = lifted(method, given, model, settings)
    assert set(tensors) == {"latents"}
    torch.testing.assert_close(tensors["latents"], given.latents, atol=0, rtol=0)
    assert len(steps) == 1
    assert model.passes.forward == 0
    assert not method.blocks(settings)
    assert method.needs(settings) == Needs(inject=(0,) if settings.inject else ())
    with pytest.raises(NotImplementedError, match=f"{method.name} .* has no loss"):
        method.loss(seen({}), aim(tensors, model.lattice(given.shape)), settings)


def test_one_injects_in_the_guided_steps_and_the_other_guides_nothing():
    model = twin()
    assert injection.METHOD.settings(model).inject
    assert injection.METHOD.settings(model).share == 0.2
    assert not none.METHOD.settings(model).inject
    assert none.METHOD.settings(model).share == 0
