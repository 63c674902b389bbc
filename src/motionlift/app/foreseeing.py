"""What videos would take, before they are made: memory and seconds of each quality, by the library's planner."""

from collections.abc import Mapping
from html import escape

from motionlift.app.tasks import held_in
from motionlift.errors import MotionliftError
from motionlift.models.loading import device_named
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work.keeping import room_without
from motionlift.work.memory import told
from motionlift.work.plan import Plan
from motionlift.work.planning import Asked, planned
from motionlift.work.prepare import ask


def foreseen(
    motion: Motion,
    prompt: str,
    model: str,
    device: str,
    qualities: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, str],
    picture: Clip | None = None,
    weights: str | None = None,
) -> str:
    """A table, as HTML: for each quality memory and seconds of one video, or why it cannot be.

    Args:
        motion: what would be cast.
        prompt: what the video would show.
        model: name of the model.
        device: where it would run.
        qualities: settings of each.
        settings: what is set beside.
        picture: what the video would begin with.
        weights: how the weights of a model that is not bundled would be held.

    Raises:
        SettingError: there is no such device.
    """
    space = room_without(device_named(device))  # of its models the page keeps one, which serves or goes
    rows = []
    for quality, values in qualities.items():
        try:
            request = ask(motion.method, {**values, **settings}, prompt=prompt, motion=motion, picture=picture)
            memory, seconds = _cells(
                planned(Asked(request, motion=motion, weights=held_in(model, weights)), model, space)
            )
        except MotionliftError as error:
            memory, seconds = "cannot be", str(error)
        rows.append(
            f"<tr><th scope='row'>{escape(quality)}</th><td>{escape(memory)}</td><td>{escape(seconds)}</td></tr>"
        )
    head = "<tr><th scope='col'>quality</th><th scope='col'>memory</th><th scope='col'>time</th></tr>"
    return f"<table class='foreseen'><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _cells(plan: Plan) -> tuple[str, str]:
    memory = f"{told(plan.need(plan.largest))} of {told(plan.room.bytes)}"
    return memory, "known after the first video" if plan.seconds is None else f"about {max(1, round(plan.seconds))} s"


def matching(rows: Mapping[str, Mapping[str, str]]) -> str:
    """The matrix of methods and models as an HTML table.

    Args:
        rows: by method and model, as :func:`motionlift.work.matching.matrix` gives them.
    """
    models = list(next(iter(rows.values())))
    head = "".join(f"<th scope='col'>{escape(model)}</th>" for model in models)
    body = "".join(
        f"<tr><th scope='row'>{escape(way)}</th>{''.join(f'<td>{escape(answers[model])}</td>' for model in models)}</tr>"
        for way, answers in rows.items()
    )
    return f"<div class='wide' tabindex='0'><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
