"""Diversity over seeds: of records that differ in their seed alone, how different their videos are."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from motionlift.bench.report.summary import Measurement, measurement
from motionlift.errors import InputError
from motionlift.measure.diversity import diversity
from motionlift.video.footage import Footage

FIGURE = "diversity"
MOST_SEEDS = 16
"""Most seeds of one prompt that are compared, the first ones (ours: every pair is)."""
LONGEST = 256
"""Longest side of the frames that are compared, pixels (ours: structure is seen at this size, and large videos take no longer)."""

Find = Callable[[Any], Path | None]
"""Where the file of a record's video is."""


def with_diversity(records: Sequence[Mapping[str, Any]], find: Find) -> list[Mapping[str, Any]]:
    """The records; of each method, reference and prompt that has videos of several seeds, one with their diversity too.

    It is one figure for all of them: the record of the lowest seed carries it. Where a video is not there, or cannot be compared,
    it says in ``left_out`` why there is none.
    """
    groups: dict[Any, dict[int, int]] = {}
    for number, record in enumerate(records):
        found = measurement(record)
        if found is not None and found.error is None:
            groups.setdefault(_all_but_seed(found), {})[found.seed] = number
    results = list(records)
    for numbers in groups.values():
        if len(numbers) < 2:
            continue
        chosen = [numbers[seed] for seed in sorted(numbers)[:MOST_SEEDS]]
        first = records[chosen[0]]
        try:
            value = _diversity([records[number].get("video") for number in chosen], find)
            results[chosen[0]] = _with(first, "figures", value)
        except InputError as error:
            results[chosen[0]] = _with(first, "left_out", str(error))
    return results


def _with(record: Mapping[str, Any], name: str, told: float | str) -> Mapping[str, Any]:
    """A record of which one mapping has the diversity, or why there is none, too."""
    mapping = record.get(name)
    return {**record, name: {**(mapping if isinstance(mapping, dict) else {}), FIGURE: told}}


def _all_but_seed(found: Measurement) -> Any:
    *task, _ = found.task
    return found.model, found.title, found.state, *task


def _diversity(places: Sequence[Any], find: Find) -> float:
    there = [path for path in map(find, places) if path is not None]
    if len(there) < len(places):
        raise InputError(
            f"videos of {len(there)} of a prompt's {len(places)} seeds are beside the records; all are compared"
        )
    return diversity([Footage.of(path, LONGEST) for path in there])
