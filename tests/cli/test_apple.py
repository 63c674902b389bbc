"""Operations that Apple's GPUs lack, by a stand-in for PyTorch's warning."""

import os
import warnings
from collections.abc import Iterator

import pytest

from motionlift.cli.apple import FALLBACK, fall_back

WARNED = (
    "The operator 'aten::linalg_svd' is not currently supported on the MPS backend and will fall back to run on the CPU. This may "
    "have performance implications. (Triggered internally at MPSFallback.mm:14.)"
)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a person is told, as the program sets warnings up."""
    monkeypatch.delenv(FALLBACK, raising=False)
    lines: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fall_back(lines.append)
        yield lines
    os.environ.pop(FALLBACK, None)


def test_pytorch_may_fall_back_on_the_cpu(told: list[str]):
    assert os.environ[FALLBACK] == "1"


def test_who_wants_an_error_has_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(FALLBACK, "0")
    with warnings.catch_warnings():
        fall_back(print)
    assert os.environ[FALLBACK] == "0"


def test_what_falls_back_is_told_and_other_warnings_are_not(told: list[str]):
    warnings.warn("this is slow", stacklevel=1)
    assert told == []
    warnings.warn(WARNED, stacklevel=1)
    (line,) = told
    assert line.startswith("note: ") and "aten::linalg_svd" in line and "on the CPU" in line


def test_other_warnings_go_their_way(told: list[str]):
    with pytest.warns(UserWarning, match="this is slow"):
        warnings.warn("this is slow", stacklevel=1)
