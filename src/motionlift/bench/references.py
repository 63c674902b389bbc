"""The held-out references of the experiments, and the prompts that their motion is cast onto."""

import functools
import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.lattice import Lattice
from motionlift.core.method_settings import Tuned
from motionlift.core.model import Model
from motionlift.errors import InputError
from motionlift.measure.truth import WHOLLY_SHOWN, judge_for, verdict_figures
from motionlift.methods import method as method_named
from motionlift.models.loading import load
from motionlift.video.clip import Clip
from motionlift.world import scenes
from motionlift.world.judge import judge_video
from motionlift.world.named import ALWAYS_SEEN, sample_named
from motionlift.world.things import THINGS
from motionlift.world.truth import Looks

REFERENCE_STREAM, PROMPT_STREAM, LOOKS_STREAM = 91, 92, 93
"""Seeds of the scenes, apart from those of every training."""
KIND_STREAM = 96
"""Seed of the scenes of kinds that came later."""
MOVING = ("line", "arc", "circle", "zigzag", "bounce")
"""Motions of the references: those that move the object's centre."""
ONE_MOVES = "moving"
"""The kind of reference that most figures are of: one object that moves on the screen."""
ROUND = ("circle", "ring")
"""Shapes that look alike however they are turned."""
CROSSING = 0.4
"""Least way across of an object that passes behind a wall, share of the frame (ours: it is seen on either side)."""
WALL_WIDTH = 2.2
"""Width of that wall, in radii of the object (ours: it hides all of it)."""
MOST_DIGITS = 7
"""Most digits of a reference's number (ours: as many as run files take)."""


NAMED_REFERENCE_STREAM, NAMED_PROMPT_STREAM, NAMED_HIDDEN_STREAM = 94, 95, 99
"""Seeds of the scenes of things and grounds that have names."""
NAMED_MOVING = (*MOVING, "jump", "sway", "approach")
"""Motions of those references: the whole object is seen all the time."""
NAMED_HIDDEN = ("leave", "enter", "behind")
"""Motions of the kind of them in which the object is out of sight for a while."""


@dataclass(frozen=True)
class Likeness:
    """How a video's looks agree with a caption of one object, each right or wrong."""

    colour: bool
    """Colour of the object."""
    shape: bool
    """Shape of the object."""
    background: bool
    """Pattern and colour of the background, both."""


@functools.cache
def bundled(model: str) -> Model:
    """The model, loaded once in each process, on one thread: cells run side by side."""
    torch.set_num_threads(1)
    return load(model)


@functools.lru_cache(maxsize=4096)
def reference(index: int, frames: int = 17, kind: str = ONE_MOVES) -> scenes.Scene:
    """Held-out scene of a kind of :data:`SCENES`, in as many frames as the model makes."""
    return SCENES[kind](index, frames)


def _one_moves(index: int, frames: int) -> scenes.Scene:
    return scenes.sample(REFERENCE_STREAM, index, frames, objects=1, motion=MOVING[index % len(MOVING)], unseen=True)


def _turns(index: int, frames: int) -> scenes.Scene:
    """One object that turns in its place, of a shape that shows it."""
    return _drawn(index, frames, lambda scene: scene.objects[0].shape not in ROUND, motion="spin", camera="still")


def _only_camera(index: int, frames: int) -> scenes.Scene:
    """One object at rest, which a camera passes or comes near."""
    return _drawn(index, frames, lambda _: True, motion="rest", camera=("pan", "zoom")[index % 2])


def _two_move(index: int, frames: int) -> scenes.Scene:
    """Two objects, each on a path of its own."""
    return _drawn(
        index,
        frames,
        lambda scene: all(item.motion in MOVING for item in scene.objects),
        count=2,
        motion=MOVING[index % len(MOVING)],
        camera="still",
    )


def _hidden(index: int, frames: int) -> scenes.Scene:
    """One object that passes behind a wall, a little wider than it, in the middle of its way; no caption names the wall."""
    crosses = _drawn(index, frames, lambda scene: _width(scene) > CROSSING, motion="line", camera="still")
    item = crosses.objects[0]
    return replace(crosses, wall=scenes.Wall(float(item.centre[:, 0].mean()), WALL_WIDTH * float(item.radius[0])))


def _width(scene: scenes.Scene) -> float:
    return float(np.ptp(scene.objects[0].centre[:, 0]))


