"""What can be set of SMM."""

from dataclasses import dataclass

from motionlift.core.method_settings import Guided
from motionlift.core.settings import setting


@dataclass(frozen=True)
class SMMSettings(Guided):
    """Settings of SMM; those of the loop are DiTFlow's."""

    block: tuple[int, ...] = setting((20,), low=0, help="Blocks of the network that are read, from zero.")
    """Blocks whose features are read (DiTFlow compares at the same block)."""
    form: str = setting(
        "own",
        choices=("own", "released"),
        when="lift",
        help="Whose frames the video's changes are counted from: its own, or the reference's, as DiTFlow's program does.",
        later=True,
    )
    """Form of the loss: ``own``, changes between the video's own frames, their cosine over the channels (ours), or ``released``,
    what DiTFlow's program computes: changes from the reference's frames, their cosine along the frames."""


SETTINGS = SMMSettings
