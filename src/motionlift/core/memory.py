"""What is done so that a model takes less memory."""

from dataclasses import dataclass, fields
from enum import StrEnum

from motionlift.errors import SettingError


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
