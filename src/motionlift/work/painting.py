"""What is said of a prompt that a model of few words cannot paint, before it works in vain.

Such are the bundled models: they have learned things in colours on grounds, and nothing else. A model that reads language at large
is never judged.
"""

from collections.abc import Iterable, Sequence

from motionlift.core.model import Model
from motionlift.models.words import bare
from motionlift.work.synonyms import SYNONYMS
from motionlift.world.places import PLACES
from motionlift.world.scenes import BACKGROUNDS, PATTERNS

WORKS = "a red star on a blue plain background"
"""A prompt that the bundled models have learned."""
REAL = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
"""A published model of real content, the smallest of Wan's (ours to name)."""


def painting_lines(model: Model, prompt: str) -> list[str]:
    """A line where a model paints nothing that a prompt names, or no ground, or a ground in a colour that it never has.

    Args:
        model: the model.
        prompt: what the video is to show.
    """
    known = set(model.text.known_words())
    things, colours, grounds = (
        [word for word in SYNONYMS[kind] if word in known] for kind in ("things", "colours", "grounds")
    )
    if not (prompt.strip() and things and grounds):
        return []
    name, words = model.about.name, [bare(word).casefold() for word in prompt.split()]
    works = f"; a prompt that works: {WORKS!r}" if known.issuperset(WORKS.split()) else ""
    if not any(word in things for word in words):
        return [
            f"{name} cannot paint this prompt, and the video will not show it: it paints {', '.join(things)} in "
            f"{', '.join(colours)} on {', '.join(grounds)}, and nothing else{works}. Real content needs a real model, "
            f"such as --model {REAL}"
        ]
    named = [word for word in words if word in grounds]
    if not named:
        return [
            f"the prompt names no background that {name} knows, and what is behind is left to chance; it knows "
            f"{', '.join(grounds)}{works}"
        ]
    return _strange_colour(name, words, colours, known)


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
