"""Methods beside each other on things and grounds that have names, from the records of the bundled run ``things``."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments import comparison
from lab.experiments.comparison import section
from motionlift.bench.report.controls import TAUGHT

__all__ = ["NAME", "failed", "section"]

NAME = "things"
"""Of the run, and of the folder of its records."""


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """As of the other run, said to be of this one; what the model was taught stands there already."""
    told = [each for each in comparison.failed(records) if each not in TAUGHT.values()]
    return [f"On things and grounds that have names: {each[0].lower()}{each[1:]}" for each in told]
