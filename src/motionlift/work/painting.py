"""What is said of a prompt that a model of few words cannot paint, before it works in vain.

Such are the bundled models: they have learned things in colours on grounds, and nothing else. A model that reads language at large
is never judged.
"""

from collections.abc import Iterable, Sequence

from motionlift.core.model import Model
from motionlift.models.words import bare
from motionlift.work.foreseen import learned_of, unpaintable_lines
from motionlift.world.places import PLACES
from motionlift.world.scenes import BACKGROUNDS, PATTERNS


def painting_lines(model: Model, prompt: str) -> list[str]:
    """A line where a model paints nothing that a prompt names, or no ground, or a ground in a colour that it never has.

    Args:
        model: the model.
        prompt: what the video is to show.
    """
    known, name = set(model.text.known_words()), model.about.name
    found = unpaintable_lines(name, known, prompt)
    if found or not all(learned_of(kind, known) for kind in ("things", "grounds")):
        return found
    return _strange_colour(
        name, [bare(word).casefold() for word in prompt.split()], learned_of("colours", known), known
    )


def _strange_colour(name: str, words: Sequence[str], colours: Iterable[str], known: set[str]) -> list[str]:
    """A line where a ground has a colour in which it was never seen."""
    for place, word in enumerate(words):
        allowed = [*PLACES[word].tones] if word in PLACES else [*BACKGROUNDS] if word in PATTERNS else []
        before = words[place - 1] if place else ""
        if allowed and before in colours and before not in allowed:
            told = ", ".join(colour for colour in allowed if colour in known)
            ground = word if word in PLACES else f"{word} background"
            return [f"{name} has learned no {ground} that is {before}; those that it knows are {told}"]
    return []
