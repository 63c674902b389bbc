"""Edits of the motions that a visitor keeps; each makes a new one, with its pictures."""

from contextlib import suppress

import numpy as np
import torch

from motionlift.app.workspace import DRAWN, MOTION, REFERENCE, Workspace
from motionlift.errors import MotionliftError
from motionlift.motion.drawing import draw_lifted
from motionlift.motion.edits import edit_named
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from motionlift.video.marks import DRAWING
from motionlift.work.edit import edit


def edited(own: Workspace, name: str, by: str) -> str:
    """Name of the motion that an edit makes of one; it is there when this returns, and the other stays.

    Args:
        own: the visitor's files.
        name: of the motion's file.
        by: name of the edit, such as ``mirror``.

    Raises:
        InputError: it is no file of the visitor's.
        MotionError: it cannot be edited so.
    """
    place = own.kept(name)
    motion = edit(Motion.load(place), by)
    made = own.new(f"{place.stem} {by}", MOTION)
    with suppress(MotionliftError):  # one that was uploaded has no clip, and some hold nothing that can be drawn
        seen = Footage.of(own.kept(place.stem + REFERENCE))
        frames = torch.from_numpy(np.stack(list(seen))).movedim(-1, 1).float()
        clip = Clip.of(edit_named(by).places(frames).movedim(1, -1).round().byte().contiguous(), seen.fps)
        clip.save(made.with_name(made.stem + REFERENCE), DRAWING)
        draw_lifted(motion, clip).save(made.with_name(made.stem + DRAWN), DRAWING)
    motion.save(made)  # last: once it is seen, it may be called otherwise, and its pictures with it
    return made.name
