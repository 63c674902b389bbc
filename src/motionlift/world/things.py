"""Things that have names, drawn as filled outlines of our own: a car, a fish, a bird and others.

A thing is a pile of parts. Each part is an outline in the thing's own coordinates, x to the right and y down, in which it
faces right and fits into a circle of radius about 1.2, and a tone: the object's colour, a darker or lighter one of it, or
a fixed one such as that of an eye. Signed distances to every part are computed once on a fine lattice and read from it
between its points, so that drawing costs the same for any outline. All outlines and tones are ours.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from motionlift.world.shapes import Distances, Points

Outline = np.ndarray
Tone = Callable[[Float[Tensor, "3"]], Float[Tensor, "3"]]

REACH = 1.5
"""The lattice of distances spans the square from ``-REACH`` to ``REACH``."""
LATTICE = 144
"""Points along its side: a thing of 26 pixels across has two of them or more in a pixel."""
CORNER_CUTS = 3
"""Times that the corners of a smooth outline are cut (Chaikin's scheme)."""


@dataclass(frozen=True)
class Part:
    """One piece of a thing."""

    tone: str
    """A key of :data:`TONES`."""
    outline: Outline
    """``(corners, 2)`` of a closed polygon."""


@dataclass(frozen=True)
class Thing:
    """A thing, and how it goes along its path."""

    parts: tuple[Part, ...]
    """From the lowest to the topmost."""
    facing: str
    """One of :data:`FACINGS`."""
    going: str
    """How its going is called in a caption, such as ``driving``."""


FACINGS = ("side", "ahead", "rolling", "upright")
"""Seen from its side it is mirrored, to look where it goes; seen from above it is turned ahead; or it rolls; or neither."""


def _mixed(other: tuple[int, int, int], share: float) -> Tone:
    return lambda colour: colour + (torch.tensor(other, dtype=colour.dtype, device=colour.device) - colour) * share


TONES: dict[str, Tone] = {
    "own": lambda colour: colour,
    "dark": lambda colour: colour * 0.58,
    "light": _mixed((255, 255, 255), 0.55),
    "black": _mixed((28, 28, 34), 1.0),
    "white": _mixed((250, 250, 250), 1.0),
    "glass": _mixed((190, 228, 245), 1.0),
    "wood": _mixed((112, 72, 38), 1.0),
    "beak": _mixed((255, 168, 40), 1.0),
    "flame": _mixed((255, 205, 70), 1.0),
}
"""What each tone makes of an object's colour, 0..255."""


def _corners(*points: tuple[float, float]) -> Outline:
    return np.array(points, dtype=float)


def _smooth(*points: tuple[float, float]) -> Outline:
    """A closed curve that keeps within its corners."""
    outline = np.array(points, dtype=float)
    for _ in range(CORNER_CUTS):
        following = np.roll(outline, -1, axis=0)
        outline = np.stack([0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following], axis=1)
        outline = outline.reshape(-1, 2)
    return outline


def _oval(x: float, y: float, half_width: float, half_height: float, turn: float = 0.0, corners: int = 28) -> Outline:
    angle = np.arange(corners) * (2 * math.pi / corners)
    along, aside = half_width * np.cos(angle), half_height * np.sin(angle)
    cosine, sine = math.cos(turn), math.sin(turn)
    return np.stack([x + along * cosine - aside * sine, y + along * sine + aside * cosine], axis=1)


def _box(left: float, top: float, right: float, bottom: float) -> Outline:
    return _corners((left, top), (right, top), (right, bottom), (left, bottom))


def _flipped(outline: Outline) -> Outline:
    """The same on the other side of the horizontal axis."""
    return outline * np.array([1.0, -1.0])


def _regular(x: float, y: float, size: float, corners: int, turn: float) -> Outline:
    return _oval(x, y, size, size, turn, corners)


def _heart_curve(size: float) -> Outline:
    """The well-known curve of sines and cosines, point down."""
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    x = 16 * np.sin(angle) ** 3
    y = 13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)
    return size * np.stack([x / 16, -(y + 2.5) / 15], axis=1)


