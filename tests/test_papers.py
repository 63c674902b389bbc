"""What is said of the papers names what exists, and its counts and figures are those of its tables and of the results."""

import ast
import re
from collections import Counter
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from motionlift.cli.app import app
from motionlift.methods import methods

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "motionlift"
PAGE = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
VERDICTS = ("proved", "built", "departs", "missing", "not for us")
KINDS = ("mechanism", "constant", "component", "baseline", "evaluation", "experiment")
KINDS += ("claim", "trade-off", "failure", "question", "check")
PAPERS = {"MM": "MotionMatcher", "V": "VMC", "F": "MotionFlow", "D": "DiTFlow"}
ELSEWHERE = ("tests/", "lab/", "benchmarks/", "docs/")


@dataclass(frozen=True)
class Item:
    """A row."""

    number: str
    item: str
    kind: str
    where: str
    shown_by: str
    verdict: str
    note: str

    @property
    def text(self) -> str:
        return " ".join((self.where, self.shown_by, self.note))

    def quoted(self, pattern: str) -> list[str]:
        """What stands between backticks and is of a form."""
        return [word for word in re.findall(r"`([^`]+)`", self.text) if re.fullmatch(pattern, word)]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


ROWS = [Item(*cells(line)) for line in PAGE.splitlines() if re.match(r"\| [A-Z]+\d+ \|", line)]


def path_of(place: str) -> Path:
    return (ROOT if place.startswith(ELSEWHERE) else PACKAGE) / place


@cache
def defined(path: Path) -> frozenset[str]:
    """Functions, classes and constants of a file, and those of its classes."""

    def names(body: list[ast.stmt]) -> set[str]:
        found: set[str] = set()
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{name}" for name in names(node.body)}
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        return found

    return frozenset(names(ast.parse(path.read_text(encoding="utf-8")).body))


