"""Inverted noise alone: videos begin with the noise that the reference came from, and nothing is tuned or guided.

DDIM inversion (2010.02502) as VMC, MotionMatcher and MotionFlow begin with it, by itself: what it brings is not to the credit of
what they add. It costs as many passes as the steps, and takes the reference's looks along, the more so the larger beta is. Of
models of flow the steps are Euler's.
"""

from collections.abc import Generator
from dataclasses import replace

from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice
from motionlift.core.method import Guide, Reference
from motionlift.core.model import Model
from motionlift.core.tensors import Tensors
from motionlift.motion.edits import moved
from motionlift.settings.inverted import InvertedSettings


class Inverted(Guide[InvertedSettings]):
    """The :class:`motionlift.core.method.Guide` that guides nothing, and begins with the reference's own noise."""

    name = "inverted"
    summary = "begin with the reference's own noise, nothing tuned or guided (inverts the reference)"
    Settings = InvertedSettings

    def settings(self, model: Model) -> InvertedSettings:
        """The model's sampling, with nothing guided or injected."""
        return replace(super().settings(model), share=0.0, inject=False)

    def check(self, model: Model, settings: InvertedSettings) -> None:
        """Refuse a reference of which nothing is said, where its caption is to be the prompt of the inversion.

        Raises:
            SettingError: no source prompt.
        """
        settings.check_words()

    def lift(
        self, reference: Reference, model: Model, settings: InvertedSettings
    ) -> Generator[Step, None, dict[str, Tensor]]:
        """The clean latents; the noise is the loop's."""
        yield Step("lift", 0, 1)
        return {"latents": reference.latents}

    def edited(self, motion: Tensors, edit: Edit, lattice: Lattice) -> Tensors:
        """Latents and noise follow places, nearly."""
        return moved(motion, edit, (), lattice)


METHOD = Inverted()
