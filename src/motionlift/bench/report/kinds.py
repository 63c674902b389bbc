"""Figures by kind of motion and of camera: of references of the world, whose names say all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from motionlift.bench.references import scene_named, thing_named
from motionlift.bench.report.summary import Measurement, Section
from motionlift.bench.sources import Things, World
from motionlift.errors import InputError
from motionlift.video.limits import FRAMES
from motionlift.world.scenes import Scene

KINDS: Mapping[str, Callable[[Scene], str]] = {
    "motion": lambda scene: scene.motion,
    "camera": lambda scene: scene.camera,
}
"""By what a reference is told apart."""
SOURCES: Mapping[str, Callable[[str, int], Scene]] = {World.kind: scene_named, Things.kind: thing_named}
"""Sources whose references' names say all of them."""


@dataclass(frozen=True)
class ByKind:
    """One figure of every method on the references of every kind."""

    by: str
    """By what they are told apart, a key of :data:`KINDS`."""
    references: Mapping[str, int]
    """How many references there are of each kind, the most first."""
    rows: Mapping[str, Mapping[str, float]]
    """By the methods' titles and the kinds, means over references; of so few that no interval is told."""


def by_kind(section: Section, name: str) -> list[ByKind]:
    """Tables of one figure; none of sources other than the world and things, or where all references are of one kind.

    Args:
        section: of a report.
        name: of the figure.
    """
    if section.source not in SOURCES:
        return []
    known = [each for each in section.measurements if name in each.figures]
    found = [_told_apart(by, known, name) for by in KINDS]
    return [each for each in found if len(each.references) > 1]


def _told_apart(by: str, known: Sequence[Measurement], name: str) -> ByKind:
    kinds = {each.reference: kind for each in known if (kind := kind_of(by, each)) is not None}
    counts = {kind: sum(other == kind for other in kinds.values()) for kind in dict.fromkeys(kinds.values())}
    values: dict[str, dict[str, list[float]]] = {}
    for each in known:
        if each.reference in kinds:
            values.setdefault(each.title, {}).setdefault(kinds[each.reference], []).append(each.figures[name])
    means = {title: {kind: sum(own) / len(own) for kind, own in of.items()} for title, of in values.items()}
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ByKind(by, dict(ordered), means)


def kind_of(by: str, each: Measurement) -> str | None:
    """Of a measurement's reference; None where its name says none."""
    frames = each.record.get("frames")
    if not isinstance(frames, int) or not 0 < frames <= FRAMES[1]:
        return None
    try:
        return KINDS[by](SOURCES[each.source](each.reference, frames))
    except InputError:
        return None