def _car() -> Thing:
    cabin = _corners((-0.78, -0.1), (-0.52, -0.62), (0.3, -0.62), (0.62, -0.1))
    body = _corners(
        (-1.15, -0.12),
        (-1.08, -0.2),
        (0.6, -0.2),
        (1.05, -0.08),
        (1.18, 0.1),
        (1.18, 0.38),
        (-1.18, 0.38),
        (-1.18, 0.0),
    )
    panes = (
        _corners((-0.6, -0.15), (-0.42, -0.5), (-0.14, -0.5), (-0.14, -0.15)),
        _corners((-0.02, -0.15), (-0.02, -0.5), (0.24, -0.5), (0.45, -0.15)),
    )
    wheels = [_oval(x, 0.4, size, size) for x in (-0.65, 0.65) for size in (0.3, 0.12)]
    return Thing(
        (
            Part("own", cabin),
            Part("own", body),
            Part("dark", _box(-1.18, 0.22, 1.18, 0.38)),
            *(Part("glass", pane) for pane in panes),
            Part("flame", _box(1.0, 0.0, 1.18, 0.14)),
            *(Part(tone, wheel) for tone, wheel in zip(("black", "white") * 2, wheels, strict=True)),
        ),
        "side",
        "driving",
    )


def _fish() -> Thing:
    return Thing(
        (
            Part("dark", _corners((-0.45, 0.0), (-1.15, -0.55), (-0.95, 0.0), (-1.15, 0.55))),
            Part("dark", _smooth((-0.35, -0.3), (-0.2, -0.85), (0.3, -0.7), (0.4, -0.3))),
            Part(
                "own",
                _smooth(
                    (1.15, 0.05), (0.75, -0.5), (0.1, -0.62), (-0.75, -0.15), (-0.75, 0.15), (0.1, 0.62), (0.75, 0.55)
                ),
            ),
            Part("dark", _smooth((0.02, 0.08), (-0.4, 0.1), (-0.45, 0.42), (0.0, 0.3))),
            Part("white", _oval(0.62, -0.12, 0.18, 0.18)),
            Part("black", _oval(0.67, -0.12, 0.1, 0.1)),
        ),
        "side",
        "swimming",
    )


def _bird() -> Thing:
    return Thing(
        (
            Part("dark", _corners((-0.5, 0.05), (-1.2, -0.12), (-1.12, 0.14), (-1.2, 0.38))),
            Part("beak", _corners((0.9, -0.32), (1.3, -0.12), (0.88, -0.02))),
            Part(
                "own",
                _smooth((0.85, 0.1), (0.5, 0.6), (-0.2, 0.55), (-0.85, 0.15), (-0.6, -0.15), (0.2, -0.25), (0.6, -0.2)),
            ),
            Part("own", _oval(0.65, -0.18, 0.36, 0.36)),
            Part("dark", _corners((0.3, 0.05), (0.05, -0.55), (-0.6, -1.1), (-0.5, -0.45), (-0.42, 0.1), (-0.1, 0.25))),
            Part("white", _oval(0.75, -0.25, 0.13, 0.13)),
            Part("black", _oval(0.78, -0.25, 0.08, 0.08)),
        ),
        "side",
        "flying",
    )


def _boat() -> Thing:
    return Thing(
        (
            Part("wood", _box(-0.1, -1.15, 0.02, 0.4)),
            Part("own", _corners((0.1, -1.1), (0.95, 0.25), (0.1, 0.25))),
            Part("light", _corners((-0.2, -0.95), (-0.2, 0.25), (-0.85, 0.25))),
            Part("dark", _corners((-1.05, 0.38), (1.25, 0.38), (0.8, 0.92), (-0.8, 0.92))),
            Part("own", _corners((-1.05, 0.38), (1.25, 0.38), (1.11, 0.55), (-0.97, 0.55))),
        ),
        "side",
        "sailing",
    )


def _rocket() -> Thing:
    fin = _corners((-0.3, 0.3), (-0.95, 0.85), (-0.85, 0.2))
    return Thing(
        (
            Part("beak", _corners((-0.75, -0.3), (-1.3, 0.0), (-0.75, 0.3))),
            Part("flame", _corners((-0.75, -0.17), (-1.05, 0.0), (-0.75, 0.17))),
            Part("dark", fin),
            Part("dark", _flipped(fin)),
            Part(
                "own",
                _smooth((1.35, 0.0), (0.7, -0.45), (-0.5, -0.5), (-0.95, -0.3), (-0.95, 0.3), (-0.5, 0.5), (0.7, 0.45)),
            ),
            Part("dark", _corners((1.12, 0.0), (0.75, -0.26), (0.62, -0.3), (0.62, 0.3), (0.75, 0.26))),
            Part("white", _oval(0.2, 0.0, 0.25, 0.25)),
            Part("black", _oval(0.2, 0.0, 0.14, 0.14)),
        ),
        "ahead",
        "flying",
    )


