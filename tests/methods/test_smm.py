import pytest
import torch

from motionlift.methods.smm import METHOD, SMMSettings
from tests.methods.references import aim, level, lifted, record, reference, seen, twin


@pytest.fixture(scope="module")
def model():
    return twin()


@pytest.fixture(scope="module")
def given(model):
    return reference(model)


def means(shown, lattice):
    return shown.features[0].reshape(lattice.frames, lattice.area, -1).mean(dim=1)


def test_it_lifts_differences_of_spatial_means(model, given):
    motion, _ = lifted(METHOD, given, model, SMMSettings(block=(0, 2)))
    shown, lattice = record(model, given.latents, [0, 2]), model.lattice(given.shape)
    assert set(motion) == {"latents", "differences.0", "differences.2"}
    for number in (0, 2):
        mean = means(shown[number], lattice)
        truth = torch.stack([mean[1] - mean[0], mean[2] - mean[0], mean[2] - mean[1]])
        torch.testing.assert_close(motion[f"differences.{number}"], truth)


def test_the_loss_of_the_reference_itself_is_zero_and_that_of_another_video_is_the_mean_over_blocks(model, given):
    settings = SMMSettings(block=(0, 2))
    motion, _ = lifted(METHOD, given, model, settings)
    lattice = model.lattice(given.shape)
    own = METHOD.loss(seen(record(model, given.latents, [0, 2])), aim(motion, lattice), settings)
    assert own.item() == pytest.approx(0, abs=1e-5)
    shown = record(model, given.latents.flip(2), [0, 2], level(model, 500), "a dog")
    cosines = []
    for number in (0, 2):
        mean = means(shown[number], lattice)
        found = torch.stack([mean[1] - mean[0], mean[2] - mean[0], mean[2] - mean[1]])
        truth = motion[f"differences.{number}"]
        cosines.append((found * truth).sum(dim=-1) / found.norm(dim=-1) / truth.norm(dim=-1))
    loss = METHOD.loss(seen(shown), aim(motion, lattice), settings)
    torch.testing.assert_close(loss, 1 - torch.stack(cosines).mean())
    assert loss > 0.1


def test_as_released_changes_are_from_the_references_frames_and_compared_along_the_frames(model, given):
    settings = SMMSettings(block=(2,), form="released")
    motion, _ = lifted(METHOD, given, model, settings)
    assert set(motion) == {"latents", "differences.2", "means.2"}
    lattice, truth = model.lattice(given.shape), means(record(model, given.latents, [2])[2], model.lattice(given.shape))
    torch.testing.assert_close(motion["means.2"], truth)
    shown = record(model, given.latents.flip(2), [2], level(model, 500), "a dog")
    own = means(shown[2], lattice)
    distances = []
    for anchor in range(lattice.frames):
        one, other = own - truth[anchor], truth - truth[anchor]
        distances.append(1 - (one * other).sum(dim=0) / one.norm(dim=0) / other.norm(dim=0))
    loss = METHOD.loss(seen(shown), aim(motion, lattice), settings)
    torch.testing.assert_close(loss, torch.stack(distances).mean())
    assert METHOD.loss(seen(record(model, given.latents, [2])), aim(motion, lattice), settings) < 1e-5
