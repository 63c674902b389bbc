"""Lift the motion out of a reference video and cast it onto new content.

The names below load on first use, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionlift.errors import MotionliftError
    from motionlift.loops.cascade import VideoToVideo
    from motionlift.measure.score import Scores, score
    from motionlift.models.loading import load
    from motionlift.motion.file import Motion
    from motionlift.video.clip import Clip
    from motionlift.work.cast import cast, interpolation, transfer
    from motionlift.work.edit import edit
    from motionlift.work.export import export_adapter
    from motionlift.work.lift import lift
    from motionlift.work.record import Video
    from motionlift.world.upscaling import super_resolution

__all__ = [
    "Clip",
    "Motion",
    "MotionliftError",
    "Scores",
    "Video",
    "VideoToVideo",
    "cast",
    "edit",
    "export_adapter",
    "interpolation",
    "lift",
    "load",
    "score",
    "super_resolution",
    "transfer",
]

_HOMES = {
    "Clip": "video.clip",
    "Motion": "motion.file",
    "MotionliftError": "errors",
    "Scores": "measure.score",
    "Video": "work.record",
    "VideoToVideo": "loops.cascade",
    "cast": "work.cast",
    "edit": "work.edit",
    "export_adapter": "work.export",
    "interpolation": "work.cast",
    "lift": "work.lift",
    "load": "models.loading",
    "score": "measure.score",
    "super_resolution": "world.upscaling",
    "transfer": "work.cast",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'motionlift' has no attribute {name!r}")
    return getattr(importlib.import_module(f"motionlift.{_HOMES[name]}"), name)
