"""The tab of the motions that a visitor keeps."""

from pathlib import Path

import gradio as gr
from gradio.components import Component

from motionlift.app.desk import Desk, telling
from motionlift.app.uploads import taken_motion
from motionlift.app.words import library_of
from motionlift.errors import InputError


def library_tab(desk: Desk, refreshed: list[Component]) -> None:
    """Motions with moving pictures; search, rename, delete, download, upload.

    Args:
        desk: what the page works with.
        refreshed: the choices of motions elsewhere on the page, which follow what is done here.
    """
    search = gr.Textbox("", label="Search", max_length=60)
    shown = gr.HTML(elem_id="library")
    motion = gr.Dropdown([], label="Motion", elem_id="library-motion")
    with gr.Row():
        name = gr.Textbox("", label="New name", max_length=60)
        rename = gr.Button("Rename")
    with gr.Row():
        download = gr.DownloadButton("Download", interactive=False)
        delete = gr.Button("Delete", variant="stop")
    upload = gr.File(label="Upload a motion file", file_types=[".safetensors"], height=120, elem_id="motion-upload")
    everything = [shown, motion, *refreshed]

    def listed(token: str, search: str | None) -> list[object]:
        own = desk.workspace(token)
        names = [each for each in own.motions() if (search or "").casefold() in each.casefold()]
        choices = gr.Dropdown(choices=[(Path(each).stem, each) for each in names])
        every = gr.Dropdown(choices=[(Path(each).stem, each) for each in own.motions()])
        return [library_of(names, own.folder), choices, *[every for _ in refreshed]]

    @telling
    def renamed(token: str, search: str, motion: str | None, name: str) -> list[object]:
        if not motion or not name.strip():
            raise InputError("choose a motion, and give the new name")
        desk.workspace(token).rename(motion, name)
        return listed(token, search)

    @telling
    def deleted(token: str, search: str, motion: str | None) -> list[object]:
        if not motion:
            raise InputError("choose the motion that is to be deleted")
        desk.workspace(token).remove(motion)
        return listed(token, search)

    @telling
    def taken(token: str, search: str, upload: str | None) -> list[object]:
        if upload:
            taken_motion(Path(upload), desk.workspace(token))
        return listed(token, search)

    @telling
    def offered(token: str, motion: str | None) -> gr.DownloadButton:
        place = desk.workspace(token).kept(motion) if motion else None
        return gr.DownloadButton(value=place and str(place), interactive=place is not None)

    search.change(telling(listed), [desk.token, search], everything, show_progress="hidden")
    motion.change(offered, [desk.token, motion], download, show_progress="hidden")
    rename.click(renamed, [desk.token, search, motion, name], everything, show_progress="hidden")
    delete.click(deleted, [desk.token, search, motion], everything, show_progress="hidden")
    upload.change(taken, [desk.token, search, upload], everything, show_progress="hidden")
    desk.refreshes(telling(listed), [desk.token, search], everything)
