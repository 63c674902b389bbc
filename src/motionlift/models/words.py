"""Where the words of a prompt are among its tokens."""

import re
from typing import Any


def tokens_within(tokenizer: Any, prompt: str, word: str, **how: Any) -> tuple[int, ...]:
    """Places of a word's tokens in a tokenised prompt, of every time it comes; none where it does not.

    A word counts where it stands alone: "star" is neither in "starfish" nor in "costar", but in "(star)". Several words in a row
    are found likewise; capital letters do not matter.

    Args:
        tokenizer: one of transformers' that tells which characters a token stands for.
        prompt: the prompt.
        word: the word.
        how: how the prompt is made tokens of.
    """
    wanted = re.escape(word.strip())
    spans = [found.span() for found in re.finditer(rf"(?<!\w){wanted}(?!\w)", prompt, re.IGNORECASE)] if wanted else []
    tokens = tokenizer(prompt, return_offsets_mapping=True, **how).offset_mapping
    return tuple(
        place for place, (first, last) in enumerate(tokens) if any(first < end and start < last for start, end in spans)
    )
