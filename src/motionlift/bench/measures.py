"""What is measured of a cell's video: exact figures where the truth is known, and scores against the reference."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from motionlift.bench.records import number
from motionlift.bench.sources import Opened
from motionlift.errors import SettingError
from motionlift.media import Clip

TRUTH = "truth"
"""Metric of the world's references: errors of the object's track, and what the classifier sees."""
SCORING = "motionlift.scoring"
"""Module that scores one video against another: ``score(reference, generated, prompt=..., metrics=...)``, and ``METRICS``, the
names it knows."""


@dataclass(frozen=True)
class Measured:
    """Figures of one video."""

    figures: Mapping[str, float | None]
    """By name; None where one is undefined."""
    left_out: Mapping[str, str]
    """What was not measured, and why."""


def known_metrics() -> tuple[str, ...]:
    """Names that a run file may ask for."""
    return (TRUTH, *getattr(_scoring(), "METRICS", ()))


def check_metrics(names: Sequence[str]) -> None:
    """Refuse metrics that nothing measures.

    Raises:
        SettingError: an unknown name.
    """
    for name in names:
        if name not in known_metrics():
            raise SettingError(f"unknown metric {name[:80]!r}; allowed are {', '.join(known_metrics())}")


def measured(opened: Opened, reference: Clip, made: Clip, prompt: str, metrics: Sequence[str] | None) -> Measured:
    """All that is asked for, or all that can be measured.

    Args:
        opened: the reference, with its truth if that is known.
        reference: its frames as the model saw them.
        made: the video.
        prompt: what it is to show.
        metrics: names, or None for all.
    """
    figures: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    if metrics is None or TRUTH in metrics:
        if opened.truth is not None:
            figures |= opened.truth(made.frames)
        elif metrics is not None:
            left_out[TRUTH] = "the true motion of this reference is not known"
    others = None if metrics is None else [name for name in metrics if name != TRUTH]
    scoring = _scoring()
    if scoring is not None and others != []:
        scores = scoring.score(reference, made, prompt=prompt, metrics=others)
        figures, left_out = {**scores.figures, **figures}, {**scores.left_out, **left_out}
    return Measured({name: number(value) for name, value in figures.items()}, left_out)


def _scoring() -> Any:
    """The module of scores, where the package has it."""
    return importlib.import_module(SCORING) if importlib.util.find_spec(SCORING) else None
