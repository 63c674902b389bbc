"""The tab of a user study. Mount it where ``Study(folder).items`` holds something: it needs nothing else of the page."""

from html import escape
from typing import Any

import gradio as gr

from motionlift.app.desk import telling
from motionlift.app.player import player_of_files
from motionlift.app.study import REFERENCE, Pair, Study
from motionlift.bench.report.answers import QUESTIONS

SIDES = ("A", "B")
"""What the two videos are called: a participant does not learn of which method they are."""


def study_tab(study: Study) -> None:
    """A code, then pair after pair with both questions; who comes back with the same code goes on.

    Args:
        study: whose answers go to the file that ``motionlift report`` reads.
    """
    gr.Markdown("Two videos were to move like the reference. Say which does it better; there is no right answer.")
    code = gr.Textbox(
        "",
        label="Your code",
        info="As you were given it; it is all that is kept of you.",
        max_length=40,
        elem_id="code",
    )
    begin = gr.Button("Begin, or go on", elem_id="study-begin")
    told = gr.Markdown(elem_id="study-told")
    shown = gr.HTML(elem_id="study-pair")
    asked = [gr.Radio(list(SIDES), label=text, elem_id=f"study-{name}") for name, text in QUESTIONS.items()]
    following = gr.Button("Next", variant="primary", elem_id="study-next")
    pair = gr.State(None)
    every = [told, shown, *asked, pair]

    @telling
    def begun(code: str) -> list[Any]:
        return _next(study, code.strip())

    @telling
    def answered(code: str, pair: Pair | None, *sides: str | None) -> list[Any]:
        if pair is not None:
            methods: dict[str, str] = dict(zip(SIDES, (pair.left, pair.right), strict=True))
            said = {question: methods.get(side or "", "") for question, side in zip(QUESTIONS, sides, strict=True)}
            study.answer(code.strip(), pair, said)
        return _next(study, code.strip())

    begin.click(begun, code, every, show_progress="hidden")
    code.submit(begun, code, every, show_progress="hidden")
    following.click(answered, [code, pair, *asked], every, show_progress="hidden")


def _next(study: Study, code: str) -> list[Any]:
    """What is shown of the next pair, or thanks."""
    left, count = study.left(code), len(study.pairs(code))
    unanswered = [None for _ in QUESTIONS]
    if not left:
        return ["That was all. Thank you!", "", *unanswered, None]
    pair = left[0]
    videos = [(side, study.place(pair, name)) for side, name in zip(SIDES, (pair.left, pair.right), strict=True)]
    prompt = study.prompt(pair)
    text = f"<p>The text was: <q>{escape(prompt)}</q></p>" if prompt else ""
    shown = text + player_of_files([("the reference", study.place(pair, REFERENCE)), *videos])
    return [f"Pair {count - len(left) + 1} of {count}", shown, *unanswered, pair]
