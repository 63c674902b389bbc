"""Slices of attention over whole videos, where the attention to the text is apart, against the network's own map."""

import pytest
import torch
import torch.nn.functional as functional

from motionlift.signals.attention_maps import spatial_probabilities, temporal_probabilities
from tests.twins import TRANSFORMERS

APART = sorted(name for name, twin in TRANSFORMERS.items() if twin.row.cross is not None)


@pytest.mark.parametrize("name", APART)
@torch.no_grad()
def test_attention_within_frames_and_over_time_are_slices_of_the_softmax_over_all_tokens(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    twin = TRANSFORMERS[name]
    model, original = twin.model(), functional.scaled_dot_product_attention
    lattice, maps = model.lattice(twin.shape), []

    def attend(query, key, value, *rest, **named):
        mixed = original(query, key, value, *rest, **named)
        if query.shape[2] == key.shape[2] == lattice.tokens:
            # What each token takes of every other: what comes out when the values are the tokens' own numbers.
            numbers = torch.eye(lattice.tokens).to(value).expand(*key.shape[:3], lattice.tokens)
            maps.append(original(query, key, numbers, *rest, **named)[0].float().mean(dim=0))
        return mixed

    latents = torch.randn(model.codec.latent_shape(twin.shape), generator=torch.Generator().manual_seed(0))
    level, condition = model.schedule(4, twin.shape).levels[1], model.text.encode("a dog", twin.shape)
    with monkeypatch.context() as patch:
        patch.setattr(functional, "scaled_dot_product_attention", attend)
        model.predict(latents, level, condition)
    seen = model.record(latents, level, condition, [0])[0]
    cube = maps[0].unflatten(0, (lattice.frames, lattice.area)).unflatten(2, (lattice.frames, lattice.area))
    spatial = torch.stack([cube[frame, :, frame] for frame in range(lattice.frames)])
    temporal = torch.stack([cube[:, place, :, place] for place in range(lattice.area)])
    assert spatial.sum(dim=2).max() < 0.999, "a token looks at other frames too"

    for kind, found, truth in (
        (seen.spatial, spatial_probabilities, spatial),
        *((own, temporal_probabilities, temporal) for own in seen.temporal),
    ):
        joint_keys = [each[0] for each in kind.joint_keys]
        torch.testing.assert_close(found(kind.query[0], kind.key[0], lattice, joint_keys), truth, atol=1e-5, rtol=1e-4)
