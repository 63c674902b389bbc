"""Scenes of things and grounds that have names: a red car on a grey road, a yellow fish in the sea.

They are scenes as :mod:`motionlift.world.scenes` has them, rendered, recorded and displaced by the same functions, in streams
of their own. Shapes and patterned backgrounds are among them, so that what is learned of one kind serves the other. A thing
looks where it goes, in every frame: seen from its side it is mirrored, and turns round with its way, seen from above it is
turned, and a ball rolls. What sways or jumps goes nowhere, and looks to one side. All ranges are ours.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from motionlift.world import scenes
from motionlift.world.places import PLACES
from motionlift.world.scenes import BACKGROUNDS, CAMERAS, COLOURS, PATH_LENGTHS, Background, Scene, SceneObject, Wall
from motionlift.world.shapes import SHAPES
from motionlift.world.things import THINGS

Array = np.ndarray

MOTIONS = (*scenes.MOTIONS, "jump", "sway", "approach", "leave", "enter", "behind")
"""Motions of the first object: as of shapes, and more."""
ALWAYS_SEEN = tuple(motion for motion in MOTIONS if motion not in ("leave", "enter", "behind"))
"""Motions in which the whole object is seen all the time."""
THING_SHARE, PLACE_SHARE = 0.75, 0.7
"""Shares of objects that are things and not shapes, and of grounds that have names and are not patterns."""
RADII = (0.16, 0.24)
"""Least and greatest radius of a lone object; two are smaller by :data:`SMALLER`, one behind a wall by :data:`SMALLEST`."""
SMALLER, SMALLEST = 0.75, 0.6
WALL_WIDTHS = (2.55, 2.7)
"""Least and greatest width of a wall, in radii of what passes behind it: for some frames it hides all of that."""
WALL_ASIDE = 0.03
"""Most that its middle is away from the middle of the way, in the same."""
MARGIN = 1.12
"""How far a thing reaches, in radii, where it must stay inside the frame."""
GOING_WAYS = {"right": 0.0, "down": math.pi / 2, "left": math.pi, "up": -math.pi / 2}
"""Headings by the words for them, radians, clockwise on the screen."""
LEAN = 0.45
"""How much of a path's slope a thing seen from its side takes on."""
LEAST_ACROSS = 0.04
"""Speed across, in widths of the frame a clip, from which a thing seen from its side turns round to look where it goes."""


@dataclass(frozen=True)
class _Course:
    """Where an object goes, as seen from the world, from any start."""

    way: Array
    """``(frames, 2)`` offsets from its place."""
    growth: Array
    """``(frames,)`` factor of its radius."""
    turn: Array
    """``(frames,)`` added orientation, radians."""


def named_vocabulary() -> list[str]:
    """Every word that a caption of these streams can hold, in a fixed order."""
    words = ["a", "an", "and", "on", "in", "the", "behind", "wall", "to", "from", "closer", "coming", "background"]
    words += [
        "moving",
        "entering",
        "leaving",
        "bouncing",
        "spinning",
        "growing",
        "shrinking",
        "jumping",
        "swaying",
        "resting",
    ]
    words += [thing.going for thing in THINGS.values()] + list(GOING_WAYS) + ["arc", "circle", "zigzag"]
    for group in (COLOURS, BACKGROUNDS, SHAPES, THINGS, scenes.PATTERNS, PLACES):
        words += list(group)
    return list(dict.fromkeys(words))


