"""What is said of words that a model does not know, to callers of every kind."""

import warnings
from typing import Any

import pytest

from motionlift.core.model import Model
from motionlift.models.loading import load
from motionlift.motion.file import Motion
from motionlift.work.cast import cast, transfer
from motionlift.work.lift import lift
from motionlift.work.nearness import LONGEST, by_nearness, nearest
from motionlift.work.synonyms import LISTED, RELATED, SURROUNDINGS, SYNONYMS
from motionlift.work.unknown import MOST_UNKNOWN, advice, unknown_line, unknown_lines
from motionlift.world import named, scenes
from motionlift.world.places import PLACES
from motionlift.world.shapes import SHAPES
from motionlift.world.things import THINGS
from tests.work.trials import PROMPT, QUICK, a_clip

NAMED, OLD = tuple(named.named_vocabulary()), tuple(scenes.vocabulary())


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("automobile", ("car",)),
        ("Automobile", ("car",)),
        ("automobil", ("car",)),
        ("vehicles", ("car",)),
        ("ocean", ("sea",)),
        ("water", ("sea",)),
        ("kitten", ("cat",)),
        ("dog", ("cat",)),
        ("ship", ("boat",)),
        ("spaceship", ("rocket",)),
        ("butterflys", ("butterfly",)),
        ("gray", ("grey",)),
        ("street", ("road",)),
        ("beach", ("sand",)),
        ("this", ("a", "the")),
        ("balls", ("ball",)),
        ("stars", ("star",)),
        ("skies", ("sky",)),
        ("fishes", ("fish",)),
        ("spins", ("spinning",)),
        ("drives", ("driving",)),
        ("planes", ("rocket",)),
        ("drivng", ("driving", "ring")),
        ("backround", ("background",)),
        ("bright", ()),
        ("zebra", ()),
        ("man", ()),
        ("frog", ()),
        ("bear", ()),
        ("x" * (LONGEST + 1), ()),
    ],
)
def test_the_nearest_words_of_the_named_world(word: str, meant: tuple[str, ...]):
    assert nearest(word, NAMED) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("sphere", ("circle",)),
        ("car", ()),
        ("pink", ("red", "purple")),
        ("stars", ("star",)),
        ("balls", ("circle",)),
        ("cars", ()),
    ],
)
def test_the_nearest_words_of_shapes_on_patterns(word: str, meant: tuple[str, ...]):
    """Only what the model knows: to one without a ball a sphere is a circle."""
    assert nearest(word, OLD) == meant


def test_what_means_the_same_comes_before_what_is_spelt_alike_and_the_nearest_first():
    assert nearest("plane", ("plain", "rocket")) == ("rocket",) and nearest("plane", ("plain",)) == ("plain",)
    assert nearest("sphere", ("circle", "ball")) == ("ball", "circle")
    assert nearest("boar", ("boat", "bar")) == ("bar", "boat")


def test_a_word_of_the_world_that_a_model_lacks_is_not_misspelt():
    assert nearest("cross", ("on", "gross")) == () and nearest("crosss", ("on", "cross")) == ("cross",)


def test_the_table_has_every_word_of_the_worlds_and_no_word_leads_to_itself():
    words = {word for kind in SYNONYMS.values() for word in kind}
    assert {*NAMED, *OLD} <= words
    assert {*THINGS, *SHAPES} == SYNONYMS["things"].keys()
    assert SYNONYMS[SURROUNDINGS].keys() == {"wall", "background"}
    assert {*scenes.COLOURS, *scenes.BACKGROUNDS} == SYNONYMS["colours"].keys()
    assert {*PLACES, *scenes.PATTERNS} == SYNONYMS["grounds"].keys()
    assert LISTED == ("things", "colours", "grounds")
    for kind in SYNONYMS.values():
        for word, synonyms in kind.items():
            assert word not in synonyms.split() and len(set(synonyms.split())) == len(synonyms.split()), word