def _butterfly() -> Thing:
    front = _smooth((0.1, 0.0), (0.3, 0.8), (0.8, 1.4), (1.2, 1.0), (0.75, 0.45), (0.45, 0.0))
    back = _smooth((0.2, 0.0), (-0.4, 0.15), (-1.1, 0.4), (-1.0, 1.15), (-0.3, 1.15), (0.25, 0.6))
    feeler = _corners((0.5, 0.02), (1.0, 0.28), (1.05, 0.2), (0.55, -0.02))
    parts = [
        ("own", front),
        ("dark", back),
        ("light", _oval(0.68, 0.82, 0.17, 0.17)),
        ("light", _oval(-0.5, 0.7, 0.17, 0.17)),
    ]
    wings = [Part(tone, side(0.88 * outline)) for tone, outline in parts for side in (lambda same: same, _flipped)]
    body = (Part("black", feeler), Part("black", _flipped(feeler)), Part("black", _oval(0.0, 0.0, 0.62, 0.13)))
    return Thing((*wings, *body), "ahead", "flying")


def _tree() -> Thing:
    crown = [
        _oval(-0.42, -0.22, 0.5, 0.48),
        _oval(0.42, -0.22, 0.5, 0.48),
        _oval(0.0, -0.65, 0.52, 0.5),
        _oval(0.0, -0.1, 0.5, 0.4),
    ]
    return Thing(
        (
            Part("wood", _corners((-0.16, 0.0), (0.16, 0.0), (0.24, 1.1), (-0.24, 1.1))),
            *(Part("own", piece) for piece in crown),
            Part("dark", _smooth((-0.85, -0.05), (0.0, 0.22), (0.9, -0.2), (0.7, 0.25), (0.0, 0.4), (-0.75, 0.25))),
            *(Part("light", _oval(x, y, 0.11, 0.11)) for x, y in ((-0.45, -0.35), (0.1, -0.75), (0.42, -0.3))),
        ),
        "upright",
        "moving",
    )


def _cat() -> Thing:
    tail = _smooth((-0.6, 0.05), (-1.2, -0.1), (-1.25, -0.95), (-0.95, -1.0), (-0.98, -0.35), (-0.5, -0.15))
    legs = [_box(left, 0.3, left + 0.2, 0.9) for left in (-0.72, -0.44, 0.12, 0.4)]
    ears = [_corners((0.3, -0.45), (0.34, -1.05), (0.66, -0.7)), _corners((0.72, -0.7), (1.05, -1.05), (1.08, -0.45))]
    return Thing(
        (
            Part("dark", tail),
            *(Part(tone, leg) for tone, leg in zip(("own", "dark", "own", "dark"), legs, strict=True)),
            Part("own", _smooth((-0.95, -0.3), (0.6, -0.3), (0.8, 0.1), (0.6, 0.55), (-0.8, 0.6), (-1.0, 0.2))),
            Part("dark", _corners((-0.55, -0.2), (-0.38, -0.2), (-0.42, 0.2))),
            Part("dark", _corners((-0.2, -0.2), (-0.02, -0.2), (-0.08, 0.2))),
            *(Part("own", ear) for ear in ears),
            Part("own", _oval(0.68, -0.35, 0.44, 0.4)),
            *(Part("black", _oval(x, -0.42, 0.08, 0.1)) for x in (0.56, 0.88)),
            Part("beak", _corners((0.68, -0.25), (0.82, -0.25), (0.75, -0.14))),
        ),
        "side",
        "running",
    )


