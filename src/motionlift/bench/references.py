"""The held-out references of the experiments, and the prompts that their motion is cast onto."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.lattice import Lattice
from motionlift.core.method_settings import Tuned
from motionlift.core.model import Model
from motionlift.measure.truth import judge_for, verdict_figures
from motionlift.methods import method as method_named
from motionlift.models.loading import load
from motionlift.video.clip import Clip
from motionlift.world import scenes
from motionlift.world.judge import judge_video
from motionlift.world.named import sample_named
from motionlift.world.things import THINGS
from motionlift.world.truth import Looks

REFERENCE_STREAM, PROMPT_STREAM, LOOKS_STREAM = 91, 92, 93
"""Seeds of the scenes, apart from those of every training."""
MOVING = ("line", "arc", "circle", "zigzag", "bounce")
"""Motions of the references: those that move the object's centre."""


NAMED_REFERENCE_STREAM, NAMED_PROMPT_STREAM = 94, 95
"""Seeds of the scenes of things and grounds that have names."""
NAMED_MOVING = (*MOVING, "jump", "sway", "approach")
"""Motions of those references: the whole object is seen all the time."""


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


def reference(index: int, frames: int = 17) -> scenes.Scene:
    """Held-out scene of one object that moves on the screen, in as many frames as the model makes."""
    return scenes.sample(REFERENCE_STREAM, index, frames, objects=1, motion=MOVING[index % len(MOVING)], unseen=True)


def prompt_scene(index: int, turn: int = 0, frames: int = 17) -> scenes.Scene:
    """The scene whose held-out caption is the prompt for a reference.

    It shows another object and background than the reference, and than the prompts of earlier turns.
    """
    others = [reference(index, frames), *[prompt_scene(index, earlier, frames) for earlier in range(turn)]]
    for attempt in range(1000):
        scene = scenes.sample(PROMPT_STREAM, (2 * index + turn) * 1000 + attempt, frames, objects=1, unseen=True)
        if all(_differs(scene, other) for other in others):
            return scene
    raise AssertionError("a thousand captions are all alike")


def named_reference(index: int, frames: int = 17) -> scenes.Scene:
    """Held-out scene of one thing that moves on a ground that has a name."""
    motion = NAMED_MOVING[index % len(NAMED_MOVING)]
    return sample_named(NAMED_REFERENCE_STREAM, index, frames, objects=1, motion=motion, unseen=True, only_named=True)


def named_prompt_scene(index: int, turn: int = 0, frames: int = 17) -> scenes.Scene:
    """The scene whose held-out caption is the prompt for :func:`named_reference`.

    It crosses kinds: its thing goes otherwise than the reference's, as a fish that swims does what a rocket did that flew, and
    neither it nor its ground was shown by the reference or in earlier turns.
    """
    others = [named_reference(index, frames), *[named_prompt_scene(index, earlier, frames) for earlier in range(turn)]]
    for attempt in range(1000):
        number = (2 * index + turn) * 1000 + attempt
        scene = sample_named(NAMED_PROMPT_STREAM, number, frames, objects=1, unseen=True, only_named=True)
        crosses = _goes(scene) != _goes(others[0]) and scene.wall is None
        if crosses and all(_differs(scene, other) and _stands_elsewhere(scene, other) for other in others):
            return scene
    raise AssertionError("a thousand captions are all alike")


def _goes(scene: scenes.Scene) -> str:
    return THINGS[scene.objects[0].shape].going


def _stands_elsewhere(one: scenes.Scene, other: scenes.Scene) -> bool:
    return one.background.pattern != other.background.pattern


def _differs(one: scenes.Scene, other: scenes.Scene) -> bool:
    same_object = one.objects[0].colour == other.objects[0].colour or one.objects[0].shape == other.objects[0].shape
    return not same_object and one.background.colour != other.background.colour


def clip_of(scene: scenes.Scene, fps: float) -> Clip:
    """The scene as a clip."""
    return Clip.of(scenes.render([scene]).frames[0], fps)


def words_of(method: str, scene: scenes.Scene, wanted: scenes.Scene) -> dict[str, Any]:
    """The settings by which a method is told what the reference shows and which words move, where it asks for them."""
    subject, target = (f"{each.objects[0].colour} {each.objects[0].shape}" for each in (scene, wanted))
    told = {"source_prompt": scene.caption(), "subjects": [subject], "targets": [target]}
    settings = method_named(method).Settings
    asked = {item.name for item in fields(settings)}
    if issubclass(settings, Tuned) or "inverted_with" in asked:
        return {"source_prompt": scene.caption()}
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
        scene: the reference, whose motion is wanted; errors of the object's centre are shares of the frame's width.
        wanted: the scene of the prompt, whose looks are wanted.

    Returns:
        As :func:`motionlift.measure.truth.verdict_figures`.
    """
    verdict = judge_video(judge_for(_looks(scene), _looks(wanted)), frames)
    track = torch.as_tensor(scene.tracks()[0], dtype=torch.float32)
    return verdict_figures(verdict, track, _looks(scene), _looks(wanted))


def _looks(scene: scenes.Scene) -> Looks:
    item, ground = scene.objects[0], scene.background
    return Looks(item.colour, item.shape, ground.pattern, ground.colour)
