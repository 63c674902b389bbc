"""What somebody may have meant by a name that there is not."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MOST = 3
"""Most names that are suggested for one (ours)."""
ALIKE = 0.6
"""From which ratio of difflib on a name is taken for another that is spelt otherwise (difflib's own)."""
LONGEST = 60
"""Longest name, in letters, that is compared (ours: comparing takes the square of it)."""


def meant(name: str, known: Iterable[str]) -> str:
    """Says, in brackets, which known names are spelt like one; nothing where none is."""
    return asked(alike(name, known))


def asked(names: Sequence[str]) -> str:
    """Asks, in brackets, whether some names were meant; nothing where there are none."""
    return f" (did you mean {' or '.join(names)}?)" if names else ""


def alike(name: str, known: Iterable[str]) -> list[str]:
    """Known names that are spelt like one, nearest first; capital letters, and hyphens for underscores, are no difference."""
    by_form = {_plain(other): other for other in known}
    if _plain(name) in by_form:
        return [by_form[_plain(name)]]
    near = get_close_matches(_plain(name), by_form, MOST, ALIKE) if len(name) <= LONGEST else []
    return [by_form[form] for form in near]


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_")
