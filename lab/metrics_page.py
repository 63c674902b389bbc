"""The page of figures, written from what the metrics say of themselves: ``python -m lab.metrics_page``."""

from collections.abc import Iterator
from pathlib import Path

from motionlift.measure import metrics
from motionlift.measure.metric import Figure

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
"""Where it lies."""
HEAD = """# Figures

What `motionlift score`, `motionlift bench` and the reports say of a video. Written by `python -m lab.metrics_page` from the metrics
in `src/motionlift/measure`; what each figure can tell apart, and what it cannot, was [measured](results.md).

"""
ADDING = """
## To add a metric

Write one file in `src/motionlift/measure` that defines `METRIC`, a `Metric` of `measure/metric.py`: its name, its place among the
others, its figures (key, title, meaning, unit, which way is better, what it needs), and a function that takes a `Job` and gives the
figures by name. The job has both videos at one size, the prompt, the truth where there is one, and points followed through both,
which are followed once for all metrics. A figure whose need is missing is left out with the need's advice before the function is
called; where it raises `ModelError` or `InputError`, all its figures are left out for that reason. `measure/consistency.py` is the
shortest example. Nothing else has to be touched: `score`, run files, reports and this page read the metrics.
"""
BETTER = {1: "more", -1: "less", 0: ""}
"""Which way is better, in words."""


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join([*_lines()]) + "\n" + ADDING


def _lines() -> Iterator[str]:
    yield "| figure | what it is | better | needs |"
    yield "|---|---|---|---|"
    for metric in metrics():
        for figure in metric.figures:
            needs = ", ".join(need.name for need in figure.needs)
            yield f"| `{figure.name}` | {figure.reading}{_remark(figure)} | {BETTER[figure.better]} | {needs} |"


def _remark(figure: Figure) -> str:
    if not figure.scored:
        return " (in reports alone)"
    return " (on request)" if figure.on_request else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
