"""What the page says, as HTML: every text that came from outside is escaped."""

from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path

from motionlift.app.history import Item, State
from motionlift.app.making import Live
from motionlift.app.showing import TOO_LARGE, thumbnail
from motionlift.app.tasks import LIFT, command_of
from motionlift.app.workspace import DRAWN, REFERENCE

DOING: Mapping[str, str] = {
    "waiting": "Waiting",
    "reading": "Reading",
    "loading the model": "Loading the model",
    "invert": "Inverting the reference",
    "lift": "Lifting the motion",
    "tune": "Tuning",
    "guide": "Guiding",
    "sample": "Sampling",
    "drawing": "Drawing",
}
"""Phases in words."""
STOPPING = "stopping ..."
"""What is said of a task that was cancelled and is still worked on, to its next step."""
SAID: Mapping[str, str] = {"guide": "sample"}
"""Phases that are announced as another: guiding and sampling take turns in every step."""
STATES: Mapping[State, str] = {
    State.WAITING: "waiting",
    State.RUNNING: "at work",
    State.DONE: "done",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.STOPPED: "stopped: the program ended",
}
"""States in words."""


def title_of(item: Item) -> str:
    """What a task is, in a few words."""
    task = item.task
    if task.kind == LIFT:
        return f"the motion of {task.source}"
    return f"{task.prompt}, seed {task.seed}{begun_told(task.picture)}"


def begun_told(picture: str) -> str:
    """What is said behind a video's title of the picture that it begins with, by its name without the digits; nothing of none."""
    return f", from {Path(picture).stem.rpartition(' ')[0] or Path(picture).stem}" if picture else ""


def progress_of(item: Item | None, live: Live | None, ahead: int | None) -> str:
    """How far the first open task of a visitor is."""
    if item is None or live is None:
        return '<p class="quiet" role="status">Nothing is being made.</p>'
    if ahead:
        return f'<p role="status"><strong>{escape(title_of(item))}</strong> waits: {_before(ahead)}.</p>'
    is_stopping = live.unwanted.is_set()
    doing, said = (DOING.get(phase, phase) for phase in (live.phase, SAID.get(live.phase, live.phase)))
    doing, said = (STOPPING.capitalize() if is_stopping else phase for phase in (doing, said))
    steps = f", step {live.done} of {live.total}" if live.total and not is_stopping else ""
    left = f", {_span(live.left)} left" if live.left is not None and not is_stopping else ""
    share = 100 * live.done / live.total if live.total else 0
    curve = _curve(live.losses)
    # What changes every second is not announced; a line that is not seen says each phase once.
    return (
        f'<p class="unseen" role="status">{escape(title_of(item))}: {escape(said)}</p>'
        f'<p aria-live="off"><strong>{escape(title_of(item))}</strong><br>{escape(doing)}{steps}{left}</p>'
        f'<div class="bar" role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-label="{escape(doing)}"><div style="width:{share:.1f}%"></div></div>{curve}'
    )


def _before(ahead: int) -> str:
    return "one task comes before it" if ahead == 1 else f"{ahead} tasks come before it"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _curve(losses: Sequence[float]) -> str:
    """The losses of a phase as a line."""
    shown = [loss for loss in losses if loss == loss and abs(loss) != float("inf")]
    if len(shown) < 3:
        return ""
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    points = " ".join(
        f"{100 * index / (len(shown) - 1):.1f},{28 - 26 * (loss - low) / span:.1f}" for index, loss in enumerate(shown)
    )
    return (
        f'<svg class="curve" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label="loss, from {losses[0]:.3g} '
        f'to {losses[-1]:.3g}"><polyline points="{points}"/></svg><p class="quiet">loss {shown[-1]:.3g}</p>'
    )


def history_of(
    items: Sequence[Item],
    folder: Path,
    places: Mapping[int, int],
    stopping: Collection[int] = frozenset(),
    weights: str | None = None,
) -> str:
    """The history as a list, newest first, each with the command line that does the same.

    Args:
        items: its lines.
        folder: where their files lie.
        places: by number, how many tasks come before those that wait.
        stopping: numbers of those that were cancelled and are still worked on.
        weights: how the page holds the weights of models that are not bundled.
    """
    if not items:
        return '<p class="quiet">Nothing was made yet.</p>'
    lines = []
    for item in items:
        told = f"<br><span class='quiet'>{escape(item.told)}</span>" if item.told else ""
        place = f", {_before(places[item.number])}" if item.number in places else ""
        state = STOPPING if item.number in stopping else STATES[item.state]
        command = command_of(item.task, folder, weights)
        lines.append(
            f"<li><strong>{item.number}. {escape(title_of(item))}</strong> "
            f"<span class='state {item.state}'>{state}{place}</span>{told}"
            f"<details><summary>the same from the command line</summary><code>{escape(command)}</code>"
            "</details></li>"
        )
    return f"<ul class='history'>{''.join(lines)}</ul>"


def library_of(names: Sequence[str], folder: Path) -> str:
    """Motions with pictures that move."""
    if not names:
        return '<p class="quiet">No motions yet: lift one, or upload a motion file.</p>'
    return f"<div class='library'>{''.join(_card(Path(name).stem, folder) for name in names)}</div>"


def _card(stem: str, folder: Path) -> str:
    """A motion, drawn over its clip where it can be, else its clip."""
    drawn = [folder / (stem + kind) for kind in (DRAWN, REFERENCE)]
    shown = next((place for place in drawn if place.is_file()), None)
    video = "<div class='blank'></div>"
    address = "" if shown is None else thumbnail(shown)
    if address:
        label = escape(stem, quote=True)
        video = f"<video autoplay loop muted playsinline aria-label='{label}' src='{address}'></video>"
    elif shown is not None:
        video = f"<div class='blank'>{TOO_LARGE}</div>"
    return f"<figure>{video}<figcaption>{escape(stem)}</figcaption></figure>"
