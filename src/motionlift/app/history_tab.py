"""The tab of what was made: each can be seen, made again, and forgotten."""

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.history import OPEN, Item
from motionlift.app.outcome import outcome
from motionlift.app.words import history_of, title_of
from motionlift.errors import InputError


def history_tab(desk: Desk) -> None:
    """The list, and what can be done with a line of it."""
    shown = gr.HTML(elem_id="history")
    chosen = gr.Dropdown([], label="Number", info="What is chosen is shown below.", elem_id="history-number")
    with gr.Row():
        again = gr.Button("Do it again", elem_id="again")
        forget = gr.Button("Forget it", variant="stop")
    told = gr.Markdown()
    seen = gr.HTML(elem_id="history-seen")
    download = gr.DownloadButton("Download this video", visible=False, elem_id="history-download")

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
        return history_of(items, own.folder, desk.places(items)), gr.Dropdown(choices=choices)

    @telling
    def repeated(token: str, number: int | None) -> str:
        (item,) = desk.submit(token, found(token, number).task)
        return f"Number {item.number} is in the queue."

    @telling
    def forgotten(token: str, number: int | None) -> tuple[str, gr.Dropdown]:
        item = found(token, number)
        desk.forget(item)
        return listed(token)

    @telling
    def looked_at(token: str, number: int | None) -> tuple[str, gr.DownloadButton]:
        item = None if number is None else desk.jobs.history.item(int(number), desk.workspace(token).owner)
        made = outcome([] if item is None or item.state in OPEN else [item], desk.workspace(token).folder)
        return made.html, desk.offered(made.file)

    chosen.change(looked_at, [desk.token, chosen], [seen, download], show_progress="hidden")
    again.click(repeated, [desk.token, chosen], told, show_progress="hidden")
    forget.click(forgotten, [desk.token, chosen], [shown, chosen], show_progress="hidden")
    desk.refreshes(listed, [desk.token], [shown, chosen])
    desk.refreshes(looked_at, [desk.token, chosen], [seen, download])
