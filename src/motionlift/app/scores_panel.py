"""Figures of a video that was made, on demand. Mount it in the tab of the history."""

import re
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.history import Item
from motionlift.app.words import title_of
from motionlift.app.workspace import REFERENCE, Workspace
from motionlift.errors import InputError
from motionlift.measure import figures
from motionlift.measure.score import Scores, score

AT_ONCE = 1
"""How many are measured at once; others wait (ours)."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""What a model of somebody is called on the hub."""


def scores_panel(desk: Desk) -> None:
    """A choice of videos, a button, and what was measured: motion, leakage, text and more.

    Args:
        desk: what the page works with.
    """
    with gr.Accordion("Measure a video", open=False):
        chosen = gr.Dropdown([], label="Video", elem_id="score-number")
        clip_model = gr.Textbox(
            "",
            label="CLIP model",
            info=f"For how well it goes with its text: a name on the hub{', or a folder' if desk.folders else ''}, such as "
            "openai/clip-vit-large-patch14; empty for none.",
            max_length=200,
            elem_id="score-clip",
        )
        measure = gr.Button("Measure it beside its reference", elem_id="score")
        shown = gr.HTML(elem_id="scores")

    @telling
    def listed(token: str) -> Any:
        return gr.Dropdown(choices=[(f"{item.number}. {title_of(item)}", item.number) for item in desk.videos(token)])

    @telling
    def measured(token: str, number: int | None, clip_model: str) -> str:
        return scores_of(scored(desk, token, number, clip_named(clip_model, desk.folders)))

    measure.click(measured, [desk.token, chosen, clip_model], shown, concurrency_limit=AT_ONCE, concurrency_id="score")
    desk.refreshes(listed, [desk.token], [chosen])


def clip_named(text: str, folders: bool) -> str | None:
    """The CLIP model of what was typed, if anything was.

    Args:
        text: what was typed.
        folders: whether it may be a folder of this machine.

    Raises:
        InputError: it is no name on the hub, and may not be anything else.
    """
    name = text.strip()
    if name and not folders and (HUB_NAME.fullmatch(name) is None or Path(name).exists()):
        raise InputError("name the CLIP model as the hub does, such as openai/clip-vit-large-patch14")
    return name or None


def scored(desk: Desk, token: str, number: int | None, clip_model: str | None) -> Scores:
    """Measure a video beside the reference of its motion.

    Args:
        desk: what the page works with.
        token: the visitor's.
        number: of the video's line in the history.
        clip_model: by which it is measured how well it goes with its prompt, if by any.

    Raises:
        InputError: there is no such video, or its reference is not there any more.
        ModelError: the CLIP model cannot be had.
    """
    item = next((each for each in desk.videos(token) if each.number == number), None)
    if item is None:
        raise InputError("choose a video; it may have been forgotten in another window")
    own = desk.workspace(token)
    made = own.kept(item.files[0])
    return score(reference_of(item, own), made, prompt=item.task.prompt, clip_model=clip_model, from_start=True)


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
