"""The two worlds that models learn from: shapes on patterns, and things and grounds that have names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from motionlift.world import named, scenes
from motionlift.world.judge import CLASSES, NAMED_CLASSES
from motionlift.world.places import PLACES
from motionlift.world.scenes import Scene
from motionlift.world.shapes import SHAPES
from motionlift.world.things import THINGS

STILL_STREAM = 2
"""Draws the moment of a clip that a single frame shows, beside the seed and place of the clip."""
SEEN_AT: dict[str, int] = {"leave": 0, "enter": -1, "behind": 0}
"""The frame in which an object is seen whose motion hides it in others."""


@dataclass(frozen=True)
class World:
    """What is drawn for training, and what tokens can tell of it."""

    draw: Callable[[int, int, int], Scene]
    """A scene of a stream: given its seed, its place in the stream, and how many frames."""
    lone: Callable[[int, int, bool], Scene]
    """A clip of one object: given its seed, its place in the stream, and whether its caption is one that is held out, in which
    case the whole object is seen all the time."""
    classes: Mapping[str, tuple[str, ...]]
    """What a judge tells apart in it."""
    shapes: tuple[str, ...]
    """Names of all objects."""
    grounds: tuple[str, ...]
    """Names of all grounds that are told apart."""
    ground_of: Callable[[Scene], str]
    """The ground of a scene, one of these."""


def faster(scene: Scene, speed: int) -> Scene:
    """The same in as many frames with motion that is so many times as fast; it goes to and fro."""
    if speed == 1:
        return scene
    last = scene.frames - 1
    return scene.moments([last - abs((speed * number) % (2 * last) - last) for number in range(scene.frames)])


def _named_ground(scene: Scene) -> str:
    return f"{scene.background.pattern} {scene.background.colour}"


def _named_scene(seed: int, index: int, frames: int) -> Scene:
    """A clip; or one frame of a clip of seventeen, in which its object is seen: turned, grown and zoomed as it may be."""
    if frames > 1:
        return named.sample_named(seed, index, frames)
    scene = named.sample_named(seed, index)
    drawn = int(np.random.default_rng([seed, index, STILL_STREAM]).integers(scene.frames))
    return seen_moment(scene, drawn)


def seen_moment(scene: Scene, drawn: int) -> Scene:
    """The drawn frame of a scene as a scene of its own; or another in which the first object is seen."""
    return scene.moments([SEEN_AT.get(scene.motion, drawn)])


def _lone_shape(seed: int, index: int, unseen: bool) -> Scene:
    return scenes.sample(seed, index, objects=1, unseen=unseen)


def _lone_named(seed: int, index: int, unseen: bool) -> Scene:
    motion = named.ALWAYS_SEEN[index % len(named.ALWAYS_SEEN)] if unseen else None
    return named.sample_named(seed, index, objects=1, motion=motion, unseen=unseen)


SHAPES_WORLD = World(
    scenes.sample, _lone_shape, CLASSES, tuple(SHAPES), tuple(scenes.BACKGROUNDS), lambda scene: scene.background.colour
)
"""Coloured shapes; of grounds their colours are told apart."""
NAMED_WORLD = World(
    _named_scene,
    _lone_named,
    NAMED_CLASSES,
    (*SHAPES, *THINGS),
    (
        *(f"{pattern} {colour}" for pattern in scenes.PATTERNS for colour in scenes.BACKGROUNDS),
        *(f"{name} {colour}" for name, place in PLACES.items() for colour in place.tones),
    ),
    _named_ground,
)
"""Things and shapes; of grounds what they are and their colours are told apart."""
