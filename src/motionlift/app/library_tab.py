"""The tab of the motions that a visitor keeps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.editing import edited
from motionlift.app.uploads import taken_motion
from motionlift.app.words import library_of
from motionlift.errors import InputError

CHANGES = {
    "mirror": "Mirror: left and right swapped",
    "move=-0.125,0": "Move ←",
    "move=0.125,0": "Move →",
    "move=0,-0.125": "Move ↑",
    "move=0,0.125": "Move ↓",
}
"""Edits that have a button, and what stands on it; moves are by an eighth of the frame (ours: a place of the bundled models)."""


def library_tab(desk: Desk, cast: gr.Dropdown) -> None:
    """Motions with moving pictures; search, edit, rename, delete, download, upload.

    Args:
        desk: what the page works with.
        cast: the choice of what is cast, which follows what is done here; what was lifted last is chosen in it.
    """
    search = gr.Textbox("", label="Search", max_length=60)
    shown = gr.HTML(elem_id="library")
    # Any name may come: what was deleted in another window is refused by the workspace, in words, and not by Gradio.
    motion = gr.Dropdown([], label="Motion", allow_custom_value=True, elem_id="library-motion")
    with gr.Row():
        name = gr.Textbox("", label="New name", max_length=60)
        rename = gr.Button("Rename")
    with gr.Row():
        changes = {by: gr.Button(label, size="sm") for by, label in CHANGES.items()}
    with gr.Row():
        download = gr.DownloadButton("Download", visible=False)
        delete = gr.Button("Delete", variant="stop")
    upload = gr.File(label="Upload a motion file", file_types=[".safetensors"], height=120, elem_id="motion-upload")
    newest = gr.State("")
    given = [desk.token, search, motion, cast, newest]
    everything = [shown, motion, cast, newest]

    def listed(*given: Any) -> list[object]:
        return _listed(desk, *given)

    @telling
    def renamed(token: str, search: str, motion: str | None, cast: str | None, newest: str, name: str) -> list[object]:
        if not motion or not name.strip():
            raise InputError("choose a motion, and give the new name")
        names = desk.rename(token, motion, name)
        here, there, last = (names.get(each or "", each) for each in (motion, cast, newest))
        return listed(token, search, here, there, last or "")

    @telling
    def deleted(token: str, search: str, motion: str | None, cast: str | None, newest: str) -> list[object]:
        if not motion:
            raise InputError("choose the motion that is to be deleted; it may have been deleted in another window")
        desk.remove(token, motion)
        return listed(token, search, motion, cast, next(iter(desk.workspace(token).motions()), ""))

    @telling
    def taken(
        token: str, search: str, motion: str | None, cast: str | None, newest: str, upload: str | None
    ) -> list[object]:
        if upload:
            own = desk.workspace(token)
            desk.tidy(own)
            motion = taken_motion(Path(upload), own)
        return listed(token, search, motion, cast, newest)

    @telling
    def offered(token: str, motion: str | None) -> gr.DownloadButton:
        return desk.offered(desk.workspace(token).kept(motion) if motion else None)

    search.change(telling(listed), given, everything, show_progress="hidden")
    motion.change(offered, [desk.token, motion], download, show_progress="hidden")
    for by, button in changes.items():
        button.click(_editing(desk, by), given, everything, show_progress="hidden")
    rename.click(renamed, [*given, name], everything, show_progress="hidden")
    delete.click(deleted, given, everything, show_progress="hidden")
    upload.change(taken, [*given, upload], everything, show_progress="hidden")
    desk.refreshes(telling(listed), given, everything, desk.motions)


def _listed(
    desk: Desk, token: str, search: str | None, motion: str | None, cast: str | None, newest: str
) -> list[object]:
    """What the tab shows: the pictures, the choices here and where it is cast, and the motion that came last."""
    own = desk.workspace(token)
    every = own.motions()
    names = [each for each in every if (search or "").casefold() in each.casefold()]
    came = next(iter(every), "")
    chosen = came if came != newest else cast
    return [library_of(names, own.folder), _choice(names, motion), _choice(every, chosen), came]


def _editing(desk: Desk, by: str) -> Any:
    """Edits the chosen motion."""

    @telling
    def change(token: str, search: str, motion: str | None, cast: str | None, newest: str) -> list[object]:
        if not motion:
            raise InputError("choose the motion that is to be edited; the edited one will stand beside it")
        return _listed(desk, token, search, edited(desk.workspace(token), motion, by), cast, newest)

    return change


def _choice(names: Sequence[str], chosen: str | None) -> gr.Dropdown:
    """Motions to choose from; one that is there no more is chosen no more."""
    return gr.Dropdown(choices=[(Path(each).stem, each) for each in names], value=chosen if chosen in names else None)
