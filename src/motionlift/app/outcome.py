"""What tasks made: seen side by side, and what of it is downloaded."""

import filecmp
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from motionlift.app.history import OPEN, Item, State
from motionlift.app.overlay import overlay
from motionlift.app.player import player
from motionlift.app.tasks import CAST, LIFT
from motionlift.app.words import title_of
from motionlift.app.workspace import DRAWN, REFERENCE

MOST_BESIDE = 3
"""Most results that stand beside their reference (ours: with it, two rows of two)."""


@dataclass(frozen=True)
class Outcome:
    """What is shown."""

    html: str
    """To be looked at, as HTML."""
    file: Path | None = None
    """To be downloaded, if anything is."""

    @property
    def mark(self) -> str:
        """By which another is told apart: what is seen, and what is downloaded."""
        return hashlib.sha256(f"{self.file}\n{self.html}".encode()).hexdigest()


def latest(items: Sequence[Item]) -> list[Item]:
    """What was made last, and what was made of the same motion right before it: that is compared.

    Args:
        items: the history, newest first.
    """
    ended = [item for item in items if item.state not in OPEN]
    chosen = ended[:1]
    for item in ended[1:]:
        newest = chosen[0]
        alike = all(each.state is State.DONE and each.task.kind == CAST for each in (newest, item))
        if not alike or item.task.source != newest.task.source or len(chosen) == MOST_BESIDE:
            break
        chosen.append(item)
    return chosen


def outcome(items: Sequence[Item], folder: Path) -> Outcome:
    """What tasks made, or why the first made nothing.

    Args:
        items: a task, or several that made videos; the first one's video is downloaded.
        folder: where their files lie.

    Raises:
        InputError: a video cannot be read.
    """
    if not items:
        return Outcome("")
    first = items[0]
    if first.state is not State.DONE:
        reason = f": {first.told}" if first.told else ""
        return Outcome(f'<p role="alert">{escape(f"Number {first.number} {first.state}{reason}")}</p>')
    made = [(_title(item, items, folder), place) for item in items for place in _videos(item, folder)]
    gone = "".join(
        f'<p role="alert">What number {item.number} made is not there any more.</p>'
        for item in items
        if not _videos(item, folder)
    )
    if not made:
        return Outcome(gone)
    if first.task.kind == LIFT:
        return Outcome(_lifted([place for _, place in made]))
    reference, told = _reference(items, folder)
    return Outcome(gone + told + player([*reference, *made]), made[0][1])


def motion_of(item: Item) -> str:
    """What the motion of a video is called."""
    return Path(item.task.source).stem


def _videos(item: Item, folder: Path) -> list[Path]:
    places = [folder / name for name in item.files]
    return [place for place in places if place.suffix == ".mp4" and place.is_file()]


def _reference(items: Sequence[Item], folder: Path) -> tuple[list[tuple[str, Path]], str]:
    """The reference beside which videos stand, with its title, if there is one; and which it is, where theirs differ, as HTML."""
    places = {item.number: folder / f"{motion_of(item)}{REFERENCE}" for item in items}
    drawn = folder / f"{motion_of(items[0])}{DRAWN}"
    if len({motion_of(item) for item in items}) == 1 and not places[items[0].number].is_file() and drawn.is_file():
        return [("the motion, which came without its clip", drawn)], ""
    shown = next((number for number, place in places.items() if place.is_file()), None)
    if shown is None:
        return [], ""
    if all(_is_same(places[shown], place) for place in places.values()):
        return [("the reference", places[shown])], ""
    told = f"<p>Not all of these have the same reference. What is shown is that of number {shown}.</p>"
    return [(f"the reference of number {shown}", places[shown])], told


def _is_same(one: Path, other: Path) -> bool:
    """Whether two files are the same, as references are of one clip that was read twice in one way."""
    return one == other or (other.is_file() and filecmp.cmp(one, other, shallow=False))


def _title(item: Item, items: Sequence[Item], folder: Path) -> str:
    """By what a video differs from the others."""
    if len(items) == 1:
        return item.task.prompt
    told = title_of(item)
    if len({each.task.source for each in items}) == 1:
        return f"{item.number}. {told}"
    method = _method(item, folder)
    return f"{item.number}. {motion_of(item)}{method and f' by {method}'}: {told}"


def _method(item: Item, folder: Path) -> str:
    """The method by which a video was made, as its record says; nothing where it says none."""
    record = next((folder / name for name in item.files if name.endswith(".json")), None)
    try:
        told = {} if record is None else json.loads(record.read_text(encoding="utf-8"))
        return str(told["method"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _lifted(videos: Sequence[Path]) -> str:
    """What was lifted over its clip, or the clip alone."""
    if len(videos) == 2:
        drawn, reference = sorted(videos, key=lambda place: DRAWN[:-4] not in place.name)
        return overlay(reference, drawn)
    return player([("the clip as the model sees it", place) for place in videos])