def _fast(index: int, frames: int) -> scenes.Scene:
    """One object that turns as it goes, twice as far as others do: to and fro, or round and round."""
    motion = ("zigzag", "circle", "bounce")[index % 3]
    drawn = _drawn(index, frames, lambda scene: scene.objects[0].shape not in ROUND, motion=motion, camera="still")
    item, rng = drawn.objects[0], np.random.default_rng([KIND_STREAM, index])
    there = item.centre - item.centre[0]
    numbers = np.linspace(0, 2 * (frames - 1), frames)
    steps = np.where(numbers <= frames - 1, numbers, 2 * (frames - 1) - numbers)
    way = np.stack([np.interp(steps, np.arange(frames), there[:, axis]) for axis in (0, 1)], axis=-1)
    turned = item.angle + rng.choice([-1, 1]) * math.pi * np.linspace(0, 1, frames)
    return replace(drawn, objects=(replace(item, centre=item.centre[0] + way, angle=turned),))


def _drawn(
    index: int, frames: int, fits: Callable[[scenes.Scene], bool], motion: str, camera: str, count: int = 1
) -> scenes.Scene:
    """The first scene of a stream of its own for each index that fits."""
    for attempt in range(1000):
        number = 1000 * index + attempt
        scene = scenes.sample(KIND_STREAM, number, frames, objects=count, motion=motion, camera=camera, unseen=True)
        if fits(scene):
            return scene
    raise AssertionError("a thousand scenes do not fit")


SCENES: Mapping[str, Callable[[int, int], scenes.Scene]] = {
    ONE_MOVES: _one_moves,
    "rotation": _turns,
    "camera": _only_camera,
    "two": _two_move,
    "occlusion": _hidden,
    "fast": _fast,
}
"""Kinds of references, by the word that run files have for them; what the names of all but the first begin with."""
NAMED_SCENES: Mapping[str, tuple[int, Sequence[str]]] = {
    ONE_MOVES: (NAMED_REFERENCE_STREAM, NAMED_MOVING),
    "hidden": (NAMED_HIDDEN_STREAM, NAMED_HIDDEN),
}
"""The same of things, with the seed and the motions of each."""


def scene_named(name: str, frames: int) -> scenes.Scene:
    """The reference of a name, such as ``0007`` or ``fast-0007``.

    Raises:
        InputError: it names none.
    """
    kind, number = _told(name, SCENES, "fast-0007")
    return reference(number, frames, kind)


def thing_named(name: str, frames: int) -> scenes.Scene:
    """The reference of things of a name, such as ``0007`` or ``hidden-0007``.

    Raises:
        InputError: it names none.
    """
    kind, number = _told(name, NAMED_SCENES, "hidden-0007")
    return named_reference(number, frames, kind)


def _told(name: str, kinds: Container[str], example: str) -> tuple[str, int]:
    """Kind and number of the reference of a name."""
    kind, dash, digits = name.rpartition("-")
    kind = kind if dash else ONE_MOVES
    if kind not in kinds or not (digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS):
        raise InputError(f"{name[:40]!r} names no reference of the world; their names are such as 0007 or {example}")
    return kind, int(digits)


def prompt_scene(index: int, turn: int = 0, frames: int = 17, kind: str = ONE_MOVES) -> scenes.Scene:
    """The scene whose held-out caption is the prompt for a reference.

    It shows other objects, as many, and another background than the reference, and than the prompts of earlier turns.
    """
    shown = reference(index, frames, kind)
    others = [shown, *[prompt_scene(index, earlier, frames, kind) for earlier in range(turn)]]
    for attempt in range(1000):
        number = (2 * index + turn) * 1000 + attempt
        scene = scenes.sample(PROMPT_STREAM, number, frames, objects=len(shown.objects), unseen=True)
        if all(_differs(scene, other) for other in others):
            return scene
    raise AssertionError("a thousand captions are all alike")


