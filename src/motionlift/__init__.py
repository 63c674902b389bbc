"""Lift the motion out of a reference video and cast it onto new content.

The names below load on first use, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionlift.errors import MotionliftError
    from motionlift.media import Clip
    from motionlift.motion import Motion
    from motionlift.workflow import Video, cast, lift, load, transfer

__all__ = ["Clip", "Motion", "MotionliftError", "Video", "cast", "lift", "load", "transfer"]

_HOMES = {
    "Clip": "media",
    "Motion": "motion",
    "MotionliftError": "errors",
    "Video": "workflow",
    "cast": "workflow",
    "lift": "workflow",
    "load": "workflow",
    "transfer": "workflow",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'motionlift' has no attribute {name!r}")
    return getattr(importlib.import_module(f"motionlift.{_HOMES[name]}"), name)
