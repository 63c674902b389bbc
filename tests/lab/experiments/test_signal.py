"""The truth that attention is held against, by oracles of its own."""

import math

import numpy as np
import pytest
import torch

from lab.experiments import signal
from lab.experiments.signal import agreement, section, true_displacement
from motionlift.core.lattice import Lattice
from motionlift.world import scenes

GRID = Lattice(5, 8, 8)
TIMES = (0.0, 2.5, 6.5, 10.5, 14.5)


def track_at(scene: scenes.Scene, time: float) -> np.ndarray:
    """Place of the first object at a time between frames, in shares of the frame."""
    track = scene.tracks()[0]
    return np.array([np.interp(time, np.arange(len(track)), track[:, axis]) for axis in (0, 1)])


@pytest.mark.slow
@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("grid", [GRID, Lattice(5, 4, 16)])
def test_a_line_moves_every_token_as_its_centre(index: int, grid: Lattice):
    """Also where latent frames lie between two frames: a line has one speed."""
    scene = scenes.sample(3, index, objects=1, motion="line", camera="still")
    field, tokens = true_displacement(scene, TIMES, grid)
    assert field.shape == (5, 5, grid.area, 2) and tokens.shape == (5, grid.area)
    assert tokens.any()
    for one, start in enumerate(TIMES):
        for other, end in enumerate(TIMES):
            moved = (track_at(scene, end) - track_at(scene, start)) * (grid.width, grid.height)
            seen = field[one, other][tokens[one]]
            torch.testing.assert_close(seen, torch.tensor(moved).float().expand_as(seen), atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_covered_tokens_lie_on_the_object():
    scene = scenes.sample(3, 1, objects=1, motion="rest", camera="still")
    _, tokens = true_displacement(scene, TIMES, GRID)
    mask = scenes.render([scene]).masks[0, 0, 0].float().reshape(8, 8, 8, 8).mean(dim=(1, 3)).flatten()
    assert torch.equal(tokens, (mask >= signal.LEAST_COVER).expand(5, -1))
    assert 0 < int(tokens[0].sum()) < 64


@pytest.mark.slow
def test_rest_is_zero_and_a_pan_moves_all():
    still = scenes.sample(3, 2, objects=1, motion="rest", camera="still")
    assert not true_displacement(still, TIMES, GRID)[0].any()
    panned = scenes.sample(3, 2, objects=1, motion="rest", camera="pan")
    field, tokens = true_displacement(panned, TIMES, GRID)
    moved = torch.tensor((track_at(panned, 14.5) - track_at(panned, 0.0)) * 8).float()
    assert moved.norm() > 0.5
    torch.testing.assert_close(field[0, 4][tokens[0]], moved.expand(int(tokens[0].sum()), 2), atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_spin_turns_about_the_centre():
    """A token of the object goes where its turn takes it; the mean over a whole round object is the centre's, nothing."""
    scene = scenes.sample(3, 5, objects=1, motion="spin", camera="still")
    field, tokens = true_displacement(scene, (0.0, 4.0, 8.0, 12.0, 16.0), GRID)
    (item,) = scene.objects
    turn = float(item.angle[4] - item.angle[0])
    places = (torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="xy"), dim=-1) + 0.5) / 8
    offset = (places.reshape(64, 2) - torch.tensor(item.centre[0]).float())[tokens[0]] * 8
    rotated = torch.stack(
        [
            math.cos(turn) * offset[:, 0] - math.sin(turn) * offset[:, 1],
            math.sin(turn) * offset[:, 0] + math.cos(turn) * offset[:, 1],
        ],
        dim=-1,
    )
    error = (field[0, 1][tokens[0]] - (rotated - offset)).norm(dim=-1)
    assert float(error.max()) < 0.4, "a cell is covered in part, so its mean lies a little off its middle"


def test_agreement():
    true = torch.zeros(2, 2, 3, 2)
    true[0, 1] = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.1, 0.0]])
    tokens = torch.tensor([[True, True, True], [False, False, False]])
    perfect = agreement(true, true, tokens)
    assert perfect == {"cosine": pytest.approx(1), "error": 0, "entries": 2}, "the third token hardly moves"
    assert agreement(-true, true, tokens)["cosine"] == pytest.approx(-1)
    half = agreement(true / 2, true, tokens)
    assert (half["cosine"], half["error"]) == (pytest.approx(1), pytest.approx(0.5))
    crossed = true.flip(-1)
    assert (agreement(crossed, true, tokens)["cosine"]) == pytest.approx(0)
    unknown = true.clone()
    unknown[0, 1, 0] = math.nan
    assert agreement(unknown, true, tokens)["entries"] == 1
    assert agreement(true, true, ~tokens)["entries"] == 0


def test_pooling_counts_entries():
    """A clip with three times the entries counts three times; one without any does not."""
    kinds = [f"{level:g}/{block}" for level in signal.LEVELS for block in (0, 1)] + ["flow"]
    clips = [{"cosine": 1.0, "error": 0.2, "entries": 30}, {"cosine": 0.6, "error": 1.0, "entries": 10}]
    clips.append({"cosine": math.nan, "error": math.nan, "entries": 0})
    places = {"places": ["low", "high"]}
    text = section([{**dict.fromkeys(kinds, clip), **places} for clip in clips])
    assert "3 held-out clips" in text
    assert "| block 1: high | 0.90 | 0.40 | 0.90 | 0.40 | 0.90 | 0.40 |" in text
    assert "| optical flow | 0.90 | 0.40 | - | - | - | - |" in text
    assert "| optical flow | - | - |" in section([{**dict.fromkeys(kinds, clips[-1]), **places}])