def test_what_has_no_synonym_leads_to_things_of_its_sort_first():
    assert by_nearness(("car", "cat", "rocket", "bird"), ["zebra"]) == ["cat", "bird", "car", "rocket"]
    assert by_nearness(("car", "tree", "ball"), ["sun", "flowers"]) == ["ball", "tree", "car"]
    assert by_nearness(("sky", "sea", "sand"), ["beach", "ocean"]) == ["sand", "sea", "sky"], "and what was meant"
    assert by_nearness(("car", "cat"), ["quagga"]) == ["car", "cat"]
    taken = {synonym for words in SYNONYMS["things"].values() for synonym in words.split()} | {*NAMED, *OLD}
    for near, sort in RELATED.items():
        assert {*near.split()} <= SYNONYMS["things"].keys() and taken.isdisjoint(sort.split())
    assert advice(["zebra"], ("car", "cat", "red")) == "zebra: it knows the things cat, car and the colours red"


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (
            "a black car on a grey road",
            "black: it knows the colours red, green, blue, yellow, purple, orange, cyan, white",
        ),
        ("a gray kitten on a gray road", "gray: did you mean grey? kitten: did you mean cat?"),
        ("a red car on a black road", "black: did you mean grey?"),
        ("a red car on a beige plain background", "beige: did you mean brown?"),
        ("a beige dragon on a grey road", "dragon: it knows the things cat, bird, fish, butterfly, car, boat"),
    ],
)
def test_a_thing_is_not_led_to_a_colour_that_grounds_alone_have(prompt: str, told: str):
    line = unknown_line(load("tiny-wan", "cpu"), [prompt])
    assert told in line
    if "it knows" in line:
        assert "grey" not in line.partition(" it knows ")[2] and "brown" not in line.partition(" it knows ")[2]


def test_in_which_colours_other_models_have_seen_things_is_not_known():
    assert advice(["black"], ("car", "grey")) == "black: did you mean grey?"
    assert advice(["black"], ("car", "grey", "red"), ["black"]) == "black: it knows the colours red"


@pytest.mark.parametrize("model", ["tiny-dit", "tiny-unet"])
def test_a_line_names_what_a_bundled_model_knows(model: str):
    backbone = load(model, "cpu")
    things, grounds = (", ".join(words) for words in (SHAPES, scenes.PATTERNS))
    assert unknown_line(backbone, ["A red automobile on a gray sea."]) == (
        f"{model} does not know the word(s) automobile, gray, sea; gray: did you mean grey? "
        f"automobile, sea: it knows the things {things} and the grounds {grounds}"
    )
    (line,) = unknown_lines(backbone, {"": "a red star", " of the source prompt": "a zebra", " of the other": "zebra"})
    assert line.startswith(f"{model} does not know the word(s) zebra of the source prompt; zebra: it knows the things")
    assert f"{things}, the colours red" in line and line.endswith(f"and the grounds {grounds}")
    assert unknown_lines(backbone, {"": "a red star on a blue plain background"}) == []


def test_things_and_grounds_that_were_meant_are_named_to_the_model_that_knows_them():
    line = unknown_line(load("tiny-wan", "cpu"), ["A red automobile on a gray ocean."])
    assert line == (
        "tiny-wan does not know the word(s) automobile, gray, ocean; automobile: did you mean car? gray: did you mean grey? "
        "ocean: did you mean sea?"
    )


def test_words_of_a_model_of_ones_own():
    assert advice(["blosom"], ("blossom", "leaf")) == "blosom: did you mean blossom?"
    assert advice(["zebra"], ("blossom", "leaf")) == "", "nothing that it knows is in the table"
    assert advice(["zebra"], ("car", "red")) == "zebra: it knows the things car and the colours red"
    assert advice(["zebra", "ship"], ("car", "red", "sea", "boat")) == (
        "ship: did you mean boat? zebra: it knows the things car, boat, the colours red and the grounds sea"
    )
    assert advice(["zebra"], ()) == "", "a vocabulary of language at large"


def test_of_many_words_the_first_are_named(model: Model):
    line = unknown_line(model, [" ".join(f"word{number}" for number in range(MOST_UNKNOWN + 10))])
    assert f"word{MOST_UNKNOWN - 1} and 10 more; " in line and f"word{MOST_UNKNOWN}" not in line


def notes(act: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        act()
    return [str(each.message) for each in found if "does not know" in str(each.message)]


@pytest.mark.slow
def test_callers_from_python_are_warned_and_the_record_keeps_it(model: Model, motion: Motion):
    purple = f"{model.about.name} does not know the word(s) purple; purple: it knows the colours red, blue"
    videos: list[Any] = []
    prompt = "a purple star"
    assert notes(lambda: videos.append(transfer(a_clip(), prompt, model, settings=QUICK))) == [purple]
    assert notes(lambda: videos.append(cast(motion, prompt, model))) == [purple]
    assert [video.record["notices"] for video in videos] == [[purple], [purple]]
    assert notes(lambda: cast(motion, PROMPT, model)) == []
    told = {"source_prompt": prompt, "subjects": ["star"]}
    (line,) = notes(lambda: lift(a_clip(), model, "motionflow", settings={**QUICK, **told}, cached=False))
    assert line == purple.replace(";", " of the source prompt;")
