"""How often the intervals of the tables hold the truth, on data as skewed as ours and on rank agreement; simulated."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.experiments import comparison
from motionlift.bench.report.agreement import TRUE, agreement
from motionlift.bench.report.estimates import DIFFERENCES_OF_SHARES, FEWEST, SHARES, estimate, skewness
from motionlift.bench.report.summary import sections
from motionlift.bench.report.tables import table

NAME = "intervals"
BESIDE = (comparison.NAME,)
"""The experiment whose rows' skewness is told beside it."""
COUNT = 4000
"""Samples of every size."""
RANKED_SHARE = 4
"""How many times fewer samples there are of rank agreement, each of which takes many times as long."""
VIDEOS = 14
"""Of each reference that are ranked: as many as methods were measured on the first model."""
WITHIN = 0.6
"""Share of the variance, of either figure, that lies between videos of one reference (ours)."""
MOST_SKEWED = 2.9
"""Skewness of the most skewed of :data:`POPULATIONS`."""
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


@dataclass(frozen=True)
class Ranked:
    """Two normal figures of videos, correlated over references and over the videos of each."""

    of_references: float
    """Correlation of the references' means."""
    of_videos: float
    """Correlation within a reference."""

    @property
    def rho(self) -> float:
        """Spearman's, of all videos: 6 / pi arcsin(r / 2) of two normal variables (Pearson 1907)."""
        whole = (1 - WITHIN) * self.of_references + WITHIN * self.of_videos
        return 6 / math.pi * math.asin(whole / 2)

    def draw(self, random: np.random.Generator, size: int) -> np.ndarray:
        """Both figures of all videos, ``(2, size, VIDEOS)``."""
        references, videos = (
            _correlated(random, shape, own)
            for shape, own in (((size, 1), self.of_references), ((size, VIDEOS), self.of_videos))
        )
        return math.sqrt(1 - WITHIN) * references + math.sqrt(WITHIN) * videos


def _correlated(random: np.random.Generator, shape: tuple[int, int], correlation: float) -> np.ndarray:
    one, other = random.normal(0, 1, (2, *shape))
    return np.stack([one, correlation * one + math.sqrt(1 - correlation**2) * other])


def _changes(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return random.choice([1.0, -1.0, 0.0], shape, p=[0.10, 0.02, 0.88])


def _thirds(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Looks, of which three things are right or wrong: one worse in most that change, as tuning does it."""
    return random.choice([-2 / 3, -1 / 3, 0.0], shape, p=[0.03, 0.22, 0.75])


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
    "differences of looks, in thirds": Population(_thirds, -0.28 / 3, DIFFERENCES_OF_SHARES),
}
"""Of means; how skewed the rows of the table of methods are, the page says from their records."""
RANKS: Mapping[str, Ranked] = {
    "rank agreement, rho 0.63": Ranked(0.5, 0.75),
    "rank agreement, rho 0.29": Ranked(0.5, 1 / 6),
}
"""Of rank agreement, about as close as the page's closest and loosest figures."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for every population and size."""
    samples = {**dict.fromkeys(POPULATIONS, count), **dict.fromkeys(RANKS, count // RANKED_SHARE)}
    return [{"data": name, "size": size, "samples": own} for name, own in samples.items() for size in SIZES]


def measure(cell: Mapping[str, Any], _model: str) -> dict[str, Any]:
    """Share of the samples whose interval holds the truth, and of those above and below which it lies."""
    random = np.random.default_rng(cell["size"])
    if cell["data"] in RANKS:
        true, ends = RANKS[cell["data"]].rho, _of_ranks(cell, random)
    else:
        true, ends = POPULATIONS[cell["data"]].mean, _of_means(cell, random)
    below, above = (ends[:, 1] < true).mean(), (ends[:, 0] > true).mean()
    return {"holds": float(1 - below - above), "below": float(below), "above": float(above)}


def _of_means(cell: Mapping[str, Any], random: np.random.Generator) -> np.ndarray:
    """Ends of the intervals of all samples, ``(samples, 2)``."""
    population = POPULATIONS[cell["data"]]
    samples = population.draw(random, (cell["samples"], cell["size"]))
    found = [estimate(sample.tolist(), within=population.within) for sample in samples]
    return np.array([each.ends for each in found if each is not None])


def _of_ranks(cell: Mapping[str, Any], random: np.random.Generator) -> np.ndarray:
    groups = [reference for reference in range(cell["size"]) for _ in range(VIDEOS)]
    drawn = [RANKS[cell["data"]].draw(random, cell["size"]).reshape(2, -1) for _ in range(cell["samples"])]
    found = [agreement("motion_discrepancy", judged, true, groups) for judged, true in drawn]
    return np.array([(each.low, each.high) for each in found if each is not None], dtype=float)


def section(records: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, Any]] = ()) -> str:
    """A row for every population, a column for every size; and how skewed the rows of the table of methods are beside them."""
    sizes = sorted({record["size"] for record in records})
    rows = []
    for name in dict.fromkeys(record["data"] for record in records):
        held = {record["size"]: record["holds"] for record in records if record["data"] == name}
        rows.append([name, *[f"{100 * held[size]:.1f}" if size in held else "-" for size in sizes]])
    samples = sorted({record["samples"] for record in records if record["data"] in RANKS})
    ranks = f" Rank agreement is of {VIDEOS} videos of each, from {samples[0]} samples." if samples else ""
    return (
        f"## Intervals\n\nShare, in percent, of {records[0]['samples']} drawn samples whose 95 % interval holds the truth, by how "
        f"many references it is of. Differences are of the same references.{ranks} Of fewer than {FEWEST} no interval is told."
        f"{_skewed_rows(compared)}\n\n" + table(["data", *[f"of {size}" for size in sizes]], rows)
    )


def _skewed_rows(compared: Sequence[Mapping[str, Any]]) -> str:
    """How skewed the aligned errors of the table of methods are, and of which rows the simulation says nothing."""
    found = {
        f"{row.title} on {section.model}": skewness(np.array(row.figures[TRUE].points))
        for section in sections(compared)
        for row in section.rows
        if TRUE in row.figures and row.figures[TRUE].groups >= FEWEST
    }
    if not found:
        return ""
    middle, upper = np.quantile(list(found.values()), [0.5, 0.75])
    beyond = sorted(((value, name) for name, value in found.items() if value > MOST_SKEWED), reverse=True)
    listed = ", ".join(f"{name} ({value:.1f})" for value, name in beyond)
    more = f" {len(beyond)} are above {MOST_SKEWED}, of which this says nothing: {listed}." if beyond else ""
    return (
        f" Of the aligned errors above, the skewness of the {len(found)} rows is {middle:.1f} in the middle and {upper:.1f} at the "
        f"upper quarter.{more}"
    )
