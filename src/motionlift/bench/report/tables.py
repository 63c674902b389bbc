"""Markdown tables, and means with what is known of them as text."""

from collections.abc import Callable, Sequence

from motionlift.bench.report.estimates import FEWEST, SHARES, Estimate, estimate

HOW_SURE = (
    f"Means with 95 % intervals; of fewer than {FEWEST} references, with the value of each in brackets, in their order, or how "
    "many of them are right."
)
"""What is said once of how means are shown."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def interval(values: Sequence[float | None], scale: float = 1.0, digits: int | None = None) -> str:
    """Mean of the defined values, scaled, with its interval or its points, as text; by 100, values are shares."""
    found = estimate(values, within=SHARES if scale == 100 else None)
    places = (0 if scale == 100 else 3) if digits is None else digits
    return "-" if found is None else estimate_text(found, lambda value: f"{value * scale:.{places}f}")


def estimate_text(found: Estimate, text: Callable[[float], str]) -> str:
    """A mean with its interval or its points, each value as a text."""
    about = around(found, text)
    return f"{text(found.mean)} {about}" if about else text(found.mean)


def around(found: Estimate, text: Callable[[float], str]) -> str:
    """What stands beside a mean: its interval; of few groups their points, or how many are 1 where the others are 0."""
    if found.ends is not None:
        low, high = map(text, found.ends)
        return f"({low} to {high})"
    if found.groups == 1:
        return ""
    if set(found.points) <= {0.0, 1.0}:
        return f"[{sum(found.points):.0f} of {found.groups}]"
    return f"[{' '.join(map(text, found.points))}]"
