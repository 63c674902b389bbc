"""What can be set of DiTFlow."""

from dataclasses import dataclass
from typing import Any

from motionlift.core.method_settings import Guided
from motionlift.core.settings import setting


@dataclass(frozen=True)
class DiTFlowSettings(Guided):
    """Settings of DiTFlow; the defaults are the paper's, where it states them."""

    block: tuple[int, ...] = setting((20,), low=0, help="Blocks of the network that are read, from zero.")
    """Blocks whose attention is read, from zero (paper: 15 for 2B, 20 for 5B; 20+15+10 gains a little)."""
    temperature: float = setting(
        2.0, low=1e-3, high=1e3, when="cast", help="How sharp the attention of the video being made is taken."
    )
    """Factor on the attention logits of the video being made (released)."""
    threshold: float = setting(
        0.0, low=-1, high=1e4, when="cast", help="Leave out displacements of at most this many tokens."
    )
    """Reference displacements of at most this many tokens are left out of the loss (released); negative keeps all."""
    mutual: bool = setting(False, when="lift", help="Leave out what attention does not confirm both ways.")
    """Leave out what attention tells of the reference where the way there and back does not end within one token of its beginning
    (ours; the paper keeps all). Optical flow is always checked so."""
    read: str = setting(
        "attention",
        choices=("attention", "flow"),
        when="lift",
        help="Where motion is read: attention, or optical flow of the pixels.",
    )
    """Where the reference's displacement is read: ``attention`` (paper) or ``flow``, dense optical flow of its pixels (ours)."""
    reference: str = setting(
        "hard",
        choices=("hard", "soft"),
        when="lift",
        help="How the reference's attention is taken: where it is greatest, or where it is on average.",
        later=True,
    )
    """How the reference's displacement is taken of its attention: ``hard``, to the key of the greatest (paper, released), or
    ``soft``, to the mean place, at :attr:`temperature`, as of the video being made (the program with
    ``argmax_motion_flow`` off)."""
    warp: bool = setting(False, when="cast", help="Move rotary positions along the reference's motion.", later=True)
    """Begin the guided steps with rotary positions that are moved along the reference's motion (RoPECraft, 2505.13344): a token has
    the place that it came from in the first frame. With ``inner=0`` nothing is optimised, and it costs nothing; with
    ``target=positions`` they are optimised from there. RoPECraft's program adds up smoothed flow from frame to frame; here it is
    the displacement to the first frame itself (ours). Measured on tiny-dit with four references, by optical flow, it does nothing
    alone (aligned error 0.130 with a share of 0.34 and 0.119 with all steps, plain sampling 0.127). It spoils the optimisation
    (0.112, without it 0.040), also with the other sign, as that program has it (0.065; alone 0.138 and 0.153)."""

    def lifting_values(self) -> dict[str, Any]:
        """The temperature too, where the reference is taken by it."""
        soft = {"temperature": self.temperature} if self.reference == "soft" else {}
        return {**super().lifting_values(), **soft}


SETTINGS = DiTFlowSettings