def sample_named(
    seed: int,
    index: int,
    frames: int = 17,
    *,
    objects: int | None = None,
    motion: str | None = None,
    thing: str | None = None,
    camera: str | None = None,
    unseen: bool = False,
    only_named: bool = False,
) -> Scene:
    """Draw one scene.

    The same seed, index and arguments always give the same scene.

    Args:
        seed: names the stream of scenes; the streams of :func:`motionlift.world.scenes.sample` are others.
        index: the scene's place in the stream.
        frames: number of frames, at least one.
        objects: how many objects; by default one in four scenes out of five, else two.
        motion: motion of the first object; by default drawn from :data:`MOTIONS`.
        thing: which thing the first object is; by default drawn.
        camera: camera motion; by default still in two scenes out of three.
        unseen: draw only captions that are held out from training; otherwise only the others. What hides the object, and its
            motion, do not count: a caption is held out with all that is said beside it.
        only_named: draw things and named grounds only, no shapes and patterns.
    """
    rng = np.random.default_rng([seed, index, 1])
    while True:
        count = objects or int(rng.choice([1, 2], p=[0.8, 0.2]))
        chosen_camera = camera or str(rng.choice(CAMERAS, p=[0.66, 0.22, 0.12]))
        pan, zoom = scenes.sample_camera(chosen_camera, frames, rng)
        ground = _draw_ground(rng, only_named)
        colours = [colour for colour in COLOURS if colour not in (ground.colour, *_hidden(ground))]
        chosen = motion or str(rng.choice(MOTIONS))
        items: list[SceneObject] = []
        for colour in rng.choice(colours, size=count, replace=False):
            kind = str(rng.choice(ALWAYS_SEEN)) if items else chosen
            shape = thing if thing and not items else _draw_shape(rng, only_named)
            radius = rng.uniform(*RADII) * (SMALLEST if chosen == "behind" else SMALLER if count > 1 else 1.0)
            item = _draw_object(shape, str(colour), kind, radius, pan, zoom, rng)
            if item is not None:
                items.append(item)
        if len(items) < count:
            continue
        scene = Scene(tuple(items), ground, chosen_camera, pan, zoom)
        if chosen == "behind":
            scene = replace(scene, wall=_wall_across(scene, rng))
        if _apart(scene) and scenes.held_out(replace(scene, wall=None).caption()) == unseen:
            return scene


def _draw_shape(rng: np.random.Generator, only_named: bool) -> str:
    thing = only_named or rng.uniform() < THING_SHARE
    return str(rng.choice(list(THINGS if thing else SHAPES)))


def _draw_ground(rng: np.random.Generator, only_named: bool) -> Background:
    place = only_named or rng.uniform() < PLACE_SHARE
    pattern = str(rng.choice(list(PLACES if place else scenes.PATTERNS)))
    if place:
        tones = list(PLACES[pattern].tones)
        # The first is the usual one: as often as all others together.
        shares = [0.5, *[0.5 / (len(tones) - 1)] * (len(tones) - 1)]
        return Background(pattern, str(rng.choice(tones, p=shares)), 0.0, 1.0, 0.0, int(rng.integers(2**31)))
    angle = float(rng.choice([0.0, 0.25, 0.5, 0.75]) * math.pi + rng.uniform(-0.1, 0.1))
    colour = str(rng.choice(list(BACKGROUNDS)))
    return Background(pattern, colour, angle, float(rng.uniform(0.28, 0.42)), float(rng.uniform()))


def _hidden(ground: Background) -> tuple[str, ...]:
    place = PLACES.get(ground.pattern)
    return place.hides if place and ground.colour == next(iter(place.tones)) else ()


def _draw_object(
    shape: str, colour: str, motion: str, radius: float, pan: Array, zoom: Array, rng: np.random.Generator
) -> SceneObject | None:
    """An object in a place of its own, or None where its path does not fit into the frame."""
    time = np.linspace(0, 1, len(zoom))
    radius /= math.sqrt(zoom[0] * zoom[-1])
    thing = THINGS.get(shape)
    heading = _draw_heading(thing.facing if thing else "upright", rng)
    course = _course(motion, time, heading, radius, rng)
    radii = radius * course.growth
    if motion in ("leave", "enter"):
        base = _through_the_edge(motion, heading, radius, pan, zoom, rng)
        centre = base[:1] + (base[1:] - base[:1]) * time[:, None]
    else:
        margin = np.minimum(radii * zoom * MARGIN, 0.46)
        place = scenes.fitting_base(course.way, pan, zoom, margin, rng)
        if place is None:
            return None
        centre = place + course.way
    angle = np.full_like(time, rng.uniform(-0.12, 0.12)) + course.turn
    mirrored = None
    if thing:
        angle, mirrored = _facing(thing.facing, centre, angle, motion, radius, rng)
    going = thing.going if thing else "moving"
    return SceneObject(shape, colour, motion, centre, radii, angle, mirrored, _doing(motion, going, centre, course))


