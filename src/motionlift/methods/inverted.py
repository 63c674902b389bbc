"""Inverted noise alone: videos begin with the noise that the reference came from, and nothing is tuned or guided.

DDIM inversion (2010.02502) as VMC, MotionMatcher and MotionFlow begin with it, by itself: what it brings is not to the credit of
what they add. It costs as many passes as the steps, and takes the reference's looks along, the more so the larger beta is. Of
models of flow the steps are Euler's.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace

from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice
from motionlift.core.method import Guide, Reference
from motionlift.core.method_settings import Guided
from motionlift.core.model import Model
from motionlift.core.settings import setting
from motionlift.core.tensors import Tensors
from motionlift.errors import SettingError
from motionlift.motion.edits import moved


@dataclass(frozen=True)
class InvertedSettings(Guided):
    """Settings of inverted noise alone."""

    share: float = setting(
        0.0, low=0, high=1, when="cast", help="Share of the steps that are guided, from the noisy end."
    )
    """Share of the steps that are guided: none, by definition."""
    inject: bool = setting(False, when="cast", help="Use the reference's keys and values in the first block.")
    """Replace keys and values of the first block by the reference's: no, by definition."""
    inversion: bool = setting(True, when="lift", help="Find the noise that the reference came from.")
    """Invert the reference: yes, by definition."""
    inverted_with: str = setting(
        "source",
        choices=("source", "empty"),
        when="lift",
        help="The prompt of the inversion: the source prompt, or the empty one.",
    )
    """The prompt of the inversion: the source prompt (MotionFlow, paper), or the empty one (VMC, released)."""
    beta: float = setting(
        1.0, low=0, high=1, when="cast", help="Share of the reference's own noise that the video begins with."
    )
    """Share of the inverted noise in the starting noise: all of it (VMC, released), so that a seed changes nothing."""

    @property
    def inversion_prompt(self) -> str:
        """The source prompt, or the empty one."""
        return "" if self.inverted_with == "empty" else self.source_prompt


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
        if settings.inverted_with == "source" and not settings.source_prompt.strip():
            raise SettingError(
                "inverted needs to know what the reference shows: give source_prompt, such as 'a red star on a blue plain "
                "background', or invert with the empty prompt, by inverted_with=empty"
            )

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
