import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionlift.core.lattice import Shape
from motionlift.errors import InputError
from motionlift.motion.file import Source
from motionlift.video.clip import Clip
from motionlift.world import scenes, truth

LINE = torch.stack([torch.arange(17) / 20, torch.full((17,), 0.5)], dim=-1)
"""A track that moves by a twentieth of the width a frame."""


def source(frames: int, fps: float, height: int = 64, width: int = 64) -> Source:
    return Source("", fps, Shape(frames, height, width))


def test_the_first_frames_of_a_longer_clip_are_taken():
    torch.testing.assert_close(truth.track_as_read(LINE, source(9, 8.0)), LINE[:9])


def test_every_other_frame_is_taken_at_half_the_rate():
    torch.testing.assert_close(truth.track_as_read(LINE, source(9, 4.0)), LINE[::2])


def test_a_shorter_clip_is_followed_as_it_was_spread(tmp_path: Path):
    # Frames whose grey says their number, read by the same reader as any reference.
    grey = (torch.arange(9) * 20).to(torch.uint8)[:, None, None, None].expand(9, 32, 32, 3)
    Clip.of(grey, truth.FPS).save(tmp_path / "short.mp4")
    clip = Clip.read(tmp_path / "short.mp4", frames=17, fps=8, aspect=(32, 32))
    numbers = (clip.frames.float().mean(dim=(1, 2, 3)) / 20).round().long()
    torch.testing.assert_close(truth.track_as_read(LINE[:9], source(17, clip.fps)), LINE[numbers])


@pytest.mark.parametrize(("height", "width", "expected"), [(60, 90, [0.25, 0.125]), (90, 60, [0.125, 0.25])])
def test_the_middle_of_the_square_becomes_the_whole_frame(height: int, width: int, expected: list[float]):
    track = torch.tensor([[0.25, 0.25], [0.5, 0.5]])
    read = truth.track_as_read(track, source(2, 8.0, height, width))
    assert torch.allclose(read, torch.tensor([expected, [0.5, 0.5]]))


def test_what_a_world_clip_shows_is_where_its_truth_says(tmp_path: Path):
    truth.write_world(tmp_path / "clips", 12, 3, 17, 64)
    measured = 0
    for path in sorted((tmp_path / "clips").glob("*.mp4")):
        track = truth.true_track(path)
        if track is None:
            continue
        measured += 1
        clip = Clip.read(path, frames=17, fps=8, aspect=(64, 64))
        error = truth.motion_error(track, source(17, clip.fps), clip)
        assert error["aligned_error"] < 0.02
        assert error["seen_share"] == 1
        told = json.loads(path.with_suffix(".json").read_text())
        if told["motion"] == "line" and told["camera"] == "still":
            assert error["direction_cosine"] > 0.9
        backwards = truth.motion_error(track.flip(0), source(17, clip.fps), clip)
        assert backwards["aligned_error"] >= error["aligned_error"]
    assert measured >= 6


def test_a_resting_object_has_no_direction():
    scene = scenes.sample(1, 0, 17, objects=1, motion="rest", camera="still")
    clip = Clip.of(scenes.render([scene]).frames[0], 8.0)
    error = truth.motion_error(torch.from_numpy(scene.tracks()[0]).float(), source(17, 8.0), clip)
    assert error["direction_cosine"] is None


def test_long_clips_are_drawn_in_pieces_that_show_no_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scene = scenes.sample(0, 0, 17)
    whole = scenes.render([scene], 32, 32).frames[0]
    monkeypatch.setattr(truth, "PIXELS_AT_ONCE", 5 * 32**2)
    assert torch.equal(truth._rendered(scene, 32).frames, whole)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "[]",
        "{}",
        '{"objects": []}',
        '{"objects": [{"track": [[0, 0]]}]}',
        '{"objects": [{"track": [[0, 0], [1]]}]}',
        '{"objects": [{"track": [[0, 0], [1, NaN]]}]}',
        '{"objects": [{"track": [[0, 0], [1, 1e999]]}]}',
        '{"objects": [{"track": [[0, 0], [1, ' + "9" * 400 + "]]}]}",
        '{"objects": [{"track": "up"}]}',
        '{"objects": [{"track": [[0, 0, 0], [1, 1, 1]]}]}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_foreign_file_beside_a_reference_is_no_truth(tmp_path: Path, told: str):
    (tmp_path / "clip.json").write_text(told, encoding="latin-1")
    assert truth.true_track(tmp_path / "clip.mp4") is None


