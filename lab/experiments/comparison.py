"""Methods beside each other on held-out references, from the records of the bundled runs ``world`` and ``things``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lab.experiments.trial import is_chosen, refusal
from motionlift.bench.cells import RECORDS, at_work, lay_out
from motionlift.bench.frozen import FROZEN
from motionlift.bench.report.agreement import TRUE, Agreement, agreement, interval_text
from motionlift.bench.report.catalogue import MOTION, figure, shown
from motionlift.bench.report.controls import CONTROLS, OF_NOISE, Standing, Standings, failures, noise_of, standings
from motionlift.bench.report.estimates import Estimate
from motionlift.bench.report.kinds import by_kind
from motionlift.bench.report.summary import Measurement, Pair, Row, Section, paired, sections
from motionlift.bench.report.tables import estimate_text, table
from motionlift.bench.run_file import MethodRun, ModelRun, read_run
from motionlift.bench.sources import World
from motionlift.jobs.records import read_records
from motionlift.jobs.workers import Workers
from motionlift.models.sources import BUNDLED_MODELS

NAME = "world"
"""Of the run, and of the folder of its records."""
TITLES = {
    NAME: ("Methods", "another object, colour and background"),
    "things": ("Methods, on things and grounds that have names", "another kind of thing, its colour, another ground"),
}
"""Title of a run's part of the page, and what a prompt has that its reference has not."""
ABOUT_CONTROLS: Mapping[str, str] = {
    FROZEN: "an object of the prompt that stands in the middle",
    "none": "which moves as it likes",
    "injection": "which takes keys and values of the reference's first block",
}
"""What is said of those that do not begin with the reference's noise."""
CLAIMS = (("ditflow", "smm"), ("ditflow", "moft"), ("motionmatcher", "vmc"))
"""Methods that papers set above others that are measured here: DiTFlow's its own by motion fidelity, MotionMatcher's its own by
motion discrepancy."""
FIGURES = (
    "aligned_error",
    "absolute_error",
    "direction_cosine",
    "motion_fidelity",
    "motion_fidelity_moving",
    "motion_discrepancy",
    "colour",
    "background",
    "shape",
    "looks_leaked",
    "ssim",
)
"""Those of the table; the report has all."""


