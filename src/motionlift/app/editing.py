"""Edits of the motions that a visitor keeps; each makes a new one, with its pictures."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from motionlift.app.grey import drawn_on_grey
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
        by: the edit, such as ``mirror`` or ``move=0.125,0``.

    Raises:
        InputError: it is no file of the visitor's.
        MotionError: it cannot be edited so.
        SettingError: the edit would change nothing.
    """
    place = own.kept(name)
    own.check_room(0)
    motion = edit(Motion.load(place), by)
    with own.placed(f"{place.stem} {by.replace('=', ' ').replace(',', ' ')}", MOTION) as made:
        _draw(motion, place, made, by)
        motion.save(made)  # last: once it is seen, it may be called otherwise, and its pictures with it
    return made.name


def _draw(motion: Motion, place: Path, made: Path, by: str) -> None:
    """The pictures of an edited motion, made of those of the motion at a place."""
    reference, drawn = place.with_name(place.stem + REFERENCE), made.with_name(made.stem + DRAWN)
    with suppress(MotionliftError):  # some hold nothing that can be drawn
        if reference.is_file():
            clip = _edited(reference, by)
            clip.save(made.with_name(made.stem + REFERENCE), DRAWING)
            draw_lifted(motion, clip).save(drawn, DRAWING)
        elif (picture := drawn_on_grey(motion)) is not None:  # it was uploaded
            picture.save(drawn, DRAWING)


def _edited(reference: Path, by: str) -> Clip:
    """The clip of a motion as the edit makes it."""
    seen = Footage.of(reference)
    frames = torch.from_numpy(np.stack(list(seen))).movedim(-1, 1).float()
    return Clip.of(edit_named(by).places(frames).movedim(1, -1).round().byte().contiguous(), seen.fps)
