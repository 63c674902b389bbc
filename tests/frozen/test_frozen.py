"""A refactoring keeps these numbers; a bug that is mended changes those that its commit names."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import pytest

from motionlift.methods import methods
from tests.frozen.measured import NUMBERS, measured_cascade, measured_score, measured_transfer

FROZEN = json.loads(NUMBERS.read_text())
TOLERANCE = {"rel": 2e-3, "abs": 2e-4}
"""How far another processor's rounding may lead."""
FOLLOWED = {"rel": 5e-2, "abs": 5e-3}
"""How far apart figures of clips are that OpenCV 4 and 5 follow; they were frozen with 5, and 4.10 is 3 in a hundred from it."""


def transfers() -> Iterator[tuple[str, str]]:
    for twin, named in FROZEN["transfer"].items():
        yield from ((twin, method) for method in named)


def assert_equal(found: dict[str, Any], frozen: dict[str, Any], tolerance: Mapping[str, float] = TOLERANCE) -> None:
    assert found.keys() == frozen.keys()
    for name, value in frozen.items():
        assert found[name] == pytest.approx(value, **tolerance), name


@pytest.mark.slow
@pytest.mark.parametrize(("twin", "method"), transfers())
def test_a_transfer_keeps_its_losses_and_latents(twin: str, method: str) -> None:
    assert_equal(measured_transfer(twin, method), FROZEN["transfer"][twin][method])


def test_every_method_is_frozen_on_every_twin() -> None:
    assert all(named.keys() == methods().keys() for named in FROZEN["transfer"].values())


@pytest.mark.slow
def test_a_cascade_keeps_its_frames() -> None:
    assert_equal(measured_cascade(), FROZEN["cascade"])


@pytest.mark.slow
def test_a_score_keeps_its_figures() -> None:
    assert_equal(measured_score(), FROZEN["score"], TOLERANCE if cv2.__version__.startswith("5.") else FOLLOWED)
