"""Records of what was measured: what those of :mod:`motionlift.jobs.records` say of a cell."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motionlift.errors import InputError
from motionlift.jobs.records import records_kind

RECORDS = "records.jsonl"
"""Name of the file of records in a run's folder."""
CODE = "code"
"""Key of the hash of the code behind a record; records from before it was kept have none, and are of an unknown code."""
MOST_FILE_BYTES = 2**28
"""Largest video file that is opened (ours)."""
MOST_VALUE = 1e15
"""Largest magnitude of a figure or cost (ours: far beyond any, and sums of their squares stay finite)."""


STATED = frozenset({"model", "method", "settings", "source", "reference", "prompt", "seed"})
"""What every record says; :meth:`motionlift.bench.cell.Cell.stated` says more."""
RECORDS_KIND = records_kind("file of records", STATED, "model")
"""The file of records; its lines are the mark."""


def records_of(place: Path) -> Path:
    """The file of records of a run, by itself or by its folder.

    Raises:
        InputError: there is none.
    """
    path = place / RECORDS if place.is_dir() else place
    if not path.is_file():
        raise InputError(f"{place} holds no records; give the file {RECORDS} of a run, or its folder")
    return path


def missing(cells: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Cells without a record, see :func:`found`."""
    return [cell for cell, record in zip(cells, found(cells, records), strict=True) if record is None]


def found(cells: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any] | None]:
    """The last record of each cell, or none: one that holds all that the cell says.

    A record that names no code is taken to be of the cell's, where there is no other.
    """
    of_unknown_code = [record for record in records if CODE not in record]
    said: dict[frozenset[str], dict[str, Mapping[str, Any]]] = {}
    for names in {frozenset(cell) for cell in cells}:
        rest = names - {CODE}
        said[rest] = {_said(record, rest): record for record in of_unknown_code if rest <= record.keys()}
        said[names] = {_said(record, names): record for record in records if names <= record.keys()}
    results = []
    for cell in cells:
        names, rest = frozenset(cell), frozenset(cell) - {CODE}
        results.append(said[names].get(_said(cell, names)) or said[rest].get(_said(cell, rest)))
    return results


def _said(record: Mapping[str, Any], names: frozenset[str]) -> str:
    return json.dumps({name: record[name] for name in names}, sort_keys=True)


def kept_file(folder: Path, place: Any) -> Path | None:
    """The file of a video that a record names, which must lie in the folder of the records: none elsewhere, however it is named."""
    if not isinstance(place, str) or not place.endswith(".mp4"):
        return None
    try:
        inside = folder.resolve()
        path = (inside / place).resolve()
        fits = path.is_relative_to(inside) and path.is_file() and path.stat().st_size <= MOST_FILE_BYTES
    except (OSError, ValueError):
        return None
    return path if fits else None


def or_nan(value: float | None) -> float:
    """A figure as calculations take it: NaN where its record holds null, since it is undefined."""
    return math.nan if value is None else float(value)


def number(value: Any) -> float | None:
    """A figure as a number; None where it is undefined, or larger than :data:`MOST_VALUE`."""
    if not isinstance(value, (bool, int, float)) or not abs(value) <= MOST_VALUE:
        return None
    return float(value)
