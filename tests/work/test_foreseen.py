"""What is said of prompts that the bundled models cannot paint."""

import pytest

from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED, BUNDLED_MODELS
from motionlift.work.foreseen import FRAMES, GROUND_COLOURS, PATTERNS, WORKS, far_lines, foreseen, unpaintable_lines
from motionlift.work.prepare import ask, prepare
from motionlift.world import scenes
from motionlift.world.places import PLACES


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a knight on a horse", "cannot paint this prompt"),
        ("a dragon on a blue plain background", "cannot paint this prompt"),
        ("a red star", "names no background that tiny-dit knows"),
        ("a red star in a forest", "names no background that tiny-dit knows"),
        (
            "a red star on an orange plain background",
            "no plain background that is orange; those that it knows are red, green",
        ),
        ("A red STAR, on a White Striped background!", "no striped background that is white"),
        ("a red star on a plain white background", "no plain background that is white"),
    ],
)
def test_what_a_bundled_model_cannot_paint_is_told(prompt: str, words: str):
    (line,) = foreseen("tiny-dit", prompt)
    assert words in line
    assert WORKS in line or "those that it knows are" in line
    if "cannot paint" in line:
        assert "circle" in line and "red" in line and "striped" in line and "--model Wan-AI/" in line


@pytest.mark.parametrize("model", BUNDLED_MODELS)
def test_what_was_learned_is_not_spoken_of(model: str):
    for prompt in (
        WORKS,
        "two red stars and an orange ring on a grey gradient background",
        "a red star on a plain blue background, and a white ring",
        "",
    ):
        assert foreseen(model, prompt) == []


def test_the_line_comes_before_all_others_and_before_work():
    job = prepare(ask("none", prompt="a knight on a horse"), load("tiny-dit", "cpu"))
    assert "cannot paint" in job.notices[0] and "knight" in job.notices[1]


def test_a_length_far_beyond_the_models_is_told_before_work():
    model = load("tiny-dit", "cpu")
    assert not any("times the 17" in line for line in prepare(ask("none"), model, frames=49).notices)
    told = [
        line for line in prepare(ask("none"), model, frames=169).notices if "are 10 times the 17 that tiny-dit" in line
    ]
    assert len(told) == 1


@pytest.mark.parametrize("name", list(FRAMES))
def test_what_is_said_before_a_bundled_model_is_read_is_what_it_says_itself(name: str):
    model = load(name, "cpu")
    assert FRAMES[name] == model.about.shape.frames
    for prompt in ("a knight on a horse", "a red star", "a red star on a white plain background", WORKS):
        assert foreseen(name, prompt, 6 * FRAMES[name]) == [
            *unpaintable_lines(name, model.text.known_words(), prompt),
            *far_lines(name, FRAMES[name], 6 * FRAMES[name]),
        ]
    assert foreseen("some/model", "a knight on a horse", 9000) == []


def test_of_every_bundled_model_that_takes_prompts_something_is_said():
    assert {folder.name for folder in BUNDLED.iterdir() if (folder / "tokenizer").is_dir()} == set(FRAMES)


def test_colours_of_grounds_are_those_of_the_world():
    assert tuple(PATTERNS) == scenes.PATTERNS
    assert {ground: [*colours] for ground, colours in GROUND_COLOURS.items()} == {
        **{pattern: [*scenes.BACKGROUNDS] for pattern in scenes.PATTERNS},
        **{name: [*place.tones] for name, place in PLACES.items()},
    }