def run(
    name: str,
    folder: Path,
    models: Sequence[str],
    jobs: int,
    count: int | None,
    told: Callable[[str], None],
    methods: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Measure the cells of a run that have no record yet, of some models and on the first references; of some methods, if named.

    Bundled models that the run leaves out are left out here.

    Raises:
        MotionliftError: as of ``motionlift bench``.
    """
    asked = read_run(name)
    wanted = tuple(ModelRun(each) for each in models if each not in BUNDLED_MODELS or ModelRun(each) in asked.models)
    if not wanted:
        return
    chosen = tuple(each for each in asked.methods if is_chosen(each.name, each.settings, methods))
    if not chosen:
        return
    asked = replace(asked, models=wanted, methods=chosen, output=folder)
    if count is not None:
        own = [each for each in asked.references if isinstance(each, World)]
        asked = replace(asked, references=tuple(replace(each, count=count) for each in own))
    with at_work(asked, Workers(jobs)) as workers:
        cells = lay_out(asked, workers)
        for number, record in enumerate(cells.measured(workers), 1):
            told(f"{name}: {number} of {len(cells.waiting)}")
            yield record


def records_of(folder: Path, model: str, fingerprint: str, defaults: Callable[[str], str]) -> list[dict[str, Any]]:
    """Records of a model as it is, under the present defaults of their methods."""
    return [
        record
        for record in read_records(folder / RECORDS)
        if (record["model"], record["fingerprint"]) == (model, fingerprint)
        and record["defaults"] == defaults(record["method"])
    ]


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every method, in the order of the run, and how figures of motion order all videos beside the true error.

    What of the run is not measured yet is said, since verdicts are against the controls that are.
    """
    (found,) = sections(records)
    title, other = TITLES[records[0]["source"]]
    order = {method.title: number for number, method in enumerate(read_run(records[0]["source"]).methods)}
    rows = sorted(found.rows, key=lambda row: order.get(row.title, len(order)))
    found = replace(found, measurements=sorted(found.measurements, key=lambda each: order.get(each.title, len(order))))
    references = max(row.references for row in rows)
    text = (
        f"## {title}\n\n{references} held-out references, each cast onto one new held-out prompt ({other}), one seed each. "
        "Errors of the object's centre as shares of the frame's width, *aligned* with each track's mean removed; *direction* is "
        "the mean cosine of its steps; *motion fidelity* and *discrepancy* are by the built-in flow tracker; looks are judged by "
        "the classifier; *leakage* is how often the object or the background has the reference's colour, and *SSIM* the structural "
        "similarity with the reference, which rises with leaked looks, and a little where only the motion is the same; passes are "
        "forward and backward, of lifting and casting, and not told where the motion was lifted for a row above. "
        f"{_controls_told(found)}{_not_measured(lacking(records, records[0]['source']))}\n\n"
    )
    head = ["", *[f"{figure(name).title}{', %' * figure(name).share}" for name in FIGURES], "passes"]
    lines = table(head, [_line(row, references) for row in rows])
    return text + lines + _standings(standings(found)) + _claims(found) + _by_kind(found) + _agreement(found)


def lacking(records: Sequence[Mapping[str, Any]], run_name: str) -> list[MethodRun]:
    """Methods of the run of which the model has no record, though it runs them."""
    model = records[0]["model"]
    done = {MethodRun(each["method"], each["settings"]).title for each in records if "error" not in each}
    return [
        each
        for each in read_run(run_name).methods
        if each.title not in done and refusal({"method": each.name, "settings": each.settings}, model) is None
    ]


def _not_measured(methods: Sequence[MethodRun]) -> str:
    listed = ", ".join(f"*{each.title}*" for each in methods)
    return f" Not measured yet: {listed}; verdicts are against what was measured." if listed else ""


def _controls_told(found: Section) -> str:
    """Which controls there are, and what of the reference each has."""
    told = []
    for title in dict.fromkeys(each.title for each in found.measurements):
        group = [each for each in found.measurements if each.title == title and each.error is None]
        method = group[0].record["method"] if group else ""
        if method in CONTROLS:
            noise = noise_of(group) if method in OF_NOISE else None
            about = f"that noise, inverted with the {noise[1]}" if noise else ABOUT_CONTROLS.get(title, "")
            told.append(f"*{title}*, {about}" if about else f"*{title}*")
    listed = "; ".join(told)
    return (
        f"The controls, nothing tuned or guided, some of them begun with the reference's own noise: {listed}."
        if told
        else ""
    )


def _standings(found: Standings | None) -> str:
    """The headline: every method less the strongest control, and less its own noise."""
    if found is None:
        return ""
    title = figure(found.figure).title
    head = ["", title, f"less {found.control}", "p", "verdict", "less its noise alone", "p", "verdict", "noise"]
    rows = [
        [
            line.title,
            _text(found.figure, line.mean),
            *difference_cells(line.strongest),
            *difference_cells(line.noise),
            _noise(line),
        ]
        for line in found.lines
    ]
    taught = f"{found.taught}\n\n" if found.taught else ""
    return (
        f"\n### Beyond the strongest control\n\n{taught}In {title}, {'less' if figure(found.figure).better < 0 else 'more'} is "
        f"better. The strongest control, by its mean, is *{found.control}*: {_text(found.figure, found.control_mean)}. Differences "
        "are paired, of the same references, prompts and seeds. A method that begins with a share of the reference's own noise is "
        "compared with that noise alone too, where it was measured, and one that is asked for none of it (beta 0) with plain "
        f"sampling.\n\n{table(head, rows)}"
    )


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is no better than the strongest control or than its own noise, or takes looks along; and which controls lack."""
    (found,) = sections(records)
    stand = standings(found)
    if stand is None:
        return []
    controls = [each for each in lacking(records, records[0]["source"]) if each.name in CONTROLS]
    listed = ", ".join(each.title for each in controls)
    told = [f"Controls that are not measured yet, so that verdicts may become worse: {listed}."] if listed else []
    return [*failures(stand), *told]


def _claims(found: Section) -> str:
    """Methods that papers set above others, beside these, in every figure of motion."""
    groups = {title: [each for each in found.measurements if each.title == title] for pair in CLAIMS for title in pair}
    pairs = [
        Pair(one, other, name, difference)
        for one, other in CLAIMS
        for name in MOTION
        if (difference := paired(groups[one], groups[other], name)) is not None
    ]
    if not pairs:
        return ""
    rows = [[pair.title, f"less {pair.baseline}", figure(pair.figure).title, *difference_cells(pair)] for pair in pairs]
    return (
        "\n### Methods beside each other\n\nMethods that their papers set above others, DiTFlow by motion fidelity and "
        "MotionMatcher by motion discrepancy, less these; paired as above.\n\n"
        f"{table(['', '', 'in', 'difference', 'p', 'verdict'], rows)}"
    )


def difference_cells(pair: Pair | None) -> list[str]:
    """Cells of a difference: its estimate, its p and its verdict; dashes of none."""
    if pair is None:
        return ["-", "-", "-"]
    found = pair.difference
    text = estimate_text(found, lambda value: shown(pair.figure, value, signed=True))
    return [text, f"{found.p:.2g}", pair.verdict]


def _noise(line: Standing) -> str:
    return "-" if line.noise is None else line.noise.baseline


def _by_kind(found: Section) -> str:
    """Means of the true error by kind of motion and of camera."""
    text = ""
    for each in by_kind(found, TRUE):
        head = ["", *[f"{kind} ({count})" for kind, count in each.references.items()]]
        rows = [
            [title, *[shown(TRUE, own[kind]) if kind in own else "-" for kind in each.references]]
            for title, own in each.rows.items()
        ]
        text += (
            f"\n### By {each.by}\n\nMeans of the {figure(TRUE).title} by the reference's {each.by}; in brackets, how many of "
            f"them. Too few of each for intervals: read them as points.\n\n{table(head, rows)}"
        )
    return text


def _line(row: Row, references: int) -> list[str]:
    told = [f"{row.references} reference{'s' * (row.references != 1)}"] if row.references != references else []
    told += [f"{row.failed} failed"] if row.failed else []
    title = f"{row.title} ({', '.join(told)})" if told else row.title
    passes = " + ".join(f"{row.costs[way]:.0f}" for way in ("forward", "backward") if way in row.costs) or "-"
    return [title, *[_text(name, row.figures.get(name)) for name in FIGURES], passes]


def _text(name: str, found: Estimate | None) -> str:
    if found is None:
        return "-"
    return estimate_text(found, lambda value: shown(name, value))


def _agreement(found: Section) -> str:
    """The table of rank agreement, where there are videos enough."""
    if not found.agreements:
        return ""
    names = [each.figure for each in found.agreements]
    common = [each for each in found.measurements if {TRUE, *names} <= each.figures.keys()]
    rows = [
        [figure(each.figure).title, _rho(each), str(each.videos), _rho(_ranked(common, each.figure))]
        for each in found.agreements
    ]
    head = ["figure", "rho", "videos", f"rho, on the {len(common)} videos where all are defined"]
    return (
        "\n### Does motion fidelity order videos as the truth does?\n\nSpearman's rho of each figure with the aligned error, over "
        "the videos above: 1 where it orders them as the exact error does, with its interval over the references. A figure "
        "that is undefined for some videos is ranked on fewer; the last column ranks all figures on the same ones.\n\n"
        f"{table(head, rows)}"
    )


def _ranked(videos: Sequence[Measurement], name: str) -> Agreement | None:
    """How a figure orders videos for all of which it is defined."""
    judged, true = (np.array([each.figures[key] for each in videos], dtype=float) for key in (name, TRUE))
    return agreement(name, judged, true, [each.group for each in videos])


def _rho(found: Agreement | None) -> str:
    return "-" if found is None else f"{found.rho:.2f} ({interval_text(found)})"
