"""The words of a prompt: where they are among its tokens, and how bundled models read them."""

import re
import unicodedata
from typing import Any

from tokenizers import Regex, normalizers

SEPARATING = r"[^\p{L}\p{M}\p{N}]+"
"""What is neither letter, mark nor digit, by Unicode's categories."""


def read_plainly(tokenizer: Any) -> None:
    """Let a tokenizer read capital letters as small ones, and punctuation as blanks.

    For tokenizers that know plain words alone, to which ``"A RED STAR."`` would be three unknown ones; a prompt of small letters
    and blanks gives the tokens that it gave before.

    Args:
        tokenizer: one of transformers', changed in place: transformers makes its normaliser anew when it reads the files.
    """
    steps = [normalizers.NFC(), normalizers.Lowercase(), normalizers.Replace(Regex(SEPARATING), " ")]
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(steps)


def tokens_within(tokenizer: Any, prompt: str, word: str, **how: Any) -> tuple[int, ...]:
    """Places of a word's tokens in a tokenised prompt, of every time it comes; none where it does not.

    A word counts where it stands alone: "star" is neither in "starfish" nor in "costar", but in "(star)". Several words in a row
    are found likewise. Capital letters, the blanks between words and how accents are encoded do not matter, nor does the
    punctuation around a word that the prompt has otherwise.

    Args:
        tokenizer: one of transformers' that tells which characters a token stands for.
        prompt: the prompt.
        word: the word.
        how: how the prompt is made tokens of.
    """
    spans = _spans(prompt, word.strip()) or _spans(prompt, bare(word))
    tokens = tokenizer(prompt, return_offsets_mapping=True, **how).offset_mapping
    return tuple(
        place for place, (first, last) in enumerate(tokens) if any(first < end and start < last for start, end in spans)
    )


def bare(word: str) -> str:
    """A word without the punctuation and the blanks around it."""
    return re.sub(r"^\W+|\W+$", "", word)


def _spans(prompt: str, word: str) -> list[tuple[int, int]]:
    """Where a word stands alone, as characters of the prompt."""
    forms = {form: unicodedata.normalize(form, word).split() for form in ("NFC", "NFD")}
    wanted = "|".join(r"\s+".join(map(re.escape, parts)) for parts in forms.values())
    return [found.span() for found in re.finditer(rf"(?<!\w)(?:{wanted})(?!\w)", prompt, re.IGNORECASE)] if word else []
