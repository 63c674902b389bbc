"""One page of what records say, that needs nothing but itself; its tables as Markdown, LaTeX and CSV, its charts as PNG."""

import csv
import html
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motionlift.bench.records import records_of
from motionlift.bench.report.agreement import Agreement, interval_text
from motionlift.bench.report.catalogue import MOTION, figure, shown
from motionlift.bench.report.charts import HEIGHT, WIDTH, Chart, charts, keyed
from motionlift.bench.report.controls import failures, standings
from motionlift.bench.report.drawing import CHART, save_chart
from motionlift.bench.report.estimates import Estimate
from motionlift.bench.report.kinds import by_kind
from motionlift.bench.report.latex import LATEX_KIND, Titled, latex
from motionlift.bench.report.mixed import mixtures
from motionlift.bench.report.seeds import with_diversity
from motionlift.bench.report.summary import Pair, Row, Section, measurement, sections
from motionlift.bench.report.tables import HOW_SURE, around, table
from motionlift.bench.report.wall import Embedder, Wall, wall
from motionlift.errors import InputError, OutputError
from motionlift.jobs.records import read_lines
from motionlift.page import template
from motionlift.video.marks import signed, signed_text, table_of
from motionlift.video.writing import check_output, replacing

TEMPLATE = Path(__file__).with_name("report.html")
REPORT = signed("report", ".html", "<title>motionlift report</title>")
"""The page."""
TABLES_KIND = signed(
    "tables", ".md", "# Report\n\nMeans with bootstrap 95 % intervals, in which the cells of one reference"
)
"""Its tables; those of versions without marks are told by how they begin."""
COSTS = {
    "lift_seconds": ("lift, s", 1, 1),
    "cast_seconds": ("cast, s", 1, 1),
    "forward": ("forward passes", 1, 0),
    "backward": ("backward passes", 1, 0),
    "work": ("work, passes", 1, 1),
    "memory_bytes": ("peak memory, MB", 1_000_000, 0),
}
"""Costs in the order of tables: title, by what a value is divided, and decimal places."""
AGREEMENT_TOLD = (
    "Spearman's rho of each figure with the exact error of the object's track, over the videos for which it is defined: 1 where "
    "it orders them as the truth does."
)
"""What the table of rank agreement says."""
WHEN_APART = (
    "One is called better or worse where p is at most 0.05 and the interval leaves zero out. Unclear says that these references do "
    "not tell two methods apart, not that they are alike: there may be a difference that only more references would show."
)
"""What is said of verdicts."""
MOST_ERRORS = 20
"""Most kinds of failures that a section lists (ours)."""
TABLES, LATEX, MEANS_FILE, PAIRS_FILE, AGREEMENT_FILE = (
    "-tables.md",
    "-tables.tex",
    "-means.csv",
    "-pairs.csv",
    "-agreement.csv",
)
"""What the names of the tables end with, after the page's (ours: names that no other file beside a page is likely to have)."""
MARKUP = re.compile(r"[\\`*\[\]#~$|]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.")
"""What Markdown may take for markup within a line, beside ``<``, ``>`` and ``&``; not the underscores within words, which are read
as they are (CommonMark 0.31, and tables, strikethrough, formulas and bare links as GitHub has them)."""
FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What text begins with that spreadsheets take for a formula, the last four as wide characters; an apostrophe before it makes it
text (OWASP, CSV Injection)."""
HOMES = (r"[A-Za-z]:[\\/]{1,2}Users[\\/]{1,2}[^\\/\s]+", "/root", r"/home/[^/\s]+", r"/Users/[^/\s]+")
"""Where home folders lie on Windows, Linux and macOS, as patterns."""


@dataclass(frozen=True)
class Shown:
    """A value in a table: as text, and as a number to sort by."""

    text: str
    """What is read."""
    value: float | None = None
    """What is sorted by; None stays last."""
    about: str = ""
    """More, in smaller letters: an interval."""
    verdict: str = ""
    """What a difference comes to, if it is one."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    """Its head."""
    about: str = ""
    """What is in it, in a sentence."""


@dataclass(frozen=True)
class Beyond:
    """Methods beside the strongest control."""

    told: str
    """Which it is, and by what."""
    columns: Sequence[Column]
    """Of the table."""
    rows: Sequence[Sequence[Shown]]
    """A line for each method."""
    failed: Sequence[str]
    """What did not work, in sentences."""


@dataclass(frozen=True)
class Kinds:
    """A figure by kinds of references."""

    told: str
    """Which figure, and by what they are told apart."""
    columns: Sequence[Column]
    """Of the table: the kinds, with how many references there are of each."""
    rows: Sequence[Sequence[Shown]]
    """A line for each method."""


@dataclass(frozen=True)
class Part:
    """All that the page says of one section."""

    title: str
    """Model and source."""
    name: str
    """By which the page's parts are told apart."""
    columns: Sequence[Column]
    """Of the table of methods."""
    rows: Sequence[Sequence[Shown]]
    """Its lines."""
    pair_columns: Sequence[Column]
    """Of the comparisons."""
    pairs: Mapping[str, Sequence[Sequence[Shown]]]
    """Their lines for every baseline."""
    beyond: "Beyond | None"
    """Methods beside the strongest control, where there is one."""
    kinds: Sequence["Kinds"]
    """The figure of motion by kinds of references."""
    agreements: Sequence[Sequence[Shown]]
    """How figures of motion order the videos beside the true error, a line each."""
    charts: Sequence[Chart]
    """Scatter charts."""
    wall: Wall
    """Videos."""
    failures: Sequence[tuple[str, int]]
    """What cells failed of, and how many."""
    left_out: Sequence[tuple[str, str]]
    """What was not measured, and why."""


