"""What methods are told, and what they lack."""

import pytest

from motionlift.bench.words import Words, asks_for_source, told_to, untold

WORDS = Words("a red star on a blue plain background", ("red star",), ("green ring",))
"""All that can be said."""


def test_who_is_told_what_a_reference_shows():
    assert all(asks_for_source(name, {}) for name in ("vmc", "motionmatcher", "motionflow"))
    assert not asks_for_source("ditflow", {}) and asks_for_source("ditflow", {"inversion": "yes"})


@pytest.mark.parametrize("method", ["vmc", "motionmatcher"])
def test_tuned_methods_lack_a_caption(method: str):
    assert untold(method, {}) == untold(method, {"source_prompt": "  "}) == "caption"
    assert untold(method, told_to(method, {}, WORDS)) is None
    assert untold(method, {"tuning_prompt": "a star moves"}) is None


def test_inverted_noise_lacks_a_caption_unless_it_inverts_with_the_empty_prompt():
    assert untold("inverted", {}) == "caption"
    assert untold("inverted", told_to("inverted", {}, WORDS)) is None
    assert untold("inverted", {"inverted_with": "empty"}) is None
    about = {"tuning_prompt": "a star moves", "inverted_with": "source"}
    assert untold("vmc", about) == "caption", "its inversion needs what its tuning does not"


def test_motionflow_lacks_words_one_after_the_other():
    assert untold("motionflow", {}) == "caption"
    assert untold("motionflow", told_to("motionflow", {}, Words(WORDS.caption))) == "subjects"
    assert untold("motionflow", told_to("motionflow", {}, Words(WORDS.caption, WORDS.subjects))) == "targets"
    assert untold("motionflow", told_to("motionflow", {}, WORDS)) is None


def test_others_lack_nothing():
    assert all(untold(name, {}) is None for name in ("none", "injection", "smm", "moft", "ditflow"))
    assert untold("none", {"inversion": True}) is None, "an empty prompt inverts too"
    assert told_to("ditflow", {}, WORDS) == {}
