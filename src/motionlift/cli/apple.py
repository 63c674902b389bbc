"""Apple's GPUs: what PyTorch has no operation for there is computed on the CPU, and told."""

import os
import re
import warnings
from collections.abc import Callable
from typing import TextIO

from motionlift.environment import FALLBACK

LACKING = r"The operator '(.+?)' is not currently supported on the MPS backend"
"""How PyTorch warns of the first of them (its ``MPSFallback.mm``)."""


def fall_back(tell: Callable[[str], None]) -> None:
    """Let operations that an Apple GPU lacks run on the CPU, unless the environment says otherwise, and tell of it.

    To be called before PyTorch is imported. Other warnings are shown, or not, as before.

    Args:
        tell: takes one line for a person.
    """
    os.environ.setdefault(FALLBACK, "1")
    warnings.filterwarnings("always", message=LACKING)
    shown = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        found = re.match(LACKING, str(message))
        if found is None:
            shown(message, category, filename, lineno, file, line)
        else:
            tell(
                f"note: this PyTorch lacks operations for Apple's GPUs, such as {found[1]}: they run on the CPU, which takes "
                "longer; a newer one may have them"
            )

    warnings.showwarning = show
