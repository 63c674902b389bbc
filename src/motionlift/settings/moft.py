"""What can be set of MOFT."""

from dataclasses import dataclass

from motionlift.core.method_settings import Guided
from motionlift.core.settings import setting


@dataclass(frozen=True)
class MOFTSettings(Guided):
    """Settings of MOFT; those of the loop are DiTFlow's."""

    block: tuple[int, ...] = setting((20,), low=0, help="Blocks of the network that are read, from zero.")
    """Blocks whose features are read (DiTFlow compares at the same block)."""
    channel_share: float = setting(0.04, low=0, high=1, when="lift", help="Share of the channels that are kept.")
    """Share of the channels that are kept (paper)."""


SETTINGS = MOFTSettings
