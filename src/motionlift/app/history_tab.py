"""The tab of what was made: each can be seen, made again, cancelled, and forgotten."""

from typing import Any

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.history import OPEN, Item
from motionlift.app.outcome import outcome
from motionlift.app.video_tab import without_settled
from motionlift.app.words import history_of, title_of
from motionlift.errors import InputError

NARROW = 130
"""Least width of a button, pixels (ours: all are in one row, and on a phone two)."""


def history_tab(desk: Desk) -> None:
    """The list, and what can be done with a line of it."""
    shown = gr.HTML(elem_id="history")
    chosen = gr.Dropdown([], label="Number", info="What is chosen is shown below.", elem_id="history-number")
    with gr.Row():
        again = gr.Button("Do it again", min_width=NARROW, elem_id="again")
        cancel = gr.Button("Cancel it", min_width=NARROW, elem_id="cancel-chosen")
        cancel_all = gr.Button("Cancel all", min_width=NARROW, elem_id="cancel-all")
        forget = gr.Button("Forget it", variant="stop", min_width=NARROW, elem_id="forget")
    told = gr.Markdown(elem_id="history-told")
    seen = gr.HTML(elem_id="history-seen")
    download = gr.DownloadButton("Download this video", visible=False, elem_id="history-download")

    mark = gr.State("")

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    given, everything = [desk.token, chosen], [shown, chosen, seen, download, mark]
    chosen.change(_handler(desk, _looked_at), [*given, mark], [seen, download, mark], **quiet)
    again.click(_handler(desk, _repeated), given, told, **quiet)
    cancel.click(_handler(desk, cancelled), given, told, **quiet)
    cancel_all.click(_handler(desk, all_cancelled), desk.token, told, **quiet)
    forgets = forget.click(_handler(desk, forgotten), given, told, **quiet)
    forgets.success(_handler(desk, _listed), [*given, mark], everything, **quiet)
    desk.refreshes(_handler(desk, _listed), [*given, mark], everything)


def _handler(desk: Desk, act: Any) -> Any:
    """A handler of the page that acts at a desk."""

    @telling
    def handle(*given: Any) -> Any:
        return act(desk, *given)

    return handle


def _listed(desk: Desk, token: str, number: int | None, before: str) -> tuple[str, gr.Dropdown, Any, Any, str]:
    """The list, the choice of a line, and what that made; a line that is there no more is chosen no more."""
    own = desk.workspace(token)
    items = desk.jobs.history.items(own.owner)
    choices = [(f"{item.number}. {title_of(item)}", item.number) for item in items]
    is_gone = number is not None and number not in [item.number for item in items]
    listed = history_of(items, own.folder, desk.places(items), desk.stopping(items), desk.weights)
    chosen = gr.Dropdown(choices=choices, value=None) if is_gone else gr.Dropdown(choices=choices)
    return listed, chosen, *_looked_at(desk, token, None if is_gone else number, before)


def _looked_at(desk: Desk, token: str, number: int | None, before: str) -> tuple[Any, Any, str]:
    """What a line made, what of it is downloaded, and its mark; left as they are where they are what was seen before."""
    own = desk.workspace(token)
    item = None if number is None else desk.jobs.history.item(int(number), own.owner)
    made = outcome([] if item is None or item.state in OPEN else [item], own.folder)
    return desk.renewed(made, before)


def _repeated(desk: Desk, token: str, number: int | None) -> str:
    (item,) = desk.submit(token, without_settled(_found(desk, token, number).task, desk.workspace(token)))
    return f"Number {item.number} is in the queue."


def _found(desk: Desk, token: str, number: int | None) -> Item:
    item = None if number is None else desk.jobs.history.item(int(number), desk.workspace(token).owner)
    if item is None:
        raise InputError("choose a line of the history; it may have been forgotten in another window")
    return item


def cancelled(desk: Desk, token: str, number: int | None) -> str:
    """Cancel the task of a line; gives what is said then.

    Raises:
        InputError: there is no such line, or it has ended.
    """
    item = _found(desk, token, number)
    if not desk.jobs.cancel(item.number, item.owner):
        raise InputError(f"number {item.number} has ended; there is nothing to cancel")
    return f"Number {item.number} {'stops at its next step' if desk.stopping([item]) else 'is cancelled'}."


def all_cancelled(desk: Desk, token: str) -> str:
    """Cancel all of a visitor's tasks that wait or are worked on; gives what is said then.

    Raises:
        InputError: there are none.
    """
    count = desk.jobs.cancel_all(desk.workspace(token).owner)
    if not count:
        raise InputError("nothing of yours waits or is being made; there is nothing to cancel")
    running = desk.first_open(token)  # all that waited have ended
    told = "1 task is cancelled" if count == 1 else f"{count} tasks are cancelled"
    return f"{told}." if running is None else f"{told}; number {running.number} stops at its next step."


def forgotten(desk: Desk, token: str, number: int | None) -> str:
    """Forget a line; gives what is said then.

    Raises:
        InputError: there is no such line, or it is of a task that waits or is worked on.
    """
    item = _found(desk, token, number)
    desk.forget(item)
    return f"Number {item.number} is forgotten, with what it made."
