"""Methods by kind of motion and of camera, from the records of the bundled run ``kinds``: each kind on references of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.comparison import difference_cells, lacking
from motionlift.bench.references import ONE_MOVES, SCENES
from motionlift.bench.report.catalogue import figure, shown
from motionlift.bench.report.controls import Standing, Standings, standings
from motionlift.bench.report.estimates import Estimate
from motionlift.bench.report.summary import sections
from motionlift.bench.report.tables import estimate_text, table

NAME = "kinds"
"""Of the run, and of the folder of its records."""
ABOUT: Mapping[str, str] = {
    "rotation": "an object that turns in its place: one that does nothing has its centre right, so that the error tells what "
    "methods spoil, and the figures that follow points say more",
    "camera": "an object at rest, which the camera passes or nears: one that stands still on the screen is wrong by the camera "
    "alone",
    "two": "two objects that go their own ways, of which the exact error is not known",
    "occlusion": "an object that passes behind a wall, of which no caption knows",
    "fast": "an object that goes twice as far as others and turns meanwhile",
}
"""What is seen in references of each kind of :data:`~motionlift.bench.references.SCENES` but the first."""
FOLLOWED = ("motion_fidelity_moving", "motion_discrepancy")
"""Figures of points that are followed, which stand beside the exact error, or in its place."""


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A table for each kind: every method, and its paired difference to the strongest control of that kind."""
    text = (
        "## By kind of motion and of camera\n\nReferences of each kind are drawn for it; figures and the controls are as "
        "above, the strongest is sought anew for each kind, and differences are paired. Motion fidelity is better where it is "
        f"more, errors where they are less.{_not_measured(records)}\n"
    )
    for kind, stand in _by_scenes(records).items():
        count = len({each["reference"] for each in _of(kind, records)})
        text += (
            f"\n### {kind.capitalize()}\n\n{count} references: {ABOUT[kind]}. The strongest control is *{stand.control}*: "
            f"{_mean(stand.figure, stand.control_mean)} in {figure(stand.figure).title}.\n\n{_table(stand)}"
        )
    return text


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Methods that are not better than the strongest control, by kind."""
    told = []
    for kind, stand in _by_scenes(records).items():
        lost = [_told(stand.figure, line) for line in stand.lines if line.strongest.verdict != "better"]
        if lost:
            title = figure(stand.figure).title
            told.append(f"On references of {kind} no better than {stand.control} in {title}: {', '.join(lost)}.")
    return told


def _told(name: str, line: Standing) -> str:
    found = line.strongest.difference
    return f"{line.title} ({shown(name, found.mean, signed=True)}, p {found.p:.2g})"


def _of(kind: str, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in records if str(each["reference"]).startswith(f"{kind}-")]


def _by_scenes(records: Sequence[Mapping[str, Any]]) -> dict[str, Standings]:
    """Where methods stand on each kind that was measured."""
    found = {}
    for kind in SCENES:
        own = _of(kind, records)
        if kind == ONE_MOVES or not own:
            continue
        (each,) = sections(own)
        stand = standings(each)
        if stand is not None:
            found[kind] = stand
    return found


def _not_measured(records: Sequence[Mapping[str, Any]]) -> str:
    listed = ", ".join(f"*{each.title}*" for each in lacking(records, NAME))
    return f" Not measured: {listed}." if listed else ""


def _table(stand: Standings) -> str:
    others = [name for name in FOLLOWED if name != stand.figure]
    head = ["", figure(stand.figure).title, "less the control", "p", "verdict"]
    for name in others:
        head += [f"{figure(name).title}, less the control", "p", "verdict"]
    return table(head, [_line(stand.figure, others, line) for line in stand.lines])


def _line(name: str, others: Sequence[str], line: Standing) -> list[str]:
    found = {each.figure: each for each in line.others}
    cells = [cell for other in others for cell in difference_cells(found.get(other))]
    return [line.title, _mean(name, line.mean), *difference_cells(line.strongest), *cells]


def _mean(name: str, found: Estimate) -> str:
    return estimate_text(found, lambda value: shown(name, value))
