"""What is being made now, and what was made last: shown above all tabs, and alive."""

from typing import Any

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.outcome import latest, outcome
from motionlift.app.words import progress_of
from motionlift.errors import InputError

EVERY = 1.0
"""Seconds between looks (ours)."""


def now_panel(desk: Desk) -> None:
    """How far the visitor's tasks are, with a picture of what comes; a button to cancel; and what was made last."""
    status = gr.HTML(elem_id="now")
    preview = gr.Image(label="What comes into being", interactive=False, visible=False, height=120, elem_id="preview")
    cancel = gr.Button("Cancel", size="sm", visible=False, elem_id="cancel")
    result = gr.HTML(elem_id="result")
    download = gr.DownloadButton("Download the newest video", visible=False, elem_id="download")

    def look(token: str) -> tuple[Any, ...]:
        try:
            item = desk.first_open(token)
        except InputError:  # the page is being loaded
            return gr.skip(), gr.skip(), gr.skip(), gr.skip(), gr.skip()
        live = None if item is None else desk.jobs.live(item.number)
        ahead = None if item is None else desk.jobs.place(item.number)
        picture = None if live is None else live.preview
        return (
            progress_of(item, live, ahead),
            gr.Image(value=picture, visible=picture is not None),
            gr.Button(visible=item is not None, interactive=live is None or not live.unwanted.is_set()),
            _stamp(desk, token),
            f"motions {' '.join(desk.workspace(token).motions())}",
        )

    timer = gr.Timer(EVERY)
    timer.tick(look, desk.token, [status, preview, cancel, desk.stamp, desk.motions], show_progress="hidden")

    @telling
    def cancelled(token: str) -> None:
        item = desk.first_open(token)
        if item is not None:
            desk.jobs.cancel(item.number, item.owner)

    cancel.click(cancelled, desk.token, show_progress="hidden")

    seen = gr.State("")

    @telling
    def last(token: str, before: str) -> tuple[Any, Any, str]:
        own = desk.workspace(token)
        return desk.renewed(outcome(latest(desk.jobs.history.items(own.owner)), own.folder), before)

    desk.refreshes(last, [desk.token, seen], [result, download, seen])


def _stamp(desk: Desk, token: str) -> str:
    """Of all that the visitor has: other when something was made, changed or deleted."""
    own = desk.workspace(token)
    items = desk.jobs.history.items(own.owner)
    states = " ".join(f"{item.number}{item.state}{desk.places([item]) or ''}" for item in items)
    return f"{states} {sorted(desk.stopping(items))} {' '.join(own.motions())}"
