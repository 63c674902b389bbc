"""Prompts, looked at before a model is there."""

from collections.abc import Sequence

from motionlift.core.settings import is_text
from motionlift.errors import InputError

MOST_PROMPT = 10_000
"""Most characters of a prompt; any text window is far smaller (ours)."""
MOST_SHOWN, MOST_NAMED = 40, 10
"""Most characters of a word in a message, and most words (ours)."""


def named(words: Sequence[str]) -> str:
    """Words for a message, of whatever a person or a file brings: one that cannot be printed is written as Python writes it."""
    short = [word[:MOST_SHOWN] for word in words[:MOST_NAMED]]
    return ", ".join(word if word.isprintable() else repr(word) for word in short)


def check_prompt(prompt: str) -> None:
    """Refuse a prompt that no model can take.

    Raises:
        InputError: it is empty, or longer than any model's text window.
    """
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError("the prompt is empty; say what the video shows, such as 'a red car on a grey road'")
    if not is_text(prompt):
        raise InputError(f"the prompt {prompt[:200]!r} holds halves of letters; give text that can be written in UTF-8")
    if len(prompt) > MOST_PROMPT:
        raise InputError(f"the prompt has {len(prompt)} characters; at most {MOST_PROMPT} are read: shorten it")