def _ball() -> Thing:
    """As a football is sewn: a dark five-sided piece in the middle, and five at the rim."""
    turns = [-math.pi / 2 + number * 2 * math.pi / 5 for number in range(5)]
    rim = [
        np.array([(length * math.cos(turn + aside), length * math.sin(turn + aside)) for length, aside in places])
        for turn in turns
        for places in [((0.66, 0.0), (0.8, 0.3), (0.95, 0.3), (0.99, 0.0), (0.95, -0.3), (0.8, -0.3))]
    ]
    seams = [
        np.array(
            [
                (length * math.cos(turn) - side * math.sin(turn), length * math.sin(turn) + side * math.cos(turn))
                for length, side in ((0.3, -0.035), (0.7, -0.035), (0.7, 0.035), (0.3, 0.035))
            ]
        )
        for turn in turns
    ]
    return Thing(
        (
            Part("dark", _oval(0.0, 0.0, 1.06, 1.06, corners=48)),
            Part("own", _oval(0.0, 0.0, 0.98, 0.98, corners=48)),
            *(Part("black", seam) for seam in seams),
            Part("black", _regular(0.0, 0.0, 0.38, 5, -math.pi / 2)),
            *(Part("black", piece) for piece in rim),
        ),
        "rolling",
        "rolling",
    )


def _heart() -> Thing:
    return Thing(
        (
            Part("dark", _heart_curve(1.1)),
            Part("own", _heart_curve(1.0) * 0.92 + np.array([-0.06, -0.05])),
            Part("light", _oval(-0.48, -0.48, 0.26, 0.15, -0.7)),
        ),
        "upright",
        "moving",
    )


def _centred(thing: Thing) -> Thing:
    """The same about the middle of its silhouette's area: a track is that of what is seen."""
    fine = 200
    canvas = np.zeros((4 * fine, 4 * fine), np.uint8)
    for part in thing.parts:
        cv2.fillPoly(canvas, [np.round((part.outline + 2) * fine).astype(np.int32)], 1)
    rows, columns = canvas.nonzero()
    middle = np.array([columns.mean(), rows.mean()]) / fine - 2
    return replace(thing, parts=tuple(replace(part, outline=part.outline - middle) for part in thing.parts))


THINGS: dict[str, Thing] = {
    "car": _centred(_car()),
    "fish": _centred(_fish()),
    "bird": _centred(_bird()),
    "boat": _centred(_boat()),
    "rocket": _centred(_rocket()),
    "butterfly": _centred(_butterfly()),
    "tree": _centred(_tree()),
    "cat": _centred(_cat()),
    "ball": _centred(_ball()),
    "heart": _centred(_heart()),
}
"""Every thing by its name in captions."""


def polygon_distance(points: Points, outline: Outline) -> Distances:
    """Signed distance to a closed polygon, negative inside by the even-odd rule."""
    start = torch.as_tensor(outline, dtype=points.dtype, device=points.device)
    edge = start.roll(-1, 0) - start
    offset = points[..., None, :] - start
    along = ((offset * edge).sum(dim=-1) / edge.square().sum(dim=-1).clamp(min=1e-12)).clamp(0, 1)
    distance = (offset - along[..., None] * edge).norm(dim=-1).amin(dim=-1)
    above, beyond = offset[..., 1] < 0, offset[..., 1] < edge[:, 1]
    side = edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0]
    crossed = (above != beyond) & ((side > 0) == (edge[:, 1] < 0))
    inside = crossed.sum(dim=-1) % 2 == 1
    return torch.where(inside, -distance, distance)


@functools.cache
def _fields(name: str) -> Float[Tensor, "parts lattice lattice"]:
    """Distances to every part of a thing on the lattice."""
    line = torch.linspace(-REACH, REACH, LATTICE)
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    return torch.stack([polygon_distance(places, part.outline) for part in THINGS[name].parts])


def part_distances(
    name: str, points: Float[Tensor, "frames height width 2"]
) -> Float[Tensor, "frames parts height width"]:
    """Signed distances to a thing's parts, negative inside; beyond the lattice those at its edge, all positive."""
    fields = _fields(name).to(points.device)
    return functional.grid_sample(
        fields.expand(len(points), -1, -1, -1), points / REACH, align_corners=True, padding_mode="border"
    )


def tones(name: str, colour: Sequence[int]) -> Float[Tensor, "parts 3"]:
    """The 8-bit RGB of a thing's parts, for an object of this colour."""
    own = torch.tensor(colour, dtype=torch.float32)
    return torch.stack([TONES[part.tone](own) for part in THINGS[name].parts])
