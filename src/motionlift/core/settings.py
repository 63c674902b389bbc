"""Settings from outside: names and values checked against a method's settings dataclass."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from motionlift.core.meant import meant
from motionlift.errors import SettingError


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple = (),
    when: Literal["lift", "cast", "both"] = "both",
    help: str = "",
    later: bool = False,
    before: Any = None,
) -> Any:
    """A field of a settings dataclass with the values it allows, which :func:`with_values` enforces.

    Args:
        default: the value where none is given.
        low: least number.
        high: greatest number.
        choices: all values that are allowed.
        when: what the setting matters to. ``lift``: it shapes what is read from the reference, so that a motion once lifted
            cannot be cast with another. ``cast``: it does not, so that a motion lifted with another serves. ``both``: it
            decides what is read, and casting may change it as far as the motion holds what it then needs.
        help: one short sentence for users on what the setting does.
        later: it came after results were measured, and does at its default what was done before, so that they stay.
        before: what was done before it came, where its default does otherwise: what motions mean that do not say it.
    """
    about = {"low": low, "high": high, "choices": choices, "when": when, "help": help, "later": later, "before": before}
    return field(default=default, metadata=about)


Settings = TypeVar("Settings")
MOST_TEXT = 2000
"""Most characters of a text that a setting holds (ours)."""


@dataclass(frozen=True)
class Described:
    """A setting in words."""

    allowed: str
    """What it allows."""
    help: str
    """What it does; a setting that changes one of its base says it once, there."""


def unsaid(settings: type, said: Mapping[str, Any]) -> dict[str, Any]:
    """What a motion means by not saying settings that came later; nothing of one that says none at all.

    Args:
        settings: the class of its method's settings.
        said: those that it says.
    """
    before = {item.name: item.metadata["before"] for item in dataclasses.fields(settings)} if said else {}
    return {name: value for name, value in before.items() if value is not None and name not in said}


def described(settings: type) -> dict[str, Described]:
    """Every setting of a class in words."""
    return {
        field.name: Described(_allowed(field, _kind(settings, field)), _help(settings, field.name))
        for field in dataclasses.fields(settings)
    }


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """A copy with some values changed; strings are read as the setting's type.

    Raises:
        SettingError: an unknown name, a value of the wrong type, or one out of range.
    """
    return dataclasses.replace(settings, **read_values(type(settings), values))  # pyright: ignore[reportArgumentType]


def read_values(settings: type, values: Mapping[str, Any], called: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Values for a settings dataclass, each of its type; strings are read.

    Args:
        settings: the class.
        values: by the names of the settings.
        called: what settings are called in messages, where that is not their name.

    Raises:
        SettingError: an unknown name, a value of the wrong type, or one out of range.
    """
    known = {field.name: field for field in dataclasses.fields(settings)}
    for name in values:
        if name not in known:
            raise SettingError(f"unknown setting {name[:40]!r}{meant(name, known)}; allowed are {', '.join(known)}")
    called = called or {}
    return {
        name: _value(known[name], _kind(settings, known[name]), value, called.get(name, name))
        for name, value in values.items()
    }


def assignments(pairs: Sequence[str]) -> dict[str, str]:
    """``["name=value", ...]`` as a mapping.

    Raises:
        SettingError: a pair without ``=``, or a name given twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise SettingError(f"{pair!r} is not a setting; write name=value, such as lr=0.01")
        if name.strip() in values:
            raise SettingError(f"the setting {name.strip()!r} is given twice; give it once")
        values[name.strip()] = value.strip()
    return values


def _kind(settings: type, field: dataclasses.Field) -> Any:
    return typing.get_type_hints(settings)[field.name]


def _help(settings: type, name: str) -> str:
    """What a setting does, as the class says it, or the nearest of its bases."""
    own = [getattr(kind, "__dataclass_fields__", {}).get(name) for kind in settings.__mro__]
    return next((field.metadata["help"] for field in own if field and field.metadata.get("help")), "")


def _allowed(field: dataclasses.Field, kind: Any) -> str:
    low, high, choices = (field.metadata.get(name) for name in ("low", "high", "choices"))
    if choices:
        return " or ".join(map(str, choices))
    if kind is bool:
        return "true or false"
    if str in (kind, *typing.get_args(kind)):
        return "text" if kind is str else "words with commas between"
    words = "whole numbers with commas between" if isinstance(kind, types.GenericAlias) else ""
    words = words or ("a whole number" if kind is int else "a number")
    if low is not None:
        words += f" from {low:g}"
    if high is not None:
        words += f" to {high:g}"
    return words


def _value(field: dataclasses.Field, kind: Any, value: Any, called: str) -> Any:
    """One value, read and checked."""
    try:
        read = _read(kind, value)
    except (TypeError, ValueError, OverflowError):
        read = None
    if read is None or not _fits(field, read):
        raise SettingError(f"{called} is {_came(value)}; allowed is {_allowed(field, kind)}")
    return read


def _came(value: Any) -> str:
    """A value in a message, cut; Python does not write whole numbers of thousands of digits."""
    try:
        return " ".join(repr(value).split())[:80]
    except ValueError:
        return "a number of thousands of digits"


def _fits(field: dataclasses.Field, read: Any) -> bool:
    """Whether a value of the right type is one of the choices, short enough a text, or numbers that all lie in the range."""
    choices = field.metadata.get("choices")
    if choices:
        return read in choices
    parts: tuple[Any, ...] = read if isinstance(read, tuple) else (read,)
    if isinstance(field.default, str) or any(isinstance(part, str) for part in parts) or field.default == ():
        return sum(map(len, parts)) <= MOST_TEXT and all(map(is_text, parts))
    low, high = (field.metadata.get(name) for name in ("low", "high"))
    # No math.isfinite, which fails on long whole numbers; NaN is in no range.
    lowest, highest = -math.inf if low is None else low, math.inf if high is None else high
    return len(parts) > 0 and all(lowest <= number <= highest and abs(number) != math.inf for number in parts)


def read_size(text: str) -> tuple[int, int] | None:
    """Width and height from ``WIDTHxHEIGHT``; none where it is no such text."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip(), re.ASCII | re.IGNORECASE)
    return (int(found[1]), int(found[2])) if found else None


def is_text(given: str) -> bool:
    """Whether a string is text: bytes of another encoding leave halves of letters in it, which no tokenizer takes."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def _are_texts(parts: Sequence[Any]) -> bool:
    return all(isinstance(part, str) for part in parts)


def _read(kind: Any, value: Any) -> Any:
    """A value as a type, or None; raises what Python raises for what it cannot convert."""
    if kind is bool:
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}.get(str(value).lower())
    if isinstance(kind, types.GenericAlias):
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
        (part_kind, *_) = typing.get_args(kind)
        if part_kind is str:
            return tuple(part.strip() for part in parts if part.strip()) if _are_texts(parts) else None
        numbers = tuple(_read(int, part) for part in parts)
        return None if None in numbers else numbers
    if kind is str:
        return value if isinstance(value, str) else None
    number = None if isinstance(value, bool) else kind(value)
    return number if isinstance(value, str) or number == value or kind is float else None
