"""What is said of prompts that the bundled models cannot paint."""

from collections.abc import Callable

import pytest

from motionlift.errors import SettingError
from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED, BUNDLED_MODELS
from motionlift.work.foreseen import (
    FRAMES,
    GROUND_COLOURS,
    HIDING,
    OBJECT_COLOURS,
    PATTERNS,
    SIDE,
    USUAL,
    WORKS,
    check_shape,
    far_lines,
    foreseen,
    unpaintable_lines,
)
from motionlift.work.prepare import ask, prepare
from motionlift.world import named, scenes
from motionlift.world.places import PLACES

NAMED_WORKS, OLD_WORKS = WORKS


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
    assert OLD_WORKS in line or "those that it knows are" in line
    if "cannot paint" in line:
        assert "circle" in line and "red" in line and "striped" in line and "--model Wan-AI/" in line


@pytest.mark.parametrize("model", BUNDLED_MODELS)
def test_what_was_learned_is_not_spoken_of(model: str):
    for prompt in (
        OLD_WORKS,
        "two red stars and an orange ring on a grey gradient background",
        "a red star on a plain blue background, and a white ring",
        "",
    ):
        assert foreseen(model, prompt) == []


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("a grey car on the grass", "no car that is grey; colours of things that it knows are red, green"),
        ("a brown cat moving in a circle in the night", "no cat that is brown;"),
        ("a brown cat and a grey ball on a brown road", "no cat that is brown or ball that is grey;"),
        (
            "a yellow ball on the sand",
            "no yellow ball where the sand is brown; colours that it has seen there are red, green,",
        ),
        ("a white bird flying to the left in the sky", "no white bird where the sky is blue;"),
        ("a red boat and a cyan fish in the sea", "no cyan fish where the sea is blue;"),
        ("a green car on the grass", "no green car where the grass is green;"),
        ("a red star on a red plain background", "no red star where the plain background is red;"),
        ("a red star on a plain red background", "no red star where the plain background is red;"),
        ("a white bird in a white sky", "no sky that is white;"),
    ],
)
def test_what_was_never_seen_together_is_told(prompt: str, told: str):
    (line,) = foreseen("tiny-wan", prompt)
    assert told in line
    assert all(foreseen(model, prompt) == [line.replace("tiny-wan", model)] for model in FRAMES if "star" in prompt)
    assert unpaintable_lines("my-model", load("tiny-wan", "cpu").text.known_words(), prompt) == (
        [line.replace("tiny-wan", "my-model")] if "white sky" in prompt else []
    ), "what others have seen is not known"


def test_two_things_that_were_never_seen_are_told_each():
    told = foreseen("tiny-wan", "a grey car and a white bird in the sky")
    assert ["car that is grey" in told[0], "white bird where the sky is blue" in told[1]] == [True, True]
    told = foreseen("tiny-wan", "a brown cat")
    assert ["names no background" in told[0], "cat that is brown" in told[1]] == [True, True]


@pytest.mark.slow
def test_what_may_be_seen_together_is_what_the_worlds_draw():
    for index in range(400):
        for model, scene in (("tiny-wan", named.sample_named(3, index)), ("tiny-dit", scenes.sample(3, index))):
            assert foreseen(model, scene.caption(name_motion=bool(index % 2))) == []
    for pattern, colours in GROUND_COLOURS.items():
        for colour in colours:
            ground = scenes.Background(pattern, colour, 0.0, 1.0, 0.0)
            drawn = {*scenes.COLOURS} - {colour, *named._hidden(ground)}
            passed = {each for each in scenes.COLOURS if not foreseen("tiny-wan", f"a {each} ball {ground.phrase()}")}
            assert passed == drawn, ground.phrase()


def test_the_prompt_that_is_said_to_work_is_one_of_the_model():
    for model, works in (("tiny-wan", NAMED_WORKS), ("tiny-dit", OLD_WORKS), ("tiny-unet", OLD_WORKS)):
        assert f"a prompt that works: {works!r}" in foreseen(model, "a knight on a horse")[0]
        assert foreseen(model, works) == []


def test_what_is_painted_is_listed_nearest_first_and_a_wall_is_no_thing():
    (line,) = foreseen("tiny-wan", "a dog on the beach")
    assert "it paints cat, car, fish" in line and "cyan, white on sand, sky" in line
    (line,) = foreseen("tiny-wan", "a brown wall in the sky")
    assert "cannot paint this prompt" in line and "wall" not in line and "brown" not in line


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
    assert FRAMES[name] == model.about.shape.frames and model.about.shape.height == model.about.shape.width == SIDE
    for prompt in (
        "a knight on a horse",
        "a red star",
        "a red star on a white plain background",
        *WORKS,
        "a grey star",
    ):
        assert foreseen(name, prompt, 6 * FRAMES[name]) == [
            *unpaintable_lines(name, model.text.known_words(), prompt),
            *far_lines(name, FRAMES[name], 6 * FRAMES[name]),
        ]
    assert foreseen("some/model", "a knight on a horse", 9000) == []


@pytest.mark.parametrize("name", list(FRAMES))
def test_what_does_not_fit_a_bundled_model_is_refused_in_its_own_words_before_it_is_read(name: str):
    codec = load(name, "cpu").codec

    def refusal(check: Callable[..., object], *given: object) -> str:
        try:
            check(*given)
        except SettingError as error:
            return str(error)
        return ""

    lengths = {count: refusal(check_shape, name, count) for count in (2, 7, 8, 9, 13, 17, 147, 9999, 10000)}
    assert lengths == {count: refusal(codec.fitting, count) for count in lengths}
    sizes = [(64, 64), *[(side, 64) for side in (70, 72, 68, 66, 8, 96)], (64, 71), (1000, 10)]
    told = {size: refusal(check_shape, name, None, size) for size in sizes}
    assert told == {size: refusal(codec.fitting, None, size[1], size[0]) for size in sizes}
    assert told[64, 71] and not told[96, 64] and refusal(check_shape, "some/model", 7, (70, 70)) == ""


def test_of_every_bundled_model_that_takes_prompts_something_is_said():
    assert {folder.name for folder in BUNDLED.iterdir() if (folder / "tokenizer").is_dir()} == set(FRAMES)


def test_colours_of_grounds_are_those_of_the_world():
    assert tuple(PATTERNS) == scenes.PATTERNS
    assert {ground: [*colours] for ground, colours in GROUND_COLOURS.items()} == {
        **{pattern: [*scenes.BACKGROUNDS] for pattern in scenes.PATTERNS},
        **{name: [*place.tones] for name, place in PLACES.items()},
    }
    assert tuple(scenes.COLOURS) == OBJECT_COLOURS
    assert {name: place.hides for name, place in PLACES.items() if place.hides} == HIDING
    assert tuple(name for name, place in PLACES.items() if place.usual) == USUAL
    assert all(PLACES[name].usual == GROUND_COLOURS[name][0] for name in USUAL)