def _draw_heading(facing: str, rng: np.random.Generator) -> float:
    """What is seen from its side goes to a side, mostly; all go along an axis, or nearly."""
    sideways = 0.85 if facing in ("side", "rolling") else 0.5
    ways = list(GOING_WAYS.values())
    return float(rng.choice(ways, p=[sideways / 2, (1 - sideways) / 2] * 2) + rng.uniform(-0.3, 0.3))


def _course(motion: str, time: Array, heading: float, radius: float, rng: np.random.Generator) -> _Course:
    way, growth, turn = np.zeros((len(time), 2)), np.ones_like(time), np.zeros_like(time)
    ahead = np.array([math.cos(heading), math.sin(heading)])
    length = rng.uniform(*PATH_LENGTHS)
    if motion == "line":
        way = time[:, None] * length * ahead
    elif motion == "behind":
        ahead = np.array([rng.choice([-1.0, 1.0]), rng.uniform(-0.15, 0.15)])
        way = time[:, None] * (1 - 2 * MARGIN * radius) * rng.uniform(0.94, 1.0) * ahead
    elif motion in ("arc", "circle", "zigzag", "bounce"):
        way = scenes.path(motion, time, rng) * length
    elif motion == "spin":
        turn = rng.choice([-1, 1]) * rng.uniform(0.6, 1.2) * math.pi * time
    elif motion == "growth":
        growth = rng.uniform(1.5, 2.0) ** ((time - 0.5) * rng.choice([-1, 1]))
    elif motion == "jump":
        hops = rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2])
        phase = (hops * time) % 1
        way[:, 1] = -4 * rng.uniform(0.18, 0.36) * phase * (1 - phase)
    elif motion == "sway":
        turn = rng.choice([-1, 1]) * rng.uniform(0.3, 0.55) * np.sin(2 * math.pi * time * rng.choice([1.0, 1.5, 2.0]))
        # About its foot.
        way = radius * np.stack([np.sin(turn), -np.cos(turn)], axis=1)
    elif motion == "approach":
        growth = rng.uniform(1.9, 2.5) ** (time - 0.65)
        drift = rng.uniform(-0.1, 0.1, 2)
        way = time[:, None] * np.array([drift[0], abs(drift[1])])
    return _Course(way, growth, turn)


def _through_the_edge(
    motion: str, heading: float, radius: float, pan: Array, zoom: Array, rng: np.random.Generator
) -> Array:
    """Start and end in the world, ``(2, 2)``: one well inside the frame, the other where nothing is seen any more."""
    ahead = np.array([math.cos(heading), math.sin(heading)])
    axis = int(abs(ahead[1]) > abs(ahead[0]))
    last, first = (-1, 0) if motion == "leave" else (0, -1)
    room = MARGIN * radius * zoom[first]
    inside = rng.uniform(np.minimum(room, 0.45), 1 - np.minimum(room, 0.45), 2)
    side = np.sign(ahead[axis]) * (1 if motion == "leave" else -1)
    inside[axis] = 0.5 - side * rng.uniform(-0.05, max(0.05, 0.45 - room))
    outside = inside.copy()
    outside[axis] = 0.5 + side * (0.5 + 1.25 * radius * zoom[last])
    screen = np.stack([inside, outside] if motion == "leave" else [outside, inside])
    ends = [0, -1]
    return 0.5 + (screen - 0.5) / zoom[ends, None] + pan[ends]


