"""The held-out references of the experiments, and the prompts that their motion is cast onto."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from motionlift.core import Backbone
from motionlift.media import Clip
from motionlift.metrics.tracks import absolute_error, aligned_error, direction_cosine
from motionlift.workflow import load
from motionlift.zoo import world
from motionlift.zoo.judge import Judge, judge_video, load_judge

REFERENCE_STREAM, PROMPT_STREAM, LOOKS_STREAM = 91, 92, 93
"""Seeds of the scenes, apart from those of every training."""
MOVING = ("line", "arc", "circle", "zigzag", "bounce")
"""Motions of the references: those that move the object's centre."""


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
def bundled(model: str) -> Backbone:
    """The model, loaded once in each process, on one thread: cells run side by side."""
    torch.set_num_threads(1)
    return load(model)


@functools.cache
def the_judge() -> Judge:
    """The judge, loaded once in each process."""
    return load_judge()


def reference(index: int) -> world.Scene:
    """Held-out scene of one object that moves on the screen."""
    return world.sample(REFERENCE_STREAM, index, objects=1, motion=MOVING[index % len(MOVING)], unseen=True)


def prompt_scene(index: int, turn: int = 0) -> world.Scene:
    """The scene whose held-out caption is the prompt for a reference.

    It shows another object and background than the reference, and than the prompts of earlier turns.
    """
    others = [reference(index), *[prompt_scene(index, earlier) for earlier in range(turn)]]
    for attempt in range(1000):
        scene = world.sample(PROMPT_STREAM, (2 * index + turn) * 1000 + attempt, objects=1, unseen=True)
        if all(_differs(scene, other) for other in others):
            return scene
    raise AssertionError("a thousand captions are all alike")


def _differs(one: world.Scene, other: world.Scene) -> bool:
    same_object = one.objects[0].colour == other.objects[0].colour or one.objects[0].shape == other.objects[0].shape
    return not same_object and one.background.colour != other.background.colour


def clip_of(scene: world.Scene, fps: float) -> Clip:
    """The scene as a clip."""
    return Clip.of(world.render([scene]).frames[0], fps)


def likeness(frames: Tensor, scene: world.Scene) -> Likeness:
    """Whether frames show what a scene's caption says, as the judge sees it."""
    verdict = judge_video(the_judge(), frames)
    item, ground = scene.objects[0], scene.background
    return Likeness(
        verdict.colour == item.colour,
        verdict.shape == item.shape,
        (verdict.pattern, verdict.ground) == (ground.pattern, ground.colour),
    )


def motion_figures(frames: Tensor, scene: world.Scene) -> dict[str, float]:
    """Errors of the object's centre against a scene's true track; shares of the frame's width."""
    centres = judge_video(the_judge(), frames).centres
    true = torch.as_tensor(scene.tracks()[0], dtype=torch.float32)
    return {
        "aligned": aligned_error(centres, true),
        "absolute": absolute_error(centres, true),
        "direction": direction_cosine(centres, true),
    }
