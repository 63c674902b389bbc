"""What is to be said of a prompt and a length before a model is read, without PyTorch: of the bundled models alone."""

import json
from collections.abc import Iterable, Mapping, Sequence

from motionlift.models.sources import BUNDLED
from motionlift.models.words import bare, marked_word
from motionlift.work.synonyms import SYNONYMS

WORKS = "a red star on a blue plain background"
"""A prompt that the bundled models have learned."""
REAL = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
"""A published model of real content, the smallest of Wan's (ours to name)."""
FAR = 4
"""So many times the frames that a model was made for are far beyond it (ours)."""
FRAMES: Mapping[str, int] = {"tiny-wan": 17, "tiny-dit": 17, "tiny-unet": 16}
"""Frames of the bundled models, as they say themselves once they are read."""
PATTERNS = ("plain", "striped", "checkered", "gradient")
"""Grounds that captions call backgrounds."""
GROUND_COLOURS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(PATTERNS, ("red", "green", "blue", "purple", "brown", "grey")),
    "sky": ("blue", "red", "purple"),
    "sea": ("blue", "green"),
    "grass": ("green", "brown"),
    "road": ("grey", "brown"),
    "night": ("blue", "purple"),
    "sand": ("brown", "red"),
}
"""Colours of each ground, as the worlds of :mod:`motionlift.world` have them."""
BEHIND = "background"
"""The word that follows a pattern in captions."""


def foreseen(model: str, prompt: str | None = None, frames: int | None = None) -> list[str]:
    """Lines on what a bundled model cannot paint, and on a length that is far beyond it; none of any other model.

    Args:
        model: its name.
        prompt: what the video is to show, where one is made.
        frames: how long it is to be, where that was said.
    """
    own = FRAMES.get(model)
    if own is None:
        return []
    painting = [] if prompt is None else unpaintable_lines(model, words_of(model), prompt)
    return painting + ([] if frames is None else far_lines(model, own, frames))


def unpaintable_lines(name: str, known: Iterable[str], prompt: str) -> list[str]:
    """A line where a model paints nothing that a prompt names, or no ground, or a ground in a colour that it never has.

    Args:
        name: the model's.
        known: the words of its own vocabulary; of a model that reads language at large none, and it is never judged.
        prompt: what the video is to show.
    """
    words, learned = [bare(word).casefold() for word in prompt.split()], set(known)
    things, colours, grounds = (learned_of(kind, learned) for kind in ("things", "colours", "grounds"))
    if not (prompt.strip() and things and grounds):
        return []
    works = f"; a prompt that works: {WORKS!r}" if learned.issuperset(WORKS.split()) else ""
    if not any(word in things for word in words):
        return [
            f"{name} cannot paint this prompt, and the video will not show it: it paints {', '.join(things)} in "
            f"{', '.join(colours)} on {', '.join(grounds)}, and nothing else{works}. Real content needs a real model, "
            f"such as --model {REAL}"
        ]
    if not any(word in grounds for word in words):
        return [
            f"the prompt names no background that {name} knows, and what is behind is left to chance; it knows "
            f"{', '.join(grounds)}{works}"
        ]
    return _strange_colour(name, words, colours, learned)


def _strange_colour(name: str, words: Sequence[str], colours: Sequence[str], learned: set[str]) -> list[str]:
    """A line where a ground has a colour in which it was never seen."""
    for place, ground in enumerate(words):
        allowed = [colour for colour in GROUND_COLOURS.get(ground, ()) if colour in learned]
        strange = [word for word in _colours_of(words, place) if word in colours and word not in allowed]
        if ground in learned and allowed and strange:
            told = f"{ground} {BEHIND}" if ground in PATTERNS else ground
            return [f"{name} has learned no {told} that is {strange[0]}; those that it knows are {', '.join(allowed)}"]
    return []


def _colours_of(words: Sequence[str], place: int) -> list[str]:
    """Words that stand where the colour of a ground does: before it, or between it and the word for what is behind."""
    before = words[max(place - 1, 0) : place]
    after = words[place + 1 : place + 3]
    return [*before, *(after[:1] if after[1:] == [BEHIND] else [])]


def far_lines(name: str, own: int, frames: int) -> list[str]:
    """A line where a video is far longer than those that a model was made for.

    Args:
        name: the model's.
        own: frames that it was made for.
        frames: of the video.
    """
    if frames < FAR * own:
        return []
    return [
        f"{frames} frames are {frames / own:.0f} times the {own} that {name} was made for: it takes at least as many times as "
        "long, and looks may drift along the way; fewer frames keep to what it knows"
    ]


def learned_of(kind: str, known: set[str]) -> list[str]:
    """Words of a kind, such as ``colours``, that are among those of a vocabulary."""
    return [word for word in SYNONYMS[kind] if word in known]


def words_of(model: str) -> list[str]:
    """The words of a bundled model's tokenizer, and its other pieces, in its order."""
    told = json.loads((BUNDLED / model / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = told["model"]["vocab"]
    numbered = isinstance(vocabulary, dict)
    pieces = sorted(vocabulary, key=vocabulary.__getitem__) if numbered else [piece for piece, _ in vocabulary]
    return [word for piece in pieces if (word := marked_word(piece))]
