import sys

import pytest

from motionlift.errors import InputError, SettingError
from motionlift.methods.captions import subject_and_action
from motionlift.world.shapes import SHAPES


@pytest.mark.parametrize(
    ("caption", "reduced"),
    [
        ("a car is moving on a snowy road at night", "a car is moving"),  # the paper's example
        ("a red star on a blue plain background", "a star"),
        ("a red star and a blue ring on a green striped background", "a star and a ring"),
        ("A woman in a white dress walks her dog along the beach", "A woman walks her dog"),
        ("an airplane taking off from the runway", "an airplane taking off"),
        ("an old man riding a bicycle", "a man riding a bicycle"),
        ("an ugly ape", "an ape"),
        ("a white rabbit is sitting on the table and eating grass", "a rabbit is sitting and eating grass"),
        ("a close-up of a kitten playing with a ball of yarn", "a kitten playing"),
        ("a flock of birds flying over the sea", "a flock of birds flying"),
        ("a big man who runs in a park", "a man who runs"),
        ("a bear walks slowly", "a bear walks"),
        ("a woman in a red dress dances on the beach", "a woman dances"),
        ("a dog jumps over a fence", "a dog jumps"),
    ],
)
def test_looks_and_places_go(caption: str, reduced: str):
    assert subject_and_action(caption) == reduced
    assert subject_and_action(reduced) == reduced


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_the_world_is_a_subject(shape: str):
    reduced = subject_and_action(f"a red {shape} on a blue checkered background").split()
    assert reduced[0] in ("a", "an") and reduced[1:] == shape.split()


@pytest.mark.parametrize("caption", ["", "red", "on a blue background", "...", "slowly"])
def test_a_caption_without_a_subject_is_refused(caption: str):
    with pytest.raises(InputError, match="no subject once looks and places are left out; write one with a subject"):
        subject_and_action(caption)


def test_without_the_tagger_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "textblob.en", None)
    with pytest.raises(SettingError, match=r"motionlift\[captions\].* or write tuning_prompt .* or give reduced=false"):
        subject_and_action("a car is moving")
