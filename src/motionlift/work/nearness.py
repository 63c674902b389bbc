"""Which of the words that a model knows come nearest to one that it does not, by inflection, meaning and spelling."""

import functools
from collections.abc import Sequence
from difflib import SequenceMatcher

from motionlift.work.synonyms import LISTED, RELATED, SURROUNDINGS, SYNONYMS

MOST_NEAR = 3
"""Most words that are suggested for one (ours)."""
LONGEST = 40
"""Longest word, in letters, that is compared with others (ours: comparing takes the square of it)."""
LEAST_STEM = 3
"""Fewest letters that are left of a word without its ending (ours: "red" is not the past of "r")."""
LEAST_MOTION = 6
"""Fewest letters of a word for a motion that another may be a slip of (ours: "drivng" is one of "driving", "bright" is none of
"right")."""
SPELT_ALIKE, SYNONYM_SPELT_ALIKE = 0.75, 0.85
"""From which ratio of difflib on a word is taken for another that is spelt otherwise, and for a synonym of it (ours: "stat" is near
"star" and "sar" is not near "car"; what is guessed twice must be nearer)."""
ENDINGS = (("ies", ("y", "ie")), ("s", ("",)), ("es", ("", "e")), ("ed", ("", "e")), ("ing", ("", "e")))
"""Endings of English plurals and verbs, and what may have stood in place of each."""


@functools.lru_cache(maxsize=1024)
def nearest(word: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a vocabulary that one may have meant, nearest first; none where none is near.

    They are those of which it is another form, such as a plural; where there are none, those of the same meaning; then those that
    are spelt alike, or whose synonyms are. A word of the world that the model lacks is spelt as it should be.
    """
    if len(word) > LONGEST:
        return ()
    small = word.casefold()
    spelt_right = any(not _forms(small).isdisjoint(words) for words in SYNONYMS.values()) or bool(_related(small))
    for nearness in (_inflected, _same_meaning) if spelt_right else (_inflected, _same_meaning, _spelt_alike):
        near = {other: nearness(small, other) for other in known}
        if any(near.values()):
            found = sorted((other for other in known if near[other]), key=lambda other: -near[other])
            return tuple(found[:MOST_NEAR])
    return ()


def by_nearness(words: Sequence[str], meant: Sequence[str]) -> list[str]:
    """Words of a vocabulary in another order: those first that come nearest to some that it lacks, the others as they came.

    Args:
        words: those of the vocabulary.
        meant: those that it lacks; one after the other counts.
    """
    known = tuple(words)
    near = [other for word in meant for other in (*nearest(word, known), *_related(word.casefold()))]
    return [*dict.fromkeys(other for other in (*near, *words) if other in words)]


def kinds_of(word: str) -> list[str]:
    """Kinds of words that one belongs to, by itself, by its meaning, or as another form of such a word."""
    forms = _forms(word.casefold())
    return [kind for kind, words in _of_kinds().items() if not forms.isdisjoint(words)]


@functools.cache
def _of_kinds() -> dict[str, frozenset[str]]:
    return {kind: frozenset([*words, *" ".join(words.values()).split()]) for kind, words in SYNONYMS.items()}


def _inflected(word: str, other: str) -> float:
    """One where a word is another form of another, or both are of a third; else zero."""
    return float(not _forms(word).isdisjoint(_forms(other.casefold())))


@functools.lru_cache(maxsize=4096)
def _forms(word: str) -> frozenset[str]:
    """A word, and what it may be a plural, a past or a going on of."""
    found = {word}
    for ending, instead in ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= LEAST_STEM and not word.endswith("ss"):
            found |= {stem + letters for letters in instead}
            # "spinning" is of "spin".
            found |= {stem[:-1]} if stem[-1] == stem[-2] and len(stem) > LEAST_STEM else set()
    return frozenset(found)


def _same_meaning(word: str, other: str) -> float:
    """From 0 to 1, by how early a word, or what it is a form of, comes among the synonyms of another."""
    synonyms, forms = [other.casefold(), *_synonyms(other)], _forms(word)
    return max((1 - place / len(synonyms) for place, synonym in enumerate(synonyms) if synonym in forms), default=0.0)


def _spelt_alike(word: str, other: str) -> float:
    """From 0 to 1, by how alike a word and another are spelt, or a word and one of its synonyms.

    What names nothing to be seen is not meant: little words are spelt like many others. Nor are short words of motions.
    """
    kinds = {kind for kind, words in SYNONYMS.items() if other in words}
    if kinds and not kinds & {*LISTED, SURROUNDINGS}:
        long = "motions" in kinds and len(other) >= LEAST_MOTION
        return _alike(word, other.casefold(), SYNONYM_SPELT_ALIKE) if long else 0.0
    return max(
        _alike(word, other.casefold(), SPELT_ALIKE),
        *[_alike(word, each, SYNONYM_SPELT_ALIKE) for each in _synonyms(other)],
        0.0,
    )


def _synonyms(word: str) -> list[str]:
    return [synonym for words in SYNONYMS.values() for synonym in words.get(word, "").split()]


def _related(word: str) -> list[str]:
    """Words of the table that are of the sort of one for which it has no synonym, such as animals for a horse."""
    forms = _forms(word)
    return [near for words, sort in RELATED.items() if not forms.isdisjoint(sort.split()) for near in words.split()]


def _alike(word: str, other: str, least: float) -> float:
    """The ratio of difflib, or zero where it is less than the least."""
    matcher = SequenceMatcher(None, word, other, autojunk=False)
    ratio = matcher.ratio() if matcher.real_quick_ratio() >= least and matcher.quick_ratio() >= least else 0.0
    return ratio if ratio >= least else 0.0
