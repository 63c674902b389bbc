"""One cell of the comparison and of the sweeps: a reference's motion cast onto its prompt, measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from motionlift.bench.references import bundled, clip_of, figures, prompt_scene, reference, words_of
from motionlift.bench.report.tables import interval
from motionlift.errors import SettingError
from motionlift.methods import method as method_named
from motionlift.work.cast import transfer
from motionlift.work.prepare import settings_for
from motionlift.work.record import Video

HEAD = ("aligned error", "absolute error", "direction", "colour, %", "background, %", "shape, %", "leakage, %")
"""Titles of what :func:`averages` gives."""


RECORDED = {
    "aligned_error": "aligned",
    "absolute_error": "absolute",
    "direction_cosine": "direction",
    "looks_leaked": "leakage",
}
"""Keys of figures in the records of experiments, as those that were measured before have them."""


def recorded(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures of the world by the keys of the records of experiments."""
    return {RECORDED.get(name, name): value for name, value in figures.items()}


def refusal(cell: Mapping[str, Any], model: str) -> str | None:
    """Why the model cannot run a cell's settings, if it cannot."""
    try:
        settings_for(method_named(cell["method"]), bundled(model), cell["settings"])
    except SettingError as error:
        return str(error)
    return None


def transferred(
    cell: Mapping[str, Any], model: str, cached: bool = False, seed: int | None = None
) -> tuple[Video, dict[str, Any]]:
    """Lift, cast and measure; the seed is the reference's number unless given.

    Cached, a motion that was lifted for another cell or seed serves too.
    """
    backbone, index, method = bundled(model), cell["index"], cell["method"]
    frames = backbone.about.shape.frames
    scene, wanted = reference(index, frames), prompt_scene(index, frames=frames)
    settings = {**cell["settings"], **words_of(method, scene, wanted)}
    clip = clip_of(scene, backbone.about.fps)
    own = index if seed is None else seed
    video = transfer(clip, wanted.caption(), backbone, method=method, seed=own, settings=settings, cached=cached)
    return video, recorded(figures(video.clip.frames, scene, wanted))


def averages(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Means with their intervals, in the order of :data:`HEAD`."""
    return [
        *[interval([record[key] for record in records]) for key in ("aligned", "absolute")],
        interval([record["direction"] for record in records], digits=2),
        *[interval([record[key] for record in records], 100) for key in ("colour", "background", "shape", "leakage")],
    ]
