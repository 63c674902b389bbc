"""Whether the tensors of a motion are what the table of names says, by their types and sizes alone: nothing of them is read.

What a motion says of itself decides most sizes: its lattice and its settings. The rest only a model can tell, and
:func:`check_block` asks for it.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from motionlift.core.lattice import Lattice, halved
from motionlift.core.tensors import INVERTED, Tensors
from motionlift.core.windows import Windows
from motionlift.errors import MotionError
from motionlift.motion import adapter, names
from motionlift.motion.names import Kind, Name

FLOATS, WHOLES = ("F32", "F16", "BF16", "F64"), ("I64", "I32")
"""Types of numbers that a motion holds, as safetensors names them: latents, fields and features; and the numbers of channels."""
MOST_FOREIGN = 2**26
"""Most bytes that are read under names that are not in the table (ours)."""
MOST_SHOWN = 60
"""Most characters of a name in a message (ours)."""

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """What a file's header says of a tensor."""

    type: str
    """Type of its numbers, as safetensors names it."""
    sizes: Sizes
    """Its sizes."""
    bytes: int
    """What it takes."""


def check_headers(
    headers: Mapping[str, Header], lattice: Lattice, settings: Mapping[str, Any], windows: Windows | None = None
) -> None:
    """Refuse tensors that no motion of a lattice and settings has.

    Args:
        headers: by the tensors' names.
        lattice: the finest lattice of the model that lifted it.
        settings: of the method that lifted it.
        windows: that it was lifted in, where the model did not see it whole.

    Raises:
        MotionError: a tensor of another type or of other sizes, tensors that do not go with each other, or too much under foreign
            names.
    """
    foreign = {}
    together: defaultdict[int | None, dict[str, Sizes]] = defaultdict(dict)
    for name, header in headers.items():
        parsed = Name.parsed(name)
        kind, number = parsed.kind, parsed.window
        if number is not None and (windows is None or number >= len(windows)):
            raise _refused(f"holds {_shown(name)}, and tells of no such window")
        together[number][name if number is None else name.removeprefix(names.window_name(number, ""))] = header.sizes
        finest = lattice if number is None or windows is None else replace(lattice, frames=windows.length)
        types = (*FLOATS, *WHOLES) if kind is None else WHOLES if kind.whole else FLOATS
        if header.type not in types:
            raise _refused(f"holds {_shown(name)} of type {header.type[:40]}; allowed is {' or '.join(types)}")
        if kind is None:
            foreign[name] = header.bytes
        else:
            # Latents are of the finest lattice; what is of a block may be of one that a UNet makes of it.
            lattices = halved(finest) if kind.of == ("block",) else [finest]
            _check_sizes(name, kind, header.sizes, lattices, settings)
    if sum(foreign.values()) > MOST_FOREIGN:
        largest = max(foreign, key=lambda name: foreign[name])
        raise _refused(
            f"holds {sum(foreign.values())} bytes under names that no motion has, such as {_shown(largest)}; at most "
            f"{MOST_FOREIGN} are read"
        )
    for sizes in together.values():
        _check_together(sizes)


def check_block(name: str, sizes: Sizes, lattice: Lattice, width: int) -> None:
    """Refuse what is of a block and does not fit it.

    Args:
        name: the tensor's name.
        sizes: its sizes.
        lattice: that of the block.
        width: channels of its features.

    Raises:
        MotionError: it is of another lattice, or has other channels.
    """
    kind = Name.parsed(name).kind
    if kind is None or kind.axes is None:
        return
    _check_sizes(name, kind, sizes, [lattice], {})
    own = dict(zip(kind.axes.split(), sizes, strict=True))
    if own.get("channels", width) != width or own.get("chosen", 1) > width:
        raise _refused(f"holds {_shown(name)} of {sizes}, and the block has {width} channels")


def check_held(tensors: Tensors, words: Sequence[str], blocks: Sequence[int]) -> None:
    """Refuse a motion that lacks what its method reads.

    Args:
        tensors: of the motion.
        words: of the names that the method's motions hold, beside latents.
        blocks: that are read.

    Raises:
        MotionError: something is not there.
    """
    for word in (names.LATENTS, *words):
        if names.KINDS[word].of == ("block",):
            for block in blocks:
                names.of_block(tensors, word, block)
        elif not any(Name.parsed(name).word == word for name in tensors):
            raise MotionError(f"the motion holds no {word}: lift it again")


def _refused(what: str) -> MotionError:
    return MotionError(f"the motion {what}: lift it again")


def _shown(name: str) -> str:
    return repr(name[:MOST_SHOWN])


