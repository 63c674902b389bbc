"""The picture of a motion that came without its clip."""

from contextlib import suppress

import torch

from motionlift.errors import MotionliftError
from motionlift.motion.drawing import draw_lifted
from motionlift.motion.file import Motion
from motionlift.motion.names import MAPS, by_block
from motionlift.video.clip import Clip

SIDE = 256
"""Longest side of the grey frames, pixels (ours)."""
SHADE = 160
"""Their grey (ours)."""
MOST_FRAMES = 300
"""Most frames of one (ours: their pictures have a megabyte each)."""
MOST_ARROWS = 500_000
"""Most arrows in all frames together (ours: those of 81 frames in 720p are 300,000, and take some seconds)."""
MOST_PANELS = 5000
"""Most panels of attention maps in all frames together (ours: they have a hundred kilobytes each)."""


def drawn_on_grey(motion: Motion) -> Clip | None:
    """What a motion holds, drawn over grey frames of the shape of its clip; none where nothing can be drawn.

    The file may come from anybody: whatever is wrong with it, and however much would have to be drawn, no more comes of it.
    """
    shape = motion.source.shape
    with suppress(MotionliftError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        panels = len(by_block(motion.part(0), MAPS)) * len(motion.settings.get("subjects", "."))
        if shape.frames > min(MOST_FRAMES, MOST_ARROWS // motion.lattice.area, MOST_PANELS // max(1, panels)):
            return None
        scale = SIDE / max(shape.height, shape.width)
        height, width = (max(2, round(side * scale)) for side in (shape.height, shape.width))
        grey = torch.full((shape.frames, height, width, 3), SHADE, dtype=torch.uint8)
        return draw_lifted(motion, Clip.of(grey, motion.source.fps))
    return None
