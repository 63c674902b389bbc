"""What can be set of inverted."""

from dataclasses import dataclass

from motionlift.core.method_settings import Guided
from motionlift.core.settings import setting
from motionlift.errors import SettingError


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

    def check_words(self) -> None:
        """Refuse a reference of which nothing is said, where its caption is to be the prompt of the inversion.

        Raises:
            SettingError: no source prompt.
        """
        if self.inverted_with == "source" and not self.source_prompt.strip():
            raise SettingError(
                "inverted needs to know what the reference shows: give source_prompt, such as 'a red star on a blue plain "
                "background', or invert with the empty prompt, by inverted_with=empty"
            )


SETTINGS = InvertedSettings
