"""Records of jobs: one line of strict JSON for each, in a file that a kill cannot spoil."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.errors import InputError
from motionlift.video.marks import Kind

MOST_BYTES = 2**29
"""Largest file of records that is read (ours: a hundred times the records of the largest run)."""


@dataclass(frozen=True)
class Lines:
    """What a file of records holds."""

    records: list[dict[str, Any]]
    """Its whole lines, in their order."""
    lost: int
    """Lines that are no record, such as one that a kill cut off."""


def read_lines(path: Path) -> Lines:
    """Read a file of records; one that is not there holds none.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    if not path.exists():
        return Lines([], 0)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InputError(f"{path} has {size} bytes; at most {MOST_BYTES} are read: split it")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give a file of records") from error
    lines = [_record(line) for line in text.split("\n") if line.strip()]
    records = [record for record in lines if record is not None]
    return Lines(records, len(lines) - len(records))


def has_record(path: Path) -> bool:
    """Whether a file has a line that is a record; it is read as far as the first.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return any(_record(line) is not None for line in iter(lambda: file.readline(MOST_BYTES), ""))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give a file of records") from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """Finished jobs; a line cut off by a kill counts as not finished."""
    return read_lines(path).records


def records_kind(name: str, stated: frozenset[str], first: str) -> Kind:
    """The kind of a file of records, whose lines are the mark: it holds a record, or the beginning of one, or nothing yet.

    Args:
        name: what it is called.
        stated: keys that every record has.
        first: the key that it begins with.
    """
    beginning = f'{{"{first}": '.encode()

    def has_records(path: Path) -> bool:
        lines = read_lines(path).records
        if lines:
            return any(line.keys() >= stated for line in lines)
        with path.open("rb") as file:
            return file.read(len(beginning)) in (b"", beginning)

    return Kind(name, (".jsonl",), has_records)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add a line of strict JSON to the file, numbers that are not finite as null; a line that a kill cut off is closed first.

    Raises:
        OSError: it cannot be written whole; the file is then as it was.
    """
    with path.open("a+b", buffering=0) as file:
        cut_off, before = False, file.tell()
        if before:
            file.seek(-1, 2)
            cut_off = file.read(1) != b"\n"
        left = b"\n" * cut_off + json.dumps(_strict(record), allow_nan=False).encode() + b"\n"
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(before)
            raise


def _strict(value: Any) -> Any:
    """The value with null for every number that JSON has no word for."""
    if isinstance(value, Mapping):
        return {name: _strict(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