AGREEMENT = (Column("figure"), Column("Spearman's rho"), Column("videos"))
"""Columns of the table of rank agreement."""


def write_report(records: Path, output: Path, overwrite: bool = True) -> tuple[list[Path], list[str]]:
    """Write the page, and beside it its tables; each file whole or not at all.

    Args:
        records: a file of records, or the folder in which ``records.jsonl`` lies.
        output: the page; of ``NAME.html``, the tables are ``NAME-tables.md``, ``NAME-means.csv``, ``NAME-pairs.csv`` and, where
            the true error is known, ``NAME-agreement.csv``; ``NAME-tables.tex`` is for LaTeX, and the charts are
            ``NAME-chart-1.png`` and so on, in the order of the page.
        overwrite: whether files of an earlier report are replaced.

    Returns:
        The files, and what a person should know of the records.

    Raises:
        InputError: there are no records of ``motionlift bench``.
        OutputError: a file cannot be written, or would replace one that is not of an earlier report.
    """
    path = records_of(records)
    check_output(output, REPORT, overwrite)
    lines = read_lines(path)
    embedder = Embedder(path.parent)
    found = sections(with_diversity(lines.records, embedder.path))
    if not found:
        raise InputError(f"{path} holds no record of motionlift bench; give a file that it wrote")
    parts = [_part(number, section, embedder) for number, section in enumerate(found)]
    ranked, told = list(agreements(found)), [_without_home(each) for each in [*_stale(found), *mixtures(found)]]
    texts = [
        (output, REPORT, signed_text(REPORT, page(parts, _versions(found), told))),
        (output.with_name(output.stem + TABLES), TABLES_KIND, signed_text(TABLES_KIND, markdown(parts, told))),
        (output.with_name(output.stem + LATEX), LATEX_KIND, latex(_told_of_tables(), map(tables_of, parts))),
        (output.with_name(output.stem + MEANS_FILE), table_of("table", MEANS), csv_of(MEANS, means(found))),
        (
            output.with_name(output.stem + PAIRS_FILE),
            table_of("table", PAIRS, PAIRS[:-1]),
            csv_of(PAIRS, differences(found)),
        ),
    ]
    if ranked:
        name = output.with_name(output.stem + AGREEMENT_FILE)
        texts.append((name, table_of("table", AGREEMENTS), csv_of(AGREEMENTS, ranked)))
    drawings = _drawings(parts, output)
    for place, kind in [*[(place, kind) for place, kind, _ in texts], *[(place, CHART) for place in drawings]]:
        if place.exists() and place.samefile(path):
            raise OutputError(f"cannot write {place}: it is the records; choose another name")
        check_output(place, kind, overwrite)
    with ExitStack() as stack:  # all are whole before any takes its place
        for place, chart in drawings.items():
            save_chart(chart, stack.enter_context(replacing(place, CHART)))
        for place, kind, text in texts:
            partial = stack.enter_context(replacing(place, kind))
            partial.write_text(text, encoding="utf-8", errors="replace", newline="")
    foreign = sum(measurement(record) is None for record in lines.records)
    return [*[place for place, *_ in texts], *drawings], _notices(path, lines.lost + foreign, found)


