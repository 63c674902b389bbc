"""Answers of people who compared two videos of one reference: how often each method is preferred, and how well people agree."""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from motionlift.bench.report.estimates import SHARES, Estimate, estimate, flipped
from motionlift.errors import InputError

QUESTIONS: Mapping[str, str] = {
    "motion": "Which video moves more like the reference?",
    "looks": "Which video looks better, and shows what the text says?",
}
"""What is asked of each pair, as in the papers' studies (the wording is ours): of motion, and of looks."""
MOST_BYTES = 2**26
"""Largest file of answers that is read, bytes (ours: half a million answers)."""


@dataclass(frozen=True)
class Answer:
    """What one participant said of one pair; a line of the file of answers, whose head are the names of the fields."""

    participant: str
    """The participant's code."""
    item: str
    """What both videos are of: a reference and a prompt, by name."""
    question: str
    """One of :data:`QUESTIONS`."""
    left: str
    """The method whose video stood at the left."""
    right: str
    """The method whose video stood at the right."""
    preferred: str
    """That of the two which was preferred."""

    @property
    def is_sound(self) -> bool:
        """Whether it says something: a known question, two methods, and one of them preferred."""
        told = self.participant and self.item and self.question in QUESTIONS
        return bool(told) and self.left != self.right and self.preferred in (self.left, self.right)

    @property
    def methods(self) -> tuple[str, str]:
        """Both methods, in the order of the alphabet."""
        first, second = sorted((self.left, self.right))
        return first, second


HEAD = tuple(field.name for field in fields(Answer))
"""The first line of a file of answers."""


@dataclass(frozen=True)
class Answers:
    """A file of answers."""

    answers: tuple[Answer, ...]
    """Those that say something; of what a participant answered twice, the last."""
    lost: int
    """Lines that say nothing."""


@dataclass(frozen=True)
class Preference:
    """How two methods stand to each other in one question."""

    question: str
    """One of :data:`QUESTIONS`."""
    methods: tuple[str, str]
    """The two."""
    share: Estimate
    """Share of the answers that prefer the first; those of one participant count together."""
    p: float
    """How often a share as far from one half comes by chance, where neither is preferred: a permutation test over participants."""
    alpha: float
    """Krippendorff's alpha of the participants, see :func:`alpha`."""
    items: int
    """Of how many items."""


def read_answers(path: Path) -> Answers:
    """Read a file of answers.

    Raises:
        InputError: it cannot be read, is too large, or is another table.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES >> 20} MB; give the answers of one study")
        with path.open(encoding="utf-8-sig", newline="") as file:
            head, *lines = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as a table ({error}); give the file of answers as it was written"
        ) from error
    if tuple(head) != HEAD:
        raise InputError(f"{path} is no file of answers: its first line is to be {','.join(HEAD)}")
    found = [Answer(*line) for line in lines if len(line) == len(HEAD)]
    sound = [each for each in found if each.is_sound]
    last = {(each.participant, each.item, each.question, each.methods): each for each in sound}
    return Answers(tuple(last.values()), sum(map(bool, lines)) - len(sound))


def line_of(answer: Answer) -> tuple[str, ...]:
    """An answer as a line of the file."""
    return astuple(answer)


def preferences(answers: Sequence[Answer]) -> list[Preference]:
    """How every two methods stand to each other, question by question."""
    return [
        _preference(question, methods, group)
        for question in QUESTIONS
        for methods, group in sorted(_by_methods(answers, question))
    ]


def _by_methods(answers: Sequence[Answer], question: str) -> Iterator[tuple[tuple[str, str], list[Answer]]]:
    asked = [each for each in answers if each.question == question]
    for methods in dict.fromkeys(each.methods for each in asked):
        yield methods, [each for each in asked if each.methods == methods]


def _preference(question: str, methods: tuple[str, str], group: Sequence[Answer]) -> Preference:
    wins = [float(each.preferred == methods[0]) for each in group]
    participants = [each.participant for each in group]
    share = estimate(wins, participants, SHARES)
    assert share is not None  # a group has answers
    said: dict[str, list[str]] = {}
    for each in group:
        said.setdefault(each.item, []).append(each.preferred)
    chance = flipped([win - 0.5 for win in wins], participants)
    return Preference(question, methods, share, chance, alpha(list(said.values())), len(said))


def alpha(units: Sequence[Sequence[str]]) -> float:
    """Krippendorff's alpha for names: 1 where raters agree on everything, 0 where they agree as by chance.

    Krippendorff (2004, Content Analysis, chapter 11): one less the disagreement that is observed over that which is expected
    where values are dealt out anew. Raters may have left units out; units that one alone has rated say nothing.

    Args:
        units: of each thing that was rated, what its raters said.

    Returns:
        NaN where nothing was rated twice, or all said the same of everything.
    """
    counted = [Counter(unit) for unit in units if len(unit) > 1]
    totals = sum(counted, Counter())
    size = totals.total()
    expected = size**2 - sum(count**2 for count in totals.values())
    if not expected:
        return math.nan
    observed = sum(
        (unit.total() ** 2 - sum(count**2 for count in unit.values())) / (unit.total() - 1) for unit in counted
    )
    return 1 - (size - 1) * observed / expected
