"""What is said of people's cases names tests that exist, and leaves no case out."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs" / "cases.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d", line)
]


def test_every_case_is_there_once_and_in_order():
    assert [int(row[0]) for row in ROWS] == list(range(1, 31))
    assert all(len(row) == 4 and all(row) for row in ROWS)


@pytest.mark.slow
def test_its_tests_exist():
    told = [place for row in ROWS for place in re.findall(r"`(tests/[^`]+)`", row[3])]
    assert len(told) >= len(ROWS)
    for place in told:
        file, _, name = place.partition("::")
        found = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in found.body if isinstance(node, ast.FunctionDef)}
        assert any(own.startswith("test_") for own in functions), place
        assert not name or name in functions, place
