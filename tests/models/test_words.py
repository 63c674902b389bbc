"""Words among tokens, of both kinds of tokenizers."""

import pytest

from lab.training import tiny_dit, tiny_unet
from motionlift.models.words import tokens_within


@pytest.mark.parametrize(("parts", "first"), [(tiny_dit, 0), (tiny_unet, 1)])
def test_words_are_found_wherever_they_stand(parts, first: int):
    tokenizer = parts.tokenizer()
    prompt = "a red star and a blue star on a grey plain background"
    assert tokens_within(tokenizer, prompt, "star") == (first + 2, first + 6)
    assert tokens_within(tokenizer, prompt, "blue star") == (first + 5, first + 6)
    assert tokens_within(tokenizer, prompt, "ring") == ()
    assert tokens_within(tokenizer, prompt, "") == ()


@pytest.mark.parametrize(("parts", "first"), [(tiny_dit, 0), (tiny_unet, 1)])
def test_a_word_is_not_found_in_longer_ones(parts, first: int):
    """Nor in those that are spelt in pieces, of which one may be the word."""
    tokenizer = parts.tokenizer()
    assert tokens_within(tokenizer, "a costar and a starfish", "star") == ()
    places = tokens_within(tokenizer, "a Star", "star")
    assert len(places) >= 1 and places[0] >= first + 1
    spelt = tokens_within(tokenizer, "a red zebra on a blue background", "zebra")
    assert [place + 1 for place in spelt[:-1]] == list(spelt[1:]), "all its pieces, in a row"
    assert spelt[0] == first + 2 and tokens_within(tokenizer, "a red zebra on a blue background", "on") == (
        spelt[-1] + 1,
    )


@pytest.mark.parametrize("parts", [tiny_dit, tiny_unet])
def test_punctuation_does_not_hide_a_word(parts):
    tokenizer = parts.tokenizer()
    prompt = "a ring (star), red"
    found = tokens_within(tokenizer, prompt, "star")
    offsets = tokenizer(prompt, return_offsets_mapping=True).offset_mapping
    assert found and all(
        "star" in prompt[slice(*offsets[place])] or prompt[slice(*offsets[place])] in "star" for place in found
    )
