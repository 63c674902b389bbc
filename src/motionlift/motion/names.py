"""The names of the tensors of a motion: one table of what they hold, who writes and who reads them.

A name is words joined by dots: what it is, then of what, such as ``displacement.15`` or ``positions.0.table``. A method may bring
names that are not in the table; of those, only type, finiteness and how much they hold are checked, and ``what.block`` and ``what``
are understood.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from motionlift.core.tensors import INVERTED, Tensors
from motionlift.core.windows import Windows
from motionlift.errors import MotionError

LATENTS, DISPLACEMENT, MAPS, TEMPORAL = "latents", "displacement", "maps", "temporal"
DIFFERENCES, MEANS, FEATURES, CHANNELS = "differences", "means", "features", "channels"
POSITIONS, ADAPTER = "positions", "adapter"
WINDOW = "window"
"""How the names of what is of one window of a longer video begin: ``window.3.displacement.15``."""

Named = TypeVar("Named")


@dataclass(frozen=True)
class Kind:
    """One row of the table."""

    word: str
    """First word of the name."""
    of: tuple[str, ...]
    """What the words after it say; the last may have dots within."""
    axes: str | None
    """Axes; None where they are the model's own matter. How many of each there are, :mod:`motionlift.motion.checking` says.

    Those of latents are in the legend of :mod:`motionlift.core.tensors`; ``frame``, ``row``, ``column``, ``token`` (of one frame,
    row by row) and ``tokens`` (of all) are a block's lattice. Edits go by them: ``token``, rows and columns last, and ``2`` last, a
    vector, x then y."""
    writer: str
    """Who writes it."""
    reader: str
    """Who reads it."""
    whole: bool = False
    """Holds whole numbers."""
    unknown: bool = False
    """Not a number where nothing is known; every other kind is finite."""
    shared: bool = False
    """Without a block, it serves every block."""


KINDS: Mapping[str, Kind] = {
    kind.word: kind
    for kind in (
        Kind(LATENTS, (), "b c f h w", "every method", "injection; the check that a motion fits a model"),
        Kind(INVERTED, (), "b c f h w", "inversion of the reference", "starting noise, where beta mixes it in"),
        Kind(
            DISPLACEMENT,
            ("block",),
            "frame frame token 2",
            "ditflow: from each frame to each, in tokens, x then y",
            "ditflow's loss; drawing",
            unknown=True,
            shared=True,
        ),
        Kind(DIFFERENCES, ("block",), "pairs channels", "smm: means of each two frames", "smm's loss"),
        Kind(MEANS, ("block",), "frame channels", "smm with form=released: means of frames", "smm's loss"),
        Kind(FEATURES, ("block",), "tokens chosen", "moft: features less their mean over time", "moft's loss"),
        Kind(CHANNELS, ("block",), "chosen", "moft: numbers of the chosen channels", "moft's loss", whole=True),
        Kind(
            MAPS,
            ("block",),
            "steps words frame row column",
            "motionflow: attention to words",
            "motionflow's loss; drawing",
        ),
        Kind(TEMPORAL, ("block",), "steps token frame frame", "motionflow: attention over time", "motionflow's loss"),
        Kind(POSITIONS, ("step", "name"), None, "sampling with target=positions", "sampling with target=saved"),
        Kind(ADAPTER, ("part", "layer"), "rows columns", "tuning", "sampling of what was tuned; export"),
    )
}
"""Every kind of tensors, by its first word."""


@dataclass(frozen=True)
class Name:
    """A name, taken apart."""

    word: str
    """What the tensor is."""
    rest: str = ""
    """Of what: the words after it."""
    window: int | None = None
    """The window of a longer video that it is of, if it is of one."""

    @classmethod
    def parsed(cls, name: str) -> "Name":
        """Take a name apart."""
        first, _, after = name.partition(".")
        number, _, own = after.partition(".")
        window = int(number) if first == WINDOW and own and _is_number(number) else None
        word, _, rest = (name if window is None else own).partition(".")
        return cls(word, rest, window)

    @property
    def kind(self) -> Kind | None:
        """Its row of the table; None where there is none."""
        kind = KINDS.get(self.word)
        if kind is None:
            return None
        if not self.rest:
            return kind if kind.shared or not kind.of else None
        fits = _is_number(self.rest) if kind.of == ("block",) else bool(kind.of)
        return kind if fits else None

    @property
    def block(self) -> int | None:
        """The block that it is of, if it is of one."""
        of_block = self.word not in KINDS or KINDS[self.word].of == ("block",)
        return int(self.rest) if of_block and _is_number(self.rest) else None


def _is_number(word: str) -> bool:
    # No more digits than any block or step has: names come from files of anyone.
    return word.isascii() and word.isdecimal() and len(word) < 9


def field_name(word: str, block: int | None = None) -> str:
    """Name of what is of a block, or of every block."""
    return word if block is None else f"{word}.{block}"


def window_name(number: int, name: str) -> str:
    """Name of what is of one window of a longer video."""
    return f"{WINDOW}.{number}.{name}"


def part(tensors: Tensors, windows: Windows | None, number: int) -> Tensors:
    """The part of a motion for a window of its frames, named as in a motion of so many; all of it where there are no windows.

    That is what is of the window by name, what lies along the latent frames of the whole video, cut, and what is of no frames.

    Args:
        tensors: of the motion.
        windows: over its video.
        number: of the window.
    """
    if windows is None or not windows.several:
        return tensors
    own, start = {}, window_name(number, "")
    for name, tensor in tensors.items():
        parsed = Name.parsed(name)
        if parsed.window is None:
            axes = parsed.kind.axes.split() if parsed.kind is not None and parsed.kind.axes else []
            own[name] = windows.cut(tensor, number, axes.index("f")) if "f" in axes else tensor
        elif name.startswith(start):
            own[name.removeprefix(start)] = tensor
    return own


def position_name(step: int, name: str) -> str:
    """Name of a positional tensor that was optimised in a guided step, counted from zero."""
    return f"{POSITIONS}.{step}.{name}"


def adapter_name(part: str, layer: str) -> str:
    """Name of a tensor of an adapter.

    Args:
        part: the pipeline's part that it was tuned on, such as ``transformer``.
        layer: name of the layer in it, with the end that :mod:`motionlift.motion.adapter` gives.
    """
    return f"{ADAPTER}.{part}.{layer}"


def of_block(tensors: Tensors, word: str, block: int) -> Tensor:
    """What is of a block: its own, or what serves every block.

    Raises:
        MotionError: there is neither.
    """
    for name in (field_name(word, block), field_name(word)):
        if name in tensors:
            return tensors[name]
    raise MotionError(f"the motion holds no {word} of block {block}: lift it again with that block")


def by_block(tensors: Tensors, word: str) -> dict[int | None, Tensor]:
    """All of one word by their block, ascending; what serves every block has None and comes first."""
    found: dict[int | None, Tensor] = {}
    for name, tensor in tensors.items():
        parsed = Name.parsed(name)
        if parsed.word == word and parsed.window is None and (parsed.block is not None or not parsed.rest):
            found[parsed.block] = tensor
    return dict(sorted(found.items(), key=lambda item: -1 if item[0] is None else item[0]))


def saved_positions(tensors: Tensors, step: int) -> dict[str, Tensor]:
    """Positional tensors that were optimised in a guided step, by the model's names; none where none were kept."""
    return _within(tensors, f"{POSITIONS}.{step}.")


def adapter(tensors: Mapping[str, Named]) -> dict[str, Named]:
    """The tensors of an adapter, or what is told of them, by the pipeline's part and the layer in it; none of none."""
    return _within(tensors, f"{ADAPTER}.")


def _within(tensors: Mapping[str, Named], start: str) -> dict[str, Named]:
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