@cache
def sections(path: Path) -> dict[str, str]:
    """Text under every heading of a page, that of all of one name together."""
    found: dict[str, str] = {}
    for part in re.split(r"^#+ ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        found[title] = found.get(title, "") + text
    return found


def methods_of(row: Item) -> list[Any]:
    """The methods whose files a row names, or those of their settings."""
    found = {*re.findall(r"`(?:methods|settings)/(\w+)\.py:", row.where)}
    if "ditflow_constants" in found:
        found.add("ditflow")
    return [methods()[name] for name in sorted(found & methods().keys())]


def test_there_are_122_rows_each_with_its_own_number():
    expected = [f"{start}{n + 1}" for start, count in zip(PAPERS, (37, 26, 24, 35), strict=True) for n in range(count)]
    assert [row.number for row in ROWS] == expected and len(ROWS) == 122


def test_the_counts_are_those_of_the_tables():
    head = PAGE[PAGE.index("| paper |") :].split("\n\n")[0].splitlines()
    assert cells(head[0]) == ["paper", *VERDICTS, "all"]
    told = {name: list(map(int, counts)) for name, *counts in map(cells, head[2:])}
    counted = {paper: Counter[str]() for paper in (*PAPERS.values(), "all")}
    for row in ROWS:
        for name in (PAPERS[row.number.rstrip("0123456789")], "all"):
            counted[name][row.verdict] += 1
    assert told == {name: [*(own[verdict] for verdict in VERDICTS), own.total()] for name, own in counted.items()}, (
        "count again"
    )


@pytest.fixture(params=PAPERS)
def rows(request: pytest.FixtureRequest) -> list[Item]:
    """Those of a paper."""
    return [row for row in ROWS if row.number.rstrip("0123456789") == request.param]


def test_rows_are_whole(rows: list[Item]):
    for row in rows:
        assert row.verdict in VERDICTS and row.kind in KINDS and row.item and row.shown_by, row.number
        assert row.note or row.verdict == "proved", f"{row.number}: say why in a note"
        assert row.where != "-" or row.verdict in ("missing", "not for us"), f"{row.number}: say where it is"
        if row.verdict == "proved":
            assert "`tests/" in row.shown_by, f"{row.number}: name the test that proves it"
        if row.verdict == "departs":
            named = re.search(r"`preset=\w+`|\b[Nn]o preset\b", row.note)
            assert named, f"{row.number}: name the preset that has it, or say that no preset does"


def test_places_exist(rows: list[Item]):
    for row in rows:
        assert not re.search(r"\.py(:\d|`?:L?\d)", row.text), f"{row.number}: lines move; name what is meant"
        for place in row.quoted(r"[\w/.-]+\.(py|md|jsonl|yaml|csv)(:.+)?"):
            file, _, name = place.partition(":")
            path = path_of(file)
            assert path.is_file(), f"{row.number}: {place}"
            assert name or path.suffix != ".py", f"{row.number}: say what of {file} is meant"
            if name:
                assert name in (sections(path) if path.suffix == ".md" else defined(path)), f"{row.number}: {place}"


def test_figures_are_those_of_the_results(rows: list[Item]):
    """Also those of the note, where it tells of measurements: what is in no section that the row names was typed by hand."""
    for row in rows:
        measured = "docs/results.md:" in row.text or re.search(r"\bp \d", row.note)
        told = f"{row.shown_by} {row.note if measured else ''}"
        named = re.findall(r"`(docs/\w+\.md):([^`]+)`", told)
        text = " ".join(sections(ROOT / page)[title] for page, title in named)
        for figure in re.findall(r"\d+\.\d+|\d+e-\d+", re.sub(r"`[^`]*`", "", told)):
            found = re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", text)
            assert found, f"{row.number}: {figure} is no longer there: read the row again"


def test_presets_give_what_is_said_of_them(rows: list[Item]):
    for row in rows:
        own = methods_of(row)
        presets = [word.partition("=")[2] for word in row.quoted(r"preset=\w+")]
        for preset in presets:
            assert any(preset in method.published for method in own), f"{row.number}: {preset}"
        for word in row.quoted(r"(?!preset=)[a-z_]+=[\w.-]+"):
            name, _, value = word.partition("=")
            known = [item for method in own for item in fields(method.Settings) if item.name == name]
            assert known, f"{row.number}: no method of it has the setting {name}"
            choices = known[0].metadata.get("choices")
            assert not choices or value in choices, f"{row.number}: {word}"
            given = [
                str(each).lower() for method in own for preset in presets for each in _published(method, preset, name)
            ]
            assert not presets or value in given, f"{row.number}: {word}"


def _published(method: Any, preset: str, name: str) -> list[Any]:
    """What a preset has for a setting, on whatever model; whole numbers without a point."""
    if preset not in method.published:
        return []
    every = [method.published[preset].constants, *method.published[preset].models.values()]
    values = [constants[name].value for constants in every if name in constants]
    return [int(each) if isinstance(each, float) and each.is_integer() else each for each in values]


def test_the_commands_exist():
    group: Any = typer.main.get_command(app)
    quoted = re.findall(r"`([^`]+)`", PAGE)
    commands = [word.split() for word in quoted if word.startswith("motionlift ")]
    assert commands
    for _, command, *more in commands:
        assert command in group.commands
        assert command != "bench" or (PACKAGE / "bench" / "runs" / f"{more[0]}.yaml").is_file()
    for name in (word.split()[3] for word in quoted if word.startswith("python -m lab.experiments ")):
        assert f'NAME = "{name}"' in (ROOT / "lab" / "experiments" / f"{name}.py").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in (word.split()[1] for word in quoted if word.startswith("make ")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    options = {option for own in group.commands.values() for parameter in own.params for option in parameter.opts}
    assert {word for word in quoted if word.startswith("--")} <= options


def test_it_is_linked():
    for path, link in (("README.md", "(docs/papers.md)"), ("docs/map.md", "(papers.md)")):
        assert link in (ROOT / path).read_text(encoding="utf-8")
