"""How often the intervals of the tables hold the true mean, on data as skewed as ours; simulated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motionlift.bench.report.estimates import DIFFERENCES_OF_SHARES, FEWEST, SHARES, estimate
from motionlift.bench.report.tables import table

NAME = "intervals"
COUNT = 4000
"""Samples of every size."""
SIZES = (FEWEST, 16, 24, 32, 100)
"""References of which means are told on the page; of fewer there is no interval."""
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


@dataclass(frozen=True)
class Population:
    """Where samples come from."""

    draw: Draw
    """Draws values of a shape."""
    mean: float
    """The true mean."""
    within: tuple[float, float] | None = None
    """Bounds that are known of the values."""


def _changes(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return random.choice([1.0, -1.0, 0.0], shape, p=[0.10, 0.02, 0.88])


def _lopsided(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Differences of two skewed errors, of which one has twice the mean."""
    return 2 * random.gamma(2, 0.5, shape) - random.gamma(2, 0.5, shape)


POPULATIONS: Mapping[str, Population] = {
    "normal": Population(lambda random, shape: random.normal(0, 1, shape), 0),
    "errors, skewness 1.4": Population(lambda random, shape: random.gamma(2, 0.5, shape), 1),
    "errors, skewness 2": Population(lambda random, shape: random.exponential(1, shape), 1),
    "errors, skewness 2.9": Population(lambda random, shape: random.lognormal(0, 0.7, shape), float(np.exp(0.245))),
    "differences of errors, skewness 1": Population(_lopsided, 1),
    "shares, 97 % right": Population(lambda random, shape: (random.random(shape) < 0.97).astype(float), 0.97, SHARES),
    "shares, 75 % right": Population(lambda random, shape: (random.random(shape) < 0.75).astype(float), 0.75, SHARES),
    "differences of shares, 10 % better and 2 % worse": Population(_changes, 0.08, DIFFERENCES_OF_SHARES),
}
"""Of the aligned errors of the table of methods, a row's skewness is 1.4 in the middle and 1.9 at the upper quarter; two of 23 are
above 2.9, by one video each."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for every population and size."""
    return [{"data": name, "size": size, "samples": count} for name in POPULATIONS for size in SIZES]


def measure(cell: Mapping[str, Any], _model: str) -> dict[str, Any]:
    """Share of the samples whose interval holds the true mean, and of those above and below which it lies."""
    population = POPULATIONS[cell["data"]]
    samples = population.draw(np.random.default_rng(cell["size"]), (cell["samples"], cell["size"]))
    found = [estimate(sample.tolist(), within=population.within) for sample in samples]
    ends = np.array([each.ends for each in found if each is not None])
    below, above = (ends[:, 1] < population.mean).mean(), (ends[:, 0] > population.mean).mean()
    return {"holds": float(1 - below - above), "below": float(below), "above": float(above)}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every population, a column for every size."""
    sizes = sorted({record["size"] for record in records})
    rows = []
    for name in dict.fromkeys(record["data"] for record in records):
        held = {record["size"]: record["holds"] for record in records if record["data"] == name}
        rows.append([name, *[f"{100 * held[size]:.1f}" if size in held else "-" for size in sizes]])
    samples = records[0]["samples"]
    return (
        f"## Intervals\n\nShare, in percent, of {samples} drawn samples whose 95 % interval holds the true mean, by how many "
        "references it is of. Skewness is that of the aligned errors above: 1.4 in the middle of the rows. Differences are of the "
        f"same references. Of fewer than {FEWEST} no interval is told.\n\n"
        + table(["data", *[f"of {size}" for size in sizes]], rows)
    )
