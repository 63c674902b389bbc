"""What is known of the world's clips, read as a transfer reads them, and what the judge sees beside it."""

import json
import math
from pathlib import Path

import pytest
import torch

from motionlift.core.lattice import Shape
from motionlift.errors import InputError
from motionlift.measure.truth import (
    exact_figures,
    frames_read,
    judge_for,
    looks_right,
    track_as_read,
    verdict_figures,
    wholly_shown,
)
from motionlift.motion.file import Source
from motionlift.video.clip import Clip
from motionlift.world import named, scenes, truth
from motionlift.world.judge import CLASSES, NAMED_CLASSES, Judge, judge_video

LINE = torch.stack([torch.arange(17) / 20, torch.full((17,), 0.5)], dim=-1)
"""A track that moves by a twentieth of the width a frame."""


def source(frames: int, fps: float, height: int = 64, width: int = 64) -> Source:
    return Source("", fps, Shape(frames, height, width))


def test_the_first_frames_of_a_longer_clip_are_taken():
    torch.testing.assert_close(track_as_read(LINE, source(9, 8.0)), LINE[:9])


def test_every_other_frame_is_taken_at_half_the_rate():
    torch.testing.assert_close(track_as_read(LINE, source(9, 4.0)), LINE[::2])


def test_a_shorter_clip_is_followed_as_it_was_spread(tmp_path: Path):
    # Frames whose grey says their number, read by the same reader as any reference.
    grey = (torch.arange(9) * 20).to(torch.uint8)[:, None, None, None].expand(9, 32, 32, 3)
    Clip.of(grey, truth.FPS).save(tmp_path / "short.mp4")
    clip = Clip.read(tmp_path / "short.mp4", frames=17, fps=8, aspect=(32, 32))
    numbers = (clip.frames.float().mean(dim=(1, 2, 3)) / 20).round().long()
    torch.testing.assert_close(track_as_read(LINE[:9], source(17, clip.fps)), LINE[numbers])


@pytest.mark.parametrize(("height", "width", "expected"), [(60, 90, [0.25, 0.125]), (90, 60, [0.125, 0.25])])
def test_the_middle_of_the_square_becomes_the_whole_frame(height: int, width: int, expected: list[float]):
    track = torch.tensor([[0.25, 0.25], [0.5, 0.5]])
    read = track_as_read(track, source(2, 8.0, height, width))
    assert torch.allclose(read, torch.tensor([expected, [0.5, 0.5]]))


@pytest.mark.slow
def test_what_a_world_clip_shows_is_where_its_truth_says(tmp_path: Path):
    truth.write_world(tmp_path / "clips", 12, 3, 17, 64)
    measured = 0
    for path in sorted((tmp_path / "clips").glob("*.json")):
        try:
            told = truth.read_truth(path)
        except InputError:  # of two objects, which the judge cannot tell apart
            continue
        measured += 1
        clip = Clip.read(path.with_suffix(".mp4"), frames=17, fps=8, aspect=(64, 64))
        error = exact_figures(told, clip, None)
        assert error["aligned_error"] < 0.02
        assert error["seen_share"] == 1
        about = json.loads(path.read_text())
        if about["motion"] == "line" and about["camera"] == "still":
            assert error["direction_cosine"] > 0.9
        backwards = exact_figures(truth.Truth(told.track.flip(0), told.looks), clip, None)
        assert backwards["aligned_error"] >= error["aligned_error"]
    assert measured >= 6


def test_a_resting_object_has_no_direction():
    scene = scenes.sample(1, 0, 17, objects=1, motion="rest", camera="still")
    clip = Clip.of(scenes.render([scene]).frames[0], truth.FPS)
    looks = truth.looks_told(scene.caption())
    assert looks is not None
    error = exact_figures(truth.Truth(torch.from_numpy(scene.tracks()[0]).float(), looks), clip, None)
    assert math.isnan(error["direction_cosine"])


def one_object(tmp_path: Path) -> tuple[Path, scenes.Scene]:
    scene = scenes.sample(3, 1, 17, objects=1, motion="line", camera="still")
    (tmp_path / "clip.json").write_text(json.dumps(scene.record()))
    return tmp_path / "clip.json", scene


def test_exact_figures_of_a_clip_that_does_all_as_it_should(tmp_path: Path):
    path, scene = one_object(tmp_path)
    told = truth.read_truth(path)
    made = Clip.of(scenes.render([scene]).frames[0], truth.FPS)
    own = exact_figures(told, made, told.looks)
    assert own["aligned_error"] < 0.02 and own["absolute_error"] < 0.02 and own["direction_cosine"] > 0.9
    assert (own["seen_share"], own["colour"], own["shape"], own["background"]) == (1.0, 1.0, 1.0, 1.0)
    assert own["looks_leaked"] == 1.0, "it shows what the reference shows"
    others = truth.Looks("cyan" if told.looks.colour != "cyan" else "red", "ring", "plain", "brown")
    wanted = exact_figures(told, made, others)
    assert (wanted["colour"], wanted["background"]) == (0.0, 0.0)
    shifted = exact_figures(told, Clip.of(made.frames.roll(6, dims=2), truth.FPS), None)
    assert shifted.keys() == {"aligned_error", "absolute_error", "direction_cosine", "seen_share"}
    assert shifted["absolute_error"] > shifted["aligned_error"] + 0.03