def _drawings(parts: Sequence[Part], output: Path) -> dict[Path, Chart]:
    """Every chart, by the file that it goes to."""
    every = [replace(chart, title=f"{chart.title}, {part.title}") for part in parts for chart in part.charts]
    return {output.with_name(f"{output.stem}-chart-{number}.png"): chart for number, chart in enumerate(every, 1)}


def _notices(path: Path, lost: int, found: Sequence[Section]) -> list[str]:
    failed = sum(row.failed for section in found for row in section.rows)
    notices = [f"lines of {path} that were cut off or are no records, and left out: {lost}"] if lost else []
    notices += _stale(found)
    notices += [f"cells that failed, and count nowhere: {failed}"] if failed else []
    return notices + mixtures(found)


def _stale(found: Sequence[Section]) -> list[str]:
    """How many records are of older states than others of their method, and so are left out."""
    counts = {f"{section.model} on {section.source}": section.superseded for section in found if section.superseded}
    told = ", ".join(f"{count} of {name}" for name, count in counts.items())
    return [f"records of older weights, defaults, trackers or CLIP models, and left out: {told}"] if counts else []


# Tables


def _part(number: int, section: Section, embedder: Embedder) -> Part:
    figures = [Column(_with_unit(name), figure(name).reading) for name in section.figures]
    costs = [Column(title) for title, *_ in COSTS.values()]
    baselines = dict.fromkeys(pair.baseline for pair in section.pairs)
    pairs = {
        baseline: list(_pair_lines([pair for pair in section.pairs if pair.baseline == baseline], section.figures))
        for baseline in baselines
    }
    errors = Counter(_without_home(each.error) for each in section.measurements if each.error is not None)
    left_out = {
        (str(name), _without_home(str(reason)))
        for each in section.measurements
        for name, reason in _mapping(each.record.get("left_out")).items()
    }
    return Part(
        _without_home(f"{section.model} on {section.source}"),
        f"section-{number}",
        [Column("method"), Column("cells", "cells measured, and references among them"), *figures, *costs],
        [_line(row, section.figures) for row in section.rows],
        [Column("method"), *figures],
        pairs,
        _beyond(section),
        list(_kinds(section)),
        [_agreement_line(each) for each in section.agreements],
        charts(section),
        wall(section, embedder),
        errors.most_common(MOST_ERRORS),
        sorted(left_out),
    )


def _beyond(section: Section) -> Beyond | None:
    found = standings(section)
    if found is None:
        return None
    control, title = _without_home(found.control), _with_unit(found.figure)
    columns = ["method", title, f"less {control}", "less its own noise alone", "which noise"]
    rows = [
        [
            Shown(line.title),
            _shown(found.figure, line.mean),
            _shown_pair(line.strongest),
            _shown_pair(line.noise),
            Shown("-" if line.noise is None else line.noise.baseline),
        ]
        for line in found.lines
    ]
    told = (
        f"In {title}. Controls optimise and tune nothing; the strongest, by its mean, is {control}: "
        f"{shown(found.figure, found.control_mean.mean)}."
    )
    return Beyond(told, [Column(each) for each in columns], rows, [_without_home(each) for each in failures(found)])


def _kinds(section: Section) -> Iterator[Kinds]:
    name = next((name for name in MOTION if name in section.figures), None)
    if name is None:
        return
    for each in by_kind(section, name):
        columns = ["method", *[f"{kind} ({count})" for kind, count in each.references.items()]]
        rows = [
            [Shown(title), *[_shown_mean(name, own.get(kind)) for kind in each.references]]
            for title, own in each.rows.items()
        ]
        told = f"Means of {_with_unit(name)} by the reference's {each.by}; in brackets, how many references"
        yield Kinds(told, [Column(column) for column in columns], rows)


