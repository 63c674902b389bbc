"""Where the words of a prompt are among its tokens."""

from typing import Any


def tokens_within(tokenizer: Any, prompt: str, word: str) -> tuple[int, ...]:
    """Places of a word's tokens in a tokenised prompt, of every time it comes; none where it does not.

    A word counts where it stands alone: "star" is not in "starfish". Several words in a row are found likewise.

    Args:
        tokenizer: one of transformers'.
        prompt: the prompt.
        word: the word.
    """
    wanted = tokenizer(word, add_special_tokens=False).input_ids
    whole = tokenizer(prompt).input_ids
    starts = [place for place in range(len(whole) - len(wanted) + 1) if whole[place : place + len(wanted)] == wanted]
    return tuple(place + offset for place in starts for offset in range(len(wanted))) if wanted else ()