def _check_sizes(name: str, kind: Kind, sizes: Sizes, lattices: Sequence[Lattice], settings: Mapping[str, Any]) -> None:
    """Refuse a tensor whose axes are not the kind's, on any of some lattices, the finest first."""
    if kind.axes is None:
        if not all(sizes):
            raise _refused(f"holds {_shown(name)} of {sizes}, which is nothing")
        return
    axes = kind.axes.split()
    expected = [[_expected(axis, lattice, settings) for axis in axes] for lattice in lattices]
    if len(sizes) == len(axes) and any(all(map(_allows, own, sizes)) for own in expected):
        return
    wanted = ", ".join(f"{axis} {_told(own)}" for axis, own in zip(axes, expected[0], strict=True))
    raise _refused(
        f"holds {_shown(name)} of {sizes}, with {len(sizes)} axes; a motion has {kind.axes} there, on its lattice {lattices[0]} "
        f"{wanted}"
    )


@dataclass(frozen=True)
class _Multiple:
    """Any size that a number divides; zero is none."""

    of: int


def _expected(axis: str, lattice: Lattice, settings: Mapping[str, Any]) -> int | _Multiple:
    """The size of an axis on a lattice; a token stands for whole latents, as in every network that cuts them into patches."""
    sizes = {
        "b": 1,
        "2": 2,
        "frame": lattice.frames,
        "row": lattice.height,
        "column": lattice.width,
        "token": lattice.area,
        "tokens": lattice.tokens,
        "pairs": math.comb(lattice.frames, 2),
        "f": _Multiple(lattice.frames),
        "h": _Multiple(lattice.height),
        "w": _Multiple(lattice.width),
        "steps": _guided_steps(settings),
        "words": _subjects(settings),
    }
    return sizes.get(axis, _Multiple(1))


def _allows(expected: int | _Multiple, size: int) -> bool:
    if isinstance(expected, _Multiple):
        return size > 0 and size % expected.of == 0
    return size == expected


def _told(expected: int | _Multiple) -> str:
    if isinstance(expected, _Multiple):
        return "1 or more" if expected.of == 1 else f"a multiple of {expected.of}"
    return str(expected)


def _guided_steps(settings: Mapping[str, Any]) -> int | _Multiple:
    """Guided steps of a method that looks at each of them when lifting, one at least; any number where settings do not say."""
    steps, share = settings.get("steps"), settings.get("share")
    if not isinstance(steps, int) or not isinstance(share, int | float) or not (0 < steps <= 10**6 and 0 <= share <= 1):
        return _Multiple(1)
    return max(1, round(share * steps))


def _subjects(settings: Mapping[str, Any]) -> int | _Multiple:
    subjects = settings.get("subjects")
    return len(subjects) if isinstance(subjects, tuple) else _Multiple(1)


def _check_together(sizes: Mapping[str, Sizes]) -> None:
    """Refuse tensors that contradict each other."""
    clean, inverted = sizes.get(names.LATENTS), sizes.get(INVERTED)
    if clean is not None and inverted is not None and clean != inverted:
        raise _refused(f"holds {INVERTED} of {inverted} and {names.LATENTS} of {clean}, which are of one size")
    for name, own in sizes.items():
        parsed = Name.parsed(name)
        if parsed.kind is None or parsed.block is None:
            continue
        for word, other in _partners(parsed.word, own):
            partner = names.field_name(word, parsed.block)
            if partner not in sizes:
                raise _refused(f"holds {_shown(name)} and no {partner!r}, which go together")
            if other is not None and sizes[partner][-len(other) :] != other:
                raise _refused(f"holds {_shown(name)} of {own} and {partner!r} of {sizes[partner]}, which contradict")
    _check_positions(sizes)
    layers = names.adapter(sizes)
    adapter.check_adapter(layers)
    for name in layers:
        if "." not in adapter.layer_of(name):
            raise _refused(f"holds {_shown(name)} of an adapter, which names a part of a pipeline and no layer in it")


def _partners(word: str, sizes: Sizes) -> Sequence[tuple[str, Sizes | None]]:
    """Words of what comes with a tensor of a block, and the last of its sizes where they follow."""
    if word == names.FEATURES:
        return [(names.CHANNELS, sizes[-1:])]
    if word == names.MAPS:
        frames, rows, columns = sizes[2:]
        return [(names.TEMPORAL, (rows * columns, frames, frames))]
    return {names.CHANNELS: [(names.FEATURES, None)], names.TEMPORAL: [(names.MAPS, None)]}.get(word, [])


def _check_positions(sizes: Mapping[str, Sizes]) -> None:
    """Refuse saved positions of which a step has no number, is not there, or has others than the first."""
    steps: defaultdict[str, dict[str, Sizes]] = defaultdict(dict)
    for name, own in sizes.items():
        word, _, rest = name.partition(".")
        if word == names.POSITIONS:
            step, _, position = rest.partition(".")
            steps[step][position] = own
    numbers = [str(number) for number in range(len(steps))]
    if sorted(steps) != sorted(numbers):
        raise _refused(
            f"holds positions of the steps {', '.join(sorted(steps))[:MOST_SHOWN]}, which do not count from 0"
        )
    for number in numbers:
        if steps[number] != steps["0"] or not all(steps[number]):
            raise _refused(f"holds other positions in step {number} than in step 0")
