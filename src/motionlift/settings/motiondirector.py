"""What can be set of MotionDirector."""

from dataclasses import dataclass

from motionlift.core.method_settings import Tuned
from motionlift.core.settings import setting


@dataclass(frozen=True)
class MotionDirectorSettings(Tuned):
    """Settings of MotionDirector; those that it names itself are the released program's for one video of 16 frames."""

    steps: int = setting(30, low=1, high=1000, when="lift", help="Denoising steps.")
    """Denoising steps (released), those of the inversion too (there the program takes 50; ours walks the levels of sampling)."""
    cfg: float = setting(
        12.0, low=0, high=100, when="cast", help="Guidance scale: how strongly the prompt is followed."
    )
    """Weight of the prompt against the empty prompt (released)."""
    inversion: bool = setting(True, when="lift", help="Find the noise that the reference came from.")
    """Invert the reference, with the empty prompt (released, for one video)."""
    beta: float = setting(
        0.5, low=0, high=1, when="cast", help="Share of the reference's own noise that the video begins with."
    )
    """Share of the inverted noise in the starting noise (released: 0.5, for zooms 0.3, for several videos of one motion 0)."""
    tuning_steps: int = setting(150, low=1, high=1_000_000, when="lift", help="Optimiser steps of tuning.")
    """Optimiser steps (released: 150; of several videos 300 to 500)."""
    tuning_lr: float = setting(5e-4, low=0, high=10, when="lift", help="Learning rate of tuning.")
    """Learning rate of AdamW, of both sets of factors (released)."""
    clip: float = setting(0.0, low=0, high=1e6, when="lift", help="Largest norm of a gradient; 0 for any.")
    """Norm to which all gradients together are clipped: none (released)."""
    rank: int = setting(32, low=1, high=1024, when="lift", help="Rank of the factors that are tuned.")
    """Rank of the factors (released)."""
    dropout: float = setting(
        0.1, low=0, high=0.99, when="lift", help="Share of the inputs of the factors that is dropped in tuning."
    )
    """Share of the factors' inputs that is dropped in tuning (released, which drops their outputs)."""
    factors: str = setting(
        "peft",
        choices=("peft", "released"),
        when="lift",
        help="How the factors begin and what is dropped of them: as peft's, or as in the released program.",
    )
    """``peft``: the first factor begins uniformly at random and its inputs are dropped. ``released``: it begins as normal noise of
    deviation ``1 / rank``, and the outputs of both are dropped."""
    debias: float = setting(
        1.0, low=0, high=100, when="lift", help="How much of one frame's noise is taken away from all frames'."
    )
    """Strength of the debiased loss, the paper's beta: how much of an anchor frame's noise is taken away (released: 1)."""
    without_looks: float = setting(
        0.2, low=0, high=1, when="lift", help="Share of the draws in which looks are neither tuned nor on."
    )
    """Share of the draws in which the factors for looks are neither tuned nor on, as they will not be when casting (released)."""

    @property
    def inversion_prompt(self) -> str:
        """The empty prompt (released)."""
        return ""


SETTINGS = MotionDirectorSettings