def _facing(
    facing: str, centre: Array, angle: Array, motion: str, radius: float, rng: np.random.Generator
) -> tuple[Array, Array | None]:
    """Orientation and mirroring of a thing along its path, ``(frames,)`` each; no mirroring where it never is."""
    steps = np.gradient(centre, axis=0) if len(centre) > 1 else np.zeros_like(centre)
    travels = motion in ("line", "arc", "circle", "zigzag", "bounce", "leave", "enter", "behind")
    if facing == "rolling" and travels:
        return angle + (centre[:, 0] - centre[0, 0]) / radius, None
    if facing == "ahead":
        if not travels or not steps.any():
            return angle - math.pi / 2, None
        # A corner is taken in five frames of seventeen, not at once.
        width = max(1, round(len(centre) / 8))
        near = np.stack(
            [np.roll(np.pad(steps, ((width, width), (0, 0)), "edge"), shift, 0) for shift in range(-width, width + 1)]
        )
        smooth = near.mean(axis=0)[width:-width]
        return angle + np.unwrap(np.arctan2(smooth[:, 1], smooth[:, 0])), None
    if facing == "side":
        net = centre[-1, 0] - centre[0, 0]
        across = net if abs(net) > 0.02 else steps[: max(1, len(steps) // 4), 0].sum()
        left = bool(across < 0) if travels and abs(across) > 1e-6 else bool(rng.uniform() < 0.5)
        # What sways rocks about its foot, and is not to turn round with every swing.
        mirrored = np.full(len(centre), left) if motion == "sway" else _looks_left(centre[:, 0], left)
        if motion in ("line", "leave", "enter", "behind"):
            slope = math.atan2(centre[-1, 1] - centre[0, 1], abs(net) + 0.1)
            angle = angle + LEAN * slope * np.where(mirrored, -1, 1)
        return angle, mirrored
    return angle, None


def _looks_left(places: Array, otherwise: bool) -> Array:
    """Whether something at these places along x, ``(frames,)``, looks to the left in each frame: where it goes next.

    Where it hardly goes across it looks as it did before, or will at first; ``otherwise`` where it never goes across.
    """
    steps = np.diff(places, append=2 * places[-1:] - places[-2:-1])
    fast = np.flatnonzero(np.abs(steps) * max(1, len(places) - 1) > LEAST_ACROSS)
    if not len(fast):
        return np.full(len(places), otherwise)
    latest = np.searchsorted(fast, np.arange(len(places)), side="right") - 1
    return steps[fast[np.maximum(latest, 0)]] < 0


def _doing(motion: str, going: str, centre: Array, course: _Course) -> str:
    """How a caption names a motion."""
    moved = centre[-1] - centre[0]
    axis = int(abs(moved[1]) > abs(moved[0]))
    way = (("left", "right"), ("up", "down"))[axis][int(moved[axis] > 0)]
    opposite = {"left": "right", "right": "left", "up": "down", "down": "up"}[way]
    toward = f"to the {way}" if axis == 0 else way
    turning = {"arc": "in an arc", "circle": "in a circle", "zigzag": "in a zigzag"}
    if motion in turning:
        return f"{going} {turning[motion]}"
    return {
        "rest": "resting",
        "line": f"{going} {toward}",
        "behind": f"{going} {toward}",
        "bounce": f"bouncing {toward}",
        "spin": "spinning",
        "growth": "growing" if course.growth[-1] > course.growth[0] else "shrinking",
        "jump": "jumping",
        "sway": "swaying",
        "approach": "coming closer",
        "leave": f"leaving {toward}",
        "enter": f"entering from the {opposite}",
    }[motion]


def _wall_across(scene: Scene, rng: np.random.Generator) -> Wall:
    """A wall about the middle of the first object's path, which hides all of it there."""
    centre, radius = scene.objects[0].centre, float(scene.objects[0].radius[0])
    middle = (centre[0, 0] + centre[-1, 0]) / 2 + radius * rng.uniform(-WALL_ASIDE, WALL_ASIDE)
    return Wall(float(middle), radius * float(rng.uniform(*WALL_WIDTHS)))


def _apart(scene: Scene) -> bool:
    """Whether two objects never cover each other by more than a little."""
    if len(scene.objects) == 1:
        return True
    first, second = scene.objects
    distance = np.linalg.norm(first.centre - second.centre, axis=-1)
    return bool((distance > 0.85 * (first.radius + second.radius)).all())
