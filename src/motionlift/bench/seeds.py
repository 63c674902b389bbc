"""Diversity over seeds: of records that differ in their seed alone, how different their videos are."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from motionlift.bench.summary import Measurement, measurement
from motionlift.errors import InputError
from motionlift.media import Footage
from motionlift.metrics.diversity import diversity

FIGURE = "diversity"
MOST_SEEDS = 16
"""Most seeds of one prompt that are compared, the first ones (ours: every pair is)."""
LONGEST = 256
"""Longest side of the frames that are compared, pixels (ours: structure is seen at this size, and large videos take no longer)."""

Find = Callable[[Any], Path | None]
"""Where the file of a record's video is."""


def with_diversity(records: Sequence[Mapping[str, Any]], find: Find) -> list[Mapping[str, Any]]:
    """The records; of each method, reference and prompt that has videos of several seeds, one with their diversity too.

    It is one figure for all of them: the record of the lowest seed carries it. Groups of which a video is not there, or cannot be
    compared, have none.
    """
    groups: dict[Any, dict[int, int]] = {}
    for number, record in enumerate(records):
        found = measurement(record)
        if found is not None and found.error is None:
            groups.setdefault(_all_but_seed(found), {})[found.seed] = number
    results = list(records)
    for numbers in groups.values():
        seeds = sorted(numbers)[:MOST_SEEDS]
        value = _diversity([records[numbers[seed]].get("video") for seed in seeds], find)
        if value is not None:
            first = numbers[seeds[0]]
            results[first] = {**records[first], "figures": {**records[first]["figures"], FIGURE: value}}
    return results


def _all_but_seed(found: Measurement) -> Any:
    return found.model, found.title, found.source, found.reference, found.prompt, found.kind


def _diversity(places: Sequence[Any], find: Find) -> float | None:
    paths = [find(place) for place in places]
    there = [path for path in paths if path is not None]
    if len(places) < 2 or len(there) < len(places):
        return None
    try:
        return diversity([Footage.of(path, LONGEST) for path in there])
    except InputError:
        return None
