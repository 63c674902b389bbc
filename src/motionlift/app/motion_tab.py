"""The tab where a motion is lifted from a clip."""

from pathlib import Path
from typing import Any

import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.foreseeing import matching
from motionlift.app.recorder import recorder
from motionlift.app.settings_form import LIFTING, show_settings
from motionlift.app.tasks import LIFT, Task
from motionlift.app.trimming import A_POINT, crop_told, trimming
from motionlift.app.uploads import CLIPS, taken_clip
from motionlift.app.workspace import plain_name
from motionlift.errors import InputError
from motionlift.methods import methods
from motionlift.models.sources import BUNDLED_MODELS, DEFAULT_MODEL
from motionlift.video.clip import Clip
from motionlift.work.matching import matrix
from motionlift.world.named import sample_named
from motionlift.world.scenes import render

EXAMPLES = {"a jump": ("jump", 4), "an arc": ("arc", 8), "a zigzag": ("zigzag", 3), "to the side": ("line", 1)}
"""Clips that need no upload: motion of the world's scenes and number in a stream."""
EXAMPLE_STREAM, EXAMPLE_FRAMES, EXAMPLE_RATE = 3, 17, 8.0
"""Seed of their scenes, frames, and frames a second."""
FIRST_METHOD = "ditflow"
"""The method that is chosen at first, as on the command line."""
WHERE = {"the middle": "", "where things move": "motion", A_POINT: ""}
"""Where the crop lies, in words."""


Lifted = tuple[gr.State, gr.Textbox]
"""The clip of the tab, by its name in the visitor's workspace, and what its motion is to be called."""


def motion_tab(desk: Desk) -> Lifted:
    """A clip, its part, a method, and the button; gives what others may fill."""
    gr.Markdown("Give a clip whose motion you want: a video, a GIF or WebP, or a zip of pictures; or record one.")
    clip = gr.State("")
    upload = gr.File(label="Clip", file_types=list(CLIPS), elem_id="clip-upload", height=140)
    with gr.Accordion("Record a clip", open=False):
        recorded = recorder()
    with gr.Row(elem_classes="examples"):
        buttons = {title: gr.Button(f"Try {title}", size="sm") for title in EXAMPLES}
    name = gr.Textbox("", label="Name of the motion", max_length=60, elem_id="motion-name")
    method = gr.Dropdown(list(methods()), value=FIRST_METHOD, label="Method", elem_id="method")
    summary = gr.Markdown(methods()[FIRST_METHOD].summary, elem_classes="quiet")
    method.change(lambda name: methods()[name].summary, method, summary, show_progress="hidden")
    model = gr.Dropdown(
        list(BUNDLED_MODELS),
        value=DEFAULT_MODEL,
        label="Model",
        allow_custom_value=True,
        info="A bundled one, or the name of one on the hub.",
    )
    chosen = gr.State({})
    with gr.Accordion("Part of the clip", open=False):
        start = gr.Number(0, label="Start, seconds", minimum=0)
        duration = gr.Number(0, label="Duration, seconds", info="0: to the end.", minimum=0, elem_id="part-duration")
        where = gr.Dropdown(list(WHERE), value="the middle", label="The crop's middle lies at")
        with gr.Row():
            across = gr.Slider(0, 1, 0.5, label="across")
            down = gr.Slider(0, 1, 0.5, label="down")
    trimming(desk, clip, (start, duration, where, across, down), (method, model, chosen), WHERE)
    with gr.Accordion("More settings", open=False):
        gr.render(inputs=method)(lambda method: show_settings(method, LIFTING, chosen))
        method.change(lambda: {}, None, chosen, show_progress="hidden")
    with gr.Accordion("What goes together", open=False) as accordion:
        gr.Markdown("Which method runs on which bundled model, and why not.")
        rows = gr.HTML(elem_id="matching")
    accordion.expand(lambda: matching(matrix()), None, rows)
    lift = gr.Button("Lift the motion", variant="primary", elem_id="lift")
    told = gr.Markdown(elem_id="lift-told")

    upload.change(_taking(desk, ""), [upload, desk.token], [clip, name], show_progress="hidden")
    recorded.change(_taking(desk, "recording"), [recorded, desk.token], [clip, name], show_progress="hidden")
    for title, button in buttons.items():
        button.click(_example(desk, title), desk.token, [clip, name, told], show_progress="hidden")

    @telling
    def go(*given: Any) -> str:
        return _submitted(desk, *given)

    lift.click(
        go,
        [desk.token, clip, name, start, duration, where, across, down, method, model, chosen],
        told,
        show_progress="hidden",
    )
    return clip, name


def _taking(desk: Desk, called: str) -> Any:
    """Takes what comes into the visitor's workspace; its motion is called so, or as the file."""

    @telling
    def take(given: str | None, token: str) -> tuple[str, str]:
        if not given:
            return "", ""
        own = desk.workspace(token)
        desk.tidy(own)
        kept = taken_clip(Path(given), own)
        return kept, called or Path(kept).stem

    return take


def _example(desk: Desk, title: str) -> Any:
    """Puts one of the examples into the visitor's workspace."""
    motion, number = EXAMPLES[title]

    @telling
    def put(token: str) -> tuple[str, str, str]:
        scene = sample_named(
            EXAMPLE_STREAM, number, EXAMPLE_FRAMES, objects=1, motion=motion, camera="still", only_named=True
        )
        own = desk.workspace(token)
        own.check_room(0)
        with own.placed(title, ".mp4") as place:
            Clip.of(render([scene], 128, 128).frames[0], EXAMPLE_RATE).save(place)
        return place.name, title, f"The clip shows *{scene.caption(name_motion=True)}*."

    return put


def _submitted(
    desk: Desk,
    token: str,
    clip: str,
    name: str,
    start: float | None,
    duration: float | None,
    where: str,
    across: float,
    down: float,
    method: str,
    model: str,
    settings: dict[str, str],
) -> str:
    if not clip:
        raise InputError("no clip yet; upload one, or try an example")
    task = Task(
        LIFT,
        clip,
        plain_name(name or Path(clip).stem),
        model=model.strip() or DEFAULT_MODEL,
        method=method,
        settings=settings,
        start=float(start or 0),
        duration=float(duration) if duration else None,
        crop=crop_told(where, across, down, WHERE),
    )
    (item,) = desk.submit(token, task)
    return f"Number {item.number} is in the queue; its motion will be in the library, and chosen in the tab Video."
