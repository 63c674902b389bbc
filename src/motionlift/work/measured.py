"""What was measured of earlier jobs on this machine: seconds a pass, and how far plans of memory were short.

A small file beside the cache, ``measured.json``, where that is in use. Nothing depends on it: one that cannot be read or written is
as one that is empty.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionlift.core.lattice import Shape
from motionlift.core.memory import Measures
from motionlift.errors import OutputError
from motionlift.motion import cache
from motionlift.video.marks import FOREIGN, json_of, keyed
from motionlift.video.writing import replacing, write_json

MEASURED = keyed("measurements")
"""The mark of the file."""
MOST = 200
"""Entries that are kept of each kind, the latest (ours)."""
RAISED = 1.15
"""What a plan that was short is multiplied by the next time (ours)."""
LOWERED = 1.05
"""What that is divided by after a job that was enough (ours: less than it was raised by, so that few of many jobs are short)."""
MOST_RAISED = 2.0
"""Most that plans are multiplied by (ours: a plan so far out is a mistake, and no wider one helps)."""


BESIDE: Mapping[str, tuple[str, ...]] = {"encode": ("read", "lift"), "decode": ("cast", "decode")}
"""What is done beside passes of the network, by the phase of a plan that has most of it: the phases of a job that it is in."""


@dataclass(frozen=True)
class Measured:
    """What is kept."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds of a pass of the network, by device, model, size and how it computes; and of what is done beside passes, by that and
    by one of :data:`BESIDE`."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """What predicted peaks are multiplied by, by device and model."""


def place() -> Path:
    """The file."""
    return cache.folder().parent / "measured.json"


def kept() -> Measured:
    """What is kept; nothing where the file is not there, or not ours."""
    path = place()
    with suppress(OSError, *FOREIGN):
        if MEASURED.wrote(path):
            told = json_of(path)
            seconds, factors = _numbers(told.get("seconds"), 1e6), _numbers(told.get("factors"), MOST_RAISED)
            return Measured(seconds, {name: max(1.0, number) for name, number in factors.items()})
    return Measured()


def _numbers(told: Any, most: float) -> dict[str, float]:
    """The entries that are numbers in a range."""
    entries = told.items() if isinstance(told, dict) else ()
    return {
        name: float(number)
        for name, number in entries
        if isinstance(number, int | float) and not isinstance(number, bool) and 0 < number <= most
    }


def pace(measures: Measures, dtype: str, compiled: bool = False, processes: int = 1) -> str:
    """What of how a model computes decides how long a pass takes.

    Args:
        measures: what is done so that it takes less memory. That parts wait is left out: they come and go between passes.
        dtype: type of its numbers.
        compiled: whether passes for sampling run compiled.
        processes: how many share the tokens.
    """
    taken = [name for name in measures.taken if name != "waiting"]
    shared = [f"{processes} processes"] if processes > 1 else []
    return ", ".join([dtype, *taken, *(["compiled"] if compiled else []), *shared])


def seconds_key(device: str, model: str, shape: Shape, pace: str) -> str:
    """Under which seconds are kept: by a device's name, a model's identity, a size, and what :func:`pace` says."""
    return f"{device} {model[:16]} {shape.frames}x{shape.height}x{shape.width} {pace}"


def factor_key(device: str, model: str) -> str:
    """Under which factors are kept."""
    return f"{device} {model[:16]}"


def factor(device: str, model: str) -> float:
    """What predicted peaks are multiplied by on a device, of a model by its identity."""
    return kept().factors.get(factor_key(device, model), 1.0)


def keep_seconds(key: str, seconds: float) -> None:
    """Keep what a pass took, as far as the file can be written."""
    before = kept()
    _write(Measured(_latest(before.seconds, key, seconds), before.factors))


def keep_shortage(key: str) -> bool:
    """Keep that memory was short: the next plan's peaks are multiplied by more; gives whether they are."""
    before = kept()
    own = before.factors.get(key, 1.0)
    raised = min(MOST_RAISED, own * RAISED)
    _write(Measured(before.seconds, _latest(before.factors, key, raised)))
    return kept().factors.get(key, 1.0) > own


def keep_enough(key: str) -> None:
    """Keep that a plan was enough: the next one's peaks are multiplied by less, where they were by anything."""
    before = kept()
    if key in before.factors:
        others = {name: number for name, number in before.factors.items() if name != key}
        lowered = before.factors[key] / LOWERED
        _write(Measured(before.seconds, _latest(others, key, lowered) if lowered > 1 else others))


def _latest(entries: Mapping[str, float], key: str, value: float) -> dict[str, float]:
    others = {name: number for name, number in entries.items() if name != key}
    return dict([*others.items(), (key, round(value, 6))][-MOST:])


def _write(measured: Measured) -> None:
    path = place()
    if not cache.is_own():
        return
    with suppress(OSError, OutputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, MEASURED) as partial:
            write_json(partial, MEASURED, {"seconds": measured.seconds, "factors": measured.factors}, indent=2)
