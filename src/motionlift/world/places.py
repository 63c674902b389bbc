"""Grounds that have names: a sky with clouds, a sea, grass, a road, a night with stars, sand.

Each is a picture of a square of the world somewhat larger than any camera sees, made anew from a seed, with detail on which
the eye, or a tracker, can see the camera move. Places and sizes of all detail are in world units, so that a ground looks the
same at any size. All tones and sizes are ours.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Array = np.ndarray
Picture = np.ndarray
Tones = tuple[tuple[int, int, int], ...]

LOW, SPAN = -0.55, 2.1
"""Lower end and length of the part of the world that is pictured, along both axes: cameras see -0.49 to 1.49."""
FINENESS = 1.5
"""Points of a picture for a pixel of the frame, along a side."""
LEAST_SIDE = 64
"""Frames smaller than this are read from pictures made for it, pixels."""


@dataclass(frozen=True)
class Place:
    """A kind of ground."""

    tones: dict[str, Tones]
    """By name of its colour, the 8-bit tones that it is painted in."""
    usual: str | None
    """The colour that its caption leaves out, if any."""
    named: str
    """How a caption names it in its usual colour."""
    coloured: str
    """How a caption names it with its colour."""
    hides: tuple[str, ...]
    """Colours that are too like its own to be told apart."""
    paint: Callable[[Array, Array, Tones, np.random.Generator], Picture]
    """Paints it, 0..255, given world positions ``(n, n)`` x and y, its tones and what draws its detail."""


def _blend(picture: Picture, tone: tuple[int, int, int], cover: Array) -> Picture:
    return picture + (np.array(tone, np.float32) - picture) * np.clip(cover, 0, 1)[..., None]


def _plain(x: Array, tone: tuple[int, int, int]) -> Picture:
    return np.broadcast_to(np.array(tone, np.float32), (*x.shape, 3)).copy()


def _noise(x: Array, across: int, down: int, rng: np.random.Generator) -> Array:
    """Smooth noise of deviation about one, with so many independent values along each side."""
    values = rng.standard_normal((down, across)).astype(np.float32)
    return cv2.resize(values, x.shape[::-1], interpolation=cv2.INTER_CUBIC)


def _soft(x: Array, distance: Array) -> Array:
    """How much of a point lies inside an outline at a signed distance in world units."""
    return 0.5 - distance / (SPAN / len(x)) / FINENESS


def _strewn(count: int, rng: np.random.Generator) -> Array:
    """Places all over the picture, one somewhere in each field of a lattice, ``(count * count, 2)``."""
    fields = np.stack(np.meshgrid(np.arange(count), np.arange(count)), axis=-1).reshape(-1, 2)
    return LOW + SPAN * (fields + rng.uniform(0.1, 0.9, fields.shape)) / count


def _fill(picture: Picture, outlines: Array, tone: tuple[int, int, int]) -> None:
    """Fill small convex outlines ``(number, corners, 2)`` in place, softened."""
    places = np.round((outlines - LOW) / SPAN * len(picture) * 16 - 8).astype(np.int32)
    for outline in places:
        cv2.fillConvexPoly(picture, outline, tone, cv2.LINE_AA, shift=4)


def _sky(x: Array, y: Array, tones: Tones, rng: np.random.Generator) -> Picture:
    high, low, cloud, shade = tones
    picture = _blend(_plain(x, high), low, (y - LOW) / SPAN)
    for centre in _strewn(4, rng):
        puffs = [(-0.12, 0.0, 0.055), (-0.045, -0.035, 0.075), (0.05, -0.045, 0.085), (0.13, 0.0, 0.06)]
        size, stretch = rng.uniform(0.7, 1.35), rng.choice([-1, 1])
        near = np.abs(x[0] - centre[0]) < 0.4, np.abs(y[:, 0] - centre[1]) < 0.3
        window = np.ix_(near[1], near[0])
        if not near[0].any() or not near[1].any():
            continue
        distance = np.min(
            [
                np.hypot(x[window] - centre[0] - stretch * size * across, y[window] - centre[1] - size * down)
                - size * radius
                for across, down, radius in puffs
            ],
            axis=0,
        )
        floor = y[window] - centre[1] - 0.03 * size
        cover = _soft(x, np.maximum(distance, floor))
        picture[window] = _blend(picture[window], shade, cover)
        upper = _soft(x, np.maximum(distance + 0.012 * size, floor + 0.025 * size))
        picture[window] = _blend(picture[window], cloud, upper)
    return picture


def _sea(x: Array, y: Array, tones: Tones, rng: np.random.Generator) -> Picture:
    deep, bright, foam = tones
    picture = _blend(_plain(x, deep), bright, 0.5 + 0.3 * _noise(x, 7, 9, rng))
    period, start = rng.uniform(0.13, 0.16), rng.uniform()
    row = np.floor(y / period + start)
    phase = 2.4 * row + rng.uniform(0, 6)
    wave = 0.2 * np.abs(np.sin(math.pi * x / rng.uniform(0.13, 0.17) + phase))
    crest = ((y / period + start) % 1 - 0.45 - wave) * period
    stretch = np.sin(2 * math.pi * x / 0.55 + 1.7 * row * row + rng.uniform(0, 6)) > -0.2
    return _blend(picture, foam, 0.9 * _soft(x, np.abs(crest) - 0.011) * stretch)


def _grass(x: Array, y: Array, tones: Tones, rng: np.random.Generator) -> Picture:
    base, pale, blade, flower = tones
    picture = np.ascontiguousarray(_blend(_plain(x, base), pale, 0.5 + 0.45 * _noise(x, 8, 8, rng)))
    tufts = _strewn(12, rng)
    size = rng.uniform(0.055, 0.085, (len(tufts), 1, 1))
    for lean in (-0.75, 0.0, 0.75):
        form = np.array([(-0.16, 0.0), (lean, -1.0 + 0.3 * abs(lean)), (0.16, 0.0)])
        _fill(picture, tufts[:, None] + size * form, blade)
    flowers = _strewn(6, rng)
    angle = np.arange(8) * math.pi / 4
    _fill(picture, flowers[:, None] + 0.02 * np.stack([np.cos(angle), np.sin(angle)], axis=1), flower)
    return picture


def _road(x: Array, y: Array, tones: Tones, rng: np.random.Generator) -> Picture:
    asphalt, speck, verge, line = tones
    middle, half = rng.uniform(0.4, 0.6), rng.uniform(0.38, 0.44)
    picture = _blend(
        _plain(x, asphalt), speck, 0.35 * np.maximum(_noise(x, 70, 70, rng), 0) + 0.2 * _noise(x, 9, 9, rng)
    )
    beside = _blend(_plain(x, verge), (0, 0, 0), 0.12 + 0.12 * _noise(x, 24, 24, rng))
    away = np.abs(y - middle)
    outside = np.clip(_soft(x, half - away), 0, 1)[..., None]
    picture = picture + (beside - picture) * outside
    picture = _blend(picture, line, _soft(x, np.abs(away - half + 0.05) - 0.014))
    period = rng.uniform(0.34, 0.42)
    dash = (np.abs((x / period + rng.uniform()) % 1 - 0.5) - 0.29) * period
    return _blend(picture, line, _soft(x, np.maximum(away - 0.022, dash)))


def _night(x: Array, y: Array, tones: Tones, rng: np.random.Generator) -> Picture:
    dark, less, star, moon = tones
    picture = _blend(_plain(x, dark), less, (y - LOW) / SPAN)
    picture = np.ascontiguousarray(picture)
    places = _strewn(10, rng)
    size = 0.013 + 0.03 * rng.uniform(0, 1, (len(places), 1, 1)) ** 2
    for turn in (0.0, math.pi / 2):
        form = np.array([(-1.0, 0.0), (0.0, -0.25), (1.0, 0.0), (0.0, 0.25)])
        cosine, sine = math.cos(turn), math.sin(turn)
        _fill(picture, places[:, None] + size * (form @ np.array([[cosine, sine], [-sine, cosine]])), star)
    centre, radius = rng.uniform(0.15, 0.85, 2), rng.uniform(0.09, 0.13)
    disc = np.hypot(x - centre[0], y - centre[1]) - radius
    bite = np.hypot(x - centre[0] - 0.45 * radius, y - centre[1] + 0.25 * radius) - 0.85 * radius
    return _blend(picture, moon, _soft(x, np.maximum(disc, -bite)))


def _sand(x: Array, y: Array, tones: Tones, rng: np.random.Generator) -> Picture:
    base, pale, ripple, pebble = tones
    picture = _blend(_plain(x, base), pale, 0.5 + 0.4 * _noise(x, 8, 8, rng))
    bend = 0.035 * _noise(x, 8, 8, rng) + 0.03 * np.sin(2 * math.pi * x / 0.7 + rng.uniform(0, 6))
    line = ((y + bend) / 0.17 + rng.uniform()) % 1
    broken = 0.5 + 0.6 * _noise(x, 9, 14, rng)
    picture = _blend(picture, ripple, 0.75 * np.maximum(1 - line / 0.35, 0) * np.clip(broken, 0, 1))
    picture = np.ascontiguousarray(picture)
    angle = np.arange(8) * math.pi / 4
    for count, width in ((8, 0.016), (5, 0.026)):
        stones = _strewn(count, rng)
        _fill(picture, stones[:, None] + width * np.stack([np.cos(angle), 0.7 * np.sin(angle)], axis=1), pebble)
    return picture


PLACES: dict[str, Place] = {
    "sky": Place(
        {
            "blue": ((80, 155, 235), (165, 210, 248), (255, 255, 255), (205, 222, 240)),
            "red": ((175, 75, 80), (235, 140, 105), (255, 215, 190), (215, 130, 120)),
            "purple": ((105, 75, 160), (180, 135, 205), (240, 220, 250), (160, 125, 190)),
        },
        "blue",
        "in the sky",
        "in a {} sky",
        ("white", "cyan"),
        _sky,
    ),
    "sea": Place(
        {
            "blue": ((20, 75, 150), (35, 105, 185), (150, 205, 240)),
            "green": ((15, 95, 95), (30, 130, 120), (150, 225, 205)),
        },
        "blue",
        "in the sea",
        "in a {} sea",
        ("cyan",),
        _sea,
    ),
    "grass": Place(
        {
            "green": ((62, 130, 50), (95, 160, 62), (32, 92, 38), (250, 235, 150)),
            "brown": ((125, 100, 50), (160, 130, 70), (84, 66, 32), (240, 215, 170)),
        },
        "green",
        "on the grass",
        "on {} grass",
        (),
        _grass,
    ),
    "road": Place(
        {
            "grey": ((92, 92, 97), (150, 150, 155), (86, 122, 66), (238, 238, 238)),
            "brown": ((120, 88, 58), (165, 130, 95), (86, 122, 66), (225, 205, 165)),
        },
        None,
        "on a {} road",
        "on a {} road",
        (),
        _road,
    ),
    "night": Place(
        {
            "blue": ((10, 14, 45), (26, 34, 80), (255, 250, 220), (250, 240, 190)),
            "purple": ((36, 12, 52), (66, 28, 88), (255, 250, 220), (250, 240, 190)),
        },
        "blue",
        "in the night",
        "in a {} night",
        (),
        _night,
    ),
    "sand": Place(
        {
            "brown": ((214, 184, 128), (234, 210, 160), (170, 136, 84), (128, 104, 74)),
            "red": ((186, 104, 70), (208, 132, 94), (136, 66, 44), (98, 54, 42)),
        },
        "brown",
        "on the sand",
        "on {} sand",
        ("yellow", "white", "orange"),
        _sand,
    ),
}
"""Every named ground by its name in captions."""


def place_phrase(name: str, colour: str) -> str:
    """How a caption names a ground, such as ``in the sea`` or ``on red sand``."""
    place = PLACES[name]
    return place.named if colour == place.usual else place.coloured.format(colour)


@functools.lru_cache(maxsize=4)
def _pictured(name: str, colour: str, seed: int, points: int) -> Float[Tensor, "1 3 points points"]:
    line = LOW + SPAN * (np.arange(points, dtype=np.float32) + 0.5) / points
    x, y = np.meshgrid(line, line)
    picture = PLACES[name].paint(x, y, PLACES[name].tones[colour], np.random.default_rng(seed))
    return torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None] / 255


def place_colours(
    name: str, colour: str, seed: int, world: Float[Tensor, "frames height width 2"]
) -> Float[Tensor, "frames height width 3"]:
    """Colours 0..1 of a named ground at positions in the world.

    Args:
        name: a key of :data:`PLACES`.
        colour: one of the place's.
        seed: draws its detail.
        world: positions; those beyond the picture show its edge.
    """
    side = max(LEAST_SIDE, *world.shape[1:3])
    picture = _pictured(name, colour, seed, math.ceil(FINENESS * SPAN * side)).to(world.device)
    grid = 2 * (world - LOW) / SPAN - 1
    pictures = picture.expand(len(world), -1, -1, -1)
    return functional.grid_sample(pictures, grid, align_corners=False, padding_mode="border").permute(0, 2, 3, 1)
