"""Edits of a motion as they are written, such as ``mirror`` and ``move=0.25,0``: looked at before anything is computed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from motionlift.core.meant import meant
from motionlift.errors import SettingError

LONGEST = 80
"""Longest text of an edit, in letters (ours)."""
LARGEST = 1.0
"""Largest amount of an edit, either way: a whole frame."""


@dataclass(frozen=True)
class Written:
    """An edit as it is written."""

    summary: str
    """What it does, in one line."""
    amounts: tuple[str, ...] = ()
    """What the numbers after ``=`` are, in their order; nothing follows where there are none."""
    example: str = ""
    """Such numbers, for one that takes them."""

    def form(self, name: str) -> str:
        """How it is typed."""
        return name + (f"={','.join(self.amounts).upper()}" if self.amounts else "")


EDITS: Mapping[str, Written] = {
    "mirror": Written("left and right swapped"),
    "move": Written(
        "everything elsewhere in the frame, by shares of its width and height, right and down; what comes in at a side repeats "
        "what is seen there",
        ("right", "down"),
        "0.25,0",
    ),
}
"""Every edit by its name, which is that of its file in ``motion/edits``."""


def read_edit(text: object) -> tuple[str, tuple[float, ...]]:
    """Name and amounts of an edit.

    Args:
        text: the name alone, or with numbers after ``=`` and commas between them.

    Raises:
        SettingError: there is no such edit, or it takes other numbers.
    """
    if not isinstance(text, str):  # from Python anything may come
        raise SettingError(f"an edit is text, such as mirror or move=0.25,0; {type(text).__name__} came")
    name, equals, numbers = (part.strip() for part in text.partition("="))
    if name not in EDITS or len(text) > LONGEST:
        allowed = ", ".join(own.form(known) for known, own in EDITS.items())
        raise SettingError(f"unknown edit {text[:LONGEST]!r}{meant(name, EDITS)}; allowed are {allowed}")
    own = EDITS[name]
    if not own.amounts:
        if equals:
            raise SettingError(f"{text!r} came; {name} takes no numbers: write {name}")
        return name, ()
    found = tuple(map(_share, numbers.split(",")))
    if len(found) != len(own.amounts) or None in found:
        raise SettingError(
            f"{text!r} came; write {own.form(name)} with numbers from -1 to 1, shares of the frame, such as {name}={own.example}"
        )
    return name, tuple(each for each in found if each is not None)


def written_edit(name: str, *amounts: float) -> str:
    """How an edit is written: what is read of it is the same."""
    numbers = (f"{each:g}" if float(f"{each:g}") == each else repr(each) for each in amounts)
    return name + (f"={','.join(numbers)}" if amounts else "")


def _share(number: str) -> float | None:
    try:
        share = float(number)
    except ValueError:
        return None
    return share if math.isfinite(share) and abs(share) <= LARGEST else None