def test_a_huge_file_is_not_opened(tmp_path: Path):
    good = json.dumps({"objects": [{"track": np.zeros((9, 2)).tolist()}]})
    (tmp_path / "clip.json").write_text(good)
    assert truth.true_track(tmp_path / "clip.mp4") is not None
    (tmp_path / "clip.json").write_text(good + " " * truth.MOST_BYTES)
    assert truth.true_track(tmp_path / "clip.mp4") is None


# What is known of a clip, and what is measured with it


def one_object(tmp_path: Path) -> tuple[Path, scenes.Scene]:
    scene = scenes.sample(3, 1, 17, objects=1, motion="line", camera="still")
    (tmp_path / "clip.json").write_text(json.dumps(scene.record()))
    return tmp_path / "clip.json", scene


def test_the_truth_of_a_clip_is_read(tmp_path: Path):
    path, scene = one_object(tmp_path)
    told = truth.read_truth(path)
    item, ground = scene.objects[0], scene.background
    torch.testing.assert_close(told.track, torch.from_numpy(scene.tracks()[0]).float(), atol=1e-6, rtol=0)
    assert told.looks == truth.Looks(item.colour, item.shape, ground.pattern, ground.colour)


def test_every_caption_of_one_object_is_understood_and_no_other_sentence():
    for index in range(60):
        scene = scenes.sample(5, index)
        told = truth.looks_told(scene.caption())
        item, ground = scene.objects[0], scene.background
        known = truth.Looks(item.colour, item.shape, ground.pattern, ground.colour)
        assert told == (known if len(scene.objects) == 1 else None)
    for other in ("", "a dog", "a red star", "a red star on a blue striped background at night"):
        assert truth.looks_told(other) is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "is no file"),
        ("", "does not hold the truth"),
        ("[]", "does not hold the truth"),
        ('{"objects": [{"track": [[0, 0], [1, 1]]}]}', "does not hold the truth"),
        (
            '{"objects": [{"track": [[0, 0], [1, NaN]]}], "caption": "a red star on a blue plain background"}',
            "does not hold",
        ),
        ('{"objects": [{}, {}], "caption": "a red star on a blue plain background"}', "tells of 2 objects"),
        ("[" * 100_000, "does not hold the truth"),
        (" " * (truth.MOST_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_truth_is_refused(tmp_path: Path, told: str | None, words: str):
    if told is not None:
        (tmp_path / "clip.json").write_text(told)
    with pytest.raises(InputError, match=words):
        truth.read_truth(tmp_path / "clip.json")


def test_exact_figures_of_a_clip_that_does_all_as_it_should(tmp_path: Path):
    path, scene = one_object(tmp_path)
    told = truth.read_truth(path)
    made = Clip.of(scenes.render([scene]).frames[0], truth.FPS)
    own = truth.exact_figures(told, made, told.looks)
    assert own["aligned_error"] < 0.02 and own["absolute_error"] < 0.02 and own["direction_cosine"] > 0.9
    assert (own["seen_share"], own["colour"], own["shape"], own["background"]) == (1.0, 1.0, 1.0, 1.0)
    assert own["looks_leaked"] == 1.0, "it shows what the reference shows"
    others = truth.Looks("cyan" if told.looks.colour != "cyan" else "red", "ring", "plain", "brown")
    wanted = truth.exact_figures(told, made, others)
    assert (wanted["colour"], wanted["background"]) == (0.0, 0.0)
    shifted = truth.exact_figures(told, Clip.of(made.frames.roll(6, dims=2), truth.FPS), None)
    assert shifted.keys() == {"aligned_error", "absolute_error", "direction_cosine", "seen_share"}
    assert shifted["absolute_error"] > shifted["aligned_error"] + 0.03


def test_a_clip_at_half_the_rate_is_measured_at_its_own_times(tmp_path: Path):
    path, scene = one_object(tmp_path)
    frames = scenes.render([scene]).frames[0]
    figures = truth.exact_figures(truth.read_truth(path), Clip.of(frames[::2], truth.FPS / 2), None)
    assert figures["aligned_error"] < 0.02
