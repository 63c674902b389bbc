"""Videos that a visitor chooses, side by side. Mount it in the tab of the history."""

from typing import Any

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.outcome import MOST_BESIDE, motion_of, outcome
from motionlift.app.words import title_of
from motionlift.errors import InputError


def compare_panel(desk: Desk) -> None:
    """A choice of some videos, and a player of them and their reference.

    Args:
        desk: what the page works with.
    """
    with gr.Accordion("Compare videos", open=False):
        chosen = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            max_choices=MOST_BESIDE,
            label="Videos",
            info=f"Up to {MOST_BESIDE}, of one motion or of several; they play beside their reference.",
            elem_id="compare-numbers",
        )
        shown = gr.HTML(elem_id="compare")

    @telling
    def listed(token: str, numbers: list[int] | None) -> gr.Dropdown:
        choices = [
            (f"{item.number}. {title_of(item)}, of {motion_of(item)}", item.number) for item in desk.videos(token)
        ]
        there = [number for number in numbers or [] if number in [known for _, known in choices]]
        gone: dict[str, Any] = {"value": there} if there != (numbers or []) else {}
        return gr.Dropdown(choices=choices, **gone)

    @telling
    def compared(token: str, numbers: list[int] | None) -> str:
        return beside(desk, token, numbers or [])

    chosen.change(compared, [desk.token, chosen], shown, show_progress="hidden")
    desk.refreshes(listed, [desk.token, chosen], [chosen])


def beside(desk: Desk, token: str, numbers: list[int]) -> str:
    """Videos of the history in one player, in the order in which they were chosen, as HTML.

    Args:
        desk: what the page works with.
        token: the visitor's.
        numbers: of their lines.

    Raises:
        InputError: they are too many.
    """
    if len(numbers) > MOST_BESIDE:
        raise InputError(f"{len(numbers)} videos are too many to see at once; choose up to {MOST_BESIDE}")
    known = {item.number: item for item in desk.videos(token)}
    items = [known[number] for number in numbers if number in known]
    return outcome(items, desk.workspace(token).folder).html
