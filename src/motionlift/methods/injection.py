"""Injection only: the first block's keys and values of the reference in the guided steps, nothing optimised.

DiTFlow's ablation (2412.07776): it keeps layout and place, and says little of motion. The reference is noised to the level of the
step by the model's own schedule, on models of flow to ``(1 - sigma) x0 + sigma eps``.
"""

from collections.abc import Generator

from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice
from motionlift.core.method import Guide, Reference
from motionlift.core.method_settings import Guided
from motionlift.core.model import Model
from motionlift.core.tensors import Tensors
from motionlift.methods.ditflow_constants import published
from motionlift.motion.edits import moved


class Injection(Guide[Guided]):
    """The :class:`motionlift.core.method.Guide` that only injects."""

    name = "injection"
    summary = "keys and values of the reference in the first block, nothing optimised (baseline)"
    Settings = Guided
    published = published(blocks=False)

    def lift(self, reference: Reference, model: Model, settings: Guided) -> Generator[Step, None, dict[str, Tensor]]:
        """The clean latents."""
        yield Step("lift", 0, 1)
        return {"latents": reference.latents}

    def edited(self, motion: Tensors, edit: Edit, lattice: Lattice) -> Tensors:
        """The latents follow places, nearly."""
        return moved(motion, edit, (), lattice)


METHOD = Injection()
