"""Signed distances of the world's shapes, in the plane, for a shape of radius about one.

Negative inside, positive outside, zero on the outline. Every function takes points ``(..., 2)``, x then y with y pointing
down, and returns distances ``(...)``. The sizes are ours, chosen so that the shapes cover similar areas.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Points = Float[Tensor, "*points 2"]
Distances = Float[Tensor, "*points"]


def _box(points: Points, half_width: float, half_height: float) -> Distances:
    outside = points.abs() - points.new_tensor([half_width, half_height])
    return outside.clamp(min=0).norm(dim=-1) + outside.amax(dim=-1).clamp(max=0)


def _convex_polygon(points: Points, corners: int, inner_radius: float) -> Distances:
    """Distance to the nearest edge line of a regular polygon; exact inside, a lower bound outside its corners."""
    angles = torch.arange(corners, device=points.device) * (2 * math.pi / corners) + math.pi / 2
    normals = torch.stack([angles.cos(), angles.sin()], dim=-1).to(points.dtype)
    return (points @ normals.T).amax(dim=-1) - inner_radius


def circle(points: Points) -> Distances:
    """A disc of radius 0.95."""
    return points.norm(dim=-1) - 0.95


def square(points: Points) -> Distances:
    """A square of half side 0.82."""
    return _box(points, 0.82, 0.82)


def triangle(points: Points) -> Distances:
    """An equilateral triangle pointing up, inner radius 0.6."""
    return _convex_polygon(points, 3, 0.6)


def star(points: Points) -> Distances:
    """A five-pointed star pointing up: outer radius 1.2, inner radius 0.5."""
    angle = torch.atan2(points[..., 0], -points[..., 1])
    sector = 2 * math.pi / 5
    folded = (torch.remainder(angle + sector / 2, sector) - sector / 2).abs()
    radius = points.norm(dim=-1)
    folded_points = torch.stack([radius * folded.sin(), radius * folded.cos()], dim=-1)
    tip = points.new_tensor([0.0, 1.2])
    valley = points.new_tensor([0.5 * math.sin(sector / 2), 0.5 * math.cos(sector / 2)])
    edge = valley - tip
    along = ((folded_points - tip) @ edge / (edge @ edge)).clamp(0, 1)
    offset = folded_points - tip - along[..., None] * edge
    side = edge[0] * (folded_points - tip)[..., 1] - edge[1] * (folded_points - tip)[..., 0]
    return torch.sign(side) * offset.norm(dim=-1)


def ring(points: Points) -> Distances:
    """A ring of middle radius 0.75 and half thickness 0.27."""
    return (points.norm(dim=-1) - 0.75).abs() - 0.27


def cross(points: Points) -> Distances:
    """Two crossed bars of half length 1.05 and half width 0.36."""
    return torch.minimum(_box(points, 1.05, 0.36), _box(points, 0.36, 1.05))


def bar(points: Points) -> Distances:
    """A lying bar of half length 1.2 and half width 0.42."""
    return _box(points, 1.2, 0.42)


SHAPES: dict[str, Callable[[Points], Distances]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "ring": ring,
    "cross": cross,
    "bar": bar,
}
"""Every shape of the world by its name in captions."""
