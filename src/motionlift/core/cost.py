"""Steps of a loop as they are told, and what they cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from motionlift.core.tensors import Latents

BACKWARD = 2
"""Work of a backward pass in forward passes: each product of matrices has two in its gradient (the usual count)."""


@dataclass
class Passes:
    """How often a network ran, counted per video: a batch of two counts twice."""

    forward: int = 0
    """Forward passes; one that was stopped early counts as one."""
    backward: int = 0
    """Backward passes."""
    work: float = 0.0
    """What all of them cost, in forward passes of the whole network: a forward pass by the share of the network that ran, and
    twice that for a backward pass through it."""

    def ran(self, videos: int, share: float = 1.0) -> None:
        """Count a forward pass of some videos through a share of the network."""
        self.forward += videos
        self.work += videos * share

    def went_back(self, share: float = 1.0) -> None:
        """Count the backward pass of one video through a share of the network."""
        self.backward += 1
        self.work += BACKWARD * share

    def since(self, before: "Passes") -> "Passes":
        """What was counted after an earlier state."""
        return Passes(self.forward - before.forward, self.backward - before.backward, self.work - before.work)


def all_of(counts: Sequence[Passes]) -> Passes:
    """Several counts together."""
    return Passes(*[sum(getattr(each, name) for each in counts) for name in ("forward", "backward", "work")])


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
    latents: Latents | None = field(default=None, repr=False)
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
