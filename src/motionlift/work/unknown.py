"""What is said of words that a model does not know: which they are, and which of those that it knows come nearest."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from motionlift.core.model import Model
from motionlift.work.foreseen import FRAMES, OBJECT_COLOURS, colouring_grounds
from motionlift.work.nearness import by_nearness, kinds_of, nearest
from motionlift.work.synonyms import LISTED, SYNONYMS

MOST_UNKNOWN = 20
"""Most unknown words that a line names (ours: a model of few words may lack hundreds of a run's captions)."""


def unknown_lines(model: Model, prompts: Mapping[str, str]) -> list[str]:
    """A line for each prompt with words that a model does not know: it can neither show nor find them.

    Args:
        model: the model.
        prompts: by what is said behind the words of each, such as ``" of the source prompt"``. Words that two of them lack alike
            are told of the first.
    """
    lacking = {kind: _lacking(model, [prompt]) for kind, prompt in prompts.items()}
    first = {tuple(words): kind for kind, words in reversed(lacking.items()) if words}
    return [_line(model, words, [prompts[kind]], kind) for words, kind in reversed(first.items())]


def unknown_line(model: Model, prompts: Iterable[str]) -> str:
    """What is said of the words of some prompts that a model does not know; nothing where it knows them all."""
    told = [*prompts]
    lacking = _lacking(model, told)
    return _line(model, lacking, told) if lacking else ""


def advice(lacking: Sequence[str], known: tuple[str, ...], of_things: Collection[str] = ()) -> str:
    """For words that are near others, which; for the rest, what there is of their kinds; nothing where nothing can be said.

    Args:
        lacking: the words.
        known: those of the model's vocabulary.
        of_things: those of the words that are no colours of grounds: for them no colour is named that grounds alone have.
    """
    fit = tuple(word for word in known if word not in SYNONYMS["colours"] or word in OBJECT_COLOURS)
    near = {word: nearest(word, fit if word in of_things else known) for word in lacking}
    told = [f"{word}: did you mean {_joined(others, 'or')}?" for word, others in near.items() if others]
    strange = [word for word, others in near.items() if not others]
    vocabulary = fit if all(word in of_things for word in strange) else known
    kinds = {kind for word in strange for kind in _kinds(word)}
    listed = {kind: [word for word in SYNONYMS[kind] if word in vocabulary] for kind in LISTED if kind in kinds}
    knows = [f"the {kind} {', '.join(by_nearness(words, strange))}" for kind, words in listed.items() if words]
    return " ".join([*told, *([f"{', '.join(strange)}: it knows {_joined(knows, 'and')}"] if knows else [])])


def _lacking(model: Model, prompts: Iterable[str]) -> list[str]:
    """Words that a model does not know, each once."""
    return [*dict.fromkeys(word for prompt in prompts for word in model.text.unknown_words(prompt))]


def _line(model: Model, lacking: Sequence[str], prompts: Iterable[str], kind: str = "") -> str:
    named = lacking[:MOST_UNKNOWN]
    more = f" and {len(lacking) - MOST_UNKNOWN} more" if len(lacking) > MOST_UNKNOWN else ""
    line = f"{model.about.name} does not know the word(s) {', '.join(named)}{more}{kind}"
    told = advice(named, tuple(model.text.known_words()), _of_things(model, named, prompts))
    return f"{line}; {told}" if told else line


def _of_things(model: Model, named: Sequence[str], prompts: Iterable[str]) -> list[str]:
    """Words that are no colours of grounds; none of a model of which it is not known in which colours it has seen things."""
    if model.about.name not in FRAMES:
        return []
    of_grounds = {word for prompt in prompts for word in colouring_grounds(prompt)}
    return [word for word in named if word.casefold() not in of_grounds]


def _kinds(word: str) -> Sequence[str]:
    """Kinds of words that are listed for one, by its meaning; all that are ever listed where that is not known."""
    own = kinds_of(word)
    return [kind for kind in LISTED if kind in own] or LISTED


def _joined(words: Sequence[str], last: str) -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
