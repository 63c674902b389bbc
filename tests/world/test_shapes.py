"""Shapes against polygons that OpenCV measures, and against areas from geometry."""

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from motionlift.world.shapes import SHAPES
from tests.world.polygons import POLYGONS

EXACT = {
    "square": "everywhere",
    "bar": "everywhere",
    "star": "everywhere",
    "triangle": "inside",
    "cross": "outside",
}
"""Where a shape's value is the true distance; elsewhere it may be nearer to zero, with the right sign."""


def random_points(count: int = 3000, extent: float = 1.8) -> Tensor:
    return (torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1) * extent


@pytest.mark.parametrize("name", POLYGONS)
def test_distance_to_polygon(name: str):
    points = random_points()
    contour = np.array(POLYGONS[name], dtype=np.float32)
    true = torch.tensor([-cv2.pointPolygonTest(contour, (float(x), float(y)), True) for x, y in points])
    found = SHAPES[name](points)
    clear = true.abs() > 1e-4
    assert torch.equal(found[clear] < 0, true[clear] < 0)
    assert (found.abs() <= true.abs() + 1e-4).all()
    exact = {"everywhere": clear, "inside": true < 0, "outside": true > 0}[EXACT[name]]
    assert exact.sum() > 300
    torch.testing.assert_close(found[exact], true[exact], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("circle", math.pi * 0.95**2),
        ("ring", math.pi * ((0.75 + 0.27) ** 2 - (0.75 - 0.27) ** 2)),
        ("square", 4 * 0.82**2),
        ("bar", 4 * 1.2 * 0.42),
        ("triangle", 3 * math.sqrt(3) * 0.6**2),
        ("star", 5 * 1.2 * 0.5 * math.sin(math.pi / 5)),
        ("cross", 4 * (2 * 1.05 * 0.36 - 0.36**2)),
    ],
)
def test_area(name: str, area: float):
    side, extent = 800, 1.5
    centres = (torch.arange(side) + 0.5) / side * 2 * extent - extent
    points = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)
    inside = (SHAPES[name](points) < 0).float().mean() * (2 * extent) ** 2
    assert inside == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("name", SHAPES)
def test_never_grows_faster_than_distance(name: str):
    first, second = random_points().chunk(2)
    for other in (second, first + 0.01 * second):
        change = (SHAPES[name](first) - SHAPES[name](other)).abs()
        assert (change <= (first - other).norm(dim=-1) + 1e-5).all()


@pytest.mark.parametrize(("name", "radii"), [("circle", [0.95]), ("ring", [0.48, 1.02])])
def test_round_outlines(name: str, radii: list[float]):
    angles = torch.linspace(0, 2 * math.pi, 50)
    ray = torch.stack([angles.cos(), angles.sin()], dim=-1)
    for radius in radii:
        torch.testing.assert_close(SHAPES[name](radius * ray), torch.zeros(50), atol=1e-5, rtol=0)
    outer = radii[-1]
    torch.testing.assert_close(SHAPES[name]((outer + 0.3) * ray), torch.full((50,), 0.3), atol=1e-5, rtol=0)
    torch.testing.assert_close(SHAPES[name]((outer - 0.1) * ray), torch.full((50,), -0.1), atol=1e-5, rtol=0)
