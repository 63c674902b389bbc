"""The tab of what was made: each can be seen, made again, and forgotten."""

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.history import Item
from motionlift.app.words import history_of, title_of
from motionlift.errors import InputError


def history_tab(desk: Desk) -> None:
    """The list, and what can be done with a line of it."""
    shown = gr.HTML(elem_id="history")
    chosen = gr.Dropdown([], label="Number", elem_id="history-number")
    with gr.Row():
        again = gr.Button("Do it again", elem_id="again")
        forget = gr.Button("Forget it", variant="stop")
    told = gr.Markdown()

    def found(token: str, number: int | None) -> Item:
        own = desk.workspace(token)
        item = None if number is None else desk.jobs.history.item(int(number), own.owner)
        if item is None:
            raise InputError("choose a line of the history; it may have been forgotten in another window")
        return item

    @telling
    def listed(token: str) -> tuple[str, gr.Dropdown]:
        own = desk.workspace(token)
        items = desk.jobs.history.items(own.owner)
        choices = [(f"{item.number}. {title_of(item)}", item.number) for item in items]
        return history_of(items, own.folder), gr.Dropdown(choices=choices)

    @telling
    def repeated(token: str, number: int | None) -> str:
        item = desk.submit(token, found(token, number).task)
        return f"Number {item.number} is in the queue."

    @telling
    def forgotten(token: str, number: int | None) -> tuple[str, gr.Dropdown]:
        item = found(token, number)
        if not desk.jobs.history.remove(item.number, item.owner):
            raise InputError("it is still in the queue; cancel it first")
        return listed(token)

    again.click(repeated, [desk.token, chosen], told, show_progress="hidden")
    forget.click(forgotten, [desk.token, chosen], [shown, chosen], show_progress="hidden")
    desk.refreshes(listed, [desk.token], [shown, chosen])
