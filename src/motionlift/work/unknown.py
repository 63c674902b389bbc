"""What is said of words that a model does not know: which they are, and which of those that it knows come nearest."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from motionlift.core.model import Model
from motionlift.work.synonyms import LISTED, SYNONYMS

MOST_UNKNOWN = 20
"""Most unknown words that a line names (ours: a model of few words may lack hundreds of a run's captions)."""
MOST_NEAR = 3
"""Most words that are suggested for one (ours)."""
LONGEST = 40
"""Longest word, in letters, that is compared with others (ours: comparing takes the square of it)."""
SPELT_ALIKE, SYNONYM_SPELT_ALIKE = 0.75, 0.85
"""From which ratio of difflib on a word is taken for another that is spelt otherwise, and for a synonym of it (ours: "stat" is near
"star" and "sar" is not near "car"; what is guessed twice must be nearer)."""


def unknown_lines(model: Model, prompts: Mapping[str, str]) -> list[str]:
    """A line for each prompt with words that a model does not know: it can neither show nor find them.

    Args:
        model: the model.
        prompts: by what is said behind the words of each, such as ``" of the source prompt"``. Words that two of them lack alike
            are told of the first.
    """
    lacking = {kind: _lacking(model, [prompt]) for kind, prompt in prompts.items()}
    first = {tuple(words): kind for kind, words in reversed(lacking.items()) if words}
    return [_line(model, words, kind) for words, kind in reversed(first.items())]


def unknown_line(model: Model, prompts: Iterable[str]) -> str:
    """What is said of the words of some prompts that a model does not know; nothing where it knows them all."""
    lacking = _lacking(model, prompts)
    return _line(model, lacking) if lacking else ""


def advice(lacking: Sequence[str], known: tuple[str, ...]) -> str:
    """For words that are near others, which; for the rest, what there is of their kinds; nothing where nothing can be said."""
    near = {word: nearest(word, known) for word in lacking}
    told = [f"{word}: did you mean {_joined(others, 'or')}?" for word, others in near.items() if others]
    strange = [word for word, others in near.items() if not others]
    kinds = {kind for word in strange for kind in _kinds(word)}
    listed = {kind: [word for word in SYNONYMS[kind] if word in known] for kind in LISTED if kind in kinds}
    knows = [f"the {kind} {', '.join(words)}" for kind, words in listed.items() if words]
    return " ".join([*told, *([f"{', '.join(strange)}: it knows {_joined(knows, 'and')}"] if knows else [])])


@functools.lru_cache(maxsize=1024)
def nearest(word: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a vocabulary that one may have meant, nearest first; none where none is near.

    They are those of the same meaning; where there are none, those that are spelt alike, or whose synonyms are. A word of the
    world that the model lacks is spelt as it should be.
    """
    if len(word) > LONGEST:
        return ()
    spelt_right = any(word.casefold() in words for words in SYNONYMS.values())
    for nearness in (_same_meaning,) if spelt_right else (_same_meaning, _spelt_alike):
        near = {other: nearness(word.casefold(), other) for other in known}
        if any(near.values()):
            found = sorted((other for other in known if near[other]), key=lambda other: -near[other])
            return tuple(found[:MOST_NEAR])
    return ()


def _same_meaning(word: str, other: str) -> float:
    """From 0 to 1, by how early a word comes among the synonyms of another."""
    synonyms = [other.casefold(), *_synonyms(other)]
    return 1 - synonyms.index(word) / len(synonyms) if word in synonyms else 0.0


def _spelt_alike(word: str, other: str) -> float:
    """From 0 to 1, by how alike a word and another are spelt, or a word and one of its synonyms."""
    return max(
        _alike(word, other.casefold(), SPELT_ALIKE),
        *[_alike(word, each, SYNONYM_SPELT_ALIKE) for each in _synonyms(other)],
        0.0,
    )


def _synonyms(word: str) -> list[str]:
    return [synonym for words in SYNONYMS.values() for synonym in words.get(word, "").split()]


def _alike(word: str, other: str, least: float) -> float:
    """The ratio of difflib, or zero where it is less than the least."""
    matcher = SequenceMatcher(None, word, other, autojunk=False)
    ratio = matcher.ratio() if matcher.real_quick_ratio() >= least and matcher.quick_ratio() >= least else 0.0
    return ratio if ratio >= least else 0.0


def _lacking(model: Model, prompts: Iterable[str]) -> list[str]:
    """Words that a model does not know, each once."""
    return [*dict.fromkeys(word for prompt in prompts for word in model.text.unknown_words(prompt))]


def _line(model: Model, lacking: Sequence[str], kind: str = "") -> str:
    named = lacking[:MOST_UNKNOWN]
    more = f" and {len(lacking) - MOST_UNKNOWN} more" if len(lacking) > MOST_UNKNOWN else ""
    line = f"{model.about.name} does not know the word(s) {', '.join(named)}{more}{kind}"
    told = advice(named, tuple(model.text.known_words()))
    return f"{line}; {told}" if told else line


def _kinds(word: str) -> Sequence[str]:
    """Kinds of words that are listed for one, by its meaning; all that are ever listed where that is not known."""
    own = [kind for kind, words in SYNONYMS.items() if word.casefold() in {*words, *" ".join(words.values()).split()}]
    return [kind for kind in LISTED if kind in own] or LISTED


def _joined(words: Sequence[str], last: str) -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
