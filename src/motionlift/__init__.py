"""Lift the motion out of a reference video and cast it onto new content.

The names below load on first use, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionlift.adapter_export import export_adapter
    from motionlift.cascade import VideoToVideo
    from motionlift.errors import MotionliftError
    from motionlift.loading import load, super_resolution
    from motionlift.media import Clip
    from motionlift.motion import Motion
    from motionlift.scoring import Scores, score
    from motionlift.workflow import Video, cast, interpolation, lift, transfer

__all__ = [
    "Clip",
    "Motion",
    "MotionliftError",
    "Scores",
    "Video",
    "VideoToVideo",
    "cast",
    "export_adapter",
    "interpolation",
    "lift",
    "load",
    "score",
    "super_resolution",
    "transfer",
]

_HOMES = {
    "Clip": "media",
    "Motion": "motion",
    "MotionliftError": "errors",
    "Scores": "scoring",
    "Video": "workflow",
    "VideoToVideo": "cascade",
    "cast": "workflow",
    "export_adapter": "adapter_export",
    "interpolation": "workflow",
    "lift": "workflow",
    "load": "loading",
    "score": "scoring",
    "super_resolution": "loading",
    "transfer": "workflow",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'motionlift' has no attribute {name!r}")
    return getattr(importlib.import_module(f"motionlift.{_HOMES[name]}"), name)
