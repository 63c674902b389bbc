"""Methods by kind of motion and of camera, from the records of a run."""

from typing import Any

import pytest

from lab.experiments import comparison, kinds
from motionlift.bench.references import ONE_MOVES, SCENES
from tests.bench.made_records import record
from tests.lab.experiments.test_comparison import rows_of


@pytest.fixture(autouse=True)
def _every_method_runs(monkeypatch: pytest.MonkeyPatch):
    """The model of the records is made up."""
    monkeypatch.setattr(comparison, "refusal", lambda cell, model: None)


def of_kind(kind: str, method: str, errors: list[float]) -> list[dict[str, Any]]:
    made = (record(method, index, {"aligned_error": error}) for index, error in enumerate(errors))
    return [{**each, "reference": f"{kind}-{each['reference']}"} for each in made]


def test_every_kind_has_a_table_beside_its_own_strongest_control():
    """Known answer: in one kind the method is 0.2 better than the one control, in the other 0.1 worse than another."""
    records = [
        *of_kind("rotation", "none", [0.3] * 12),
        *of_kind("rotation", "frozen", [0.5] * 12),
        *of_kind("rotation", "ditflow", [0.1] * 12),
        *of_kind("fast", "none", [0.9] * 12),
        *of_kind("fast", "frozen", [0.2] * 12),
        *of_kind("fast", "ditflow", [0.3] * 12),
    ]
    _, rotation, fast = kinds.section(records).split("\n### ")
    assert rotation.startswith("Rotation\n\n12 references: an object that turns in its place")
    assert "The strongest control is *none*: 0.300" in rotation and "The strongest control is *frozen*: 0.200" in fast
    assert rows_of(rotation)["ditflow"][3] == "better" and rows_of(rotation)["ditflow"][1].startswith("-0.200")
    assert rows_of(fast)["ditflow"][3] == "worse" and rows_of(fast)["ditflow"][1].startswith("+0.100")
    (told,) = kinds.failed(records)
    assert told.startswith("On references of fast no better than frozen in aligned error: ditflow (+0.100, p ")


def test_what_has_no_exact_error_is_told_by_points_that_are_followed():
    """Known answer: the method is 0.2 better than the control, in a figure of which more is better."""
    records = [
        {**each, "reference": f"two-{each['reference']}"}
        for method, value in (("none", 0.3), ("ditflow", 0.5))
        for each in (record(method, index, {"motion_fidelity_moving": value}) for index in range(12))
    ]
    text = kinds.section(records)
    assert "The strongest control is *none*: 0.300" in text and "in motion fidelity, moving" in text
    assert "aligned error" not in text.split("### ")[1]
    assert rows_of(text)["ditflow"][3] == "better"
    assert kinds.failed(records) == []


def test_what_is_not_measured_is_said():
    text = kinds.section(of_kind("two", "none", [0.3] * 3) + of_kind("two", "ditflow", [0.1] * 3))
    assert "Not measured: *frozen*, " in text and "*ditflow*" not in text.split("\n### ")[0]


def test_every_kind_is_told():
    assert kinds.ABOUT.keys() == SCENES.keys() - {ONE_MOVES}
