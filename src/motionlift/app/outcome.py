"""What tasks made: seen side by side, and what of it is downloaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from motionlift.app.history import OPEN, Item, State
from motionlift.app.overlay import overlay
from motionlift.app.player import player
from motionlift.app.tasks import CAST, LIFT
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
        items: a task, or several whose videos have one motion; the first one's video is downloaded.
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
    made = [(_title(item, items), place) for item in items for place in _videos(item, folder)]
    if not made:
        return Outcome(f'<p role="alert">What number {first.number} made is not there any more.</p>')
    if first.task.kind == LIFT:
        return Outcome(_lifted([place for _, place in made]))
    stem = Path(first.task.source).stem
    known = {"the reference": REFERENCE, "the motion, which came without its clip": DRAWN}
    beside = [(title, folder / (stem + kind)) for title, kind in known.items() if (folder / (stem + kind)).is_file()]
    return Outcome(player([*beside[:1], *made]), made[0][1])


def _videos(item: Item, folder: Path) -> list[Path]:
    places = [folder / name for name in item.files]
    return [place for place in places if place.suffix == ".mp4" and place.is_file()]


def _title(item: Item, items: Sequence[Item]) -> str:
    """By what a video differs from the others."""
    return item.task.prompt if len(items) == 1 else f"{item.number}. {item.task.prompt}, seed {item.task.seed}"


def _lifted(videos: Sequence[Path]) -> str:
    """What was lifted over its clip, or the clip alone."""
    if len(videos) == 2:
        drawn, reference = sorted(videos, key=lambda place: DRAWN[:-4] not in place.name)
        return overlay(reference, drawn)
    return player([("the clip as the model sees it", place) for place in videos])
