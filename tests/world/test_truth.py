import json
from pathlib import Path

import pytest
import torch

from motionlift.errors import InputError
from motionlift.world import named, scenes, truth


def test_long_clips_are_drawn_in_pieces_that_show_no_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scene = scenes.sample(0, 0, 17)
    whole = scenes.render([scene], 32, 32).frames[0]
    monkeypatch.setattr(truth, "PIXELS_AT_ONCE", 5 * 32**2)
    assert torch.equal(truth._rendered(scene, 32).frames, whole)


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


def test_every_caption_of_one_thing_is_understood_with_its_motion_and_without():
    understood = 0
    for index in range(150):
        scene = named.sample_named(5, index, 9)
        item, ground = scene.objects[0], scene.background
        known = truth.Looks(item.colour, item.shape, ground.pattern, ground.colour)
        for caption in (scene.caption(), scene.caption(name_motion=True)):
            assert truth.looks_told(caption) == (known if len(scene.objects) == 1 else None), caption
        understood += len(scene.objects) == 1 and scene.wall is not None
    assert understood > 3, "some pass behind a wall"
    assert truth.looks_told("a yellow fish in the sea") == truth.Looks("yellow", "fish", "sea", "blue")
    assert truth.looks_told("a yellow fish in a green sea") == truth.Looks("yellow", "fish", "sea", "green")
    for other in ("a yellow fish", "a fish in the sea", "a yellow fish on the sea", "a red car and a fish in the sea"):
        assert truth.looks_told(other) is None
    assert truth.looks_told("a red star " + "in " * 10_000 + "the sea") == truth.Looks("red", "star", "sea", "blue")


@pytest.mark.parametrize(("caption", "is_named"), [
    ("a red star on a blue plain background", False),
    ("a red car on a blue plain background", True),
    ("a red star in the sea", True),
])  # fmt: skip
def test_looks_say_whether_they_have_names(caption: str, is_named: bool):
    looks = truth.looks_told(caption)
    assert looks is not None and looks.named == is_named


@pytest.mark.slow
@pytest.mark.parametrize("motion", ["jump", "leave", "behind"])
def test_the_truth_of_a_thing_is_read_with_how_much_of_it_is_seen(tmp_path: Path, motion: str):
    scene = named.sample_named(3, 1, 17, objects=1, motion=motion, only_named=True)
    (tmp_path / "clip.json").write_text(json.dumps(scene.record()))
    told = truth.read_truth(tmp_path / "clip.json")
    item, ground = scene.objects[0], scene.background
    assert told.looks == truth.Looks(item.colour, item.shape, ground.pattern, ground.colour) and told.looks.named
    assert told.shown is not None and told.shown.shape == (17,)
    assert (float(told.shown.min()) > 0.9) == (motion == "jump")
    torch.testing.assert_close(told.shown, torch.from_numpy(scenes.shown(scene)[0]).float(), atol=1e-6, rtol=0)


CAPTION = "a red star on a blue plain background"


def told_of(*tracks: str) -> str:
    """A truth of objects with such tracks, as JSON has it."""
    objects = ", ".join(f'{{"track": {track}}}' for track in tracks)
    return f'{{"caption": "{CAPTION}", "objects": [{objects}]}}'


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "is no file"),
        ("", "does not hold the truth"),
        ("[]", "does not hold the truth"),
        ("{}", "does not hold the truth"),
        ("\xff", "does not hold the truth"),
        ("[" * 100_000, "does not hold the truth"),
        ('{"objects": [{"track": [[0, 0], [1, 1]]}]}', "does not hold the truth"),
        (told_of("[[0, 0]]"), "does not hold the truth"),
        (told_of("[[0, 0], [1]]"), "does not hold the truth"),
        (told_of("[[0, 0], [1, NaN]]"), "does not hold the truth"),
        (told_of("[[0, 0], [1, 1e999]]"), "does not hold the truth"),
        (told_of("[[0, 0], [1, " + "9" * 400 + "]]"), "does not hold the truth"),
        (told_of('"up"'), "does not hold the truth"),
        (told_of("[[0, 0, 0], [1, 1, 1]]"), "does not hold the truth"),
        (told_of('[[0, 0], [1, 1]], "shown": [1]'), "does not hold the truth"),
        (told_of('[[0, 0], [1, 1]], "shown": [1, 2]'), "does not hold the truth"),
        (told_of('[[0, 0], [1, 1]], "shown": [1, NaN]'), "does not hold the truth"),
        (told_of('[[0, 0], [1, 1]], "shown": null'), "does not hold the truth"),
        (told_of(), "tells of 0 objects"),
        (told_of("[[0, 0], [1, 1]]", "[[0, 0], [1, 1]]"), "tells of 2 objects"),
        (told_of("[[0, 0], [1, 1]]") + " " * truth.MOST_BYTES, "larger than"),
    ],
)
def test_what_is_no_truth_is_refused(tmp_path: Path, told: str | None, words: str):
    if told is not None:
        (tmp_path / "clip.json").write_text(told, encoding="latin-1")
    with pytest.raises(InputError, match=words):
        truth.read_truth(tmp_path / "clip.json")


def test_the_shortest_truth_is_read(tmp_path: Path):
    (tmp_path / "clip.json").write_text(told_of("[[0, 0], [1, 1]]"))
    assert truth.read_truth(tmp_path / "clip.json").track.tolist() == [[0, 0], [1, 1]]
