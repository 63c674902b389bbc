"""What can be set of MotionMatcher."""

from dataclasses import dataclass

from motionlift.core.method_settings import Tuned
from motionlift.core.settings import setting


@dataclass(frozen=True)
class MotionMatcherSettings(Tuned):
    """Settings of MotionMatcher; each says whose it is."""

    steps: int = setting(75, low=1, high=1000, when="lift", help="Denoising steps.")
    """Denoising steps, those of the inversion too (released)."""
    cfg: float = setting(
        12.0, low=0, high=100, when="cast", help="Guidance scale: how strongly the prompt is followed."
    )
    """Weight of the prompt against the empty prompt (released)."""
    inversion: bool = setting(True, when="lift", help="Find the noise that the reference came from.")
    """Invert the reference (released)."""
    inverted_with: str = setting(
        "source",
        choices=("source", "empty"),
        when="lift",
        help="The prompt of the inversion: the source prompt, or the empty one.",
        later=True,
    )
    """The prompt of the inversion: the source prompt (ours), or the empty one (released)."""
    beta: float = setting(
        0.3, low=0, high=1, when="cast", help="Share of the reference's own noise that the video begins with."
    )
    """Share of the inverted noise in the starting noise (released: 0.2 to 0.3)."""
    tuning_steps: int = setting(200, low=1, high=1_000_000, when="lift", help="Optimiser steps of tuning.")
    """Optimiser steps (released: 200 in one of eight configurations, 400 in the others)."""
    tuning_lr: float = setting(5e-4, low=0, high=10, when="lift", help="Learning rate of tuning.")
    """Learning rate of AdamW (released)."""
    clean_share: float = setting(
        0.5,
        low=0,
        high=0.99,
        when="lift",
        help="Share of the levels, from the clean end, that is neither tuned nor cast with the adapter.",
    )
    """Share of the timesteps, from the clean end, without tuning and without the factors (paper: 500 of 1000)."""
    rank: int = setting(32, low=1, high=1024, when="lift", help="Rank of the factors that are tuned.")
    """Rank of the factors (released)."""
    dropout: float = setting(
        0.1, low=0, high=0.99, when="lift", help="Share of the inputs of the factors that is dropped in tuning."
    )
    """Share of the factors' inputs that is dropped in tuning (released, which drops their outputs)."""
    block: tuple[int, ...] = setting((0,), low=0, when="lift", help="Blocks of the network that are read, from zero.")
    """Layers whose attention is matched (released: those of the down block at a quarter of the latents' sides)."""
    cross: float = setting(2000.0, low=0, high=1e9, when="lift", help="Weight of the attention to words.")
    """Weight of the attention to the text (released)."""
    temporal: float = setting(2000.0, low=0, high=1e9, when="lift", help="Weight of the attention over frames.")
    """Weight of the attention over time (released)."""
    factors: str = setting(
        "peft",
        choices=("peft", "released", "none"),
        when="lift",
        help="How the factors begin and what is dropped of them: as peft's, or as in the released program; or none, and whole "
        "weights are tuned, which takes a lower learning rate.",
        later=True,
    )
    """``peft``: the first factor begins uniformly at random and its inputs are dropped. ``released``: it begins as normal noise of
    deviation ``1 / rank``, and the outputs of both are dropped. ``none``: the weights themselves are tuned, which the paper sets
    its factors against."""
    layers: str = setting(
        "linear",
        choices=("linear", "blocks"),
        when="lift",
        help="Which layers have factors: all linear ones of the transformers, or none of attention to words and of projections.",
        later=True,
    )
    """Layers with factors: ``linear``, all of the transformers (paper), or ``blocks``, the attention within frames and over time
    and the feed-forward layers alone, as the released program finds them (of which we could read the search, and not its call)."""
    stride: str = setting(
        "sampling",
        choices=("sampling", "timestep"),
        when="lift",
        help="How far the denoising step reaches before attention is matched: a step of sampling, or one timestep of training.",
        later=True,
    )
    """The denoising step between what is predicted and what is matched: one of sampling (ours), or one timestep of training,
    ``t - 1`` (released)."""

    @property
    def inversion_prompt(self) -> str:
        """The source prompt, or the empty one."""
        return "" if self.inverted_with == "empty" else self.source_prompt


SETTINGS = MotionMatcherSettings
