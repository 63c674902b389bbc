"""The control that holds still: a video that is one picture all the time.

It takes no motion and costs nothing, so that a method that is no better has carried none: plain sampling moves its own way and is
worse than it. In the world it is the prompt's scene with its object held in the middle; elsewhere the middle picture of the
reference. It is no method, since nothing is sampled, and stands in run files where one does.
"""

from dataclasses import replace

import numpy as np

from motionlift.video.clip import Clip
from motionlift.world.scenes import Scene

FROZEN = "frozen"
"""In the place of a method's name."""


def held_scene(scene: Scene) -> Scene:
    """A scene with its objects as they are in its first frame, one alone in the middle, and its camera at rest."""
    first, middle = scene.moments([0] * scene.frames), np.full((scene.frames, 2), 0.5)
    items = tuple(replace(item, centre=middle) if len(first.objects) == 1 else item for item in first.objects)
    return replace(first, objects=items, camera="still", pan=0 * scene.pan, zoom=np.ones(scene.frames))


def held_clip(clip: Clip) -> Clip:
    """A clip of the middle picture of another, as long."""
    count = len(clip.frames)
    return Clip.of(clip.frames[count // 2].expand_as(clip.frames).clone(), clip.fps)
