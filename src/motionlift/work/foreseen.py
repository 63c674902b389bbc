"""What is to be said of a prompt and a length before a model is read, without PyTorch: of the bundled models alone."""

import json
from collections.abc import Iterable, Mapping

from motionlift.models.sources import BUNDLED
from motionlift.models.words import bare, marked_word
from motionlift.work.synonyms import SYNONYMS

WORKS = "a red star on a blue plain background"
"""A prompt that the bundled models have learned."""
REAL = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
"""A published model of real content, the smallest of Wan's (ours to name)."""
FAR = 4
"""So many times the frames that a model was made for are far beyond it (ours)."""
FRAMES: Mapping[str, int] = {"tiny-dit": 17, "tiny-unet": 16}
"""Frames of the bundled models, as they say themselves once they are read."""


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
    painting = [] if prompt is None else unpaintable_lines(model, _vocabulary(model), prompt)
    return painting + ([] if frames is None else far_lines(model, own, frames))


def unpaintable_lines(name: str, known: Iterable[str], prompt: str) -> list[str]:
    """A line where a model paints nothing that a prompt names, or no ground.

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
    return []


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
        "long, and looks may drift along the way; fewer --frames keep to what it knows"
    ]


def learned_of(kind: str, known: set[str]) -> list[str]:
    """Words of a kind, such as ``colours``, that are among those of a vocabulary."""
    return [word for word in SYNONYMS[kind] if word in known]


def _vocabulary(model: str) -> set[str]:
    """The words of a bundled model's tokenizer, and its other pieces."""
    told = json.loads((BUNDLED / model / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = told["model"]["vocab"]
    pieces = vocabulary if isinstance(vocabulary, dict) else [piece for piece, _ in vocabulary]
    return {word for piece in pieces if (word := marked_word(piece))}
