"""Charts: where points, ticks and labels lie."""

import itertools

import pytest

from motionlift.bench.report.charts import BOTTOM, HEIGHT, LABEL, LEFT, RIGHT, TOP, WIDTH, charts, keyed
from motionlift.bench.report.summary import sections
from tests.bench.made_records import error_records, record


def test_world_records_make_motion_against_looks():
    (section,) = sections(error_records({"none": [0.3, 0.5], "smm": [0.1, 0.1]}))
    motion, cost = charts(section)
    assert (motion.title, motion.x_title, motion.y_title) == (
        "Motion against text", "aligned error (less is better)", "looks, % (more is better)"
    )  # fmt: skip
    none, smm = motion.points
    assert none.title == "none" and none.x.mean > smm.x.mean, "more error is further right"
    assert none.y == smm.y and none.x.low == none.x.mean == none.x.high, "two references make no interval"
    assert cost.x_title == "seconds to lift and to cast, logarithmic" and cost.points[0].x == cost.points[1].x


def test_enough_references_have_their_interval_drawn():
    (section,) = sections(error_records({"none": [number / 40 for number in range(12)]}))
    (point,) = charts(section)[0].points
    assert point.x.low < point.x.mean < point.x.high and point.y.low != point.y.high


@pytest.mark.parametrize("seconds", [(2.2, 4.6), (5.5, 9.1), (11, 12), (1.0, 1.0), (3e-4, 4e-4), (3.0, 7000.0)])
def test_every_axis_has_ticks(seconds: tuple[float, float]):
    """Between 2 and 5 there is no round number of a logarithmic axis."""
    records = error_records({"none": [0.3, 0.5], "smm": [0.1, 0.1]})
    for each, value in zip(records, (*[seconds[0]] * 2, *[seconds[1]] * 2), strict=True):
        passes = {"forward": 1, "backward": 0}
        each["phases"] = [{"name": "lift", "seconds": 0.0, "passes": passes}]
        each["phases"].append({"name": "cast", "seconds": value, "passes": passes})
    _, cost = charts(sections(records)[0])
    places, labels = [tick.place for tick in cost.x_ticks], [tick.label for tick in cost.x_ticks]
    assert len(set(labels)) == len(labels) >= 2 and places == sorted(places)
    assert places[0] >= LEFT and places[-1] <= WIDTH - RIGHT


def test_real_videos_make_fidelity_against_text():
    figures = {"motion_fidelity": 0.8, "clip_text": 0.3, "lpips": 0.5}
    (section,) = sections([record("smm", index, figures) for index in range(2)])
    motion, _ = charts(section)
    assert motion.x_title.startswith("motion fidelity") and motion.y_title.startswith("CLIP text")


def test_methods_whose_motion_came_from_the_cache_stay_in_the_cost_chart():
    """Where nobody lifted it, it is told that the cost is of casting alone."""
    records = [
        record("none", 0, {"aligned_error": 0.3}),
        record("smm", 0, {"aligned_error": 0.2}, lifted_from_cache=True),
    ]
    (cost,) = charts(sections(records)[0])
    assert [(point.title, point.is_whole) for point in cost.points] == [("none", True), ("smm", False)]
    assert "seconds 8," in cost.points[0].told and "seconds 6," in cost.points[1].told
    assert keyed(cost.points[1]) == "smm (casting alone: its motions came from the cache)"
    assert keyed(cost.points[0]) == "none"


def test_nothing_to_draw():
    assert charts(sections([record("smm", 0, {"spin": 1.0})])[0]) == []
    failed = {**record("smm", 0, {}), "error": "no"}
    assert charts(sections([failed])[0]) == []


@pytest.mark.parametrize("seconds", [-1, 0, 5e-324, pytest.param(10**400, id="endless")])
def test_seconds_that_are_none_have_no_place(seconds: float):
    phases = [{"name": "cast", "seconds": seconds, "passes": {"forward": 1, "backward": 0}}]
    records = [record("none", 0, {"aligned_error": 0.1}, phases=phases), record("smm", 0, {"aligned_error": 0.2})]
    (cost,) = charts(sections(records)[0])
    assert [point.title for point in cost.points] == ["smm"]
    assert charts(sections(records[:1])[0]) == [], "nothing is left to draw"


@pytest.mark.parametrize("values", [[5e-324, 5e-324], [0, 1e-320], [1.0, 1.0 + 2**-52], [-1e15, 1e15], [1e15, 1e15]])
def test_the_smallest_and_the_largest_ranges_are_drawn(values: list[float]):
    (section,) = sections(error_records({"a": values[:1], "b": values[1:]}))
    for point in charts(section)[0].points:
        assert LEFT <= point.x.mean <= WIDTH - RIGHT


def test_everything_lies_within():
    errors = {f"m{number}": [10.0**number, 2 * 10.0**number] for number in range(-3, 3)}
    for chart in charts(sections(error_records(errors))[0]):
        for point in chart.points:
            assert all(LEFT <= x <= WIDTH - RIGHT for x in (point.x.low, point.x.mean, point.x.high))
            assert all(TOP <= y <= HEIGHT - BOTTOM for y in (point.y.low, point.y.mean, point.y.high))
        assert all(LEFT <= tick.place <= WIDTH - RIGHT for tick in chart.x_ticks) and len(chart.y_ticks) >= 2


def test_ticks_are_round_and_lie_where_their_numbers_are():
    (section,) = sections(error_records({"a": [0.0], "b": [1.0]}))
    chart = charts(section)[0]
    zero, one = (next(point.x.mean for point in chart.points if point.title == title) for title in "ab")
    for tick in chart.x_ticks:
        assert tick.place == pytest.approx(zero + float(tick.label) * (one - zero), abs=0.2)
    assert [tick.label for tick in chart.x_ticks] == ["0", "0.5", "1"]


def test_labels_of_points_in_one_place_do_not_cover_each_other():
    (section,) = sections(error_records({name: [0.2, 0.4] for name in "abcd"}))
    places = [point.label for point in charts(section)[0].points]
    for (x, y), (other_x, other_y) in itertools.combinations(places, 2):
        assert abs(x - other_x) >= LABEL[0] or abs(y - other_y) >= LABEL[1]
