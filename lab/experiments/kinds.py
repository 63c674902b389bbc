"""Methods by kind of motion and of camera, from the records of the bundled run ``kinds``: each kind on references of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.experiments.comparison import difference_cells, lacking
from motionlift.bench.references import ONE_MOVES, SCENES
from motionlift.bench.report.catalogue import figure, shown
from motionlift.bench.report.controls import Standing, Standings, standings
from motionlift.bench.report.summary import sections
from motionlift.bench.report.tables import estimate_text, table

NAME = "kinds"
"""Of the run, and of the folder of its records."""
ABOUT: Mapping[str, str] = {
    "rotation": "an object that turns in its place: its centre says little there, and the two figures that follow points say more",
    "camera": "an object at rest, which the camera passes or nears",
    "two": "two objects that go their own ways",
    "occlusion": "an object that passes behind a wall, of which no caption knows",
    "fast": "an object that goes twice as far as others and turns meanwhile",
}
"""What is seen in references of each kind of :data:`~motionlift.bench.references.SCENES` but the first."""
BESIDE = ("motion_fidelity_moving", "motion_discrepancy")
"""Figures of points that are followed, which stand beside the exact error."""


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A table for each kind: every method, and its paired difference to the strongest control of that kind."""
    title = figure("aligned_error").title
    text = (
        f"## By kind of motion and of camera\n\nReferences of each kind are drawn for it; *{title}* and the controls are as "
        "above, the strongest is sought anew for each kind, and differences are paired. Motion fidelity is better where it is "
        f"more, errors where they are less.{_not_measured(records)}\n"
    )
    for kind, stand in _by_scenes(records).items():
        count = len({each["reference"] for each in _of(kind, records)})
        text += (
            f"\n### {kind.capitalize()}\n\n{count} references: {ABOUT[kind]}. The strongest control is *{stand.control}*: "
            f"{estimate_text(stand.control_mean, lambda value: shown('aligned_error', value))}.\n\n{_table(stand)}"
        )
    return text


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Methods that are not better than the strongest control, by kind."""
    told = []
    for kind, stand in _by_scenes(records).items():
        lost = [_told(stand.figure, line) for line in stand.lines if line.strongest.verdict != "better"]
        if lost:
            told.append(f"On references of {kind} no better than {stand.control} in aligned error: {', '.join(lost)}.")
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
    head = ["", figure("aligned_error").title, "less the control", "p", "verdict"]
    for name in BESIDE:
        head += [f"{figure(name).title}, less the control", "p", "verdict"]
    return table(head, [_line(stand.figure, line) for line in stand.lines])


def _line(name: str, line: Standing) -> list[str]:
    others = {each.figure: each for each in line.others}
    cells = [cell for other in BESIDE for cell in difference_cells(others.get(other))]
    mean = estimate_text(line.mean, lambda value: shown(name, value))
    return [line.title, mean, *difference_cells(line.strongest), *cells]
