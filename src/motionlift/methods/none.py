"""No motion at all: plain sampling, the baseline that every method must beat."""

from collections.abc import Generator
from dataclasses import replace

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


class Unguided(Guide[Guided]):
    """The :class:`motionlift.core.method.Guide` that ignores its reference."""

    name = "none"
    summary = "plain sampling, no motion taken (baseline)"
    Settings = Guided
    published = published(blocks=False, share=0.0, inject=False)

    def settings(self, model: Model) -> Guided:
        """The model's sampling, with nothing guided or injected."""
        return replace(super().settings(model), share=0.0, inject=False)

    def lift(self, reference: Reference, model: Model, settings: Guided) -> Generator[Step, None, dict[str, Tensor]]:
        """The clean latents, so that a motion file is never empty."""
        yield Step("lift", 0, 1)
        return {"latents": reference.latents}

    def edited(self, motion: Tensors, edit: Edit, lattice: Lattice) -> Tensors:
        """The latents follow places, nearly, as does the inverted noise that sampling may begin with."""
        return moved(motion, edit, (), lattice)


METHOD = Unguided()
