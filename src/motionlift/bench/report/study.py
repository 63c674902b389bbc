"""One page of what a user study found, its tables as Markdown and CSV."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from motionlift.bench.report.answers import QUESTIONS, Answers, Preference, preferences, read_answers
from motionlift.bench.report.estimates import FEWEST
from motionlift.bench.report.page import csv_of, plain_markdown
from motionlift.bench.report.tables import table
from motionlift.errors import InputError, OutputError
from motionlift.page import template
from motionlift.video.marks import signed, signed_text, table_of
from motionlift.video.writing import check_output, replacing

TEMPLATE = Path(__file__).with_name("study.html")
STUDY = signed("study", ".html")
"""The page."""
STUDY_TABLES = signed("study tables", ".md")
"""Its tables."""
COUNTS = ("participants", "items", "answers")
"""How much there is of what."""
COLUMNS = ("preferred", "to", "share", "95 % interval", "p", "agreement", *COUNTS)
"""Of the tables that are read."""
FIGURES = ("question", "method", "other", "share", "low", "high", "p", "alpha", *COUNTS)
"""Of the table for programs."""
TOLD = (
    "Share is that of the answers which prefer the first method, with its 95 % interval over participants, each of whom counts as "
    f"one voice, which is wide where each answers much (of fewer than {FEWEST}, the share of each instead); p is how often a share "
    "as far from one half comes by chance. Both hold for other people, on these items. Agreement is Krippendorff's alpha: 1 where "
    "all agree, 0 where they do as by chance; it is low, too, where nearly all prefer the same method of every item."
)
"""What is said of the tables."""


@dataclass(frozen=True)
class Line:
    """One line of a table, with its bar."""

    cells: tuple[str, ...]
    """As :data:`COLUMNS`."""
    mean: float
    """The share, per cent."""
    ends: tuple[float, float] | None
    """Its interval, per cent."""


@dataclass(frozen=True)
class Part:
    """The table of one question."""

    title: str
    """The question."""
    lines: Sequence[Line]
    """A line for each two methods."""


def write_study(answers: Path, output: Path, overwrite: bool = True) -> tuple[list[Path], list[str]]:
    """Write the page of a file of answers, and beside it its tables; all whole or none.

    Args:
        answers: the file, as the page of the study writes it.
        output: the page; of ``NAME.html`` the tables are ``NAME-tables.md`` and ``NAME-preferences.csv``.
        overwrite: whether files of an earlier report are replaced.

    Returns:
        The files, and what a person should know of the answers.

    Raises:
        InputError: the file is none of answers, or holds none.
        OutputError: a file cannot be written, or would replace one that is not of an earlier report.
    """
    read = read_answers(answers)
    if not read.answers:
        raise InputError(f"{answers} holds no answer yet; give it when somebody has taken part")
    found = preferences(read.answers)
    parts = [Part(text, _lines(found, question)) for question, text in QUESTIONS.items() if _lines(found, question)]
    summary = _summary(read)
    shown = template(TEMPLATE).render(parts=parts, head=COLUMNS, told=TOLD, summary=summary)
    stem = output.stem
    texts = [
        (output, STUDY, signed_text(STUDY, shown)),
        (output.with_name(f"{stem}-tables.md"), STUDY_TABLES, signed_text(STUDY_TABLES, _markdown(parts, summary))),
        (
            output.with_name(f"{stem}-preferences.csv"),
            table_of("table", FIGURES),
            csv_of(FIGURES, map(_figures, found)),
        ),
    ]
    for place, kind, _ in texts:
        if place.exists() and place.samefile(answers):
            raise OutputError(f"cannot write {place}: it is the answers; choose another name")
        check_output(place, kind, overwrite)
    with ExitStack() as stack:  # all are whole before any takes its place
        for place, kind, text in texts:
            partial = stack.enter_context(replacing(place, kind))
            partial.write_text(text, encoding="utf-8", errors="replace", newline="")
    notices = [f"{read.lost} of the lines in {answers} are no answers, and are left out"] if read.lost else []
    return [place for place, *_ in texts], notices


def _summary(read: Answers) -> str:
    participants = len({each.participant for each in read.answers})
    people = "1 participant" if participants == 1 else f"{participants} participants"
    return f"{len(read.answers)} answers of {people} on {len({each.item for each in read.answers})} items."


def _lines(found: Sequence[Preference], question: str) -> list[Line]:
    return [_line(each) for each in found if each.question == question]


def _line(found: Preference) -> Line:
    share = found.share
    first, second = found.methods if share.mean >= 0.5 else found.methods[::-1]
    mean = max(share.mean, 1 - share.mean)
    ends = share.ends if share.ends is None or share.mean >= 0.5 else (1 - share.ends[1], 1 - share.ends[0])
    about = f"{ends[0]:.0%} to {ends[1]:.0%}" if ends else _points(found, flip=share.mean < 0.5)
    counts = (str(share.groups), str(found.items), str(share.values))
    cells = (first, second, f"{mean:.0%}", about, f"{found.p:.2g}", _number(found.alpha), *counts)
    return Line(cells, round(100 * mean, 1), ends and (round(100 * ends[0], 1), round(100 * ends[1], 1)))


def _points(found: Preference, flip: bool) -> str:
    """The share of each of few participants."""
    return " ".join(f"{1 - point if flip else point:.0%}" for point in found.share.points)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _markdown(parts: Sequence[Part], summary: str) -> str:
    text = f"# What people prefer\n\n{summary} {TOLD}\n"
    for part in parts:
        rows = [[plain_markdown(cell) for cell in line.cells] for line in part.lines]
        text += f"\n## {part.title}\n\n{table(list(COLUMNS), rows)}"
    return text


def _figures(found: Preference) -> tuple[str | float | int, ...]:
    share = found.share
    low, high = share.ends or ("", "")
    alpha = "" if math.isnan(found.alpha) else found.alpha
    return (
        *(found.question, *found.methods, share.mean, low, high, found.p, alpha),
        *(share.groups, found.items, share.values),
    )
