"""The tab where a path is drawn on a picture, and becomes a motion."""

import re
from itertools import pairwise
from typing import Any

import cv2
import gradio as gr

from motionlift.app.desk import Desk, telling
from motionlift.app.motion_tab import Lifted
from motionlift.app.pictures import Picture, picture_of
from motionlift.app.recorder import as_sent
from motionlift.app.tasks import LIFT, Task
from motionlift.app.workspace import Workspace, plain_name
from motionlift.errors import InputError
from motionlift.video.dragging import SECONDS, SIZES, Point, dragged
from motionlift.world.named import sample_named
from motionlift.world.scenes import render

POINT = re.compile(r"\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*")
"""A point in words: per cent of the width from the left, and of the height from the top."""
EXAMPLE_PATH = "56,70 45,35 20,25"
"""Of the example's thing, which lies at its beginning."""
INK = (255, 120, 40)
"""Colour of the path."""


def path_tab(desk: Desk, lifted: Lifted, tabs: gr.Tabs) -> None:
    """A picture, the points that are clicked on it or typed, and the button.

    A piece of the picture around the first point is dragged along the path; the clip of it goes through the queue as any other,
    or to where method, model and settings are chosen.

    Args:
        desk: what the page works with.
        lifted: the clip of the tab where motions are lifted, and its name: what is drawn can be taken there.
        tabs: of the page.
    """
    gr.Markdown("Give a picture, and click on it: first on what is to move, then where it goes.")
    picture = gr.Image(label="Picture", sources=["upload"], elem_id="path-picture")
    picture.preprocess = as_sent  # Gradio would decode it, however large, before anything can be said
    example = gr.Button("Try an example picture", size="sm", elem_id="path-example")
    seen = gr.Image(label="The path: click here", interactive=False, type="numpy", elem_id="path-seen", visible=False)
    points = gr.Textbox(
        "",
        label="Points",
        info="In per cent from the left and from the top, such as 20,50 80,50; each click adds one.",
        max_length=4000,
        elem_id="path-points",
    )
    clear = gr.Button("Clear the path", size="sm")
    with gr.Row():
        size = gr.Slider(*SIZES, 0.2, label="Radius of what moves, share of the picture")
        seconds = gr.Slider(*SECONDS, 2.0, step=0.5, label="Seconds")
    name = gr.Textbox("drawn motion", label="Name of the motion", max_length=60)
    make = gr.Button("Make it a motion", variant="primary", elem_id="path-make")
    take = gr.Button("Take it as the clip of the tab Motion", elem_id="path-take")
    told = gr.Markdown(elem_id="path-told")

    @telling
    def redrawn(picture: str | None, points: str, size: float) -> Any:
        if picture is None:
            return gr.Image(value=None, visible=False)
        shown = picture_of(picture)
        try:
            found = points_of(points)
        except InputError:  # still being typed; what is wrong is told when a motion is made of it
            return gr.skip()
        return gr.Image(value=_drawn(shown, found, size), visible=True)

    @telling
    def added(picture: str | None, points: str, event: gr.SelectData) -> str:
        if picture is None:
            return points
        sides = picture_of(picture).shape[1::-1]
        across, down = (100 * place / side for place, side in zip(event.index, sides, strict=True))
        return f"{points} {across:.1f},{down:.1f}".strip()

    @telling
    def made(token: str, *drawn: Any) -> str:
        clip, name = _kept(desk.workspace(token), *drawn)
        (item,) = desk.submit(token, Task(LIFT, clip, name))
        return f"Number {item.number} is in the queue; its motion will be in the library, and chosen in the tab Video."

    @telling
    def taken(token: str, *drawn: Any) -> tuple[str, str, gr.Tabs]:
        return *_kept(desk.workspace(token), *drawn), gr.Tabs(selected="motion")

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    for changed in (picture.change, points.change, size.release):
        changed(redrawn, [picture, points, size], [seen], **quiet)
    seen.select(added, [picture, points], points, **quiet)
    clear.click(lambda: "", None, points, **quiet)
    example.click(lambda: (_example(), EXAMPLE_PATH), None, [picture, points], **quiet)
    drawn = [desk.token, picture, points, size, seconds, name]
    make.click(made, drawn, told, **quiet)
    take.click(taken, drawn, [*lifted, tabs], **quiet)


def _kept(own: Workspace, picture: str | None, points: str, size: float, seconds: float, name: str) -> tuple[str, str]:
    """The clip of what is drawn, by its name in the workspace, and the name of its motion."""
    if picture is None:
        raise InputError("no picture yet; upload one, or try the example")
    clip = dragged(picture_of(picture), points_of(points), size, seconds)
    named = plain_name(name, "drawn motion")
    own.check_room(0)
    with own.placed(f"{named} path", ".mp4") as place:
        clip.save(place)
    return place.name, named


def points_of(text: str) -> list[Point]:
    """Points as shares of width and height.

    Args:
        text: ``x,y`` in per cent, with blanks between points.

    Raises:
        InputError: something in it is no point, or lies beyond the picture.
    """
    matches = [POINT.fullmatch(word) for word in text.split()]
    try:
        found = [(float(each[1]) / 100, float(each[2]) / 100) for each in matches]  # type: ignore[index]
    except (TypeError, ValueError) as error:
        raise InputError(
            "the points are to be such as 20,50 80,50: per cent from the left, and from the top"
        ) from error
    if not all(0 <= place <= 1 for point in found for place in point):
        raise InputError("the points are to lie on the picture: from 0 to 100 per cent from the left, and from the top")
    return found


def _drawn(picture: Picture, points: list[Point], size: float) -> Picture:
    """The picture with the path, and a ring around what moves."""
    seen = picture.copy()
    height, width = seen.shape[:2]
    places = [(round(x * width), round(y * height)) for x, y in points]
    line = max(2, min(height, width) // 150)
    for one, other in pairwise(places):
        cv2.arrowedLine(seen, one, other, INK, line, cv2.LINE_AA, tipLength=0.1)
    if places:
        cv2.circle(seen, places[0], round(size * min(height, width)), INK, line, cv2.LINE_AA)
    return seen


def _example() -> Picture:
    """A still of the world with one thing in its middle."""
    scene = sample_named(3, 1, 2, objects=1, motion="line", camera="still", only_named=True)
    return render([scene], 256, 256).frames[0][0].numpy()
