from typing import Any

from lab.experiments import speed


def measured(title: str, settings: dict[str, Any], number: int, error: float) -> dict[str, Any]:
    """A record of the comparison."""
    own = {"model": "tiny", "method": title, "settings": settings, "source": "world", "reference": f"{number:04}"}
    figures = {"aligned_error": error, "looks": 1.0}
    return {**own, "prompt": "p", "kind": "k", "seed": number, "figures": figures, "fingerprint": "f", "defaults": "d"}


def cost(method: str, settings: dict[str, Any], work: float) -> dict[str, Any]:
    return {"index": 0, "method": method, "settings": settings, "cpu_seconds": work / 10, "passes": {"work": work}}


def test_a_row_for_each_point_and_what_a_preset_loses_of_the_gain():
    fast = {"preset": "fast"}
    errors: list[tuple[str, dict[str, Any], float]] = [
        ("none", {}, 0.15),
        ("ditflow", {}, 0.05),
        ("ditflow", fast, 0.055),
    ]
    compared = [measured(*each[:2], number, each[2]) for each in errors for number in range(12)]
    costs = [cost("none", {}, 60.0), cost("ditflow", {}, 150.0), cost("ditflow", fast, 72.0)]
    lines = speed.section(costs, compared).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    points = {row[0]: row for row in rows if len(row) == 8}
    assert [points[name][3:5] for name in ("none", "ditflow", "ditflow preset=fast")] == [
        ["60.0", "1.00"],
        ["150.0", "2.50"],
        ["72.0", "1.20"],
    ]
    assert [points[name][7] for name in ("none", "ditflow", "ditflow preset=fast")] == ["yes", "yes", "yes"]
    (lost,) = [row for row in rows if len(row) == 6 and row[0] == "ditflow preset=fast"]
    assert lost[1] == "12" and lost[2].startswith("+0.005") and lost[3] == "5" and lost[4].startswith("-0.005")


def test_on_the_front_is_what_nothing_as_cheap_beats():
    points = {
        "plain": (1, 0.2),
        "cheap": (1.2, 0.1),
        "dear": (2, 0.1),
        "worse": (2, 0.3),
        "best": (3, 0.05),
        "as": (3, 0.05),
    }
    assert speed.on_front(points) == {"plain", "cheap", "best", "as"}


def test_without_a_comparison_only_what_is_measured_is_said():
    assert "table" not in speed.section([cost("none", {}, 60.0)], []) and speed.cells(2)[0]["method"] == "none"
