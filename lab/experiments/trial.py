"""One cell of the comparison and of the sweeps: a reference's motion cast onto its prompt, measured."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from motionlift.bench.frozen import FROZEN, held_scene
from motionlift.bench.records import or_nan
from motionlift.bench.references import bundled, clip_of, figures, prompt_scene, reference, words_of
from motionlift.bench.report.estimates import Estimate, estimate, flipped
from motionlift.bench.report.tables import estimate_text, interval
from motionlift.errors import SettingError
from motionlift.jobs.job import titled
from motionlift.methods import method as method_named
from motionlift.work.cast import transfer
from motionlift.work.prepare import settings_for
from motionlift.work.video import Video

HEAD = ("aligned error", "absolute error", "direction", "colour, %", "background, %", "shape, %", "leakage, %")
"""Titles of what :func:`averages` gives."""
DEFAULTS = "defaults"
"""Word for a method with none of its settings changed, where it is not to stand for all of them."""

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
    if cell["method"] == FROZEN:
        return None
    try:
        settings_for(method_named(cell["method"]), bundled(model), cell["settings"])
    except SettingError as error:
        return str(error)
    return None


def is_chosen(method: str, settings: Mapping[str, Any], chosen: Collection[str]) -> bool:
    """Whether a method with settings is among those that were asked for: by its name, its title, or as its defaults; or none was.

    Args:
        method: its name.
        settings: in which it differs from its defaults.
        chosen: names such as ``vmc``, which is all of its settings, titles such as ``vmc beta=0.0``, and ``vmc defaults``.
    """
    title = titled(method, settings) if settings else f"{method} {DEFAULTS}"
    return not chosen or method in chosen or title in chosen


def held_still(cell: Mapping[str, Any], model: str, turn: int = 0) -> dict[str, Any]:
    """What an object that stands in the middle, in the scene of the prompt, is measured to be."""
    index, backbone = cell["index"], bundled(model)
    frames = backbone.about.shape.frames
    wanted = prompt_scene(index, turn, frames)
    still = clip_of(held_scene(wanted), backbone.about.fps)
    return recorded(figures(still.frames, reference(index, frames), wanted))


def transferred(
    cell: Mapping[str, Any], model: str, cached: bool = False, seed: int | None = None, turn: int = 0
) -> tuple[Video, dict[str, Any]]:
    """Lift, cast and measure; the seed is the reference's number unless given, the prompt its first unless another's turn it is.

    Cached, a motion that was lifted for another cell or seed serves too.
    """
    backbone, index, method = bundled(model), cell["index"], cell["method"]
    frames = backbone.about.shape.frames
    scene, wanted = reference(index, frames), prompt_scene(index, turn, frames)
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


def difference(
    ones: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], key: str, group: str = "index"
) -> Estimate | None:
    """Mean difference of a figure on what both were measured of, with its interval and p; None where that is nothing.

    Args:
        ones: records.
        others: those that are subtracted, one for each group at most.
        key: of the figure.
        group: key of what is paired.
    """
    known = {other[group]: or_nan(other[key]) for other in others}
    pairs = [(one[group], or_nan(one[key]) - known[one[group]]) for one in ones if one[group] in known]
    pairs = [(group, value) for group, value in pairs if value == value]
    if not pairs:
        return None
    groups, values = zip(*pairs, strict=True)
    found = estimate(values, groups)
    assert found is not None
    return Estimate(found.mean, found.low, found.high, found.values, found.points, flipped(values, groups))


def difference_text(found: Estimate | None, places: int = 3) -> str:
    """A difference with its interval or points and its p."""
    if found is None:
        return "-"
    return f"{estimate_text(found, lambda value: f'{value:+z.{places}f}')}, p {found.p:.2g}"
