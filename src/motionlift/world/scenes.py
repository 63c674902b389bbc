"""A world of small videos whose motion is known exactly.

A :class:`Scene` says everything about one clip: its objects, their paths, the background, the camera. :func:`sample`
draws scenes from a seed; :func:`render` turns a batch of scenes into frames and masks; :func:`displacement` gives the
true motion of every pixel between any two frames. Positions are shares of the frame's width and height, x then y, y
pointing down, the frame spanning 0..1.

All ranges and colours are ours: objects large enough for their shape to survive an autoencoder at 64x64, and paths that
keep an object inside the frame.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from motionlift.world.places import PLACES, place_colours, place_phrase
from motionlift.world.shapes import SHAPES
from motionlift.world.things import part_distances, tones

Array = np.ndarray

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 45, 45),
    "green": (60, 190, 70),
    "blue": (60, 95, 235),
    "yellow": (245, 220, 50),
    "purple": (170, 70, 215),
    "orange": (250, 140, 30),
    "cyan": (60, 215, 220),
    "white": (245, 245, 245),
}
"""Object colours by name, as 8-bit RGB."""

BACKGROUNDS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "red": ((90, 20, 25), (140, 45, 45)),
    "green": ((20, 70, 35), (45, 115, 60)),
    "blue": ((20, 30, 95), (45, 65, 150)),
    "purple": ((60, 25, 80), (100, 55, 130)),
    "brown": ((75, 50, 25), (125, 90, 55)),
    "grey": ((60, 60, 62), (110, 110, 112)),
}
"""Background colours by name: a dark and a light tone of each, as 8-bit RGB."""

PATTERNS = ("plain", "striped", "checkered", "gradient")
MOTIONS = ("rest", "line", "arc", "circle", "zigzag", "bounce", "spin", "growth")
CAMERAS = ("still", "pan", "zoom")

PATH_LENGTHS = (0.35, 0.75)
"""Least and greatest length of a path, shares of the frame: at most three pixels a frame for seventeen frames of 64."""

WALL_TONES = ((92, 82, 78), (128, 116, 108), (66, 58, 56))
"""Bricks, every second of them, and what is between: 8-bit RGB."""
BRICK = (0.075, 0.012)
"""Height of a course of bricks and of what is between two, world units."""

HELD_OUT_SHARE = 0.1
"""Share of all captions that training never sees as a whole."""


@dataclass(frozen=True)
class Background:
    """What lies behind the objects, fixed in the world and seen through the camera."""

    pattern: str
    """One of :data:`PATTERNS`, or a key of :data:`motionlift.world.places.PLACES`."""
    colour: str
    """One of :data:`BACKGROUNDS`; of a named ground one of its own."""
    angle: float
    """Direction of the pattern, radians."""
    period: float
    """Width of a pair of stripes or checks, share of the frame."""
    phase: float
    """Offset of the pattern, in periods."""
    seed: int = 0
    """Draws the detail of a named ground."""

    def tones(self) -> tuple[tuple[int, int, int], ...]:
        """The 8-bit RGB that it is painted in."""
        if self.pattern in PLACES:
            return PLACES[self.pattern].tones[self.colour]
        dark, light = BACKGROUNDS[self.colour]
        return (dark,) if self.pattern == "plain" else (dark, light)

    def phrase(self) -> str:
        """How a caption names it, after the objects."""
        if self.pattern in PLACES:
            return place_phrase(self.pattern, self.colour)
        return f"on {article(self.colour)} {self.colour} {self.pattern} background"


@dataclass(frozen=True)
class Wall:
    """A brick wall from above the frame to below it, fixed in the world, before the objects."""

    centre: float
    """Where its middle is, world position along x."""
    width: float
    """Its width, world units."""


@dataclass(frozen=True)
class SceneObject:
    """One object and its path in the world."""

    shape: str
    """A key of :data:`motionlift.world.shapes.SHAPES` or :data:`motionlift.world.things.THINGS`."""
    colour: str
    """A key of :data:`COLOURS`."""
    motion: str
    """One of :data:`MOTIONS`, or of :data:`motionlift.world.named.MOTIONS`."""
    centre: Array
    """``(frames, 2)`` centre in world positions."""
    radius: Array
    """``(frames,)`` radius in world units."""
    angle: Array
    """``(frames,)`` orientation in radians, clockwise on the screen."""
    mirrored: Array | None = None
    """``(frames,)`` whether it is drawn left to right in each, before it is turned; None where in none."""
    doing: str = ""
    """How a caption names its motion, such as ``driving to the left``; where empty, by the name of the motion."""


@dataclass(frozen=True)
class Scene:
    """Everything about one clip."""

    objects: tuple[SceneObject, ...]
    """One or two objects; the later ones lie above the earlier ones."""
    background: Background
    """What lies behind."""
    camera: str
    """One of :data:`CAMERAS`."""
    pan: Array
    """``(frames, 2)`` camera offset in world positions."""
    zoom: Array
    """``(frames,)`` magnification about the middle of the frame."""
    wall: Wall | None = None
    """What objects pass behind, if anything."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.zoom)

    @property
    def motion(self) -> str:
        """Motion class of the clip: that of its first object."""
        return self.objects[0].motion

    def moments(self, shown: Sequence[int] | slice) -> "Scene":
        """The same with some of its frames only, by their numbers or a slice."""
        items = tuple(
            replace(
                item,
                centre=item.centre[shown],
                radius=item.radius[shown],
                angle=item.angle[shown],
                mirrored=None if item.mirrored is None else item.mirrored[shown],
            )
            for item in self.objects
        )
        return replace(self, objects=items, pan=self.pan[shown], zoom=self.zoom[shown])

    def tracks(self) -> Array:
        """Centres on the screen, ``(objects, frames, 2)``, as shares of the frame."""
        world = np.stack([item.centre for item in self.objects])
        return 0.5 + self.zoom[None, :, None] * (world - 0.5 - self.pan[None])

    def caption(self, name_motion: bool = False) -> str:
        """A sentence for what is seen; it names no motion unless asked, and then that of the first object."""
        named = [f"{article(item.colour)} {item.colour} {item.shape}" for item in self.objects]
        if name_motion and self.objects[0].doing:
            named[0] += f" {self.objects[0].doing}"
        things = " and ".join(named)
        if name_motion and self.motion != "rest" and not self.objects[0].doing:
            things += f" moving in a {self.motion}" if self.motion not in ("spin", "growth") else f" in {self.motion}"
        behind = " behind a wall" if self.wall else ""
        return f"{things}{behind} {self.background.phrase()}"

    def record(self) -> dict:
        """The scene as JSON-ready data; tracks on the screen, sizes as shares of the width in the first frame.

        Of things and grounds that have names it holds all that the picture is drawn from, to the last digit.
        """
        tracks = self.tracks()
        record: dict = {
            "caption": self.caption(),
            "motion": self.motion,
            "camera": self.camera,
            "background": {
                "pattern": self.background.pattern,
                "colour": self.background.colour,
                "rgb": [list(tone) for tone in self.background.tones()],
            },
            "objects": [
                {
                    "shape": item.shape,
                    "colour": item.colour,
                    "rgb": list(COLOURS[item.colour]),
                    "motion": item.motion,
                    "size": round(float(2 * item.radius[0] * self.zoom[0]), 6),
                    "orientation": round(float(item.angle[0]), 6),
                    "track": [[round(float(x), 6), round(float(y), 6)] for x, y in track],
                }
                for item, track in zip(self.objects, tracks, strict=True)
            ],
        }
        if self.objects[0].doing:
            record |= {"caption_with_motion": self.caption(name_motion=True)}
            record |= {"pan": self.pan.tolist(), "zoom": self.zoom.tolist()}
            ground = self.background
            record["background"] |= {name: getattr(ground, name) for name in ("angle", "period", "phase", "seed")}
            for entry, item, track, shares in zip(record["objects"], self.objects, tracks, shown(self), strict=True):
                mirrored = np.zeros(self.frames, bool) if item.mirrored is None else item.mirrored
                entry |= {
                    "track": track.tolist(),
                    "mirrored": mirrored.tolist(),
                    "doing": item.doing,
                    "radius": (item.radius * self.zoom).tolist(),
                    "angle": item.angle.tolist(),
                    "shown": _rounded(shares),
                }
        if self.wall:
            edges = np.array([[-0.5], [0.5]]) * self.wall.width + self.wall.centre - self.pan[:, 0] - 0.5
            sides = dict(zip(("left", "right"), 0.5 + edges * self.zoom, strict=True))
            exact = bool(self.objects[0].doing)
            record["wall"] = {side: places.tolist() if exact else _rounded(places) for side, places in sides.items()}
        return record


