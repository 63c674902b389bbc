"""Memory as people write it, and what is done so that a model takes less of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
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
    """As whole numbers of 8 bits, by bitsandbytes; on Nvidia's and AMD's GPUs."""
    NF4 = "nf4"
    """In 4 bits a number, by bitsandbytes; on the same."""
    TORCHAO_INT8 = "torchao-int8"
    """As whole numbers of 8 bits, by torchao."""
    QUANTO_INT8 = "quanto-int8"
    """As whole numbers of 8 bits, by optimum-quanto."""
    QUANTO_INT4 = "quanto-int4"
    """As whole numbers of 4 bits, by optimum-quanto."""


@dataclass(frozen=True)
class Quantizer:
    """A package that holds the weights of linear layers in fewer bits, from their reading on."""

    module: str
    """What is imported of it."""
    package: str
    """What it is installed as."""
    oldest: tuple[int, ...]
    """Its first version that diffusers takes."""
    size: float
    """Bytes of a weight, with the factors that it is scaled by."""
    on_gpus: bool = False
    """Whether it works on Nvidia's and AMD's GPUs alone."""


QUANTIZERS: Mapping[Weights, Quantizer] = {
    Weights.INT8: Quantizer("bitsandbytes", "bitsandbytes", (0, 43, 3), 1.0, on_gpus=True),
    Weights.NF4: Quantizer("bitsandbytes", "bitsandbytes", (0, 43, 3), 0.5 + 4 / 64, on_gpus=True),
    Weights.TORCHAO_INT8: Quantizer("torchao", "torchao", (0, 15), 1.0),
    Weights.QUANTO_INT8: Quantizer("optimum.quanto", "optimum-quanto", (0, 2, 6), 1.0),
    Weights.QUANTO_INT4: Quantizer("optimum.quanto", "optimum-quanto", (0, 2, 6), 0.5 + 4 / 128),
}
"""Versions by diffusers' own checks of them. In 4 bits, bitsandbytes has a factor of 4 bytes for 64 weights and optimum-quanto two
of 2 bytes for 128, by their defaults; in 8 bits each has one for a row, which counts for nothing here. GGUF is not among them:
diffusers reads weights that are in it, and puts none into it."""


def check_quantizer(weights: Weights) -> None:
    """Refuse a way of holding weights whose package is not installed; nothing of it is imported.

    Raises:
        SettingError: it is not there, or too old.
    """
    known = QUANTIZERS.get(weights)
    if known is None:
        return
    least, instead = ".".join(map(str, known.oldest)), f"or hold them in {Weights.FP8}, which needs none"
    if not _is_there(known.module):
        raise SettingError(
            f"weights in {weights} need the package {known.package}, which is not installed: pip install {known.package}, {instead}"
        )
    version = metadata.version(known.package)
    if tuple(map(int, re.findall(r"\d+", version)[: len(known.oldest)])) < known.oldest:
        raise SettingError(
            f"weights in {weights} need {known.package} {least} or newer, and {version} is installed: "
            f"pip install -U {known.package}, {instead}"
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of what is before its dot
        return False


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