def test_a_clip_at_half_the_rate_is_measured_at_its_own_times(tmp_path: Path):
    path, scene = one_object(tmp_path)
    frames = scenes.render([scene]).frames[0]
    figures = exact_figures(truth.read_truth(path), Clip.of(frames[::2], truth.FPS / 2), None)
    assert figures["aligned_error"] < 0.02


def test_looks_are_the_share_of_three_that_is_right():
    found = {"aligned_error": 0.1, "colour": 1.0, "shape": 0.0, "background": 1.0, "looks_leaked": 1.0}
    assert looks_right(found) == pytest.approx(2 / 3)


PLAIN = truth.Looks("red", "star", "plain", "blue")
THING = truth.Looks("red", "car", "road", "grey")


@pytest.mark.parametrize(
    ("looks", "classes"),
    [
        ((), CLASSES),
        ((PLAIN,), CLASSES),
        ((PLAIN, None), CLASSES),
        ((THING,), NAMED_CLASSES),
        ((PLAIN, THING), NAMED_CLASSES),
        ((THING, None), NAMED_CLASSES),
    ],
)
def test_what_has_a_name_is_judged_by_who_knows_it(looks: tuple, classes: dict):
    """Clips of shapes on patterns are judged as they always were."""
    assert judge_for(*looks).classes is classes


def known(scene: scenes.Scene) -> truth.Truth:
    """The truth as a file says it."""
    looks = truth.looks_told(scene.caption())
    assert looks is not None
    return truth.Truth(
        torch.from_numpy(scene.tracks()[0]).float(), looks, torch.from_numpy(scenes.shown(scene)[0]).float()
    )


@pytest.mark.parametrize("motion", ["line", "jump", "sway", "approach", "leave", "enter", "behind"])
def test_exact_figures_of_a_thing_that_does_all_as_it_should(motion: str):
    """Also where it is not seen all the time: such frames do not count."""
    scene = named.sample_named(11, 4, 17, objects=1, motion=motion, camera="still", only_named=True)
    made = Clip.of(scenes.render([scene]).frames[0], truth.FPS)
    told = known(scene)
    own = exact_figures(told, made, told.looks)
    assert own["aligned_error"] < 0.02 and own["absolute_error"] < 0.02 and own["seen_share"] == 1.0
    assert (own["colour"], own["shape"], own["background"], own["looks_leaked"]) == (1.0, 1.0, 1.0, 1.0)
    other = truth.Looks("cyan" if told.looks.colour != "cyan" else "red", "ring", "plain", "brown")
    wanted = exact_figures(told, made, other)
    assert (wanted["colour"], wanted["shape"], wanted["background"]) == (0.0, 0.0, 0.0)


def test_frames_in_which_the_true_object_is_hidden_do_not_count():
    """Where it is behind a wall in the middle, a clip without the wall that shows it there is measured at both ends."""
    shown = torch.ones(17)
    shown[6:11] = 0.0
    told = truth.Truth(LINE, THING, shown)
    counted = wholly_shown(told, source(17, 8.0))
    assert counted.tolist() == [number not in range(6, 11) for number in range(17)]
    assert wholly_shown(told, source(9, 4.0)).tolist() == [number not in range(6, 11) for number in range(0, 17, 2)]
    assert wholly_shown(truth.Truth(LINE, THING), source(9, 8.0)).all()
    assert frames_read(3, source(5, 8.0)).tolist() == [0, 1, 2, 2, 2]
    verdict = judge_video(Judge(NAMED_CLASSES).eval(), torch.zeros(17, 64, 64, 3, dtype=torch.uint8))
    track = LINE.clone()
    track[6:11] = float("nan")
    seen = type(verdict)("car", "red", "road", "grey", track, verdict.masks)
    found = verdict_figures(seen, LINE, THING, THING, counted)
    assert found["aligned_error"] == found["absolute_error"] == 0 and found["seen_share"] == 1
    assert found["direction_cosine"] == pytest.approx(1)
    hardly = verdict_figures(seen, LINE, THING, THING, torch.arange(17) == 0)
    assert math.isnan(hardly["aligned_error"]) and math.isnan(hardly["seen_share"]) and hardly["colour"] == 1


def test_a_judge_that_knows_names_without_being_taught_can_be_wrong_and_nothing_else():
    torch.manual_seed(0)
    scene = named.sample_named(11, 4, 5, objects=1, motion="line", only_named=True)
    told = known(scene)
    verdict = judge_video(Judge(NAMED_CLASSES).eval(), scenes.render([scene]).frames[0])
    found = verdict_figures(verdict, told.track, told.looks, told.looks)
    assert found.keys() == exact_figures(told, Clip.of(scenes.render([scene]).frames[0], 8.0), told.looks).keys()
    assert {found[name] for name in ("colour", "shape", "background", "looks_leaked")} <= {0.0, 1.0}
