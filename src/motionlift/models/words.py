"""The words of a prompt: where they are among its tokens, how bundled models read them, and which a vocabulary has."""

import re
import unicodedata
from typing import Any

from tokenizers import Regex, normalizers

SEPARATING = r"[^\p{L}\p{M}\p{N}]+"
"""What is neither letter, mark nor digit, by Unicode's categories."""
MOST_PIECES = 5000
"""A vocabulary of more pieces is one of language at large, and no help to look through (ours: those of the bundled models have less
than three hundred, and those of published text encoders tens of thousands)."""
BEFORE, BEHIND, WITHIN = ("\u2581", "\u0120"), "</w>", "##"
"""What stands before a piece that begins a word (SentencePiece, byte pairs), behind one that ends it (CLIP), and before one that
goes on with it (WordPiece)."""


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


def whole_words(tokenizer: Any) -> list[str]:
    """Words that a vocabulary of one's own has as one piece each, in its order; none of another's."""
    if not is_ones_own(tokenizer):
        return []
    vocabulary, special = tokenizer.get_vocab(), set(tokenizer.all_special_tokens)
    pieces = [piece for piece in sorted(vocabulary, key=vocabulary.__getitem__) if piece not in special]
    marked = [word for piece in pieces if (word := marked_word(piece))]
    return marked or [piece for piece in pieces if not piece.startswith(WITHIN)]


def is_ones_own(tokenizer: Any) -> bool:
    """Whether a vocabulary was made for one model, of at most :data:`MOST_PIECES`."""
    return len(tokenizer) <= MOST_PIECES


def marked_word(piece: str) -> str:
    """The word that a piece is marked as; empty where it has no mark."""
    for mark in BEFORE:
        if piece.startswith(mark):
            return piece.removeprefix(mark)
    return piece.removesuffix(BEHIND) if piece.endswith(BEHIND) else ""


def bare(word: str) -> str:
    """A word without the punctuation and the blanks around it."""
    return re.sub(r"^\W+|\W+$", "", word)


def _spans(prompt: str, word: str) -> list[tuple[int, int]]:
    """Where a word stands alone, as characters of the prompt."""
    forms = {form: unicodedata.normalize(form, word).split() for form in ("NFC", "NFD")}
    wanted = "|".join(r"\s+".join(map(re.escape, parts)) for parts in forms.values())
    return [found.span() for found in re.finditer(rf"(?<!\w)(?:{wanted})(?!\w)", prompt, re.IGNORECASE)] if word else []
