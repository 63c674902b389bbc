"""Prompts whose encodings have different lengths, as models without a fixed window give them."""

import torch

from motionlift.core.condition import Condition
from motionlift.loops.sample import guided_output
from motionlift.models.families import serving
from tests.twins import unet3d


def test_conditions_of_different_sizes_are_weighed_in_two_passes():
    pipeline = unet3d()
    model = serving(type(pipeline).__name__)(pipeline, "twin", torch.device("cpu"))
    latents = torch.randn(model.codec.latent_shape(model.codec.fitting(4)), generator=torch.Generator().manual_seed(4))
    level, prompted = model.schedule(6).levels[2], model.text.encode("a red star")
    shorter = Condition({name: tensor[:, :3] for name, tensor in model.text.encode("a ring").tensors.items()})
    plain, wanted = (model.predict(latents, level, condition) for condition in (shorter, prompted))
    found = guided_output(model, latents, level, (shorter, prompted), 2.0)
    torch.testing.assert_close(found, plain + 2.0 * (wanted - plain))
    assert not shorter.fits(prompted) and prompted.fits(prompted)
