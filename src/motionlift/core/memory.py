"""Memory as people write it, and what is done so that a model takes less of it."""

import re
from dataclasses import dataclass, fields
from enum import StrEnum
from numbers import Integral

from motionlift.errors import SettingError

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
"""Bytes of each unit that is read, whatever its letters' size."""


class Weights(StrEnum):
    """How the weights of the network are held."""

    OWN = "own"
    """In the type that they compute in."""
    FP8 = "fp8"
    """In 8 bits a number, cast to the type that they compute in while a layer runs."""
    INT8 = "int8"
    """As whole numbers of 8 bits, by a quantizer."""
    NF4 = "nf4"
    """In 4 bits a number, by a quantizer."""


@dataclass(frozen=True)
class Measures:
    """What is done so that a model takes less memory, in the order of its price in time.

    The first three can be other in each view of a model; the others are settled when it is loaded.
    """

    one_by_one: bool = False
    """Guidance weighs two prompts in two passes of the network, not in one of a batch of two."""
    parts: bool = False
    """The autoencoder works in tiles."""
    recomputed: bool = False
    """Activations are recomputed in backward."""
    waiting: bool = False
    """Text encoders, autoencoder and network are on the device only while they are used."""
    offloaded: bool = False
    """Blocks of the network, and layers of the text encoders, wait in main memory, and are on the device one after the other."""
    weights: Weights | str = Weights.OWN
    """How the weights of the network are held; a plain word is taken as one."""

    def __post_init__(self) -> None:
        if self.weights not in tuple(Weights):
            raise SettingError(
                f"weights are to be held as {str(self.weights)[:40]!r}; allowed are {', '.join(Weights)}"
            )
        object.__setattr__(self, "weights", Weights(self.weights))

    @property
    def taken(self) -> tuple[str, ...]:
        """Those that are taken, by name; how weights are held by its own."""
        names = [item.name for item in fields(self) if getattr(self, item.name) is True]
        return (*names, *([] if self.weights is Weights.OWN else [str(self.weights)]))


def read_memory(given: str | int) -> int:
    """Bytes of what somebody wrote, such as ``12GB`` (12 000 000 000 bytes) or ``12GiB``.

    Args:
        given: a text with a unit, or a number of bytes.

    Raises:
        SettingError: no such text, or not more than nothing.
    """
    if isinstance(given, Integral) and not isinstance(given, bool):
        number = float(given)
    else:
        found = re.fullmatch(
            r"\s*(-?(?:\d{1,12}(?:\.\d{0,6})?|\.\d{1,6}))\s*([KMGT]i?)B?\s*", str(given), re.ASCII | re.IGNORECASE
        )
        if found is None:
            raise SettingError(
                f"memory is {str(given)[:40]!r}; give a number and a unit, such as 12GB, 11.5GiB or 800MB"
            )
        number = float(found[1]) * UNITS[f"{found[2]}B".upper()]
    if number < 1:
        raise SettingError(f"memory is {str(given)[:40]!r}; allowed is what is more than nothing, such as 12GB")
    return int(number)
