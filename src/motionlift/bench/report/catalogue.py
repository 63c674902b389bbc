"""How figures are shown in tables and charts, and which of them stand for motion and for text.

What a figure is called and which way it is better is said by the metric that brings it, in :mod:`motionlift.measure`.
"""

from motionlift import measure
from motionlift.measure.metric import Figure

MOTION = ("aligned_error", "motion_fidelity_moving", "motion_fidelity", "motion_discrepancy")
"""Figures that stand for motion, the first that is there in charts."""
TEXT = ("looks", "clip_text")
"""Figures that stand for what the prompt asks, likewise."""


def figure(name: str) -> Figure:
    """What is known of a figure; of one that no metric brings, as in records of other versions, its name alone."""
    return measure.figures().get(name, Figure(name, name.replace("_", " "), ""))


def in_order(names: set[str]) -> list[str]:
    """Names as tables have them: by their columns, then by themselves; those that no metric brings come last."""
    known = measure.figures()
    return sorted(names, key=lambda name: (name not in known, figure(name).column, name))


def shown(name: str, value: float, signed: bool = False) -> str:
    """A value of a figure as text."""
    known = figure(name)
    scale, places = (100, 0) if known.share else (1, known.places)
    return f"{value * scale:{'+' if signed else ''}z.{places}f}"
