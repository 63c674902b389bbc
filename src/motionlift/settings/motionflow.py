"""What can be set of MotionFlow."""

from dataclasses import dataclass

from motionlift.core.method_settings import Guided
from motionlift.core.settings import setting
from motionlift.errors import SettingError


@dataclass(frozen=True)
class MotionFlowSettings(Guided):
    """Settings of MotionFlow; each says whose it is."""

    steps: int = setting(50, low=1, high=1000, when="lift", help="Denoising steps.")
    """Denoising steps, those of the inversion too (paper)."""
    share: float = setting(
        0.4, low=0, high=1, when="lift", help="Share of the steps that are guided, from the noisy end."
    )
    """Share of the steps that are guided: 20 of 50 (paper)."""
    inner: int = setting(1, low=0, high=1000, when="cast", help="Optimiser steps in each guided step.")
    """Gradient steps in each guided step (paper: one)."""
    optimizer: str = setting(
        "plain",
        choices=("adam", "rms", "plain"),
        when="cast",
        help="How a gradient becomes a step; plain by the paper's rate of 5 does next to nothing unless losses are balanced.",
    )
    """``plain``, the gradient times the learning rate (paper); or as for every guided method. With the losses as they are, a plain
    step of 5 hardly moves the latents, so that videos are those of the noise that they begin with: how the paper normalises its
    losses is unknown. With balanced losses and a rate in units of the latents, or by ``rms``, it moves them."""
    lr: float = setting(
        0.03,
        low=0,
        high=1000,
        when="cast",
        help="Learning rate in the first guided step, in units of the latents where losses are balanced or the optimizer is rms.",
    )
    """Step size in the first guided step (ours, of balanced losses; the paper's alpha of 5 is of the losses as they are)."""
    lr_end: float = setting(0.03, low=0, high=1000, when="cast", help="Learning rate in the last guided step.")
    """Step size in the last guided step (ours; the paper has one for all)."""
    inject: bool = setting(False, when="cast", help="Use the reference's keys and values in the first block.")
    """Replace keys and values of the first block by the reference's: DiTFlow's, not this paper's."""
    inversion: bool = setting(True, when="lift", help="Find the noise that the reference came from.")
    """Invert the reference (paper): the masks are read along the inversion."""
    beta: float = setting(
        0.5, low=0, high=1, when="cast", help="Share of the reference's own noise that the video begins with."
    )
    """Share of the inverted noise in the starting noise (ours: with all of it, as in the paper, a seed would change nothing)."""
    block: tuple[int, ...] = setting((0,), low=0, help="Blocks of the network that are read, from zero.")
    """Layers whose maps are read (paper: those of the last down block, the middle, and the first up block)."""
    subjects: tuple[str, ...] = setting((), when="lift", help="Words of the source prompt whose motion is taken.")
    """Words of the source prompt whose motion is taken."""
    targets: tuple[str, ...] = setting((), when="cast", help="Words of the new prompt that take it, in the same order.")
    """Words of the new prompt that take it, as many, in the same order (pairing by order; ours)."""
    tau: float = setting(
        0.4, low=0, high=0.99, when="cast", help="A mask is where attention exceeds this share of its maximum."
    )
    """A mask is where a map exceeds this share of its maximum (paper)."""
    smooth: bool = setting(
        True, when="cast", help="Smooth maps of attention before a mask is made of them.", later=True
    )
    """Smooth a map before the threshold, by a 3x3 Gaussian (ours; the paper names no smoothing)."""
    cross: float = setting(1.0, low=0, high=1e4, when="cast", help="Weight of the attention to words.")
    """Weight of the attention to words (the paper names none; ours)."""
    spatial: float = setting(1.0, low=0, high=1e4, when="cast", help="Weight of the attention within frames.")
    """Weight of the attention within frames (ours)."""
    temporal: float = setting(1.0, low=0, high=1e4, when="cast", help="Weight of the attention over frames.")
    """Weight of the attention over frames (ours)."""
    balance: str = setting(
        "gradients",
        choices=("gradients", "none"),
        when="cast",
        help="What the three weights are of: the losses scaled so that their gradients are equally large, or the losses as they "
        "are.",
        before="none",
    )
    """What the three weights are of. ``none`` (paper): the losses as they are, of which that over frames pulls hundreds to
    thousands of times less than that to words. ``gradients`` (ours): each loss by the root mean square of its own gradient by the
    latents, so that every one acts as much as its weight says, whatever the model and the size; a ``plain`` step is then ``lr``
    times that weight in units of the latents. It takes a backward pass for each loss instead of one for all."""

    def check_words(self) -> None:
        """Refuse a reference of which nothing is said, and another number of targets.

        Raises:
            SettingError: so it is.
        """
        if not self.source_prompt.strip() or not self.subjects:
            raise SettingError(
                "motionflow needs to know what the reference shows and which words of it move: give source_prompt, such as "
                "'a red star on a blue plain background', subjects, such as star, and targets, words of the new prompt"
            )
        if self.targets:
            self.check_targets()

    def check_targets(self) -> None:
        """Refuse another number of targets than of subjects.

        Raises:
            SettingError: so it is.
        """
        if len(self.targets) != len(self.subjects):
            raise SettingError(
                f"there are {len(self.subjects)} subjects ({', '.join(self.subjects)}) and {len(self.targets)} targets "
                f"({', '.join(self.targets) or 'none'}); name as many targets, in the same order"
            )


SETTINGS = MotionFlowSettings
