"""Who reads adapters, and by which names: facts of the readers' own sources, kept as data in ``readers.json``.

The names were read from the sources that the data lists, each with its version and its licence. Names are facts: neither code nor
sentences of those programs are here. What is written (:mod:`motionlift.motion.export`) is held against them by tests, and files of
others are told by them (:mod:`motionlift.motion.adapter_file`). PyTorch is not needed to look into them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from motionlift.core.meant import meant
from motionlift.errors import SettingError

READERS = ("diffusers", "comfyui", "kohya", "peft")
"""Who can read an export: a pipeline of diffusers; ComfyUI's core; kohya's musubi-tuner; peft's own ``set_peft_model_state_dict``,
onto any network."""
STAR = "*"
"""A number in a name of the data: of a block, mostly."""
NUMBER = r"([0-9]{1,4})"
"""A number in a name of a file (ours: no network has ten thousand blocks)."""


STYLES: Mapping[str, str] = {
    "plain": "as the network has it",
    "flat": "with _ for every dot",
    "processor": "a layer of attention may be said to be of its processor",
    "former": "as this, of attention alone, and without the number behind its last layer",
    "processors": "a layer of attention is said to be of its processor, and its last one has no number",
}
"""How names of layers are written in a file (the last three as older versions of diffusers wrote them)."""
OUT = ".to_out.0"
ATTENTION = (".to_q", ".to_k", ".to_v", OUT)
"""Ends of the names of layers of attention, and of the last of them, in networks of diffusers."""
PROJECTION = re.escape(".to_")
ONE_OF = re.compile(r"\\\[([0-9])\\-([0-9])\\\]")
"""Numbers of which one stands in a name, once the name is escaped."""
NOTHING = r"(?!)"
"""Matches nothing."""


def check_reader(reader: str, called: str = "the reader") -> None:
    """Refuse a reader that is not known.

    Args:
        reader: its name.
        called: how it was given, for the message.

    Raises:
        SettingError: it is none of :data:`READERS`.
    """
    if reader not in READERS:
        raise SettingError(f"{called} is {reader[:40]!r}{meant(reader, READERS)}; allowed are {', '.join(READERS)}")


@dataclass(frozen=True)
class Form:
    """One way of naming layers that a reader understands, and what a file has to be that it takes it."""

    start: str
    """What stands before a layer's name."""
    names: tuple[str, ...]
    """Layers, as the reader's own network has them, with a star for each number, or the numbers that it may be, as in ``[0-2]``."""
    ends: tuple[str, ...]
    """What may stand behind it, by the names of :data:`Known.ends`."""
    style: str = "plain"
    """How a name is written: one of :data:`STYLES`."""
    alpha: str = "read"
    """What becomes of a layer's scale: it is ``read``; ``needed``; a file with one is ``refused``; or it is ``unread``."""
    beside: re.Pattern[str] | None = None
    """Matches the names of all other tensors that a file may hold; where there is another, nothing of the file is read."""
    sign: str = ""
    """Part of a name that some tensor has to bear, if the form is to be looked for."""
    every: tuple[str, ...] = ()
    """Layers that have to be there in each block, from the first on."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches a layer's name in a file; its groups are the numbers."""
        names = [name for name in self.names if self.style != "former" or name.endswith(ATTENTION)]
        return re.compile("|".join(self._matching(name) for name in names) or NOTHING)

    def named(self, name: str) -> str:
        """A layer as a file has it, where its style is plain or flat."""
        return self.start + (name.replace(".", "_") if self.style == "flat" else name)

    def _matching(self, name: str) -> str:
        """What matches a layer as a file has it."""
        if self.style in ("former", "processors") and name.endswith(OUT):
            name = name.removesuffix(".0")
        matching = re.escape(self.named(name)).replace(re.escape(STAR), NUMBER)
        matching = ONE_OF.sub(r"([\1-\2])", matching)
        if self.style in ("processor", "former"):
            return matching.replace(PROJECTION, rf"(?:\.processor)?{PROJECTION}")
        return matching.replace(PROJECTION, rf"\.processor{PROJECTION}") if self.style == "processors" else matching


@dataclass(frozen=True)
class Reader:
    """A program that loads adapters."""

    name: str
    """What ``--for`` calls it."""
    title: str
    """What people call it."""
    loads: str
    """How it is told to load a file."""
    families: Mapping[str, tuple[Form, ...]]
    """The forms that it understands, by the family of the model; nothing where it loads nothing into one."""
    loads_into: Mapping[str, str]
    """How it is told for families of which it is told otherwise."""


@dataclass(frozen=True)
class Size:
    """A published model, as far as its adapters tell it."""

    family: str
    blocks: tuple[int, ...]
    """Blocks, in the order of :data:`Known.lists`; none where its family's blocks do not tell its sizes apart."""
    width: int | None
    """Channels of its tokens; none where its layers are of many widths."""


@dataclass(frozen=True)
class Known:
    """All of the data."""

    readers: Mapping[str, Reader]
    ends: Mapping[str, tuple[str, ...]]
    """Ends of the names of a layer's tensors by their kind: of the factor that comes first and the other, or of a difference."""
    sizes: Mapping[str, Size]
    """Published models by the names that people know."""
    lists: Mapping[str, tuple[tuple[str, ...], ...]]
    """By family: the lists of its blocks that tell its sizes apart, each by the names that it has in a file."""
    elsewhere: Mapping[str, tuple[Form, ...]]
    """By family: forms that are met and that no reader here takes."""
    others: Mapping[str, str]
    """Families of models that are not served, by what people call them; their adapters are told apart by :data:`elsewhere`."""


def known() -> Known:
    """Read the data."""
    told = json.loads((files("motionlift.motion") / "readers.json").read_text(encoding="utf-8"))
    names = told["names"]
    readers = {
        name: Reader(name, own["title"], own["loads"], _families(own["families"], names), own.get("loads_into", {}))
        for name, own in told["readers"].items()
    }
    ends = {
        kind: tuple(own[part] for part in ("down", "up", "whole") if part in own) for kind, own in told["ends"].items()
    }
    sizes = {name: Size(own["family"], tuple(own["blocks"]), own["width"]) for name, own in told["models"].items()}
    lists = {family: tuple(tuple(own) for own in lists) for family, lists in told["lists"].items()}
    others = {family: own["forms"] for family, own in told["others"].items()}
    elsewhere = _families({**told["elsewhere"], **others}, names)
    return Known(readers, ends, sizes, lists, elsewhere, {name: told["others"][name]["title"] for name in others})


def _families(told: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> dict[str, tuple[Form, ...]]:
    return {family: tuple(_form(own, names) for own in forms) for family, forms in told.items()}


def _form(told: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> Form:
    return Form(
        start=told["start"],
        names=tuple(name for words in told["names"] for name in names[words]),
        ends=tuple(told["ends"]),
        style=told.get("style", "plain"),
        alpha=told.get("alpha", "read"),
        beside=re.compile(told["beside"]) if "beside" in told else None,
        sign=told.get("sign", ""),
        every=tuple(names[told["every"]]) if "every" in told else (),
    )
