import pytest
import torch

from motionlift.methods.moft import METHOD, MOFTSettings
from tests.methods.references import aim, backbone, lifted, reference


@pytest.fixture(scope="module")
def model():
    return backbone()


@pytest.fixture(scope="module")
def given(model):
    return reference(model)


def moving(model, latents, number, grid, timestep=0, prompt=""):
    """Features of a block less their mean over time."""
    with torch.no_grad():
        features = model.record(latents, timestep, model.text(prompt), [number])[number].features[0]
    frames = features.reshape(grid.frames, grid.area, -1)
    return (frames - frames.mean(dim=0)).flatten(0, 1)


def test_it_lifts_features_less_their_mean_over_time_in_the_channels_that_move_most(model, given):
    motion, _ = lifted(METHOD, given, model, MOFTSettings(block=(0, 2), channel_share=0.125))
    grid = model.grid(given.shape)
    assert set(motion) == {"latents", "features.0", "channels.0", "features.2", "channels.2"}
    for number in (0, 2):
        features = moving(model, given.latents, number, grid)
        component = torch.linalg.svd(features.double(), full_matrices=False).Vh[0].abs()
        channels = motion[f"channels.{number}"]
        assert set(channels.tolist()) == set(component.topk(4).indices.tolist())
        torch.testing.assert_close(motion[f"features.{number}"], features[:, channels], atol=1e-5, rtol=1e-5)


def test_the_loss_of_the_reference_itself_is_zero_and_that_of_another_video_is_the_mean_over_blocks(model, given):
    settings = MOFTSettings(block=(0, 2), channel_share=0.125)
    motion, _ = lifted(METHOD, given, model, settings)
    grid, text = model.grid(given.shape), model.text("")
    with torch.no_grad():
        own = model.record(given.latents, 0, text, [0, 2])
        other = model.record(given.latents.flip(2), 500, model.text("a dog"), [0, 2])
    assert METHOD.loss(own, aim(motion, grid), settings).item() == pytest.approx(0, abs=1e-5)
    distances = []
    for number in (0, 2):
        found = moving(model, given.latents.flip(2), number, grid, 500, "a dog")[:, motion[f"channels.{number}"]]
        truth = motion[f"features.{number}"]
        distances.append(1 - (found * truth).sum(dim=-1) / found.norm(dim=-1) / truth.norm(dim=-1))
    loss = METHOD.loss(other, aim(motion, grid), settings)
    torch.testing.assert_close(loss, torch.stack(distances).mean())
    assert loss > 0.1
