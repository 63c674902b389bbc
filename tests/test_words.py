"""Words among tokens, of both kinds of tokenizers."""

import pytest

from motionlift.words import tokens_within
from motionlift.zoo import tiny_dit, tiny_unet


@pytest.mark.parametrize(("parts", "first"), [(tiny_dit, 0), (tiny_unet, 1)])
def test_words_are_found_wherever_they_stand(parts, first: int):
    tokenizer = parts.tokenizer()
    prompt = "a red star and a blue star on a grey plain background"
    assert tokens_within(tokenizer, prompt, "star") == (first + 2, first + 6)
    assert tokens_within(tokenizer, prompt, "blue star") == (first + 5, first + 6)
    assert tokens_within(tokenizer, prompt, "ring") == ()
    assert tokens_within(tokenizer, prompt, "") == ()
