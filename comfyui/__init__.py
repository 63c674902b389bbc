"""Nodes of ComfyUI that lift the motion out of a video and cast it onto new content: they call the library ``motionlift``."""

from .models import LoadModel
from .motions import EditMotion, LiftMotion, LoadMotion, SaveAdapter, SaveMotion
from .settings import settings_nodes
from .videos import CastMotion, ScoreVideo

NODE_CLASS_MAPPINGS = {
    "MotionliftLoadModel": LoadModel,
    "MotionliftLiftMotion": LiftMotion,
    "MotionliftEditMotion": EditMotion,
    "MotionliftCastMotion": CastMotion,
    "MotionliftScoreVideo": ScoreVideo,
    "MotionliftLoadMotion": LoadMotion,
    "MotionliftSaveMotion": SaveMotion,
    "MotionliftSaveAdapter": SaveAdapter,
    **settings_nodes(),
}
"""The nodes by the names that workflows know them by: a name once given stays."""
NODE_DISPLAY_NAME_MAPPINGS = {name: node.TITLE for name, node in NODE_CLASS_MAPPINGS.items()}
"""What the nodes are called on the screen."""

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
