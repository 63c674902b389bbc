"""What is measured of a cell's video: exact figures where the truth is known, and scores against the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from motionlift.bench.records import number
from motionlift.bench.sources import Opened
from motionlift.errors import SettingError
from motionlift.measure import score, truth
from motionlift.measure.alignment import ClipModel
from motionlift.measure.trackers import TRACKERS, FlowTracker, tracker_named
from motionlift.video.clip import Clip

TRUTH = truth.METRIC.name
"""Metric of the world's references: errors of the object's track, and what the classifier sees."""


@dataclass(frozen=True)
class Measuring:
    """What is measured of every video, and by what."""

    metrics: tuple[str, ...] | None = None
    """Names; None for all that can be measured."""
    tracker: str = FlowTracker.name
    """How points are followed, as :func:`motionlift.measure.trackers.tracker_named` has it."""
    clip_model: str | None = None
    """Folder or hub name of the CLIP model of CLIP's figures, which are left out without it."""


@dataclass(frozen=True)
class Measured:
    """Figures of one video."""

    figures: Mapping[str, float | None]
    """By name; None where one is undefined."""
    left_out: Mapping[str, str]
    """What was not measured, and why."""
    measured_by: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)
    """Versions and grids of what measured, as :class:`motionlift.measure.score.Scores` has them."""


def known_metrics() -> tuple[str, ...]:
    """Names that a run file may ask for."""
    return (TRUTH, *scores())


def scores(on_request: bool = True) -> tuple[str, ...]:
    """Figures of one video beside another; those of the truth are taken from the scene itself.

    Args:
        on_request: also those that are taken only where a run names them, such as the older script's, which is for comparison
            with older tables alone.
    """
    return tuple(name for name in score.figure_names(on_request) if name not in truth.METRIC.names)


def check_metrics(names: Sequence[str]) -> None:
    """Refuse metrics that nothing measures.

    Raises:
        SettingError: an unknown name.
    """
    for name in names:
        if name not in known_metrics():
            raise SettingError(f"unknown metric {name[:80]!r}; allowed are {', '.join(known_metrics())}")


def check_tracker(name: str) -> None:
    """Refuse a tracker that there is none of; whether its weights are here is seen when a cell asks for it.

    Raises:
        SettingError: an unknown name.
    """
    if name not in TRACKERS:
        raise SettingError(f"unknown tracker {name[:80]!r}; allowed are {', '.join(TRACKERS)}")


def check_at_hand(asked: Measuring) -> None:
    """Refuse a tracker or a CLIP model that is not to be had, before hours go into videos.

    Raises:
        ModelError: its weights are not there.
    """
    tracker_named(asked.tracker)
    if asked.clip_model is not None:
        ClipModel(asked.clip_model)


def measured(opened: Opened, reference: Clip, made: Clip, prompt: str, asked: Measuring) -> Measured:
    """All that is asked for, or all that can be measured.

    Args:
        opened: the reference, with its truth if that is known.
        reference: its frames as the model saw them.
        made: the video.
        prompt: what it is to show.
        asked: what is to be measured, and by what.
    """
    metrics = asked.metrics
    figures: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    measured_by: Mapping[str, Mapping[str, str | int]] = {}
    if metrics is None or TRUTH in metrics:
        if opened.truth is not None:
            figures |= opened.truth(made.frames)
        elif metrics is not None:
            left_out[TRUTH] = "the true motion of this reference is not known"
    others = [name for name in scores(on_request=metrics is not None) if metrics is None or name in metrics]
    if others:
        by = {"tracker": asked.tracker, "clip_model": asked.clip_model}
        found = score.score(reference, made, prompt=prompt, metrics=others, **by)
        figures, left_out = {**found.figures, **figures}, {**found.left_out, **left_out}
        measured_by = found.measured_by
    return Measured({name: number(value) for name, value in figures.items()}, left_out, measured_by)
