"""The streams of shapes on patterns render what they always rendered: results and bundled weights belong to them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from motionlift.bench.references import reference
from motionlift.world import scenes

FOLDER = Path(__file__).parents[1] / "frozen" / "streams"
"""Pictures of what they rendered, one for each stream: a row a scene, a few frames from left to right."""
FROZEN: dict[tuple[int, bool], str] = {
    (0, False): "78bcd9fb6fa64682",
    (1, False): "a6c68cd3397c933b",
    (71, False): "fa5f87c829ec2727",
    (91, True): "5a3e6cc1cbb91db4",
    (92, True): "1c00e745f20bb9f5",
}
"""By seed and whether the captions are held out: start of the SHA-256 of all records."""
SCENES, SHOWN, FRAMES = 12, 4, (0, 8, 16)
"""Scenes whose records are frozen, how many of them are pictured, and which of their frames."""
MOST_OTHER = 1e-3
"""Share of numbers that may differ by more than one of 255: processors round sines and roots differently, and at an edge a pixel
then lies on its other side."""


def records(seed: int, unseen: bool) -> str:
    found = hashlib.sha256()
    for index in range(SCENES):
        found.update(json.dumps(scenes.sample(seed, index, 17, unseen=unseen).record(), sort_keys=True).encode())
    return found.hexdigest()[:16]


def pictured(seed: int, unseen: bool) -> Tensor:
    """The picture of a stream, ``(height, width, 3)``."""
    drawn = [scenes.sample(seed, index, 17, unseen=unseen) for index in range(SHOWN)]
    rows = [torch.cat(list(scenes.render([each], 64, 64).frames[0, list(FRAMES)]), dim=1) for each in drawn]
    return torch.cat(rows)


@pytest.mark.parametrize(("seed", "unseen"), FROZEN)
def test_render_what_they_rendered(seed: int, unseen: bool):
    assert records(seed, unseen) == FROZEN[seed, unseen]
    with Image.open(FOLDER / f"{seed}.png") as file:
        frozen = np.asarray(file).astype(int)
    apart = np.abs(pictured(seed, unseen).numpy().astype(int) - frozen)
    assert (apart > 1).mean() <= MOST_OTHER


def test_the_record_of_a_shape_behind_a_wall_is_what_it_was():
    record = json.dumps(reference(3, 17, "occlusion").record(), sort_keys=True)
    assert hashlib.sha256(record.encode()).hexdigest()[:16] == "fa32f85913d6a1c1"


def test_another_scene_is_far_from_it():
    with Image.open(FOLDER / "0.png") as file:
        frozen = np.asarray(file).astype(int)
    apart = np.abs(pictured(1, False).numpy().astype(int) - frozen)
    assert (apart > 1).mean() > 0.5
