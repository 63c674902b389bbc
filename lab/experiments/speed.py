"""What motion costs: the error of every method beside its work and seconds, as multiples of plain sampling."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lab.experiments import comparison
from lab.experiments.trial import difference_text, refusal, transferred
from motionlift.bench.report.agreement import TRUE
from motionlift.bench.report.catalogue import shown
from motionlift.bench.report.estimates import Estimate, estimate, flipped
from motionlift.bench.report.summary import Measurement, Row, sections
from motionlift.bench.report.tables import estimate_text, table
from motionlift.bench.run_file import MethodRun

NAME = "speed"
BESIDE = (comparison.NAME,)
"""Experiments whose records :func:`section` is given too: the errors are those of the comparison."""
COUNT = 1
"""References: what it costs hardly depends on them."""
PLAIN = ("none", {})
ROWS: Sequence[tuple[str, Mapping[str, Any]]] = (
    PLAIN,
    ("ditflow", {}),
    ("ditflow", {"preset": "fast"}),
    ("flowmotion", {}),
    ("flowmotion", {"preset": "fast"}),
    ("smm", {}),
    ("moft", {}),
    ("motionflow", {}),
    ("injection", {}),
    ("inverted", {"beta": 1.0}),
    ("inverted", {"inverted_with": "empty", "beta": 0.5}),
    ("vmc", {}),
    ("motionmatcher", {}),
    ("motionmatcher", {"block": 0}),
    ("motionmatcher", {"block": 1}),
    ("motiondirector", {}),
)
"""Methods and settings whose cost is measured; what tuning takes is part of it."""
MOST_LOST = 0.1
"""Share of a method's gain over plain sampling that a faster preset may lose."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each method and reference."""
    return [
        {"index": index, "method": method, "settings": dict(settings)}
        for index in range(count)
        for method, settings in ROWS
    ]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Work and seconds of lifting and casting on one thread; seconds of the processor, so that other programs count little."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    torch.set_num_threads(1)
    began = time.process_time()
    video, _ = transferred(cell, model)
    spent = time.process_time() - began
    return {"cpu_seconds": round(spent, 3), "passes": video.record["passes"]}


def section(records: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, Any]]) -> str:
    """Error against cost, the cheapest first, and faster presets beside what they are faster than."""
    text = (
        "## Motion against cost\n\nThe aligned error of the comparison above beside what it costs to lift and cast. *Work* is in "
        "passes of the whole network: a forward pass 1, a backward pass 2, each by the share of the network that ran. Seconds are "
        f"of the processor, with encoding and decoding, on one thread. {COUNT} reference. On the front is what "
        "nothing that costs as little comes nearer than.\n\n"
    )
    costs = {MethodRun(each["method"], each["settings"]).title: each for each in records if "refused" not in each}
    plain = costs.get(MethodRun(*PLAIN).title)
    if plain is None or not compared:
        return text
    (found,) = sections(compared)
    known = [row for row in found.rows if row.title in costs and row.figures[TRUE] is not None]
    points = {row.title: (costs[row.title]["passes"]["work"], mean_of(row)) for row in known}
    front = on_front(points)
    ordered = sorted(known, key=lambda row: points[row.title][0])
    rows = [[*_line(row, costs[row.title], plain), "yes" if row.title in front else "no"] for row in ordered]
    head = ["", "aligned error", "references", "work", "times plain", "seconds", "times plain", "on the front"]
    return text + table(head, rows) + _presets(found.measurements)


def mean_of(row: Row) -> float:
    """The mean aligned error of a row."""
    error = row.figures[TRUE]
    assert error is not None
    return error.mean


def on_front(points: Mapping[str, tuple[float, float]]) -> set[str]:
    """Names of the points, of cost and error, than which no other is as cheap with less error, or cheaper with as little."""
    return {
        name
        for name, (cost, error) in points.items()
        if not any(
            other <= cost and less <= error and (other, less) != (cost, error) for other, less in points.values()
        )
    }


def _line(row: Row, cost: Mapping[str, Any], plain: Mapping[str, Any]) -> list[str]:
    work, seconds = cost["passes"]["work"], cost["cpu_seconds"]
    error = row.figures[TRUE]
    times = [work / plain["passes"]["work"], seconds / plain["cpu_seconds"]]
    return [
        row.title,
        estimate_text(error, lambda value: shown(TRUE, value)),
        str(row.references),
        f"{work:.1f}",
        f"{times[0]:.2f}",
        f"{seconds:.1f}",
        f"{times[1]:.2f}",
    ]


def _presets(measurements: Sequence[Measurement]) -> str:
    """Every faster preset less the method's defaults, and what of the gain over plain sampling it loses."""
    errors: dict[str, dict[str, float]] = {}
    looks: dict[str, dict[str, float]] = {}
    for each in measurements:
        if TRUE in each.figures:
            errors.setdefault(each.title, {})[each.reference] = each.figures[TRUE]
            looks.setdefault(each.title, {})[each.reference] = each.figures["looks"]
    rows = []
    for method, settings in ROWS:
        fast, ours = (MethodRun(method, own).title for own in (settings, {}))
        if settings == {"preset": "fast"} and {fast, ours, "none"} <= errors.keys():
            both = sorted(errors[fast].keys() & errors[ours].keys() & errors["none"].keys())
            slower = [errors[fast][name] - errors[ours][name] for name in both]
            gain = [errors["none"][name] - errors[ours][name] for name in both]
            beyond = [lost - MOST_LOST * own for lost, own in zip(slower, gain, strict=True)]
            seen = [looks[fast][name] - looks[ours][name] for name in both]
            lost = f"{100 * sum(slower) / sum(gain):.0f}"
            told = [difference_text(_paired(each)) for each in (slower, beyond, seen)]
            rows.append([fast, str(len(both)), told[0], lost, *told[1:]])
    head = ["", "references", "less the defaults", "gain lost, %", f"loss beyond {MOST_LOST:.0%} of the gain", "looks"]
    told = (
        "\nFaster presets less the defaults on the same references. The gain is that of the defaults over plain sampling; a "
        "negative loss beyond a tenth of it is within what a preset may lose. *Looks* is the share of colours, backgrounds "
        "and shapes that are right.\n\n"
    )
    return told + table(head, rows) if rows else ""


def _paired(values: Sequence[float]) -> Estimate:
    found = estimate(values)
    assert found is not None
    return Estimate(found.mean, found.low, found.high, found.values, found.points, flipped(values, range(len(values))))
