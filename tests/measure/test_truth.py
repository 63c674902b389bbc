"""What is known of the world's clips, read as a transfer reads them, and what the judge sees beside it."""

import json
import math
from pathlib import Path

import pytest
import torch

from motionlift.core.lattice import Shape
from motionlift.errors import InputError
from motionlift.measure.truth import exact_figures, looks_right, track_as_read
from motionlift.motion.file import Source
from motionlift.video.clip import Clip
from motionlift.world import scenes, truth

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
