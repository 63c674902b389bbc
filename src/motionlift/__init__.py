"""Lift the motion out of a reference video and cast it onto new content.

The names below load on first use, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionlift.core.cost import Step
    from motionlift.core.lattice import Shape
    from motionlift.core.memory import Measures, Weights
    from motionlift.core.model import About, Model
    from motionlift.errors import (
        ClusterError,
        DivergenceError,
        InputError,
        MemoryShortError,
        ModelError,
        MotionError,
        MotionliftError,
        OutputError,
        SettingError,
        Stopped,
    )
    from motionlift.loops.cascade import Stage, VideoToVideo
    from motionlift.measure.score import Scores, score
    from motionlift.models.loading import load
    from motionlift.models.loras import LoraFile
    from motionlift.motion.export import Exported
    from motionlift.motion.file import Motion
    from motionlift.video.clip import Clip
    from motionlift.work.cast import cast, interpolation, transfer
    from motionlift.work.edit import edit
    from motionlift.work.export import export_adapter
    from motionlift.work.lift import lift
    from motionlift.work.record import Video
    from motionlift.world.upscaling import super_resolution

    __version__: str
    """Version of the installed package."""

__all__ = [
    "About",
    "Clip",
    "ClusterError",
    "DivergenceError",
    "Exported",
    "InputError",
    "LoraFile",
    "Measures",
    "MemoryShortError",
    "Model",
    "ModelError",
    "Motion",
    "MotionError",
    "MotionliftError",
    "OutputError",
    "Scores",
    "SettingError",
    "Shape",
    "Stage",
    "Step",
    "Stopped",
    "Video",
    "VideoToVideo",
    "Weights",
    "__version__",
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
    "About": "core.model",
    "Clip": "video.clip",
    "ClusterError": "errors",
    "DivergenceError": "errors",
    "Exported": "motion.export",
    "InputError": "errors",
    "LoraFile": "models.loras",
    "Measures": "core.memory",
    "MemoryShortError": "errors",
    "Model": "core.model",
    "ModelError": "errors",
    "Motion": "motion.file",
    "MotionError": "errors",
    "MotionliftError": "errors",
    "OutputError": "errors",
    "Scores": "measure.score",
    "SettingError": "errors",
    "Shape": "core.lattice",
    "Stage": "loops.cascade",
    "Step": "core.cost",
    "Stopped": "errors",
    "Video": "work.record",
    "VideoToVideo": "loops.cascade",
    "Weights": "core.memory",
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
    if name == "__version__":
        from importlib import metadata

        return metadata.version("motionlift")
    if name not in _HOMES:
        raise AttributeError(f"module 'motionlift' has no attribute {name!r}")
    importlib.import_module("motionlift.environment").let_fall_back()  # before PyTorch is imported
    return getattr(importlib.import_module(f"motionlift.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
