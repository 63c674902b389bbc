"""Latents are shown in colours near those of their pictures."""

import pytest
import torch

from motionlift.core.lattice import Shape
from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.video.clip import Clip
from motionlift.work.previews import projection_of
from motionlift.world.scenes import render, sample
from tests import twins


def test_the_map_is_the_best_of_all_linear_ones():
    """Of latents that are a linear map of the colours, it finds the colours again."""

    class Codec:
        side, tokens, fewest = 2, 1, 1
        mixed = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

        def fitting(self, frames):
            return Shape(frames, 64, 64)

        def encode(self, pixels):
            pooled = torch.nn.functional.avg_pool2d(pixels, 2)
            return torch.einsum("cr,frhw->cfhw", self.mixed, pooled)[None] + 0.3

    model = load(twins.cogvideox(), "cpu")
    model.codec = Codec()
    clip = Clip.of(render([sample(3, 2)]).frames[0], 8).pixels()
    shown = projection_of(model).pictures(model.codec.encode(clip)).float() / 255
    true = (torch.nn.functional.avg_pool2d(clip, 2).permute(0, 2, 3, 1) + 1) / 2
    torch.testing.assert_close(shown, true, atol=0.005, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLED_MODELS)
def test_a_bundled_models_latents_look_like_their_videos(name: str):
    """Of other scenes than those that it was fitted to, it tells half of what their colours differ by."""
    model = load(name, "cpu")
    projection, shown, true = projection_of(model), [], []
    for index in range(8):
        clip = Clip.of(render([sample(3, index, model.about.shape.frames)], 64, 64).frames[0], 8).pixels()
        latents = model.codec.encode(clip)
        pooled = torch.nn.functional.adaptive_avg_pool3d((clip.movedim(1, 0) + 1) / 2, latents.shape[2:])
        true.append(pooled.permute(1, 2, 3, 0).flatten(0, 2))
        shown.append((projection.pictures(latents).float() / 255).flatten(0, 2))
    shown, true = torch.cat(shown), torch.cat(true)
    left = (shown - true).square().sum() / (true - true.mean(0)).square().sum()
    assert left < 0.5
