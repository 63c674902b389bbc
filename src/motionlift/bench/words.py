"""What methods are told of a reference: what it shows, what moves in it, and what is to move so in the new video."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from motionlift.core.method_settings import Tuned
from motionlift.core.settings import with_values
from motionlift.methods import method as method_named

CAPTION, SUBJECTS, TARGETS = "caption", "subjects", "targets"
"""What a method may have to know."""
INVERTED_WITH = "inverted_with"
"""Setting that says by which prompt a method inverts."""
NEEDED: Mapping[str, str] = {
    CAPTION: "what the reference shows",
    SUBJECTS: "which words of the caption move",
    TARGETS: "which words of the prompt move in their place",
}
"""The same in words."""


@dataclass(frozen=True)
class Words:
    """What is said of a reference and of a prompt, as far as it is."""

    caption: str = ""
    """What the reference shows."""
    subjects: tuple[str, ...] = ()
    """Words of the caption that move."""
    targets: tuple[str, ...] = ()
    """Words of the prompt that move in their place, as many, in the same order."""


def told_to(method: str, settings: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """The settings by which a method is told what it makes use of."""
    told: dict[str, Any] = {}
    if words.caption and asks_for_source(method, settings):
        told["source_prompt"] = words.caption
    if asks_for_subjects(method):
        told |= {name: list(own) for name, own in ((SUBJECTS, words.subjects), (TARGETS, words.targets)) if own}
    return told


def asks_for_source(method: str, settings: Mapping[str, Any]) -> bool:
    """Whether a method makes use of what the reference shows: it tunes, asks for subjects, or inverts."""
    kind = method_named(method).Settings
    return issubclass(kind, Tuned) or asks_for_subjects(method) or with_values(kind(), settings).inversion


def inverts_by_caption(method: str, settings: Mapping[str, Any]) -> bool:
    """Whether a method is to invert by the caption: asked to; or of itself, where it does nothing else.

    One that tunes by a prompt of its own, and is not asked, inverts with the empty prompt where there is no caption.
    """
    kind = method_named(method).Settings
    own = "" if issubclass(kind, Tuned) else getattr(kind(), INVERTED_WITH, "")
    return settings.get(INVERTED_WITH, own) == "source"


def asks_for_subjects(method: str) -> bool:
    """Whether a method must know which words move."""
    return SUBJECTS in {item.name for item in fields(method_named(method).Settings)}


def untold(method: str, values: Mapping[str, Any]) -> str | None:
    """What a method must know and its settings do not say, a key of :data:`NEEDED`; None where nothing lacks.

    A method that only inverts does without: it then inverts with the empty prompt, where it does not say that it is to be the
    caption.
    """

    def said(name: str) -> bool:
        value = values.get(name, "")
        return bool(value.strip() if isinstance(value, str) else value)

    tuned = issubclass(method_named(method).Settings, Tuned)
    needed = (tuned and not said("tuning_prompt")) or asks_for_subjects(method) or inverts_by_caption(method, values)
    if needed and not said("source_prompt"):
        return CAPTION
    if asks_for_subjects(method):
        return next((name for name in (SUBJECTS, TARGETS) if not said(name)), None)
    return None
