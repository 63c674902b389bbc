"""A user study: videos of one reference, two at a time in random order, and the file that the answers go to."""

import csv
import io
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

from filelock import FileLock

from motionlift.bench.report.answers import HEAD, QUESTIONS, Answer, line_of, read_answers
from motionlift.errors import InputError, OutputError

ANSWERS = "answers.csv"
"""The file of answers in the study's folder, which ``motionlift report`` reads."""
REFERENCE, PROMPT = "reference.mp4", "prompt.txt"
"""Names within the folder of an item; every other video there is called by its method."""
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""What a participant's code looks like; no spreadsheet takes it for a formula."""
NAME = re.compile(r"[A-Za-z0-9][\w .+-]{0,99}")
"""What names of items and methods look like; others are left out."""


@dataclass(frozen=True)
class Pair:
    """Two videos of one item."""

    item: str
    """Name of the item."""
    left: str
    """The method whose video stands at the left."""
    right: str
    """The method whose video stands at the right."""


@dataclass(frozen=True)
class Study:
    """A folder with a folder for each item: ``reference.mp4``, ``METHOD.mp4`` of each method, and ``prompt.txt`` on wish."""

    folder: Path
    """The folder; the answers are written there."""

    @cached_property
    def items(self) -> Mapping[str, tuple[str, ...]]:
        """Methods of every item that has two or more; none where there is no study."""
        found = {}
        for place in sorted(self.folder.glob(f"*/{REFERENCE}")):
            names = [each.stem for each in sorted(place.parent.glob("*.mp4")) if each.name != REFERENCE]
            methods = tuple(name for name in names if NAME.fullmatch(name))
            if NAME.fullmatch(place.parent.name) and len(methods) > 1:
                found[place.parent.name] = methods
        return found

    def pairs(self, code: str) -> list[Pair]:
        """All pairs in the order, and on the sides, that are drawn for a participant: the same whenever they come back.

        Raises:
            InputError: the code is none.
        """
        draw = random.Random(f"study {_checked(code)}")
        pairs = [(item, *two) for item, methods in self.items.items() for two in combinations(methods, 2)]
        draw.shuffle(pairs)
        return [Pair(item, *draw.sample(two, 2)) for item, *two in pairs]

    def left(self, code: str) -> list[Pair]:
        """The pairs of which a participant has not yet answered every question.

        Raises:
            InputError: the code is none, or the answers cannot be read.
        """
        pairs = self.pairs(code)
        if not self._file.exists():
            return pairs
        said = {
            (each.item, each.methods, each.question)
            for each in read_answers(self._file).answers
            if each.participant == code
        }
        return [
            pair
            for pair in pairs
            if any((pair.item, tuple(sorted((pair.left, pair.right))), question) not in said for question in QUESTIONS)
        ]

    def answer(self, code: str, pair: Pair, preferred: Mapping[str, str]) -> None:
        """Write what a participant said of a pair; both answers are in the file when this returns, or neither.

        Args:
            code: the participant's.
            pair: one of theirs.
            preferred: of every question, the method that is preferred.

        Raises:
            InputError: the code or the pair is none, or a question is not answered.
            OutputError: the file cannot be written.
        """
        if pair not in self.pairs(code):
            raise InputError("this pair is not in the study any more; load the page again")
        answers = [
            Answer(code, pair.item, question, pair.left, pair.right, preferred.get(question) or "")
            for question in QUESTIONS
        ]
        if not all(each.is_sound for each in answers):
            raise InputError("answer both questions, each with A or B")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(map(line_of, answers))
        try:
            with FileLock(self.folder / f".{ANSWERS}.lock"):
                self._append(text.getvalue())
        except OSError as error:
            raise OutputError(
                f"cannot write {self._file} ({error.strerror}); nothing was noted, so answer again"
            ) from error

    def place(self, pair: Pair, method: str) -> Path:
        """The video of a method, or :data:`REFERENCE`'s."""
        return self.folder / pair.item / (method if method == REFERENCE else f"{method}.mp4")

    def prompt(self, pair: Pair) -> str:
        """What the videos were to show; nothing where it is not told."""
        told = self.folder / pair.item / PROMPT
        return told.read_text(encoding="utf-8", errors="replace").strip()[:1000] if told.is_file() else ""

    @property
    def _file(self) -> Path:
        return self.folder / ANSWERS

    def _append(self, lines: str) -> None:
        """Add lines to the file; a line that a crash left unfinished stays by itself."""
        with self._file.open("a+b") as file:
            size = file.seek(0, 2)
            if size:
                file.seek(size - 1)
                begun = b"" if file.read(1) == b"\n" else b"\n"
            else:
                begun = (",".join(HEAD) + "\n").encode()
            file.write(begun + lines.encode())


def _checked(code: str) -> str:
    if not isinstance(code, str) or CODE.fullmatch(code) is None:
        raise InputError("give your code first: up to 40 letters, digits, - and _")
    return code
