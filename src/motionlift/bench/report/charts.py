"""Scatter charts of methods, laid out for inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from motionlift.bench.report.axis import Axis, Spread, Tick
from motionlift.bench.report.catalogue import MOTION, TEXT, figure
from motionlift.bench.report.summary import Row, Section

WIDTH, HEIGHT = 560, 340
"""Size of a chart in its own units (ours)."""
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 20, 52
"""Room around the points, in the same units (ours)."""
LABEL = (16, 13)
"""Width and height that a label takes (ours)."""
AROUND = ((8, -7), (8, 16), (-20, -7), (-20, 16), (20, 4), (-32, 4))
"""Where a label may stand, from its point; the first that is free (ours)."""
CASTING_ALONE = "casting alone: its motions came from the cache"
"""What is said of a method of which nobody knows what lifting costs."""
LEAST_SECONDS = 1e-6
"""A cell that took less was not timed, and has no place on a logarithmic axis (ours)."""


@dataclass(frozen=True)
class Point:
    """A method."""

    title: str
    """Its title."""
    number: int
    """Its number in the chart's key, from one."""
    x: Spread
    """Places across."""
    y: Spread
    """Places down."""
    label: tuple[float, float]
    """Where its number stands, across and down."""
    told: str
    """Its values in words."""
    is_whole: bool = True
    """Whether its cost is that of lifting too, which nobody knows where every motion came from the cache."""


@dataclass(frozen=True)
class Chart:
    """Methods as points."""

    title: str
    """What it shows."""
    x_title: str
    """What is to the right."""
    y_title: str
    """What is above."""
    x_ticks: Sequence[Tick]
    """Marks below."""
    y_ticks: Sequence[Tick]
    """Marks at the left."""
    points: Sequence[Point]
    """The methods."""


def keyed(point: Point) -> str:
    """A point as the key of its chart names it."""
    return point.title if point.is_whole else f"{point.title} ({CASTING_ALONE})"


def charts(section: Section) -> list[Chart]:
    """Motion against text, and cost against motion, as far as a section's figures allow."""
    motion = next((name for name in MOTION if name in section.figures), None)
    text = next((name for name in TEXT if name in section.figures), None)
    found = []
    if motion and text:
        found.append(_chart("Motion against text", section.rows, motion, text))
    if motion:
        found.append(_chart("Cost against quality", section.rows, "seconds", motion))
    return [chart for chart in found if chart is not None]


def _chart(title: str, rows: Sequence[Row], x_name: str, y_name: str) -> Chart | None:
    """None where no method has both values."""
    pairs = [(row, _value(row, x_name), _value(row, y_name)) for row in rows]
    known = [(row, x, y) for row, x, y in pairs if x is not None and y is not None]
    if not known:
        return None
    x_axis = Axis.over([x for _, x, _ in known], LEFT, WIDTH - RIGHT, x_name == "seconds")
    y_axis = Axis.over([y for _, _, y in known], HEIGHT - BOTTOM, TOP, False)
    labels = _labels([(x_axis.place(x.mean), y_axis.place(y.mean)) for _, x, y in known])
    points = [
        Point(
            row.title,
            place + 1,
            x_axis.places(x),
            y_axis.places(y),
            labels[place],
            f"{row.title}: {_title(x_name)} {x.mean:.3g}, {_title(y_name)} {y.mean:.3g}",
            x_name != "seconds" or "seconds" in row.costs,
        )
        for place, (row, x, y) in enumerate(known)
    ]
    return Chart(title, _axis_title(x_name), _axis_title(y_name), x_axis.ticks(), y_axis.ticks(), points)


def _labels(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where labels stand so that none covers another, as far as there is room."""
    placed: list[tuple[float, float]] = []
    for x, y in points:
        choices = [(x + across, y + down) for across, down in AROUND]
        free = [
            choice
            for choice in choices
            if all(abs(choice[0] - other[0]) >= LABEL[0] or abs(choice[1] - other[1]) >= LABEL[1] for other in placed)
        ]
        placed.append((free or choices)[0])
    return placed


def _value(row: Row, name: str) -> Spread | None:
    if name == "seconds":
        seconds = row.costs.get(name, row.costs.get("cast_seconds", 0.0))
        return Spread(seconds, seconds, seconds) if seconds >= LEAST_SECONDS else None
    found = row.figures.get(name)
    if found is None:
        return None
    scale = 100 if figure(name).share else 1
    low, high = found.ends or (found.mean, found.mean)
    return Spread(found.mean * scale, low * scale, high * scale)


def _title(name: str) -> str:
    return "seconds" if name == "seconds" else figure(name).title


def _axis_title(name: str) -> str:
    if name == "seconds":
        return "seconds to lift and to cast, logarithmic"
    found = figure(name)
    way = {1: " (more is better)", -1: " (less is better)", 0: ""}[found.better]
    return f"{found.title}{', %' if found.share else ''}{way}"
