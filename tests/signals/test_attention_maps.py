"""Attention maps against the plain full map, masks and losses against known answers."""

import math

import pytest
import torch

from motionlift.core.lattice import Lattice
from motionlift.errors import SettingError
from motionlift.signals import attention_maps
from motionlift.signals.attention_maps import (
    adaptive_mask,
    cross_loss,
    cross_probabilities,
    self_loss,
    smoothed,
    spatial_probabilities,
    temporal_loss,
    temporal_probabilities,
)

GRID = Lattice(3, 2, 4)


def projections(text: int = 5, heads: int = 2, size: int = 6) -> tuple[torch.Tensor, ...]:
    """Queries and keys of the video, keys of the text."""
    generator = torch.Generator().manual_seed(3)
    draw = lambda count: torch.randn(heads, count, size, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(GRID.tokens), draw(GRID.tokens), draw(text)


def plain(query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """The whole map."""
    return (query @ keys.transpose(1, 2) / math.sqrt(query.shape[-1])).softmax(dim=-1).mean(dim=0)


def slices(full: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spatial and temporal entries of a map from video to video."""
    cube = full.reshape(GRID.frames, GRID.area, GRID.frames, GRID.area)
    spatial = torch.stack([cube[frame, :, frame] for frame in range(GRID.frames)])
    temporal = torch.stack([cube[:, place, :, place] for place in range(GRID.area)])
    return spatial, temporal


@pytest.mark.parametrize("at_once", [2**22, 40])
def test_slices_of_joint_attention_are_those_of_the_full_map(at_once: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attention_maps, "LOGITS_AT_ONCE", at_once)
    query, key, text = projections()
    full = plain(query, torch.cat([text, key], dim=1))
    spatial, temporal = slices(full[:, 5:])
    joint_keys = (text, key)
    torch.testing.assert_close(cross_probabilities(query, text, joint_keys), full[:, :5])
    torch.testing.assert_close(spatial_probabilities(query, key, GRID, joint_keys), spatial)
    torch.testing.assert_close(temporal_probabilities(query, key, GRID, joint_keys), temporal)


def test_kinds_by_themselves_are_softmaxes_of_their_own():
    query, key, text = projections()
    torch.testing.assert_close(cross_probabilities(query, text), plain(query, text))
    spatial = spatial_probabilities(query, key, GRID)
    for frame in range(3):
        own = slice(8 * frame, 8 * frame + 8)
        torch.testing.assert_close(spatial[frame], plain(query[:, own], key[:, own]))
    temporal = temporal_probabilities(query, key, GRID)
    for place in range(8):
        torch.testing.assert_close(temporal[place], plain(query[:, place::8], key[:, place::8]))


@pytest.mark.parametrize("kind", ["cross", "spatial", "temporal"])
def test_gradients_are_those_of_the_full_map(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attention_maps, "LOGITS_AT_ONCE", 64)
    query, key, text = (each.requires_grad_() for each in projections())
    full = plain(query, torch.cat([text, key], dim=1))
    spatial, temporal = slices(full[:, 5:])
    joint_keys = (text, key)
    got, wanted = {
        "cross": lambda: (cross_probabilities(query, text, joint_keys), full[:, :5]),
        "spatial": lambda: (spatial_probabilities(query, key, GRID, joint_keys), spatial),
        "temporal": lambda: (temporal_probabilities(query, key, GRID, joint_keys), temporal),
    }[kind]()
    weights = torch.randn(wanted.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found, right = (torch.autograd.grad((each * weights).sum(), (query, key, text)) for each in (got, wanted))
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one, other)


def test_half_precision_is_worked_in_single():
    query, key, _ = (each.to(torch.bfloat16) for each in projections())
    assert spatial_probabilities(query, key, GRID).dtype == torch.float32


def test_tokens_that_do_not_fill_the_lattice():
    query, key, _ = projections()
    with pytest.raises(SettingError, match="24 tokens do not fill a lattice of 2x2x4"):
        spatial_probabilities(query, key, Lattice(2, 2, 4))
    with pytest.raises(SettingError, match="do not fill"):
        temporal_probabilities(query, key, Lattice(2, 2, 4))


def test_smoothing_keeps_the_sum_and_spreads_a_point():
    point = torch.zeros(2, 5, 5)
    point[0, 2, 2] = 1
    soft = smoothed(point)
    assert float(soft[0].sum()) == pytest.approx(1) and not soft[1].any()
    ratio = math.exp(-1 / (2 * 0.5**2))
    assert float(soft[0, 2, 3] / soft[0, 2, 2]) == pytest.approx(ratio, rel=1e-5)
    assert float(soft[0, 1, 1] / soft[0, 2, 2]) == pytest.approx(ratio**2, rel=1e-5)
    assert torch.allclose(smoothed(torch.ones(1, 3, 3)), torch.ones(1, 3, 3)), "edges are repeated"


def test_the_mask_is_relative_to_each_map():
    maps = torch.tensor([[[1.0, 0.5], [0.3, 0.0]], [[0.1, 0.05], [0.03, 0.0]]])
    for mask in adaptive_mask(maps):
        assert mask.tolist() == [[True, True], [False, False]]
    assert adaptive_mask(maps, 0.2)[0].tolist() == [[True, True], [True, False]]
    assert not adaptive_mask(torch.zeros(1, 2, 2)).any(), "nothing exceeds a share of nothing"
    for tau in (-0.1, 1.0, float("nan")):
        with pytest.raises(SettingError, match="tau is"):
            adaptive_mask(maps, tau)


def test_the_cross_loss_is_the_share_outside():
    maps = torch.tensor([[[[3.0, 1.0]], [[1.0, 1.0]]]])
    masks = torch.tensor([[[[True, False]], [[True, False]]]])
    assert float(cross_loss(maps, masks)) == pytest.approx((0.25 + 0.5) / 2)
    assert float(cross_loss(maps * 7, masks)) == pytest.approx((0.25 + 0.5) / 2)
    assert float(cross_loss(maps, torch.ones_like(masks))) == pytest.approx(0)


def test_the_self_loss_is_the_share_of_masked_rows_outside():
    spatial = torch.tensor([[[0.6, 0.4], [0.5, 0.5]], [[0.2, 0.8], [0.9, 0.1]]])
    masks = torch.tensor([[[[True, False]], [[False, True]]]])
    assert float(self_loss(spatial, masks)) == pytest.approx((0.4 + 0.9) / 2)
    half = torch.tensor([[[[True, False]], [[False, False]]]])
    assert float(self_loss(spatial, half)) == pytest.approx(0.4), "a frame without a mask does not count"
    assert float(self_loss(spatial, torch.zeros_like(half))) == 0


def test_the_temporal_loss_counts_masked_queries_alone():
    reference = torch.zeros(2, 3, 3)
    generated = torch.zeros(2, 3, 3)
    generated[0, 1] = 2
    generated[1] = 5
    masks = torch.zeros(1, 3, 1, 2, dtype=torch.bool)
    masks[0, 1, 0, 0] = True
    assert float(temporal_loss(generated, reference, masks)) == pytest.approx(4)
    masks[0, 0, 0, 0] = True
    assert float(temporal_loss(generated, reference, masks)) == pytest.approx(2)
    assert float(temporal_loss(generated, reference, masks & False)) == 0


def test_losses_pull_attention_into_the_mask():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 3, 3, generator=generator, requires_grad=True)
    masks = torch.zeros(1, 2, 3, 3, dtype=torch.bool)
    masks[..., 1, 1] = True
    cross_loss(logits.flatten(2).softmax(dim=-1).unflatten(2, (3, 3)), masks).backward()
    assert (logits.grad[masks] < 0).all() and (logits.grad[~masks] > 0).all()
