"""Words among tokens, of both kinds of tokenizers."""

import unicodedata

import pytest
import torch

from lab.training import tiny_dit, tiny_unet, tiny_wan
from motionlift.models import words
from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.models.words import tokens_within, whole_words
from motionlift.world.named import named_vocabulary
from motionlift.world.scenes import vocabulary
from tests import twins
from tests.twins import text


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


PLAIN = "a red star on a blue plain background"


@pytest.mark.parametrize("model", BUNDLED_MODELS)
@pytest.mark.parametrize(
    "typed",
    [
        "A RED STAR On A Blue Plain Background.",
        "a red star, on a blue-plain background!",
        "«A red_star»  on a\nBlue plain background",
    ],
)
def test_bundled_models_read_case_and_punctuation_away(model: str, typed: str):
    text = load(model, "cpu").text
    assert text.unknown_words(typed) == text.unknown_words(PLAIN) == []
    for name, tensor in text.encode(PLAIN).tensors.items():
        assert torch.equal(text.encode(typed).tensors[name], tensor)


def test_a_model_of_ones_own_reads_as_its_tokenizer_does():
    pipeline = twins.cogvideox()
    before = pipeline.tokenizer("A RED star.").input_ids
    assert load(pipeline, "cpu").text.unknown_words("A star.") and pipeline.tokenizer("A RED star.").input_ids == before


@pytest.mark.parametrize("parts", [tiny_dit, tiny_unet])
@pytest.mark.parametrize("word", ["Star.", "STAR", '"star"', "red  Star", "(Red Star)"])
def test_how_a_word_is_typed_does_not_matter(parts, word: str):
    tokenizer = parts.tokenizer()
    plain = " ".join(word.lower().split()).strip('."()')
    assert tokens_within(tokenizer, PLAIN, word) == tokens_within(tokenizer, PLAIN, plain) != ()


def test_how_accents_are_encoded_does_not_matter():
    tokenizer, prompt = tiny_dit.tokenizer(), "a café on a plain background"
    for form in ("NFC", "NFD"):
        for other in ("NFC", "NFD"):
            found = tokens_within(tokenizer, unicodedata.normalize(form, prompt), unicodedata.normalize(other, "café"))
            assert found == (1,)


def test_a_vocabulary_of_ones_own_is_known_by_its_pieces():
    assert whole_words(tiny_dit.tokenizer()) == vocabulary()
    assert whole_words(tiny_wan.tokenizer()) == named_vocabulary()
    own = whole_words(tiny_unet.tokenizer())
    assert set(vocabulary()) <= set(own) and all(len(word) == 1 for word in set(own) - set(vocabulary()))
    assert whole_words(text.t5_tokenizer(8)) == list(text.WORDS)
    assert all(len(word) == 1 for word in whole_words(text.clip_tokenizer()))


def test_nothing_is_taken_from_a_vocabulary_of_language_at_large(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(words, "MOST_PIECES", len(tiny_dit.tokenizer()) - 1)
    assert whole_words(tiny_dit.tokenizer()) == []


@pytest.mark.parametrize("model", BUNDLED_MODELS)
def test_a_word_that_is_spelt_by_parts_of_others_is_unknown_to_a_bundled_model(model: str):
    """Such as forrest, of f, or, re and st: half of its pieces are no letters, and yet the model never saw it."""
    text = load(model, "cpu").text
    assert text.unknown_words("a red forrest on a starbar bluered background") == ["forrest", "starbar", "bluered"]
    assert {"star", "blue", "plain"} <= {*text.known_words()}
