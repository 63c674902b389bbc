"""What is being made now, and what was made last: shown above all tabs, and alive."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.history import Item, State
from motionlift.app.overlay import overlay
from motionlift.app.player import player
from motionlift.app.tasks import LIFT
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
    download = gr.DownloadButton("Download the video", visible=False, elem_id="download")

    def look(token: str) -> tuple[Any, Any, Any, Any]:
        try:
            item = desk.first_open(token)
        except InputError:  # the page is being loaded
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        live = None if item is None else desk.jobs.live(item.number)
        ahead = None if item is None else desk.jobs.place(item.number)
        picture = None if live is None else live.preview
        return (
            progress_of(item, live, ahead),
            gr.Image(value=picture, visible=picture is not None),
            gr.Button(visible=item is not None),
            _stamp(desk, token),
        )

    timer = gr.Timer(EVERY)
    timer.tick(look, desk.token, [status, preview, cancel, desk.stamp], show_progress="hidden")

    @telling
    def cancelled(token: str) -> None:
        item = desk.first_open(token)
        if item is not None:
            desk.jobs.cancel(item.number, item.owner)

    cancel.click(cancelled, desk.token, show_progress="hidden")

    @telling
    def last(token: str) -> tuple[str, gr.DownloadButton]:
        own = desk.workspace(token)
        done = next((item for item in desk.jobs.history.items(own.owner) if item.state is not State.WAITING), None)
        if done is None or done.state is State.RUNNING:
            return "", gr.DownloadButton(visible=False)
        return _shown(done, own.folder)

    desk.refreshes(last, [desk.token], [result, download])


def _stamp(desk: Desk, token: str) -> str:
    """Of all that the visitor has: other when something was made, changed or deleted."""
    own = desk.workspace(token)
    states = " ".join(f"{item.number}{item.state}" for item in desk.jobs.history.items(own.owner))
    return f"{states} {len(own.motions())}"


def _shown(item: Item, folder: Path) -> tuple[str, gr.DownloadButton]:
    """What a task made, or why it made nothing."""
    if item.state is not State.DONE:
        reason = f": {item.told}" if item.told else ""
        return _line(f"Number {item.number} {item.state}{reason}"), gr.DownloadButton(visible=False)
    places = [folder / name for name in item.files]
    videos = [place for place in places if place.suffix == ".mp4" and place.is_file()]
    if item.task.kind == LIFT:
        return _lifted(videos), gr.DownloadButton(visible=False)
    reference = folder / f"{Path(item.task.source).stem} reference.mp4"
    beside = [("the reference", reference)] if reference.is_file() else []
    shown = [*beside, *[(item.task.prompt, place) for place in videos]]
    offered = gr.DownloadButton(value=str(videos[0]), visible=True) if videos else gr.DownloadButton(visible=False)
    return player(shown), offered


def _lifted(videos: Sequence[Path]) -> str:
    """What was lifted over its clip, or the clip alone."""
    if len(videos) == 2:
        drawn, reference = sorted(videos, key=lambda place: " drawn" not in place.name)
        return overlay(reference, drawn)
    return player([("the clip as the model sees it", place) for place in videos]) if videos else ""


def _line(text: str) -> str:
    """A line of text as HTML."""
    return f'<p role="alert">{escape(text)}</p>'
