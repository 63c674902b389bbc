import pytest
import torch

from motionlift.methods.moft import METHOD, MOFTSettings
from tests.methods.references import CLEAN, aim, level, lifted, record, reference, seen, twin


@pytest.fixture(scope="module")
def model():
    return twin()


@pytest.fixture(scope="module")
def given(model):
    return reference(model)


def moving(model, latents, number, lattice, at=CLEAN, prompt=""):
    """Features of a block less their mean over time."""
    features = record(model, latents, [number], at, prompt)[number].features[0]
    frames = features.reshape(lattice.frames, lattice.area, -1)
    return (frames - frames.mean(dim=0)).flatten(0, 1)


def test_it_lifts_features_less_their_mean_over_time_in_the_channels_that_move_most(model, given):
    motion, _ = lifted(METHOD, given, model, MOFTSettings(block=(0, 2), channel_share=0.125))
    lattice = model.lattice(given.shape)
    assert set(motion) == {"latents", "features.0", "channels.0", "features.2", "channels.2"}
    for number in (0, 2):
        features = moving(model, given.latents, number, lattice)
        component = torch.linalg.svd(features.double(), full_matrices=False).Vh[0].abs()
        channels = motion[f"channels.{number}"]
        assert set(channels.tolist()) == set(component.topk(4).indices.tolist())
        torch.testing.assert_close(motion[f"features.{number}"], features[:, channels], atol=1e-5, rtol=1e-5)


def test_the_loss_of_the_reference_itself_is_zero_and_that_of_another_video_is_the_mean_over_blocks(model, given):
    settings = MOFTSettings(block=(0, 2), channel_share=0.125)
    motion, _ = lifted(METHOD, given, model, settings)
    lattice, noisy = model.lattice(given.shape), level(model, 500)
    own = seen(record(model, given.latents, [0, 2]))
    other = seen(record(model, given.latents.flip(2), [0, 2], noisy, "a dog"))
    assert METHOD.loss(own, aim(motion, lattice), settings).item() == pytest.approx(0, abs=1e-5)
    distances = []
    for number in (0, 2):
        found = moving(model, given.latents.flip(2), number, lattice, noisy, "a dog")[:, motion[f"channels.{number}"]]
        truth = motion[f"features.{number}"]
        distances.append(1 - (found * truth).sum(dim=-1) / found.norm(dim=-1) / truth.norm(dim=-1))
    loss = METHOD.loss(other, aim(motion, lattice), settings)
    torch.testing.assert_close(loss, torch.stack(distances).mean())
    assert loss > 0.1
