"""Corners of the world's shapes, worked out by hand from the sizes in their docstrings; y points down."""

import math

Corners = list[tuple[float, float]]


def rectangle(half_width: float, half_height: float) -> Corners:
    return [
        (-half_width, -half_height),
        (half_width, -half_height),
        (half_width, half_height),
        (-half_width, half_height),
    ]


def on_circle(degrees: float, radius: float) -> tuple[float, float]:
    """A corner at an angle clockwise from straight up."""
    return radius * math.sin(math.radians(degrees)), -radius * math.cos(math.radians(degrees))


def plus(length: float, width: float) -> Corners:
    """Two crossed bars, given by half length and half width."""
    quarter = [(width, -length), (width, -width), (length, -width)]
    corners = []
    for _ in range(4):
        corners += quarter
        quarter = [(-y, x) for x, y in quarter]
    return corners


POLYGONS: dict[str, Corners] = {
    "square": rectangle(0.82, 0.82),
    "bar": rectangle(1.2, 0.42),
    "triangle": [on_circle(120 * corner, 1.2) for corner in range(3)],
    "star": [on_circle(36 * corner, 0.5 if corner % 2 else 1.2) for corner in range(10)],
    "cross": plus(1.05, 0.36),
}
