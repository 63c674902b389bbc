"""What a model will get of a clip: its frames, and what trim and crop leave out of them; both are laid by a touch."""

import tempfile
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from motionlift.app.desk import Desk
from motionlift.app.film import Film, film_of, touched
from motionlift.app.uploads import named_plainly
from motionlift.errors import MotionliftError
from motionlift.video.part import Part, crop_of
from motionlift.video.sheets import contact_sheet
from motionlift.work.looking import Looked, look

SIDE, COLUMNS = 96, 6
"""Longest side of a frame on the sheet, pixels, and frames in a row (ours: they fit a phone)."""
PartFields = tuple[gr.Number, gr.Number, gr.Dropdown, gr.Slider, gr.Slider]
LiftFields = tuple[gr.Dropdown, gr.Dropdown, gr.State]
A_POINT = "a point"
"""The place of a crop that is laid by hand, as it is called on the page."""


def crop_told(where: str, across: float, down: float, places: dict[str, str]) -> str:
    """The place of a crop as ``--crop`` takes it; empty for the middle.

    Args:
        where: as it is called on the page.
        across: share from the left, of a point.
        down: share from the top.
        places: what is meant by what is called so.
    """
    return f"{across:g},{down:g}" if where == A_POINT else places.get(where, "")


def trimming(desk: Desk, clip: gr.State, part: PartFields, lifted: LiftFields, places: dict[str, str]) -> None:
    """Pictures that follow what is chosen.

    Args:
        desk: what the page works with.
        clip: name of the clip.
        part: start, duration, where the crop lies, and how far across and down.
        lifted: method, model and settings.
        places: what is meant by where the crop lies.
    """
    reel = gr.State(None)
    with gr.Column(visible=False) as laid_out:
        gr.Markdown("The whole clip: touch it where the part is to begin or to end.", elem_classes="quiet")
        strip = gr.Image(label="The whole clip", show_label=False, interactive=False, elem_id="film", buttons=[])
    with gr.Column(visible=False) as shown:
        whole = gr.Image(
            label="What of the clip is read: touch it to lay the crop there",
            interactive=False,
            height=260,
            elem_id="outline",
            buttons=[],
        )
        sheet = gr.Image(label="The frames that the model gets", interactive=False, elem_id="frames", buttons=[])
    told = gr.HTML(elem_id="clip-told")

    def follow(token: str, clip: str, *chosen: Any) -> tuple[Any, ...]:
        if not clip:
            return gr.Column(visible=False), None, None, ""
        start, duration, where, across, down, method, model, settings = chosen
        try:
            crop = crop_told(where, across, down, places)
            asked = Part(float(start or 0), float(duration) if duration else None, crop_of(crop) if crop else None)
            place = desk.workspace(token).kept(clip)
            desk.check_model(model.strip())
            with named_plainly(place):
                found = look(place, model.strip(), method, settings, asked)
        except MotionliftError as error:
            return gr.Column(visible=False), None, None, f'<p role="alert">{escape(str(error))}</p>'
        kept = None if found.outline is None else found.outline.dimmed
        return gr.Column(visible=True), gr.Image(value=kept, visible=kept is not None), _sheet(found), described(found)

    given, found = [desk.token, clip, *part, *lifted], [shown, whole, sheet, told]
    start, duration, where, across, down = part
    gr.on(
        [*(each.change for each in (clip, start, duration, where, *lifted)), across.release, down.release],
        follow,
        given,
        found,
        show_progress="hidden",
        trigger_mode="always_last",
    )

    def laid(picture: np.ndarray, at: gr.SelectData) -> tuple[str, float, float]:
        height, width = picture.shape[:2]
        return A_POINT, round(at.index[0] / width, 3), round(at.index[1] / height, 3)

    whole.select(laid, whole, [where, across, down], show_progress="hidden").then(
        follow, given, found, show_progress="hidden"
    )

    def rolled(token: str, clip: str) -> tuple[Film | None, float, float]:
        """Of a new clip all is read at first."""
        try:
            return film_of(desk.workspace(token).kept(clip)) if clip else None, 0.0, 0.0
        except MotionliftError:  # what is wrong with it is told with the frames
            return None, 0.0, 0.0

    def unrolled(reel: Film | None, start: float | None, duration: float | None) -> tuple[gr.Column, Any]:
        if reel is None:
            return gr.Column(visible=False), None
        return gr.Column(visible=True), reel.strip(float(start or 0), float(duration) if duration else None)

    def trimmed(
        reel: Film | None, picture: np.ndarray, start: float | None, duration: float | None, at: gr.SelectData
    ) -> tuple[float, float]:
        seconds = 0.0 if reel is None else reel.seconds
        return touched(at.index[0] / picture.shape[1], float(start or 0), duration or None, seconds)

    bare: dict[str, Any] = {"show_progress": "hidden"}
    ends = [reel, start, duration]
    clip.change(rolled, [desk.token, clip], ends, **bare).then(unrolled, ends, [laid_out, strip], **bare)
    gr.on([start.change, duration.change], unrolled, ends, [laid_out, strip], trigger_mode="always_last", **bare)
    # The numbers that it changes are followed above.
    strip.select(trimmed, [reel, strip, start, duration], [start, duration], **bare)


def described(found: Looked) -> str:
    """What a model will get, in words, as HTML; what is to be known of it is a warning."""
    height, width = found.size
    frames = found.clip.frames
    notices = "".join(f"<li>{escape(notice)}</li>" for notice in found.clip.notices)
    told = f"The model gets {len(frames)} frames of {width}x{height} pixels, {found.clip.fps:.3g} a second."
    return f'<div role="status"><p>{told}</p><ul class="notices">{notices}</ul></div>'


def _sheet(found: Looked) -> Image.Image:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "frames.png"
        contact_sheet(found.clip, place, COLUMNS, SIDE)
        with Image.open(place) as picture:
            return picture.convert("RGB")
