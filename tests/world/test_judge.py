import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from motionlift.errors import InputError, ModelError
from motionlift.world import scenes
from motionlift.world.judge import CLASSES, Judge, judge_frames, judge_video, load_judge, mask_centres


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


def background_only(scene: scenes.Scene) -> scenes.Scene:
    return dataclasses.replace(scene, objects=())


def test_an_untrained_judge_gives_one_logit_for_each_class_and_pixel():
    verdict = Judge().eval()(torch.rand(3, 3, 64, 64))
    assert verdict.mask.shape == (3, 64, 64)
    for name, classes in CLASSES.items():
        assert getattr(verdict, name).shape == (3, len(classes))


def test_the_shipped_judge_follows_a_clip(judge: Judge):
    scene = scenes.sample(6, 0, objects=1, motion="line", unseen=True)
    rendering = scenes.render([scene])
    verdict = judge_video(judge, rendering.frames[0])
    item, ground = scene.objects[0], scene.background
    assert (verdict.shape, verdict.colour) == (item.shape, item.colour)
    assert (verdict.pattern, verdict.ground) == (ground.pattern, ground.colour)
    np.testing.assert_allclose(verdict.centres.numpy(), scene.tracks()[0], atol=0.02)
    assert ((verdict.masks > 0.5) == rendering.masks[0, 0]).float().mean() > 0.99


def test_larger_frames_are_judged_at_the_judges_size(judge: Judge):
    scene = scenes.sample(8, 0, frames=2, objects=1)
    verdict = judge_video(judge, scenes.render([scene], 120, 160).frames[0])
    assert verdict.masks.shape == (2, 64, 64)
    assert verdict.colour == scene.objects[0].colour
    np.testing.assert_allclose(verdict.centres.numpy(), scene.tracks()[0], atol=0.03)


def test_a_clip_without_objects_has_no_centres_shape_or_colour(judge: Judge):
    scene = scenes.sample(9, 0, frames=3, objects=1)
    beside = scenes.sample(9, 1, frames=3, objects=1)  # the renderer wants an object in some scene
    verdict = judge_video(judge, scenes.render([background_only(scene), beside]).frames[0])
    assert verdict.centres.isnan().all()
    assert verdict.shape is None
    assert verdict.colour is None
    assert verdict.ground == scene.background.colour


def test_frames_in_which_the_object_is_missing_are_left_out_of_its_verdict(judge: Judge):
    scene = scenes.sample(9, 2, frames=1, objects=1)
    empty, full = scenes.render([background_only(scene), scene]).frames[:, 0]
    verdict = judge_video(judge, torch.stack([empty, empty, full, empty]))
    assert verdict.centres.isnan().all(dim=1).tolist() == [True, True, False, True]
    assert (verdict.shape, verdict.colour) == (scene.objects[0].shape, scene.objects[0].colour)


def test_a_black_clip_is_judged_without_failing(judge: Judge):
    verdict = judge_video(judge, torch.zeros(2, 64, 64, 3, dtype=torch.uint8))
    assert verdict.masks.isfinite().all()
    assert verdict.pattern in CLASSES["pattern"]


def test_a_clip_of_no_frames_is_refused():
    with pytest.raises(InputError, match="0 frames"):
        judge_video(Judge().eval(), torch.zeros(0, 64, 64, 3, dtype=torch.uint8))


def test_centres_of_known_masks():
    masks = torch.zeros(4, 8, 16)
    masks[0, 2:4, 4:8] = 1.0  # columns 4..7 of 16, rows 2..3 of 8
    masks[1, :, :8], masks[1, :, 8:12] = 0.6, 0.9  # weights 4.8 at 4/16 and 3.6 at 10/16
    masks[2] = 0.4  # nothing above a half
    masks[3, 0, :7] = 1.0  # too few pixels
    centres, seen = mask_centres(masks)
    assert seen.tolist() == [True, True, False, False]
    torch.testing.assert_close(centres[0], torch.tensor([6 / 16, 3 / 8]))
    torch.testing.assert_close(centres[1], torch.tensor([(4.8 * 4 + 3.6 * 10) / 8.4 / 16, 0.5]))
    assert centres[2:].isnan().all()


@pytest.mark.parametrize("content", [None, b"", b"not weights at all", bytes(5 * 2**20)])
def test_unusable_weights_are_refused_in_one_line(tmp_path: Path, content: bytes | None):
    path = tmp_path / "judge.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as refusal:
        load_judge(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_frames_by_themselves_have_the_logits_that_a_clip_is_judged_by(judge: Judge):
    scene = scenes.sample(6, 0, objects=1, motion="line", unseen=True)
    frames = scenes.render([scene]).frames[0]
    judgement = judge_frames(judge, torch.cat([frames] * 5))
    assert judgement.mask.shape == (85, 64, 64), "also of more frames than are seen at once"
    assert CLASSES["shape"][int(judgement.shape.mean(dim=0).argmax())] == scene.objects[0].shape
    torch.testing.assert_close(judgement.mask[68:].sigmoid(), judge_video(judge, frames).masks)