@functools.lru_cache(maxsize=4096)
def named_reference(index: int, frames: int = 17, kind: str = ONE_MOVES) -> scenes.Scene:
    """Held-out scene of one thing that moves on a ground that has a name, of a kind of :data:`NAMED_SCENES`.

    All things come about equally often.
    """
    stream, motions = NAMED_SCENES[kind]
    # Every ten show all of them, each ten in another order: a thing does not always go the same ways.
    thing = list(THINGS)[(index + index // len(THINGS)) % len(THINGS)]
    motion = motions[index % len(motions)]
    return sample_named(stream, index, frames, objects=1, motion=motion, thing=thing, unseen=True, only_named=True)


def named_prompt_scene(index: int, turn: int = 0, frames: int = 17, kind: str = ONE_MOVES) -> scenes.Scene:
    """The scene whose held-out caption is the prompt for :func:`named_reference`.

    It crosses kinds: its thing goes otherwise than the reference's, as a fish that swims does what a rocket did that flew, and
    neither it nor its ground was shown by the reference or in earlier turns.
    """
    shown = named_reference(index, frames, kind)
    others = [shown, *[named_prompt_scene(index, earlier, frames, kind) for earlier in range(turn)]]
    for attempt in range(1000):
        number = (2 * index + turn) * 1000 + attempt
        scene = sample_named(NAMED_PROMPT_STREAM, number, frames, objects=1, unseen=True, only_named=True)
        crosses = _goes(scene) != _goes(others[0]) and scene.wall is None
        if crosses and all(_differs(scene, other) and _stands_elsewhere(scene, other) for other in others):
            return scene
    raise AssertionError("a thousand captions are all alike")


def caption_scene(index: int, model: Model) -> scenes.Scene:
    """A scene of one object whose held-out caption the model is asked to paint.

    Of a model that knows them, things and grounds with names are among them, and the whole object is seen all the time.
    """
    frames = model.about.shape.frames
    if set(THINGS) <= set(model.text.known_words()):
        motion = ALWAYS_SEEN[index % len(ALWAYS_SEEN)]
        return sample_named(LOOKS_STREAM, index, frames, objects=1, motion=motion, unseen=True)
    return scenes.sample(LOOKS_STREAM, index, frames, objects=1, unseen=True)


def _goes(scene: scenes.Scene) -> str:
    return THINGS[scene.objects[0].shape].going


def _stands_elsewhere(one: scenes.Scene, other: scenes.Scene) -> bool:
    return one.background.pattern != other.background.pattern


def _differs(one: scenes.Scene, other: scenes.Scene) -> bool:
    same = any(
        own.colour == its.colour or own.shape == its.shape for own, its in zip(one.objects, other.objects, strict=True)
    )
    return not same and one.background.colour != other.background.colour


def clip_of(scene: scenes.Scene, fps: float) -> Clip:
    """The scene as a clip."""
    return Clip.of(scenes.render([scene]).frames[0], fps)


def words_of(method: str, scene: scenes.Scene, wanted: scenes.Scene) -> dict[str, Any]:
    """The settings by which a method is told what the reference shows and which words move, where it asks for them."""
    caption = replace(scene, wall=None).caption()
    subjects, targets = ([f"{item.colour} {item.shape}" for item in each.objects] for each in (scene, wanted))
    told = {"source_prompt": caption, "subjects": subjects, "targets": targets}
    settings = method_named(method).Settings
    asked = {item.name for item in fields(settings)}
    if issubclass(settings, Tuned) or "inverted_with" in asked:
        return {"source_prompt": caption}
    return told if told.keys() <= asked else {}


def cell_shares(scene: scenes.Scene, times: Sequence[float], lattice: Lattice) -> Float[Tensor, "frames tokens"]:
    """Share of every token's cell that the first object covers.

    A latent frame that stands for an even number of frames lies between two of them: the lesser share of both.
    """
    masks = scenes.render([scene]).masks[0, 0].float()
    size = (lattice.height, lattice.width)
    early, late = (
        torch.nn.functional.adaptive_avg_pool2d(masks[[rounded(time) for time in times]], size)
        for rounded in (math.floor, math.ceil)
    )
    return torch.minimum(early, late).flatten(1)


def likeness(frames: Tensor, scene: scenes.Scene) -> Likeness:
    """Whether frames show what a scene's caption says, as the judge sees it."""
    return _likeness(judge_video(judge_for(_looks(scene)), frames), scene)


def _likeness(verdict: Any, scene: scenes.Scene) -> Likeness:
    item, ground = scene.objects[0], scene.background
    return Likeness(
        verdict.colour == item.colour,
        verdict.shape == item.shape,
        (verdict.pattern, verdict.ground) == (ground.pattern, ground.colour),
    )


def figures(frames: Tensor, scene: scenes.Scene, wanted: scenes.Scene) -> dict[str, float]:
    """How a video moves and looks.

    Args:
        frames: the video made.
        scene: the reference, whose motion is wanted; errors of the object's centre are shares of the frame's width. Of one
            whose motion is of :data:`NAMED_HIDDEN` only the frames count in which the object is wholly shown.
        wanted: the scene of the prompt, whose looks are wanted.

    Returns:
        As :func:`motionlift.measure.truth.verdict_figures`.
    """
    verdict = judge_video(judge_for(_looks(scene), _looks(wanted)), frames)
    track = torch.as_tensor(scene.tracks()[0], dtype=torch.float32)
    hidden = scene.motion in NAMED_HIDDEN
    counted = torch.from_numpy(scenes.shown(scene)[0] >= WHOLLY_SHOWN) if hidden else None
    return verdict_figures(verdict, track, _looks(scene), _looks(wanted), counted)


def _looks(scene: scenes.Scene) -> Looks:
    item, ground = scene.objects[0], scene.background
    return Looks(item.colour, item.shape, ground.pattern, ground.colour)
