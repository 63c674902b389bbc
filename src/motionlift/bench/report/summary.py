"""What records say: means of every method with their intervals, costs, and differences on the same cells."""

import json
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motionlift.bench.frozen import FROZEN
from motionlift.bench.records import number
from motionlift.bench.report.agreement import JUDGED, TRUE, Agreement, agreement
from motionlift.bench.report.catalogue import figure, in_order
from motionlift.bench.report.estimates import DIFFERENCES_OF_SHARES, SHARES, Estimate, estimate, flipped
from motionlift.bench.run_file import MethodRun
from motionlift.bench.sources import CONTENT
from motionlift.core.settings import with_values
from motionlift.errors import MotionliftError
from motionlift.methods import method as method_named

MOST_COMPARED = 12
"""Most methods that are all compared with each other; of more, each is compared with the baseline alone (ours)."""
BASELINE = "none"
"""Title of the method that others are compared with first, where it is there."""
TEXTS = ("model", "method", "source", "reference", "prompt", "kind")
"""What a record must say as text."""
BY_WHAT = ("fingerprint", "tracker", "clip_model")
"""Keys of what methods share: weights, and what measures."""
STATE = ("defaults", *BY_WHAT)
"""Keys of what figures depend on besides the cell: those of different states are never averaged."""
LIFTING = ("read", "lift")
"""Phases of lifting."""
SPENT = ("phases", "lifted_from_cache", "peak_memory_bytes")
"""Keys of what a cell took."""


