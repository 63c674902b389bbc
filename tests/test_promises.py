"""What is promised about files is held by tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8").split("\n- ")[1:]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[2:20])
def test_each_promise_names_tests(promise: str):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promise)
    assert named and promise.count("::") == len(named)
    for path, name in named:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), name


def test_the_promises_are_found():
    assert len(PROMISES) >= 10
    for path, link in (("README.md", "(docs/promises.md)"), ("docs/map.md", "(promises.md)")):
        assert link in (ROOT / path).read_text(encoding="utf-8")
