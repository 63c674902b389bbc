"""The tab where a motion is cast onto prompts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from motionlift.app.desk import Desk, telling
from motionlift.app.foreseeing import foreseen
from motionlift.app.pictures import picture_of, taken_picture
from motionlift.app.recorder import as_sent
from motionlift.app.settings_form import CASTING, show_settings
from motionlift.app.tasks import CAST, Task
from motionlift.app.workspace import Workspace, plain_name
from motionlift.errors import InputError, SettingError
from motionlift.models.sources import BUNDLED_MODELS, DEFAULT_MODEL
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work import prepare

MOST_VIDEOS = 20
"""Most videos of one press of the button (ours)."""
QUALITIES = {"draft": {"steps": "10"}, "good": {}, "best": {"steps": "100"}}
"""How it is sampled, in words: settings of every method, but for motions whose steps were settled when they were lifted (ours)."""
STEPS_TOLD = "Steps of sampling: draft takes 10, best 100, good as many as the motion by itself."
"""What is said of the qualities."""
PICTURE_TOLD = (
    "The bundled `tiny-wan`, Wan 2.2 TI2V and LTX may begin with one; the image-to-video models of Wan and CogVideoX must. "
    "Its middle is taken, at the video's size. Most methods put the motion where its clip has it: where the thing in your "
    "picture is elsewhere, move the motion there in the library."
)
"""What is said of pictures."""
NO_MOTION = "no motion yet; lift one first, or take one from the library"
"""What is said where none is chosen."""
SEEDS = 2**63 - 1
"""Greatest seed."""


def video_tab(desk: Desk) -> gr.Dropdown:
    """A motion, prompts, seeds, and the button; gives the choice of motions, which others fill."""
    motion = gr.Dropdown([], label="Motion", info="From the library.", allow_custom_value=True, elem_id="motion")
    prompts = gr.Textbox(
        "",
        label="Prompts, one a line",
        lines=2,
        max_lines=8,
        max_length=4000,
        elem_id="prompts",
        placeholder="what the video shows",
    )
    seeds = gr.Textbox("0", label="Seeds", info="One or more whole numbers, with commas between them.", max_length=200)
    quality = gr.Radio(list(QUALITIES), value="good", label="Quality", info=STEPS_TOLD, elem_id="quality")
    model = gr.Dropdown(list(BUNDLED_MODELS), value=DEFAULT_MODEL, label="Model", allow_custom_value=True)
    with gr.Accordion("Begin with a picture", open=False):
        gr.Markdown(PICTURE_TOLD)
        picture = gr.Image(label="Picture", sources=["upload"], elem_id="cast-picture")
        picture.preprocess = as_sent  # Gradio would decode it, however large, before anything can be said
    chosen, method, lifted = gr.State({}), gr.State("ditflow"), gr.State({})
    with gr.Accordion("More settings", open=False):
        # With every motion, too: what is chosen is empty then.
        gr.render(inputs=[method, motion])(lambda method, _motion: show_settings(method, CASTING, chosen))
    with gr.Accordion("What it takes", open=False):
        gr.Markdown("Memory and time of one video, in each quality, as planned for this machine.")
        ask = gr.Button("Plan it", size="sm", elem_id="plan")
        plan = gr.HTML(elem_id="foreseen")
    make = gr.Button("Make the video", variant="primary", elem_id="cast")
    told = gr.Markdown(elem_id="cast-told")

    @telling
    def go(*given: Any) -> str:
        return _submitted(desk, *given)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    motion.change(_picking(desk), [motion, desk.token], [method, model, chosen, lifted, quality], **quiet)
    chosen.change(_offered, [method, lifted, chosen], quality, **quiet)
    ask.click(_planning(desk), [desk.token, motion, prompts, model, chosen, picture], plan)
    make.click(go, [desk.token, motion, prompts, seeds, quality, model, chosen, picture], told, **quiet)
    return motion


def _picking(desk: Desk) -> Any:
    """A motion says its method and its model, its settings, and what the qualities make of it."""

    @telling
    def picked(name: str | None, token: str) -> tuple[str, str, dict[str, str], dict[str, Any], gr.Radio]:
        if not name:
            return "ditflow", DEFAULT_MODEL, {}, {}, gr.Radio(info=STEPS_TOLD)
        found = Motion.load(desk.workspace(token).kept(name))
        lifted = dict(found.settings)
        return found.method, found.model, {}, lifted, _offered(found.method, lifted, {})

    return picked


def _offered(method: str, lifted: dict[str, Any], settings: dict[str, str]) -> Any:
    """The choice of a quality, which says so where each is the same."""
    try:
        steps = prepare.settled_steps(method, lifted, settings)
    except SettingError:  # still being typed; what is wrong is told when a video is made with it
        return gr.skip()
    return gr.Radio(info=settled_told(steps) or STEPS_TOLD)


def settled_told(steps: int | None) -> str:
    """What is said where the steps of a motion are settled, which each quality then takes; nothing where they are not.

    Args:
        steps: how many are settled, if they are.
    """
    if steps is None:
        return ""
    return (
        f"The motion was lifted for {steps} steps, and every quality takes as many; for another number lift it again."
    )


def _planning(desk: Desk) -> Any:
    """Plans a video of each quality; one where they are the same."""

    @telling
    def planned(
        token: str, name: str | None, prompts: str, model: str, settings: dict[str, str], picture: str | None = None
    ) -> str:
        if not name:
            raise InputError(NO_MOTION)
        desk.check_model(model.strip())
        prompt = next(iter(prompts.strip().splitlines()), "") or "anything"
        found = Motion.load(desk.workspace(token).kept(name))
        steps = prepare.settled_steps(found.method, found.settings, settings)
        qualities = QUALITIES if steps is None else {", ".join(QUALITIES): {}}
        told = f"<p>{settled_told(steps)}</p>" if steps is not None else ""
        shown = None if picture is None else Clip.of(torch.from_numpy(picture_of(picture))[None], 1.0)
        return foreseen(found, prompt, model.strip(), desk.device, qualities, settings, shown, desk.weights) + told

    return planned


def _submitted(
    desk: Desk,
    token: str,
    motion: str | None,
    prompts: str,
    seeds: str,
    quality: str,
    model: str,
    settings: dict[str, str],
    picture: str | None = None,
) -> str:
    if not motion:
        raise InputError(NO_MOTION)
    lines = [line.strip() for line in prompts.splitlines() if line.strip()]
    if not lines:
        raise InputError("the prompt is empty; say what the video shows")
    numbers = seeds_of(seeds)
    if len(lines) * len(numbers) > MOST_VIDEOS:
        raise SettingError(
            f"{len(lines)} prompts with {len(numbers)} seeds are too many; allowed are {MOST_VIDEOS} videos"
        )
    own = desk.workspace(token)
    values = _values(Motion.load(own.kept(motion)), quality, settings, lines)
    desk.check_model(model.strip())
    begun = taken_picture(Path(picture), own) if picture else ""
    tasks = [
        Task(
            CAST,
            motion,
            plain_name(f"{line} {seed}"),
            model.strip(),
            settings=values,
            prompt=line,
            seed=seed,
            picture=begun,
        )
        for line in lines
        for seed in numbers
    ]
    items = desk.submit(token, *tasks)
    count = "1 video is" if len(items) == 1 else f"{len(items)} videos are"
    beginning = f" Each begins with {Path(picture).name}." if picture else ""
    return f"{count} in the queue, from number {items[0].number} on.{beginning}"


def _values(found: Motion, quality: str, settings: dict[str, str], prompts: list[str]) -> dict[str, str]:
    """Settings of videos of a motion, checked as far as no model is needed: steps that the lift settled are not among them.

    Raises:
        MotionliftError: videos of these prompts cannot be made so.
    """
    is_settled = prepare.settled_steps(found.method, found.settings, settings) is not None
    values = {**({} if is_settled else QUALITIES.get(quality, {})), **settings}
    for prompt in prompts:
        prepare.check_castable(prepare.ask(found.method, values, prompt=prompt, motion=found), found)
    return values


def without_settled(task: Task, own: Workspace) -> Task:
    """A task that can be done: of a motion whose steps are settled, earlier versions kept those of a quality, which it refuses.

    Args:
        task: a lift, or a cast.
        own: where its motion lies.

    Raises:
        MotionliftError: its motion is not there any more, or cannot be read.
    """
    if task.kind != CAST or "steps" not in task.settings:
        return task
    others = {name: value for name, value in task.settings.items() if name != "steps"}
    found = Motion.load(own.kept(task.source))
    is_settled = prepare.settled_steps(found.method, found.settings, others) is not None
    return replace(task, settings=others) if is_settled else task


def seeds_of(text: str) -> list[int]:
    """Seeds of a text such as ``0, 1, 2``.

    Raises:
        SettingError: something in it is no seed.
    """
    words = text.replace(",", " ").split() or ["0"]
    wrong = [word for word in words if not (word.isascii() and word.isdecimal() and int(word[:20]) <= SEEDS)]
    if wrong:
        raise SettingError(f"{wrong[0][:40]!r} is no seed; give whole numbers from 0, such as 0, 1, 2")
    return list(dict.fromkeys(int(word) for word in words))
