"""The control that holds still: what it shows, and what it scores."""

import numpy as np
import pytest
import torch

from motionlift.bench.frozen import held_clip, held_scene
from motionlift.bench.references import figures, prompt_scene, reference
from motionlift.measure.tracks import aligned_error
from motionlift.video.clip import Clip
from motionlift.world import scenes


def test_a_scene_is_held_with_its_object_in_the_middle():
    scene = prompt_scene(7)
    held = held_scene(scene)
    frames = scenes.render([held]).frames[0]
    assert (frames == frames[:1]).all() and held.caption() == scene.caption() and held.frames == scene.frames
    assert np.allclose(held.tracks(), 0.5)
    two = held_scene(prompt_scene(3, kind="two"))
    assert len(two.objects) == 2 and not np.ptp(two.tracks(), axis=1).any()
    assert not np.allclose(two.tracks()[0], two.tracks()[1]), "two stay where they begin"


def test_a_clip_is_held_at_its_middle_picture():
    clip = Clip.of(torch.arange(5)[:, None, None, None].expand(-1, 4, 6, 3).to(torch.uint8), 8.0)
    held = held_clip(clip)
    assert held.fps == 8 and held.frames.shape == clip.frames.shape and (held.frames == 2).all()


@pytest.mark.parametrize("index", [0, 5, 9])
def test_it_scores_what_the_tracks_say_and_looks_as_asked(index: int):
    shown, wanted = reference(index), prompt_scene(index)
    found = figures(scenes.render([held_scene(wanted)]).frames[0], shown, wanted)
    track = torch.tensor(shown.tracks()[0]).float()
    assert found["aligned_error"] == pytest.approx(aligned_error(torch.full_like(track, 0.5), track), abs=0.005)
    assert (found["colour"], found["shape"], found["background"], found["looks_leaked"]) == (1, 1, 1, 0)
    assert found["direction_cosine"] == pytest.approx(0, abs=0.05)
