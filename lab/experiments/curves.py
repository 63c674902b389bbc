"""Curves of a training as an SVG picture: a panel for each stage, a line for each figure over the steps."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motionlift.bench.report.axis import Axis, Spread

WIDTH, HEIGHT = 400, 320
"""Size of a panel, in the picture's own units (ours)."""
LEFT, RIGHT, TOP, BOTTOM = 48, 20, 28, 56
"""Room around the lines of a panel, in the same units (ours)."""
COLOURS = ("#1f6fb2", "#c2571a", "#2b8a3e", "#8e44ad")
"""Of a panel's lines, in their order (ours: apart for people who see red and green alike, but for the last two)."""

Line = Sequence[tuple[float, float]]
"""Steps and values."""


@dataclass(frozen=True)
class Panel:
    """One stage."""

    title: str
    """Its name."""
    lines: Mapping[str, Line]
    """By what they show, those that have points."""


def picture(panels: Sequence[Panel]) -> str:
    """The panels side by side.

    Args:
        panels: at least one, each with a line at least.
    """
    parts = [f'<g transform="translate({number * WIDTH} 0)">{_panel(panel)}</g>' for number, panel in enumerate(panels)]
    width = len(panels) * WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="11" fill="#333">\n'
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>\n{"".join(parts)}</svg>\n'
    )


def _panel(panel: Panel) -> str:
    """Frame, ticks, lines and key."""
    points = [point for line in panel.lines.values() for point in line]
    across = Axis.over([Spread(step, step, step) for step, _ in points], LEFT, WIDTH - RIGHT, False)
    down = Axis.over([Spread(value, value, value) for _, value in points], HEIGHT - BOTTOM, TOP, False)
    inner = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
    text = f'<rect {inner} fill="none" stroke="#999"/>\n'
    text += _text(panel.title, WIDTH / 2, TOP - 10, "middle") + _text("step", WIDTH / 2, HEIGHT - 26, "middle")
    for tick in across.ticks():
        text += _rule(tick.place, TOP, tick.place, HEIGHT - BOTTOM)
        text += _text(tick.label, tick.place, HEIGHT - BOTTOM + 14, "middle")
    for tick in down.ticks():
        text += _rule(LEFT, tick.place, WIDTH - RIGHT, tick.place) + _text(tick.label, LEFT - 4, tick.place + 4, "end")
    key = []
    for number, (name, line) in enumerate(panel.lines.items()):
        places = " ".join(f"{across.place(step)},{down.place(value)}" for step, value in line)
        colour = COLOURS[number % len(COLOURS)]
        text += f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.3"/>\n'
        key.append(f'<tspan fill="{colour}" dx="12">{html.escape(name)}</tspan>')
    return f'{text}<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{"".join(key)}</text>\n'


def _rule(*ends: float) -> str:
    names = ("x1", "y1", "x2", "y2")
    places = " ".join(f'{name}="{place}"' for name, place in zip(names, ends, strict=True))
    return f'<line {places} stroke="#ddd"/>\n'


def _text(words: str, x: float, y: float, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{html.escape(words)}</text>\n'
