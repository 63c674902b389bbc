"""What a job is predicted to take, and what is done so that it fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from motionlift.core.cost import Passes
from motionlift.core.lattice import Shape
from motionlift.core.memory import Measures
from motionlift.core.model import About
from motionlift.core.shortage import tried
from motionlift.work import measured
from motionlift.work.memory import Room, room, told

ALLOWED = 0.95
"""Share of the memory that a plan fills (ours): kernels work in some beside tensors, and there are holes between these."""
LEAST = "flowmotion"
"""The method that takes least memory of those that guide: no gradient goes through the network."""
WORDS: Mapping[str, str] = {
    "one_by_one": "prompts in two passes",
    "parts": "the autoencoder in tiles",
    "recomputed": "activations recomputed",
    "waiting": "parts off the device while they are not used",
    "offloaded": "blocks of the network on the device one after the other",
    "fp8": "weights in 8 bits",
    "int8": "weights as whole numbers of 8 bits",
    "nf4": "weights in 4 bits",
    "torchao-int8": "weights as whole numbers of 8 bits",
    "quanto-int8": "weights as whole numbers of 8 bits",
    "quanto-int4": "weights as whole numbers of 4 bits",
}
"""The measures as people are told of them."""


@dataclass(frozen=True)
class Phase:
    """What a phase takes."""

    name: str
    """One of :data:`motionlift.work.phases.PHASES`."""
    weights: int
    """Bytes of weights on the device."""
    beyond: int
    """Most bytes of other tensors."""

    @property
    def peak(self) -> int:
        """Both."""
        return self.weights + self.beyond


@dataclass(frozen=True)
class Plan:
    """A job as it is planned."""

    room: Room
    """The memory that it may use."""
    measures: Measures
    """What is done so that it fits."""
    phases: tuple[Phase, ...]
    """Its phases, in the order in which they come."""
    model: str
    """Identity of the model."""
    shape: Shape
    """Size of the video."""
    tokens: int
    """Tokens of the network's lattice."""
    passes: Passes
    """Passes of the network."""
    main: int = 0
    """Bytes of main memory beside the device's: of weights that are read, and wait, and of pixels."""
    before: tuple[str, ...] = ()
    """What is to be known of the job, which can be told before a model is read."""
    factor: float = 1.0
    """What peaks are multiplied by, since earlier plans were short on this device."""
    pace: str = ""
    """How the model computes, as :func:`motionlift.work.measured.pace` says it."""
    method: str = ""
    """Name of the method, where it is known."""
    usual: tuple[str, ...] = ()
    """Of what is done, what the model does whether or not it is needed."""

    def __repr__(self) -> str:
        need = f"{told(self.need(self.largest))} of {told(self.room.bytes)}, most in {self.largest.name}"
        return f"Plan({self.shape}, {need}; done for that: {self.taken or 'nothing'})"

    @property
    def largest(self) -> Phase:
        """The phase that takes most."""
        return max(self.phases, key=lambda phase: phase.peak)

    def need(self, phase: Phase) -> float:
        """Bytes that a device must have for a phase."""
        return phase.peak * self.factor / ALLOWED

    def main_need(self, phase: Phase) -> float:
        """Bytes that main memory must have for a phase beside the device's; where that shares it, for what is on it too."""
        return (self.main + (phase.beyond * self.factor if self.room.is_shared else 0)) / ALLOWED

    def lacks_main(self, phase: Phase) -> bool:
        """Whether a phase does not fit into main memory, where that is not the device's."""
        return self.room.main is not None and self.main_need(phase) > self.room.main

    @property
    def short(self) -> tuple[Phase, ...]:
        """The phases that do not fit."""
        return tuple(phase for phase in self.phases if self.need(phase) > self.room.bytes or self.lacks_main(phase))

    @property
    def taken(self) -> str:
        """The measures that were chosen so that it fits, in words; empty where none was."""
        return ", ".join(WORDS[name] for name in self.measures.taken if name not in self.usual)

    @property
    def seconds_key(self) -> str:
        """Under which seconds of a pass are kept."""
        return measured.seconds_key(self.room.name, self.model, self.shape, self.pace)

    @property
    def seconds(self) -> float | None:
        """Seconds of all, where the device was measured with this model, computing so, and size; but for loading the model."""
        kept, planned = measured.kept().seconds, {phase.name for phase in self.phases}
        each = kept.get(self.seconds_key)
        beside = [kept.get(f"{self.seconds_key} {part}", 0.0) for part in measured.BESIDE if part in planned]
        return None if each is None else each * self.passes.work + sum(beside)

    @property
    def notices(self) -> tuple[str, ...]:
        """A line on the measures, where there are some."""
        return (f"to fit {told(self.room.bytes)}: {self.taken}",) if self.taken else ()

    def record(self) -> dict[str, Any]:
        """For records."""
        return {
            "memory_bytes": self.room.bytes,
            "measures": list(self.measures.taken),
            "predicted_bytes": {phase.name: round(phase.peak * self.factor) for phase in self.phases},
        }


def shortage(at: str, about: About, plan: Plan | None, failed: BaseException) -> str:
    """The line for an allocation that failed, after which the next plan is a larger one.

    Args:
        at: what was being done.
        about: the model.
        plan: of the job, where it was planned.
        failed: what the allocator said.
    """
    head = f"out of memory on {about.device} in the phase {at}{tried(failed)}"
    is_least = plan is not None and plan.method == LEAST
    change = "ask for fewer frames or a smaller size"
    change = change if is_least else f"{change}, or for another method: {LEAST} takes least of those that guide"
    device, model = (room(about.device).name, about.identity) if plan is None else (plan.room.name, plan.model)
    is_raised = measured.keep_shortage(measured.factor_key(device, model))
    if plan is None:
        return (
            f"{head}: say what may be used, as motionlift transfer, motionlift lift and motionlift cast take it by --memory, so "
            f"that measures are taken, or {change}"
        )
    largest = plan.largest
    again = "the same command now plans for more, or " if is_raised else ""
    return (
        f"{head}: {told(plan.room.bytes)} may be used, and {told(plan.need(largest))} were planned for {largest.name}; "
        f"{again}{change}"
    )