@dataclass(frozen=True)
class Rendering:
    """Frames and masks of a batch of scenes."""

    frames: UInt8[Tensor, "scenes frames height width 3"]
    """RGB, 0..255."""
    masks: Bool[Tensor, "scenes objects frames height width"]
    """Where each object is the topmost thing; missing objects are all false."""


def _rounded(values: Array) -> list[float]:
    return [round(float(value), 6) for value in values]


def article(word: str) -> str:
    """The indefinite one that stands before a word."""
    return "an" if word[0] in "aeiou" else "a"


def held_out(caption: str) -> bool:
    """Whether a caption is kept from training: a fixed tenth of all captions, by hash."""
    digest = hashlib.sha256(caption.encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def vocabulary() -> list[str]:
    """Every word a caption can hold, in a fixed order."""
    words = ["a", "an", "and", "on", "in", "moving", "background"]
    for group in (COLOURS, BACKGROUNDS, SHAPES, PATTERNS, MOTIONS):
        words += [word for word in group if word not in words]
    return words


def path(motion: str, time: Array, rng: np.random.Generator) -> Array:
    """A path ``(frames, 2)`` of length one, starting anywhere, for a motion class; time runs 0..1."""
    fine = np.linspace(0, 1, 257)
    whole = _curve(motion, np.concatenate([time, fine]), rng)
    length = np.linalg.norm(np.diff(whole[len(time) :], axis=0), axis=-1).sum()
    return whole[: len(time)] / max(length, 1e-9)


def _curve(motion: str, time: Array, rng: np.random.Generator) -> Array:
    """The form of a path, of any size, turned to a random heading."""
    heading = rng.uniform(0, 2 * math.pi)
    along, aside = np.zeros_like(time), np.zeros_like(time)
    if motion == "line":
        along = time
    elif motion == "arc":
        sweep = rng.uniform(0.6, 1.1) * math.pi
        along, aside = np.sin(sweep * (time - 0.5)) / 2, np.cos(sweep * (time - 0.5)) / 2
    elif motion == "circle":
        turn = 2 * math.pi * time * rng.choice([-1, 1])
        along, aside = np.cos(turn) / 2, np.sin(turn) / 2
    elif motion == "zigzag":
        turns = rng.choice([1.5, 2.0])
        along, aside = time, 0.4 * np.abs(2 * ((turns * time) % 1) - 1)
    elif motion == "bounce":
        hops = rng.choice([1, 2])
        heading = rng.choice([0, math.pi]) + rng.uniform(-0.15, 0.15)
        phase = (hops * time) % 1
        along, aside = 0.7 * time, (-1 if math.cos(heading) > 0 else 1) * 2.6 * phase * (1 - phase)
    cosine, sine = math.cos(heading), math.sin(heading)
    return np.stack([along * cosine - aside * sine, along * sine + aside * cosine], axis=-1)


def fitting_base(way: Array, pan: Array, zoom: Array, margin: Array, rng: np.random.Generator) -> Array | None:
    """A starting place in the world that keeps the path inside the frame, or None if there is none."""
    room = ((0.5 - margin) / zoom)[:, None]
    low = (0.5 - room + pan - way).max(axis=0)
    high = (0.5 + room + pan - way).min(axis=0)
    return None if (low > high).any() else rng.uniform(low, high)


def _sample_object(
    shape: str, colour: str, pan: Array, zoom: Array, rng: np.random.Generator, motion: str
) -> tuple[SceneObject, float]:
    time = np.linspace(0, 1, len(zoom))
    radius = np.full_like(time, rng.uniform(0.13, 0.2)) / math.sqrt(zoom[0] * zoom[-1])
    angle = np.full_like(time, rng.uniform(-0.3, 0.3))
    if motion == "spin":
        angle = angle + rng.choice([-1, 1]) * rng.uniform(0.5, 1.0) * math.pi * time
    if motion == "growth":
        factor = rng.uniform(1.5, 2.0)
        radius = radius * factor ** ((time - 0.5) * rng.choice([-1, 1]))
    way = path(motion, time, rng) * rng.uniform(*PATH_LENGTHS)
    margin = np.minimum(radius * zoom * 1.05, 0.4)
    scale = 1.0
    while (base := fitting_base(scale * way, scale * pan, zoom, margin, rng)) is None:
        scale *= 0.8
        if scale < 0.05:
            base, scale = np.array([0.5, 0.5]), 0.0
            break
    return SceneObject(shape, colour, motion, base + scale * way, radius, angle), scale


def sample_camera(camera: str, frames: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Offset ``(frames, 2)`` and magnification ``(frames,)`` of a camera of :data:`CAMERAS`."""
    time = np.linspace(0, 1, frames)
    pan, zoom = np.zeros((frames, 2)), np.ones(frames)
    if camera == "pan":
        heading = rng.uniform(0, 2 * math.pi)
        pan = time[:, None] * rng.uniform(0.15, 0.35) * np.array([math.cos(heading), math.sin(heading)])
    if camera == "zoom":
        zoom = rng.uniform(1.25, 1.6) ** ((time - 0.5) * rng.choice([-1, 1]))
    return pan, zoom


def sample(
    seed: int,
    index: int,
    frames: int = 17,
    *,
    objects: int | None = None,
    motion: str | None = None,
    camera: str | None = None,
    unseen: bool = False,
) -> Scene:
    """Draw one scene.

    The same seed, index and arguments always give the same scene.

    Args:
        seed: names the stream of scenes.
        index: the scene's place in the stream.
        frames: number of frames, at least one.
        objects: how many objects; by default one in three scenes out of four, else two.
        motion: motion class of the first object; by default drawn from :data:`MOTIONS`.
        camera: camera motion; by default still in two scenes out of three.
        unseen: draw only captions that are held out from training; otherwise only the others.
    """
    rng = np.random.default_rng([seed, index])
    while True:
        count = objects or int(rng.choice([1, 2], p=[0.75, 0.25]))
        chosen_camera = camera or str(rng.choice(CAMERAS, p=[0.66, 0.22, 0.12]))
        pan, zoom = sample_camera(chosen_camera, frames, rng)
        colours = rng.choice(list(COLOURS), size=count, replace=False)
        ground_colour = str(rng.choice([name for name in BACKGROUNDS if name not in colours]))
        items, scale = [], 1.0
        for colour in colours:
            kind = motion if motion and not items else str(rng.choice(MOTIONS))
            item, fitted = _sample_object(str(rng.choice(list(SHAPES))), str(colour), pan, zoom, rng, kind)
            items.append(item)
            scale = min(scale, fitted)
        ground = Background(
            str(rng.choice(PATTERNS)),
            ground_colour,
            float(rng.choice([0.0, 0.25, 0.5, 0.75]) * math.pi + rng.uniform(-0.1, 0.1)),
            float(rng.uniform(0.28, 0.42)),
            float(rng.uniform()),
        )
        scene = Scene(tuple(items), ground, chosen_camera, pan, zoom)
        fits = scale == 1.0 and _apart(scene)
        if fits and held_out(scene.caption()) == unseen:
            return scene


def _apart(scene: Scene) -> bool:
    """Whether two objects never cover each other by more than about half."""
    if len(scene.objects) == 1:
        return True
    first, second = scene.objects
    distance = np.linalg.norm(first.centre - second.centre, axis=-1)
    return bool((distance > 0.8 * (first.radius + second.radius)).all())


def _stack(values: Sequence[Array], device: torch.device | str) -> Tensor:
    return torch.as_tensor(np.stack(values), dtype=torch.float32, device=device)


def _screen_grid(height: int, width: int, device: torch.device | str) -> Float[Tensor, "height width 2"]:
    """Pixel centres as shares of the frame."""
    rows = (torch.arange(height, device=device) + 0.5) / height
    columns = (torch.arange(width, device=device) + 0.5) / width
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


def _ground(scenes: Sequence[Scene], world: Float[Tensor, "scenes frames height width 2"], pixel: Tensor) -> Tensor:
    """Background colours 0..1, ``(scenes, frames, height, width, 3)``; edges softened over one pixel."""
    device = world.device
    weight = torch.zeros(world.shape[:-1], device=device)
    for number, scene in enumerate(scenes):
        ground = scene.background
        across = world.new_tensor([math.cos(ground.angle), math.sin(ground.angle)])
        aside = world.new_tensor([-math.sin(ground.angle), math.cos(ground.angle)])
        first, second = world[number] @ across, world[number] @ aside
        soft = ground.period / (2 * pixel[number])
        if ground.pattern == "gradient":
            weight[number] = (0.5 + (first - 0.5 * across.sum()) / 1.2).clamp(0, 1)
        if ground.pattern in ("striped", "checkered"):
            wave = torch.sin(2 * math.pi * (first / ground.period + ground.phase)) * soft / math.pi
            weight[number] = (0.5 + wave).clamp(0, 1)
        if ground.pattern == "checkered":
            wave = torch.sin(2 * math.pi * (second / ground.period + ground.phase)) * soft / math.pi
            other = (0.5 + wave).clamp(0, 1)
            weight[number] = weight[number] * (1 - other) + (1 - weight[number]) * other
    pairs = torch.tensor([BACKGROUNDS[scene.background.colour] for scene in scenes], device=device) / 255
    dark, light = (pairs[:, tone, None, None, None, :] for tone in (0, 1))
    colours = dark + (light - dark) * weight[..., None]
    for number, scene in enumerate(scenes):
        ground = scene.background
        if ground.pattern in PLACES:
            seen = world[number] if _moves(scene) else world[number, :1]
            colours[number] = place_colours(ground.pattern, ground.colour, ground.seed, seen)
    return colours


def _moves(scene: Scene) -> bool:
    """Whether the camera does."""
    return bool(np.ptp(scene.pan, axis=0).any() or np.ptp(scene.zoom))


def _paint(
    item: SceneObject,
    world: Float[Tensor, "frames height width 2"],
    pixel: Float[Tensor, "frames 1 1"],
    colours: Float[Tensor, "frames height width 3"],
) -> tuple[Float[Tensor, "frames height width 3"], Bool[Tensor, "frames height width"]]:
    """A frame's colours with an object on them, and where it is."""
    radius = torch.as_tensor(item.radius, dtype=torch.float32, device=world.device)[:, None, None]
    local = _local(item, world)
    if item.shape in SHAPES:
        distances = [SHAPES[item.shape](local) * radius / pixel]
        paints = [torch.tensor(COLOURS[item.colour], device=world.device) / 255]
    else:
        distances = [each * radius / pixel for each in part_distances(item.shape, local).unbind(dim=1)]
        paints = list(tones(item.shape, COLOURS[item.colour]).to(world.device) / 255)
    inside = torch.zeros_like(colours[..., 0], dtype=torch.bool)
    for distance, paint in zip(distances, paints, strict=True):
        cover = (0.5 - distance).clamp(0, 1)[..., None]
        colours = colours * (1 - cover) + paint * cover
        inside |= distance < 0
    return colours, inside


def _build(
    wall: Wall,
    world: Float[Tensor, "frames height width 2"],
    pixel: Float[Tensor, "frames 1 1"],
    colours: Float[Tensor, "frames height width 3"],
) -> tuple[Float[Tensor, "frames height width 3"], Bool[Tensor, "frames height width"]]:
    """A frame's colours with a wall on them, and where it is."""
    course, joint = BRICK
    across, down = world.unbind(dim=-1)
    level = torch.floor(down / course)
    along = (across - wall.centre) / (2 * course) + level / 2
    beside = ((along - torch.floor(along) - 0.5).abs() - 0.5) * 2 * course + joint / 2
    between = torch.maximum(beside, ((down / course - level - 0.5).abs() - 0.5) * course + joint / 2)
    brick, other, mortar = (torch.tensor(tone, device=world.device) / 255 for tone in WALL_TONES)
    odd = torch.remainder(torch.floor(along) + level, 2)[..., None]
    seam = (0.5 + between / pixel).clamp(0, 1)[..., None]
    paint = (brick * (1 - odd) + other * odd) * (1 - seam) + mortar * seam
    distance = ((across - wall.centre).abs() - wall.width / 2) / pixel
    cover = (0.5 - distance).clamp(0, 1)[..., None]
    return colours * (1 - cover) + paint * cover, distance < 0


def _local(item: SceneObject, world: Float[Tensor, "frames height width 2"]) -> Float[Tensor, "frames height width 2"]:
    """World positions in an object's own coordinates, where its radius is one."""
    offset = world - torch.as_tensor(item.centre, dtype=world.dtype, device=world.device)[:, None, None]
    cosine, sine = (
        torch.as_tensor(f(item.angle), dtype=world.dtype, device=world.device)[:, None, None] for f in (np.cos, np.sin)
    )
    radius = torch.as_tensor(item.radius, dtype=world.dtype, device=world.device)[:, None, None, None]
    turned = torch.stack(
        [offset[..., 0] * cosine + offset[..., 1] * sine, offset[..., 1] * cosine - offset[..., 0] * sine], dim=-1
    )
    local = turned / radius
    if item.mirrored is None:
        return local
    sides = torch.as_tensor(np.where(item.mirrored, -1.0, 1.0), dtype=world.dtype, device=world.device)
    return torch.stack([local[..., 0] * sides[:, None, None], local[..., 1]], dim=-1)


def render(scenes: Sequence[Scene], height: int = 64, width: int = 64, device: torch.device | str = "cpu") -> Rendering:
    """Draw a batch of scenes of equal frame count.

    Outlines are softened over one pixel; a mask holds the pixels whose centre lies inside the outline.
    """
    grid = _screen_grid(height, width, device)
    pan = _stack([scene.pan for scene in scenes], device)
    zoom = _stack([scene.zoom for scene in scenes], device)
    world = 0.5 + (grid - 0.5) / zoom[..., None, None, None] + pan[:, :, None, None]
    pixel = 1 / (min(height, width) * zoom[..., None, None])
    colours = _ground(scenes, world, pixel)
    most = max(len(scene.objects) for scene in scenes)
    masks = torch.zeros(len(scenes), most, *world.shape[1:-1], dtype=torch.bool, device=device)
    for number, scene in enumerate(scenes):
        for place, item in enumerate(scene.objects):
            colours[number], inside = _paint(item, world[number], pixel[number], colours[number])
            masks[number, :place] &= ~inside
            masks[number, place] = inside
        if scene.wall:
            colours[number], hidden = _build(scene.wall, world[number], pixel[number], colours[number])
            masks[number] &= ~hidden
    frames = (colours * 255).round().clamp(0, 255).to(torch.uint8)
    return Rendering(frames, masks)


def shown(scene: Scene) -> Float[Array, "objects frames"]:
    """Share of every object that is seen: inside the frame, before no wall, under no other object."""
    ample, side = 2.5, 160
    wide = replace(scene, zoom=scene.zoom / ample, wall=None)
    frame = (_screen_grid(side, side, "cpu") - 0.5).abs().amax(dim=-1) < 0.5 / ample
    seen = render([replace(wide, wall=scene.wall)], side, side).masks[0] & frame
    whole = torch.stack([render([replace(wide, objects=(item,))], side, side).masks[0, 0] for item in scene.objects])
    shares = seen.flatten(2).sum(dim=2) / whole.flatten(2).sum(dim=2).clamp(min=1)
    return shares.numpy()


def displacement(
    scene: Scene,
    start: int,
    end: int,
    height: int = 64,
    width: int = 64,
    masks: Bool[Tensor, "objects frames height width"] | None = None,
) -> Float[Tensor, "height width 2"]:
    """True displacement in pixels, x then y, of what each pixel of frame ``start`` shows, until frame ``end``.

    A pixel of an object moves with the object (its path, turn and growth), any other with the background; both are seen
    through the camera. Where a thing ends up hidden or outside the frame the displacement still says where it is; of one that
    has turned round, seen from its side, every point goes to the other side of its middle. The scene's masks at this size may
    be given, where many pairs of frames are asked for.
    """
    masks = render([scene], height, width).masks[0] if masks is None else masks
    grid = _screen_grid(height, width, "cpu").double()
    world = 0.5 + (grid - 0.5) / scene.zoom[start] + torch.as_tensor(scene.pan[start])
    moved = world.clone()
    for place, item in enumerate(scene.objects):
        turn = float(item.angle[end] - item.angle[start])
        growth = float(item.radius[end] / item.radius[start])
        offset = (world - torch.as_tensor(item.centre[start])) * growth
        if item.mirrored is not None and item.mirrored[start] != item.mirrored[end]:
            # Turned upright, mirrored and turned again: the same as mirrored first and turned by both angles.
            offset, turn = offset * offset.new_tensor([-1.0, 1.0]), float(item.angle[end] + item.angle[start])
        rotation = offset.new_tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        carried = torch.as_tensor(item.centre[end]) + offset @ rotation
        inside = masks[place, start]
        moved[inside] = carried[inside]
    screen = 0.5 + (moved - 0.5 - torch.as_tensor(scene.pan[end])) * float(scene.zoom[end])
    return ((screen - grid) * grid.new_tensor([width, height])).float()