def _shown_mean(name: str, value: float | None) -> Shown:
    return Shown("-") if value is None else Shown(shown(name, value), value)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _without_home(text: str) -> str:
    """Text in which home folders are ``~``: a page is shared, and whose machine it was is nobody's concern."""
    own = (os.environ.get("HOME") or os.environ.get("USERPROFILE", "")).rstrip("/\\")
    places = [re.escape(own), *HOMES] if own else HOMES
    return re.sub(rf"(?<![\w.-])(?:{'|'.join(places)})(?=[/\\])", "~", text)


def _with_unit(name: str) -> str:
    return f"{figure(name).title}, %" if figure(name).share else figure(name).title


def _line(row: Row, figures: Sequence[str]) -> list[Shown]:
    about = "1 reference" if row.references == 1 else f"{row.references} references"
    about += f", {row.failed} failed" if row.failed else ""
    costs = []
    for name, (_, divisor, places) in COSTS.items():
        value = row.costs.get(name)
        costs.append(Shown("-") if value is None else Shown(f"{value / divisor:.{places}f}", value))
    estimates = [_shown(name, row.figures.get(name)) for name in figures]
    return [Shown(row.title), Shown(str(row.cells), row.cells, about), *estimates, *costs]


def _shown(name: str, found: Estimate | None, signed: bool = False) -> Shown:
    if found is None:
        return Shown("-")
    about = around(found, lambda value: shown(name, value, signed)).strip("()[]")
    return Shown(shown(name, found.mean, signed), found.mean, about or "one reference")


def _pair_lines(pairs: Sequence[Pair], figures: Sequence[str]) -> Iterator[list[Shown]]:
    """A line for every method against one baseline."""
    for title in dict.fromkeys(pair.title for pair in pairs):
        own = {pair.figure: pair for pair in pairs if pair.title == title}
        yield [Shown(title), *[_shown_pair(own.get(name)) for name in figures]]


def _shown_pair(pair: Pair | None) -> Shown:
    if pair is None:
        return Shown("-")
    found = _shown(pair.figure, pair.difference, signed=True)
    p = pair.difference.p
    return Shown(found.text, found.value, f"{found.about}; p {p:.2g}; {pair.verdict}", pair.verdict)


def _agreement_line(found: Agreement) -> list[Shown]:
    about = interval_text(found)
    count = Shown(str(found.videos), found.videos, f"{found.references} references")
    return [Shown(figure(found.figure).title), Shown(f"{found.rho:.2f}", found.rho, about), count]


# Writing


def page(parts: Sequence[Part], versions: str, mixed: Sequence[str]) -> str:
    """The whole page."""
    told = {
        "mixed": mixed,
        "agreement": AGREEMENT,
        "agreement_told": AGREEMENT_TOLD,
        "sure": HOW_SURE,
        "apart": WHEN_APART,
        "keyed": keyed,
    }
    return template(TEMPLATE).render(parts=parts, versions=versions, width=WIDTH, height=HEIGHT, **told)


def markdown(parts: Sequence[Part], mixed: Sequence[str]) -> str:
    """The tables of all sections, and what they mix."""
    text = f"# Report\n\n{_told_of_tables()}\n"
    text += "".join(f"\nNote: {plain_markdown(each)}.\n" for each in mixed)
    for part in parts:
        for number, own in enumerate(tables_of(part)):
            lines = table(list(map(plain_markdown, own.head)), [list(map(plain_markdown, line)) for line in own.rows])
            told = f"\n{plain_markdown(own.told)}\n" if own.told else ""
            text += f"\n{'###' if number else '##'} {plain_markdown(own.title)}\n{told}\n{lines}"
            text += f"\n{plain_markdown(own.after)}\n" if own.after else ""
        failures = "".join(f"- {count} failed: {plain_markdown(error)}\n" for error, count in part.failures)
        text += f"\n{failures}" if failures else ""
    return text


