"""What can be set of VMC."""

from dataclasses import dataclass

from motionlift.core.method_settings import Tuned
from motionlift.core.settings import setting

FORMS = ("cos", "l2", "released")
"""Forms of the loss of residuals (:mod:`motionlift.signals.residuals`)."""
CLEAN, NOISE = "clean", "noise"
"""Forms of the loss beside those of residuals of the noise: for comparison, both of which the paper argues against."""


@dataclass(frozen=True)
class VMCSettings(Tuned):
    """Settings of VMC; those that it names itself are the released program's."""

    steps: int = setting(75, low=1, high=1000, when="lift", help="Denoising steps.")
    """Denoising steps, those of the inversion too (released)."""
    cfg: float = setting(9.0, low=0, high=100, when="cast", help="Guidance scale: how strongly the prompt is followed.")
    """Weight of the prompt against the empty prompt (released)."""
    inversion: bool = setting(True, when="lift", help="Find the noise that the reference came from.")
    """Invert the reference (released)."""
    inverted_with: str = setting(
        "empty",
        choices=("source", "empty"),
        when="lift",
        help="The prompt of the inversion: the source prompt, or the empty one.",
    )
    """The prompt of the inversion: the empty one (released), or the source prompt."""
    beta: float = setting(
        1.0, low=0, high=1, when="cast", help="Share of the reference's own noise that the video begins with."
    )
    """Share of the inverted noise in the starting noise: all of it (released), so that a seed changes nothing."""
    form: str = setting("cos", choices=(*FORMS, CLEAN, NOISE), when="lift", help="Form of the loss.")
    """Form of the loss: ``cos`` (paper's choice), ``l2`` (paper) or ``released`` (what the authors' program computes). For
    comparison (ours): ``clean``, ``cos`` of denoised frames, not of noises, and ``noise``, the squared error of the noise."""
    reduced: bool = setting(True, when="lift", help="Reduce the source prompt to subject and action.")
    """Reduce the source prompt to its subject and action, so that it says nothing of looks (paper; by rules of ours), where no
    ``tuning_prompt`` is given."""
    attention: str = setting(
        "temporal",
        choices=("temporal", "spatial", "temp_attentions"),
        when="lift",
        help="The attention that is tuned: over time, within frames, or over time without the one at the network's entrance.",
    )
    """The attention that is tuned: over time (paper); within frames, for comparison; or, of ModelScope's kind of network, over time
    in ``temp_attentions`` alone (released), which leaves out the one at its entrance, ``transformer_in``."""

    @property
    def inversion_prompt(self) -> str:
        """The empty prompt, or the source prompt."""
        return "" if self.inverted_with == "empty" else self.source_prompt


SETTINGS = VMCSettings