@dataclass(frozen=True)
class Measurement:
    """One record, checked."""

    model: str
    """Name of the model."""
    title: str
    """The method with its settings."""
    source: str
    """Where the reference comes from."""
    reference: str
    """Its name there."""
    content: str
    """Start of a hash of what it shows; empty where its name says all of it."""
    prompt: str
    """What was asked for."""
    kind: str
    """Kind or number of the prompt."""
    seed: int
    """Seed of the starting noise."""
    figures: Mapping[str, float]
    """Those that are defined."""
    error: str | None
    """How the cell failed, if it did."""
    record: Mapping[str, Any]
    """All that the record says."""

    @property
    def group(self) -> tuple[str, str, str]:
        """What is drawn as a whole for intervals: cells of one reference are not independent."""
        return self.source, self.reference, self.content

    @property
    def task(self) -> tuple[str, str, str, str, str, int]:
        """What the cell is apart from model and method: methods are compared on the same tasks."""
        return self.source, self.reference, self.content, self.prompt, self.kind, self.seed

    @property
    def state(self) -> tuple[str, ...]:
        """Weights, defaults, tracker and CLIP model that its figures depend on."""
        return self._told(STATE)

    @property
    def by_what(self) -> tuple[str, ...]:
        """The part of :attr:`state` that does not differ between methods: only where it agrees are they compared."""
        return self._told(BY_WHAT)

    def _told(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(str(self.record.get(name)) for name in names)


@dataclass(frozen=True)
class Row:
    """One method's line."""

    title: str
    """The method with its settings."""
    cells: int
    """Cells that were measured."""
    references: int
    """Distinct references among them."""
    failed: int
    """Cells that failed."""
    figures: Mapping[str, Estimate]
    """By name, those that are defined in some cell."""
    costs: Mapping[str, float]
    """Means: ``lift_seconds`` where it was lifted anew, else where another method lifted the same, ``cast_seconds``,
    ``memory_bytes``; and of lifting and casting together ``seconds``, ``forward`` and ``backward``, which are not there where
    nobody lifted."""


@dataclass(frozen=True)
class Pair:
    """The difference between two methods in one figure, on the tasks that both did."""

    title: str
    """The method."""
    baseline: str
    """What it is compared with."""
    figure: str
    """Name of the figure."""
    difference: Estimate
    """Mean of the differences, method less baseline, with its p."""

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where it hardly comes by chance and its interval leaves zero out, else ``unclear``."""
        better, is_more = figure(self.figure).better, self.difference.mean > 0
        if not self.difference.is_apart:
            return "unclear"
        if not better:
            return "more" if is_more else "less"
        return "better" if is_more == (better > 0) else "worse"


@dataclass(frozen=True)
class Section:
    """What was measured of one model on one source of references."""

    model: str
    """Name of the model."""
    source: str
    """Where the references come from."""
    figures: Sequence[str]
    """Names of the figures that some method has."""
    rows: Sequence[Row]
    """A line for each method, in the order of the records."""
    pairs: Sequence[Pair]
    """Methods against each other, or against the baseline where they are many."""
    measurements: Sequence[Measurement]
    """What it was made from."""
    agreements: Sequence[Agreement]
    """How figures of motion order all of it, beside the true error where that is known."""
    superseded: int = 0
    """Records that were left out: their method was measured again later with other weights, defaults, tracker or CLIP model."""


def measurement(record: Mapping[str, Any]) -> Measurement | None:
    """A record, checked; None where it is none of ``motionlift bench``."""
    texts = [record.get(name) for name in TEXTS]
    settings, seed, figures = record.get("settings"), record.get("seed"), record.get("figures", {})
    if not all(isinstance(text, str) for text in texts) or not {"figures", "error"} & record.keys():
        return None
    if not isinstance(settings, dict) or not isinstance(seed, int) or not isinstance(figures, dict):
        return None
    model, method, source, reference, prompt, kind = map(str, texts)
    try:
        title = MethodRun(method, settings).title
    except RecursionError:  # settings within settings, without end
        return None
    read = {str(name): number(value) for name, value in figures.items()}
    return Measurement(
        model=model,
        title=title,
        source=source,
        reference=reference,
        content=str(record.get(CONTENT, "")),
        prompt=prompt,
        kind=kind,
        seed=seed,
        figures={name: value for name, value in read.items() if value is not None},
        error=str(record["error"]) if "error" in record else None,
        record=record,
    )


def sections(records: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Records by model and source.

    Of every method there those of the newest state count, which is that of its last record. Of two that are of the same cell,
    the later one counts; where they differ in what was to be measured, they are one with the figures of both.
    """
    found: dict[tuple[str, str], list[Measurement]] = {}
    for each in filter(None, map(measurement, records)):
        found.setdefault((each.model, each.source), []).append(each)
    return [_section(*names, measurements) for names, measurements in found.items()]


def _section(model: str, source: str, every: Sequence[Measurement]) -> Section:
    newest = {each.title: each.state for each in every}
    current = [each for each in every if each.state == newest[each.title]]
    measurements = _one_for_each_cell(current)
    groups: dict[str, list[Measurement]] = {}
    for each in measurements:
        groups.setdefault(each.title, []).append(each)
    figures = in_order({name for each in measurements for name in each.figures})
    lifts = _lifts(measurements)
    return Section(
        model,
        source,
        figures,
        [_row(title, group, lifts) for title, group in groups.items()],
        list(_pairs(groups, figures)),
        measurements,
        list(_agreements(measurements)),
        len(every) - len(current),
    )


def _one_for_each_cell(measurements: Sequence[Measurement]) -> list[Measurement]:
    """In the order of the last record of each cell."""
    cells: dict[Hashable, dict[str, Measurement]] = {}
    for each in measurements:
        cell, metrics = (each.title, each.task), str(each.record.get("metrics"))
        known = cells.pop(cell, {})
        known.pop(metrics, None)
        cells[cell] = {**known, metrics: each}
    return [_merged(list(each.values())) for each in cells.values()]


def _merged(of_one_cell: Sequence[Measurement]) -> Measurement:
    """What was measured of one cell in several goes: a later figure counts before an earlier, and a failure where all failed."""
    done = [each.record for each in of_one_cell if each.error is None]
    if len(done) < 2:
        return next((each for each in of_one_cell if each.error is None), of_one_cell[-1])
    anew = [record for record in done if not record.get("lifted_from_cache")]
    spent = (anew or done)[-1]
    figures = {name: value for record in done for name, value in record["figures"].items()}
    left_out = {name: why for record in done for name, why in _mapping(record.get("left_out")).items()}
    merged = {
        **done[-1],
        **{name: spent[name] for name in SPENT if name in spent},
        "figures": figures,
        "left_out": {name: why for name, why in left_out.items() if name not in figures},
    }
    found = measurement(merged)
    assert found is not None
    return found


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _agreements(measurements: Sequence[Measurement]) -> Iterator[Agreement]:
    """Of every figure that is there beside the true error."""
    for name in JUDGED:
        both = [each for each in measurements if {name, TRUE} <= each.figures.keys()]
        judged, true = (np.array([each.figures[key] for each in both], dtype=float) for key in (name, TRUE))
        found = agreement(name, judged, true, [each.group for each in both])
        if found is not None:
            yield found


def _row(title: str, group: Sequence[Measurement], lifts: Mapping[Hashable, Mapping[str, float]]) -> Row:
    done = [each for each in group if each.error is None]
    names = {name for each in done for name in each.figures}
    return Row(
        title,
        len(done),
        len({each.group for each in done}),
        len(group) - len(done),
        {name: found for name in names if (found := _estimate(done, name)) is not None},
        _costs(done, lifts),
    )


def _lifts(measurements: Sequence[Measurement]) -> dict[Hashable, dict[str, float]]:
    """What it cost to lift each motion, where some cell did it."""
    done = [each for each in measurements if each.error is None and not each.record.get("lifted_from_cache")]
    return {key: _phases(each.record, LIFTING) for each in done if (key := _lifted(each)) is not None}


def _lifted(each: Measurement) -> Hashable | None:
    """What tells the motion that a cell lifted; None where its record does not say enough.

    Cells whose settings differ in what matters to casting alone share it: the later ones find it in the cache.
    """
    method, settings = str(each.record.get("method")), each.record.get("all_settings")
    if method == FROZEN or not isinstance(settings, dict):
        return None
    try:
        decisive = with_values(method_named(method).Settings(), settings).lifting_values()
    except MotionliftError:  # settings of another version
        return None
    return each.group, method, each.by_what, json.dumps(decisive, sort_keys=True)


def _estimate(group: Sequence[Measurement], name: str) -> Estimate | None:
    values, groups = [each.figures.get(name, math.nan) for each in group], [each.group for each in group]
    return estimate(values, groups, SHARES if figure(name).share else None)


def _costs(done: Sequence[Measurement], lifts: Mapping[Hashable, Mapping[str, float]]) -> dict[str, float]:
    """Means of what is known; lifting counts where it was done, and not where the cache had it.

    Where the cache always had it, it counts as for the cell that lifted the same motion. Where there is none, nobody knows what
    the whole costs: casting alone would look as cheap as plain sampling.

    Args:
        done: cells of one method.
        lifts: what lifting cost, by motion.
    """
    records = [each.record for each in done]
    lifted = [_phases(record, LIFTING) for record in records if not record.get("lifted_from_cache")]
    if not lifted:
        lifted = [lifts[key] for each in done if (key := _lifted(each)) in lifts]
    cast = [_phases(record, ("cast", "decode")) for record in records]
    memory = [number(record.get("peak_memory_bytes")) for record in records]
    means = {
        "lift_seconds": _mean([each["seconds"] for each in lifted]),
        "cast_seconds": _mean([each["seconds"] for each in cast]),
        "memory_bytes": _mean([value for value in memory if value is not None]),
        **{
            way: _sum(_mean([each[way] for each in lifted]), _mean([each[way] for each in cast]))
            for way in ("forward", "backward")
        },
        "work": _sum(*[_mean([each["work"] for each in group if "work" in each]) for group in (lifted, cast)]),
    }
    means["seconds"] = _sum(means["lift_seconds"], means["cast_seconds"])
    return {name: value for name, value in means.items() if value is not None}


def _phases(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Seconds and passes of some phases of a record together."""
    phases = record.get("phases")
    chosen = [
        phase
        for phase in (phases if isinstance(phases, list) else [])
        if isinstance(phase, dict) and phase.get("name") in names and isinstance(phase.get("passes"), dict)
    ]
    work = [number(phase["passes"].get("work")) for phase in chosen]  # records of version 0.1 tell none
    return {
        "seconds": sum(number(phase.get("seconds")) or 0 for phase in chosen),
        **{way: sum(number(phase["passes"].get(way)) or 0 for phase in chosen) for way in ("forward", "backward")},
        **({"work": sum(each or 0 for each in work)} if work and None not in work else {}),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _sum(one: float | None, other: float | None) -> float | None:
    """Both together, where both are known."""
    return None if one is None or other is None else one + other


def _pairs(groups: Mapping[str, Sequence[Measurement]], figures: Sequence[str]) -> Iterator[Pair]:
    """Every two methods both ways, or every one against the baseline."""
    titles = list(groups)
    first = BASELINE if BASELINE in titles else titles[0]
    baselines = titles if len(titles) <= MOST_COMPARED else [first]
    for baseline in sorted(baselines, key=lambda title: title != first):
        for title in titles:
            if title == baseline:
                continue
            for name in figures:
                difference = paired(groups[title], groups[baseline], name)
                if difference is not None:
                    yield Pair(title, baseline, name, difference)


def paired(ones: Sequence[Measurement], others: Sequence[Measurement], name: str) -> Estimate | None:
    """Mean difference in a figure on the tasks that both did, with its interval and p; None where there are none.

    Both must be of the same weights, tracker and CLIP model.
    """
    known = {(each.task, each.by_what): each.figures[name] for each in others if name in each.figures}
    both = [each for each in ones if name in each.figures and (each.task, each.by_what) in known]
    differences, groups = (
        [each.figures[name] - known[each.task, each.by_what] for each in both],
        [each.group for each in both],
    )
    found = estimate(differences, groups, DIFFERENCES_OF_SHARES if figure(name).share else None)
    return None if found is None else replace(found, p=flipped(differences, groups))
