"""Figures of a video that was made, on demand. Mount it in the tab of the history."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.history import Item, State
from motionlift.app.tasks import CAST
from motionlift.app.words import title_of
from motionlift.app.workspace import REFERENCE, Workspace
from motionlift.errors import InputError
from motionlift.measure import figures
from motionlift.measure.score import Scores, score

AT_ONCE = 1
"""How many are measured at once; others wait (ours)."""


def scores_panel(desk: Desk) -> None:
    """A choice of videos, a button, and what was measured: motion, leakage, text and more.

    Args:
        desk: what the page works with.
    """
    with gr.Accordion("Measure a video", open=False):
        chosen = gr.Dropdown([], label="Video", elem_id="score-number")
        measure = gr.Button("Measure it beside its reference", elem_id="score")
        shown = gr.HTML(elem_id="scores")

    def made(token: str) -> list[Item]:
        items = desk.jobs.history.items(desk.workspace(token).owner)
        return [item for item in items if item.state is State.DONE and item.task.kind == CAST]

    @telling
    def listed(token: str) -> Any:
        return gr.Dropdown(choices=[(f"{item.number}. {title_of(item)}", item.number) for item in made(token)])

    @telling
    def measured(token: str, number: int | None) -> str:
        item = next((each for each in made(token) if each.number == number), None)
        if item is None:
            raise InputError("choose a video; it may have been forgotten in another window")
        own = desk.workspace(token)
        return scores_of(
            score(reference_of(item, own), own.kept(item.files[0]), prompt=item.task.prompt, from_start=True)
        )

    measure.click(measured, [desk.token, chosen], shown, concurrency_limit=AT_ONCE, concurrency_id="score")
    desk.refreshes(listed, [desk.token], [chosen])


def reference_of(item: Item, own: Workspace) -> Path:
    """The clip beside which a video is measured.

    Raises:
        InputError: its motion came without one, or is there no more.
    """
    motion = Path(item.task.source)
    place = own.folder / f"{motion.stem}{REFERENCE}"
    if place.is_file():
        return place
    if (own.folder / motion.name).is_file():
        raise InputError(
            "this motion came without its clip, beside which a video is measured; lift it from its clip here"
        )
    raise InputError(
        "the motion of this video was deleted, and its clip with it; there is nothing to measure it beside"
    )


def scores_of(found: Scores) -> str:
    """Figures as a table, each with how to read it; below, what was left out and why."""
    known = figures()
    lines = "".join(
        f"<tr><th scope='row'>{escape(known[name].title)}<br><small class='quiet'>{escape(known[name].reading)}</small></th>"
        f"<td>{value:.3g}</td></tr>"
        for name, value in found.figures.items()
    )
    left = "".join(f"<li>{escape(known[name].title)}: {escape(why)}</li>" for name, why in found.left_out.items())
    more = f"<details><summary>not measured</summary><ul>{left}</ul></details>" if left else ""
    head = "<thead><tr><th scope='col'>figure, and how to read it</th><th scope='col'>value</th></tr></thead>"
    return f"<table class='scores'>{head}<tbody>{lines}</tbody></table>{more}"
