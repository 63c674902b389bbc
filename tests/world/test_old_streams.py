"""The streams of shapes on patterns render what they always rendered: results and bundled weights belong to them."""

import hashlib
import json

import pytest

from motionlift.world import scenes

FROZEN: dict[tuple[int, bool], tuple[str, str]] = {
    (0, False): ("0753a544c6ed053f", "78bcd9fb6fa64682"),
    (1, False): ("797ddae7ef0879f6", "a6c68cd3397c933b"),
    (71, False): ("1ab43deae5ad1866", "fa5f87c829ec2727"),
    (91, True): ("73e8a0f354e8b56f", "5a3e6cc1cbb91db4"),
    (92, True): ("648933c8908f14f4", "1c00e745f20bb9f5"),
}
"""By seed and whether the captions are held out: starts of the SHA-256 of all frames and masks, and of all records."""


def hashes(seed: int, unseen: bool) -> tuple[str, str]:
    pixels, records = hashlib.sha256(), hashlib.sha256()
    for index in range(12):
        scene = scenes.sample(seed, index, 17, unseen=unseen)
        rendering = scenes.render([scene], 64, 64)
        pixels.update(rendering.frames.numpy().tobytes())
        pixels.update(rendering.masks.numpy().tobytes())
        records.update(json.dumps(scene.record(), sort_keys=True).encode())
    return pixels.hexdigest()[:16], records.hexdigest()[:16]


@pytest.mark.parametrize(("seed", "unseen"), FROZEN)
def test_render_what_they_rendered_to_the_byte(seed: int, unseen: bool):
    assert hashes(seed, unseen) == FROZEN[seed, unseen]
