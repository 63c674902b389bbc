"""Lift the motion out of a reference video and cast it onto new content.

The names below load on first use, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionlift.core.cost import Passes, Step
    from motionlift.core.lattice import Lattice, Shape
    from motionlift.core.memory import Measures, Weights
    from motionlift.core.model import About, Added, Model, Pictures
    from motionlift.core.windows import Windows
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
    from motionlift.measure.trackers import PointTracks, Tracker
    from motionlift.models.loading import load
    from motionlift.models.loras import LoraFile
    from motionlift.motion.export import Exported
    from motionlift.motion.file import Motion, Source
    from motionlift.video.clip import Clip
    from motionlift.video.marks import Kind
    from motionlift.video.part import Part, Taken
    from motionlift.video.sound import Sound
    from motionlift.work.ahead import plan
    from motionlift.work.cast import cast, interpolation, transfer
    from motionlift.work.edit import edit
    from motionlift.work.export import export_adapter
    from motionlift.work.lift import lift
    from motionlift.work.memory import Room
    from motionlift.work.plan import Phase, Plan
    from motionlift.work.video import Video
    from motionlift.world.upscaling import super_resolution

    __version__: str
    """Version of the installed package."""

__all__ = [
    "About",
    "Added",
    "Clip",
    "ClusterError",
    "DivergenceError",
    "Exported",
    "InputError",
    "Kind",
    "Lattice",
    "LoraFile",
    "Measures",
    "MemoryShortError",
    "Model",
    "ModelError",
    "Motion",
    "MotionError",
    "MotionliftError",
    "OutputError",
    "Part",
    "Passes",
    "Phase",
    "Pictures",
    "Plan",
    "PointTracks",
    "Room",
    "Scores",
    "SettingError",
    "Shape",
    "Sound",
    "Source",
    "Stage",
    "Step",
    "Stopped",
    "Taken",
    "Tracker",
    "Video",
    "VideoToVideo",
    "Weights",
    "Windows",
    "__version__",
    "cast",
    "edit",
    "export_adapter",
    "interpolation",
    "lift",
    "load",
    "plan",
    "score",
    "super_resolution",
    "transfer",
]

_HOMES = {
    "About": "core.model",
    "Added": "core.model",
    "Clip": "video.clip",
    "ClusterError": "errors",
    "DivergenceError": "errors",
    "Exported": "motion.export",
    "InputError": "errors",
    "Kind": "video.marks",
    "Lattice": "core.lattice",
    "LoraFile": "models.loras",
    "Measures": "core.memory",
    "MemoryShortError": "errors",
    "Model": "core.model",
    "ModelError": "errors",
    "Motion": "motion.file",
    "MotionError": "errors",
    "MotionliftError": "errors",
    "OutputError": "errors",
    "Part": "video.part",
    "Passes": "core.cost",
    "Phase": "work.plan",
    "Pictures": "core.model",
    "Plan": "work.plan",
    "PointTracks": "measure.trackers",
    "Room": "work.memory",
    "Scores": "measure.score",
    "SettingError": "errors",
    "Shape": "core.lattice",
    "Sound": "video.sound",
    "Source": "motion.file",
    "Stage": "loops.cascade",
    "Step": "core.cost",
    "Stopped": "errors",
    "Taken": "video.part",
    "Tracker": "measure.trackers",
    "Video": "work.video",
    "VideoToVideo": "loops.cascade",
    "Weights": "core.memory",
    "Windows": "core.windows",
    "cast": "work.cast",
    "edit": "work.edit",
    "export_adapter": "work.export",
    "interpolation": "work.cast",
    "lift": "work.lift",
    "load": "models.loading",
    "plan": "work.ahead",
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
