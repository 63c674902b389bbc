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
    """One way of naming layers that a reader understands."""

    start: str
    """What stands before a layer's name."""
    names: tuple[str, ...]
    """Layers, as the reader's own network has them, with a star for each number."""
    ends: tuple[str, ...]
    """What may stand behind it, by the names of :data:`Known.ends`."""
    flat: bool
    """Whether dots within a name are written as ``_``."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches a layer's name in a file; its groups are the numbers."""
        return re.compile("|".join(re.escape(self.named(name)).replace(re.escape(STAR), NUMBER) for name in self.names))

    def named(self, name: str) -> str:
        """A layer as a file has it."""
        return self.start + (name.replace(".", "_") if self.flat else name)


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


@dataclass(frozen=True)
class Size:
    """A published model, as far as its adapters tell it."""

    family: str
    blocks: int
    """Blocks, of all its lists."""
    width: int
    """Channels of its tokens."""


@dataclass(frozen=True)
class Known:
    """All of the data."""

    readers: Mapping[str, Reader]
    ends: Mapping[str, tuple[str, ...]]
    """Ends of the names of a layer's tensors by their kind: of the factor that comes first and the other, or of a difference."""
    sizes: Mapping[str, Size]
    """Published models by the names that people know."""


def known() -> Known:
    """Read the data."""
    told = json.loads((files("motionlift.motion") / "readers.json").read_text(encoding="utf-8"))
    readers = {
        name: Reader(name, own["title"], own["loads"], _families(own["families"], told["names"]))
        for name, own in told["readers"].items()
    }
    ends = {
        kind: tuple(own[part] for part in ("down", "up", "whole") if part in own) for kind, own in told["ends"].items()
    }
    return Known(readers, ends, {name: Size(**own) for name, own in told["models"].items()})


def _families(told: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> dict[str, tuple[Form, ...]]:
    return {
        family: tuple(
            Form(own["start"], tuple(names[own["names"]]), tuple(own["ends"]), own.get("flat", False)) for own in forms
        )
        for family, forms in told.items()
    }
