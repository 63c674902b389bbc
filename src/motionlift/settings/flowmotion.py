"""What can be set of FlowMotion."""

from dataclasses import dataclass

from motionlift.core.method_settings import Guided
from motionlift.core.settings import setting


@dataclass(frozen=True)
class FlowMotionSettings(Guided):
    """Settings of FlowMotion; the defaults are the paper's."""

    share: float = setting(0.2, low=0, high=1, when="cast")
    """Share of the steps that are guided, from the noisy end: 10 of 50 (paper)."""
    inner: int = setting(3, low=0, high=1000, when="cast")
    """Optimiser steps in each guided step (paper)."""
    lr: float = setting(0.003, low=0, high=100, when="cast")
    """Learning rate in the first guided step, in units of the latents (paper)."""
    lr_end: float = setting(0.003, low=0, high=100, when="cast")
    """Learning rate in the last guided step (paper: the same)."""
    target: str = setting("latents", choices=("latents",), when="cast")
    """What is optimised: the latents (paper). No gradient reaches anything within the network."""
    inject: bool = setting(False, when="cast")
    """Replace keys and values of the first block by the reference's: DiTFlow's, not this paper's."""
    alignment: float = setting(20.0, low=0, high=1e4, when="cast", help="Weight of the predicted video itself.")
    """Weight of the distance between predicted clean latents (paper)."""
    differences: float = setting(5.0, low=0, high=1e4, when="cast", help="Weight of its changes from frame to frame.")
    """Weight of the distance between how their frames differ (paper)."""
    read: str = setting(
        "prediction",
        choices=("prediction", "clean_latent"),
        when="cast",
        help="What of the reference is matched: what the network predicts of it, or its own latents.",
        later=True,
    )
    """What of the reference is matched: its clean latents as the network predicts them at the video's level (paper), or as they are
    (the program's variant ``clean_latent``, for motion that early predictions blur; the paper finds that it follows motion more
    exactly, and the prompt less). Those cost no pass of the network."""
    orthogonal: float = setting(0.1, low=0, high=1, when="cast", help="How much of a new course is kept.")
    """What is kept of the part of the velocity that is orthogonal to the mean velocity so far (paper); 1 damps nothing."""


SETTINGS = FlowMotionSettings
