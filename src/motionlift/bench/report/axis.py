"""Axes of charts: where values and round numbers lie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 0.08
"""Share of the range that is left free at each end (ours)."""
TICKS = 5
"""About so many ticks on an axis (ours)."""
LEAST_TICKS = 2
"""Fewest ticks by which an axis can be read (ours); round numbers of a logarithmic axis may lie farther apart than it is long."""
LEAST_RANGE = 1e-9
"""Values that differ by less stand in one place (ours: tables show three decimal places)."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    place: float
    """Where it is."""
    label: str
    """What it says."""


@dataclass(frozen=True)
class Spread:
    """A mean and its interval: values, or places."""

    mean: float
    """The mean."""
    low: float
    """Where the interval begins; the mean itself where there is none."""
    high: float
    """Where it ends."""


@dataclass(frozen=True)
class Axis:
    """Values to places."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    @classmethod
    def over(cls, values: Sequence[Spread], start: float, end: float, logarithmic: bool) -> "Axis":
        """One that holds all values with their intervals."""
        ends = [each for value in values for each in (value.low, value.mean, value.high)]
        if logarithmic:
            ends = [math.log10(each) for each in ends]
        low, high = min(ends), max(ends)
        size = abs(high) if abs(high) > LEAST_RANGE else 1.0
        spare = MARGIN * (high - low) if high - low > LEAST_RANGE else 0.1 * size
        return cls(low - spare, high + spare, start, end, logarithmic)

    def place(self, value: float) -> float:
        """Where a value is."""
        value = math.log10(value) if self.logarithmic else value
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def places(self, value: Spread) -> Spread:
        """Where a mean and its interval are."""
        return Spread(self.place(value.mean), self.place(value.low), self.place(value.high))

    def ticks(self) -> list[Tick]:
        """Round numbers along the axis, at least :data:`LEAST_TICKS`."""
        if not self.logarithmic:
            return self._marked(_even(self.low, self.high))
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        numbers = [step * 10.0**power for power in powers for step in (1, 2, 5)]
        chosen = [value for value in numbers if self.low <= math.log10(value) <= self.high]
        return self._marked(chosen if len(chosen) >= LEAST_TICKS else _even(10**self.low, 10**self.high))

    def _marked(self, values: Sequence[float]) -> list[Tick]:
        return [Tick(self.place(value), f"{value:z.6g}") for value in values]


def _even(low: float, high: float) -> list[float]:
    """About :data:`TICKS` round numbers between two, by steps of one size."""
    size = (high - low) / TICKS
    unit = 10.0 ** math.floor(math.log10(size))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= size)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
