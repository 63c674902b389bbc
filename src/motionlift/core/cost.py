"""Steps of a loop as they are told, and what they cost."""

from collections.abc import Callable
from dataclasses import dataclass, field

from motionlift.core.tensors import Latents


@dataclass
class Passes:
    """How often a network ran, counted per video: a batch of two counts twice; a pass stopped early counts as one."""

    forward: int = 0
    """Forward passes."""
    backward: int = 0
    """Backward passes."""


@dataclass(frozen=True)
class Step:
    """One step of a loop, as it is yielded."""

    phase: str
    """What is being done: ``"invert"``, ``"lift"``, ``"tune"``, ``"guide"`` or ``"sample"``."""
    index: int
    """Number of this step in its phase, from zero."""
    total: int
    """Steps in this phase."""
    loss: float | None = None
    """Loss after this step, where there is one."""
    latents: Latents | None = None
    """Latents after this step, where there are any."""


Advance = Callable[[Step], None]


@dataclass
class Phase:
    """Seconds and passes of a phase, for the closing table."""

    name: str
    """Name of the phase."""
    seconds: float = 0.0
    """Wall-clock seconds."""
    passes: Passes = field(default_factory=Passes)
    """Passes of the network."""