def _told_of_tables() -> str:
    """What is said once of all tables."""
    return (
        f"{HOW_SURE} The cells of one reference count together. Differences are those of two methods on the same cells, method "
        f"less baseline, with how often one as large comes by chance (p). {WHEN_APART}"
    )


def tables_of(part: Part) -> Iterator[Titled]:
    """The tables of a section as text, that of its methods first."""
    yield _titled(part.title, part.columns, part.rows)
    if part.beyond is not None:
        failed = f"What did not work: {' '.join(part.beyond.failed)}" if part.beyond.failed else ""
        title = f"{part.title}: beyond the strongest control"
        yield _titled(title, part.beyond.columns, part.beyond.rows, part.beyond.told, failed)
    for each in part.kinds:
        yield _titled(f"{part.title}: by kind", each.columns, each.rows, each.told)
    for baseline, rows in part.pairs.items():
        yield _titled(f"{part.title}: less {baseline}", part.pair_columns, rows)
    if part.agreements:
        yield _titled(f"{part.title}: rank agreement with the true error", AGREEMENT, part.agreements, AGREEMENT_TOLD)


def _titled(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[Shown]], told: str = "", after: str = ""
) -> Titled:
    lines = [[f"{cell.text} ({cell.about})" if cell.about else cell.text for cell in row] for row in rows]
    return Titled(title, told, [column.title for column in columns], lines, after)


def plain_markdown(text: str) -> str:
    """Text that Markdown takes for nothing else."""
    return MARKUP.sub(r"\\\g<0>", html.escape(" ".join(text.split()), quote=False))


MEANS = ("model", "source", "method", "figure", "mean", "low", "high", "cells", "references")
PAIRS = (
    "model",
    "source",
    "method",
    "baseline",
    "figure",
    "difference",
    "low",
    "high",
    "cells",
    "references",
    "verdict",
    "p",
)
"""Head of the table of differences; its last column came later."""
AGREEMENTS = ("model", "source", "figure", "rho", "low", "high", "videos", "references")


def means(found: Sequence[Section]) -> Iterator[Sequence[Any]]:
    """Every mean, and every cost, which has no interval."""
    for section in found:
        for row in section.rows:
            start = (section.model, section.source, row.title)
            for name in section.figures:
                own = row.figures.get(name)
                if own is not None:
                    yield *start, name, own.mean, *_ends(own), own.values, own.groups
            for name, value in row.costs.items():
                yield *start, name, value, "", "", row.cells, row.references


def _ends(found: Estimate) -> tuple[float | str, float | str]:
    """Both ends of an interval; empty where there is none."""
    return found.ends or ("", "")


def differences(found: Sequence[Section]) -> Iterator[Sequence[Any]]:
    """Every difference."""
    for section in found:
        for pair in section.pairs:
            own = pair.difference
            start = (section.model, section.source, pair.title, pair.baseline, pair.figure)
            yield *start, own.mean, *_ends(own), own.values, own.groups, pair.verdict, own.p


def agreements(found: Sequence[Section]) -> Iterator[Sequence[Any]]:
    """Every rank agreement."""
    for section in found:
        for each in section.agreements:
            yield (
                section.model,
                section.source,
                each.figure,
                each.rho,
                "" if each.low is None else each.low,
                "" if each.high is None else each.high,
                each.videos,
                each.references,
            )


def csv_of(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table for programs, in which no cell is run by a spreadsheet."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([head, *[map(_as_cell, row) for row in rows]])
    return buffer.getvalue()


def _as_cell(value: Any) -> Any:
    """A cell of one line that no spreadsheet runs; numbers, which are no text, stay as they are."""
    if not isinstance(value, str):
        return value
    line = " ".join(value.split())  # a line that is broken off within a cell begins another one for some readers
    return f"'{line}" if line.startswith(FORMULAS) else line


def _versions(found: Sequence[Section]) -> str:
    """Versions that the records name."""
    named = {
        f"{name} {version}"
        for section in found
        for each in section.measurements
        for name, version in _mapping(each.record.get("versions")).items()
        if name != "platform"
    }
    return ", ".join(sorted(named))
