"""What records say, with known answers."""

import numpy as np
import pytest

from motionlift.bench.report.summary import MOST_COMPARED, measurement, paired, sections
from tests.bench.made_records import error_records, record


def test_means_and_costs():
    (section,) = sections(error_records({"none": [0.1, 0.3], "smm": [0.0, 0.1, 0.2]}))
    assert (section.model, section.source, list(section.figures)) == ("tiny", "world", ["aligned_error", "looks"])
    none, smm = section.rows
    assert none.figures["aligned_error"].mean == pytest.approx(0.2) and (none.cells, none.references) == (2, 2)
    assert smm.figures["aligned_error"].mean == pytest.approx(0.1) and smm.cells == 3
    assert none.costs == {"lift_seconds": 2, "cast_seconds": 6, "memory_bytes": 7e8, "forward": 40, "backward": 5,
                          "seconds": 8}  # fmt: skip


def test_lifting_costs_what_it_cost_where_it_was_done():
    free = [{"name": "lift", "seconds": 0.0, "passes": {"forward": 0, "backward": 0}},
            {"name": "cast", "seconds": 4.0, "passes": {"forward": 20, "backward": 5}}]  # fmt: skip
    records = [record("smm", 0, {}), record("smm", 0, {}, seed=1, phases=free, lifted_from_cache=True)]
    (row,) = sections(records)[0].rows
    assert row.costs["lift_seconds"] == 2 and row.costs["cast_seconds"] == 5 and row.costs["seconds"] == 7
    assert row.costs["forward"] == 10 + 25


def test_work_is_told_of_records_that_tell_it():
    told = [{"name": name, "seconds": 1.0, "passes": {"forward": 9, "backward": 1, "work": work}}
            for name, work in (("lift", 0.5), ("cast", 10.0))]  # fmt: skip
    (row,) = sections([record("smm", 0, {}), record("smm", 1, {}, phases=told)])[0].rows
    assert row.costs["work"] == 10.5
    assert "work" not in sections([record("smm", 0, {})])[0].rows[0].costs


def test_what_a_method_costs_is_not_known_where_the_cache_had_every_motion():
    """Else a tuned method would be drawn as cheap as plain sampling; it does not help that another title lifted the motion."""
    free = [{"name": "cast", "seconds": 4.0, "passes": {"forward": 20, "backward": 5}}]
    cached = record("vmc", 0, {}, settings={"guidance": 3}, phases=free, lifted_from_cache=True)
    other, row = sections([record("vmc", 0, {}), cached])[0].rows
    assert row.costs == {"cast_seconds": 4, "memory_bytes": 7e8}
    assert other.costs["seconds"] == 8


def test_what_another_cell_lifted_costs_what_it_cost_there():
    """Two of a method whose settings differ in casting alone share their motion: the later finds it in the cache."""
    shared = {"all_settings": {"read": "flow", "lr": 0.001}}
    lifted = record("ditflow", 0, {}, settings={"read": "flow"}, **shared)
    other = {"all_settings": {"read": "flow", "lr": 0.01}, "lifted_from_cache": True}
    cached = record("ditflow", 0, {}, settings={"read": "flow", "lr": 0.01}, **other)
    (section,) = sections([lifted, cached])
    assert [row.costs["seconds"] for row in section.rows] == [8.0, 8.0]
    for foreign in ({"reference": "0001"}, {"all_settings": {"read": "attention"}}, {"fingerprint": "other"}):
        (section,) = sections([lifted, {**cached, **foreign}])
        assert "seconds" not in section.rows[1].costs, foreign


def test_differences_on_the_same_cells():
    """References differ by far more than methods do; the difference is found all the same."""
    hardness = np.random.default_rng(0).normal(10, 5, size=24)
    noise = np.random.default_rng(1).normal(0, 0.01, size=24)
    records = error_records({"none": hardness.tolist(), "smm": (hardness - 0.1 + noise).tolist()})
    (section,) = sections([*records, record("smm", 99, {"aligned_error": 500.0})])
    pair = next(pair for pair in section.pairs if (pair.title, pair.figure) == ("smm", "aligned_error"))
    assert pair.baseline == "none" and pair.difference.values == 24, "what only one of them did does not count"
    assert pair.difference.mean == pytest.approx(-0.1 + noise.mean()) and pair.verdict == "better"
    back = next(pair for pair in section.pairs if (pair.title, pair.figure) == ("none", "aligned_error"))
    assert back.difference.mean == pytest.approx(-pair.difference.mean) and back.verdict == "worse"


@pytest.mark.parametrize(("count", "verdict"), [(5, "unclear"), (6, "better")])
def test_few_references_decide_nothing(count: int, verdict: str):
    (section,) = sections(error_records({"none": [0.2] * count, "smm": [0.1] * count}))
    assert section.pairs[0].verdict == verdict


def test_of_more_is_better_the_other_way():
    records = [record(name, index, {"direction_cosine": value, "spin": value})
               for name, value in (("none", 0.1), ("smm", 0.9)) for index in range(8)]  # fmt: skip
    verdicts = {(pair.title, pair.figure): pair.verdict for pair in sections(records)[0].pairs}
    assert verdicts[("smm", "direction_cosine")] == "better"
    assert verdicts[("smm", "spin")] == "more", "of an unknown figure nobody knows which way is better"


def test_nothing_in_common_is_no_difference():
    first, second = (measurement(record("smm", index, {"aligned_error": 1.0})) for index in (0, 1))
    assert first is not None and second is not None
    assert paired([first], [second], "aligned_error") is None


def test_many_methods_are_compared_with_the_baseline_alone():
    names = ["first", *[f"method-{number}" for number in range(MOST_COMPARED - 2)], "none"]
    assert len(names) == MOST_COMPARED
    few = sections(error_records({name: [0.1, 0.2] for name in names}))[0]
    assert {pair.baseline for pair in few.pairs} == set(names) and few.pairs[0].baseline == "none"
    many = sections(error_records({name: [0.1, 0.2] for name in [*names, "more"]}))[0]
    assert {pair.baseline for pair in many.pairs} == {"none"}


def test_of_one_cell_the_later_record_counts():
    failed = {**record("smm", 0, {}), "error": "out of memory"}
    del failed["figures"]
    (row,) = sections([failed, record("smm", 0, {"aligned_error": 0.5})])[0].rows
    assert (row.cells, row.failed, row.figures["aligned_error"].mean) == (1, 0, 0.5)
    (row,) = sections([record("smm", 0, {"aligned_error": 0.5}), failed])[0].rows
    assert (row.cells, row.failed) == (0, 1) and not row.figures and not row.costs


STATES = [{name: "other"} for name in ("fingerprint", "defaults", "tracker", "clip_model")]


@pytest.mark.parametrize("other", STATES)
def test_figures_of_different_states_are_never_averaged(other: dict[str, str]):
    about = {"fingerprint": "f", "defaults": "d", "tracker": "flow", "clip_model": None}
    before = [record("smm", index, {"aligned_error": 0.9}, **about) for index in range(3)]
    plain = record("none", 0, {"aligned_error": 0.4}, **about)
    after = record("smm", 0, {"aligned_error": 0.1}, **{**about, **other})
    (section,) = sections([*before, plain, after])
    rows = {row.title: row for row in section.rows}
    assert (rows["smm"].cells, rows["smm"].figures["aligned_error"].mean, section.superseded) == (1, 0.1, 3)
    assert rows["none"].cells == 1, "it was not measured again, and stays"
    assert {"defaults"} >= other.keys() or not section.pairs, "figures by other weights or trackers are not compared"
    (section,) = sections([after, plain, *before])
    assert section.rows[1].figures["aligned_error"].mean == pytest.approx(0.9) and section.superseded == 1
    assert section.pairs, "of one state"


def test_sources_may_be_measured_in_different_states():
    one, two = (
        record("smm", 0, {"looks": 1.0}, tracker="a"),
        record("smm", 0, {"looks": 0}, tracker="b", source="davis"),
    )
    assert [(each.source, each.superseded, each.rows[0].cells) for each in sections([one, two])] == [
        ("world", 0, 1), ("davis", 0, 1)
    ]  # fmt: skip


def test_what_was_measured_of_one_cell_in_several_goes_is_one():
    truth = record("smm", 0, {"aligned_error": 0.5, "looks": 1.0}, metrics=["truth"], left_out={"clip_text": "no CLIP"})
    free = [{"name": "cast", "seconds": 4.0, "passes": {"forward": 20, "backward": 5}}]
    other = record("smm", 0, {"motion_fidelity": 0.9, "looks": None, "clip_text": 0.3}, metrics=["motion_fidelity"],
                   phases=free, lifted_from_cache=True)  # fmt: skip
    (section,) = sections([truth, other])
    (found,), (row,) = section.measurements, section.rows
    assert found.figures == {"aligned_error": 0.5, "motion_fidelity": 0.9, "clip_text": 0.3}, "the later wins"
    assert found.record["left_out"] == {} and section.superseded == 0 and row.cells == 1
    assert row.costs["lift_seconds"] == 2, "what lifting took is known from the first"
    failed = {**other, "error": "no luck"}
    assert sections([truth, failed])[0].measurements[0].figures == {"aligned_error": 0.5, "looks": 1}
    assert sections([{**truth, "error": "no"}, failed])[0].rows[0].failed == 1


def test_references_of_one_name_come_apart_by_their_content():
    records = [
        record(method, 0, {"looks": value}, source="folder", **content)
        for method, value in (("none", 0.0), ("smm", 1.0)) for content in ({}, {"content": "a"}, {"content": "b"})
    ]  # fmt: skip
    (section,) = sections(records)
    assert [(row.cells, row.references) for row in section.rows] == [(3, 3), (3, 3)]
    assert section.pairs[0].difference.groups == 3
    assert sorted(each.group for each in section.measurements), "as the wall orders them"


def test_undefined_figures_do_not_count():
    records = [
        record("smm", index, {"direction_cosine": value}) for index, value in enumerate([0.5, None, float("nan")])
    ]
    (row,) = sections(records)[0].rows
    assert row.cells == 3 and row.figures["direction_cosine"].values == 1


@pytest.mark.parametrize(
    "broken",
    [{}, {"index": 3, "aligned": 0.1}, {**record("smm", 0, {}), "seed": "0"}, {**record("smm", 0, {}), "model": None},
     {**record("smm", 0, {}), "figures": [1]}, {**record("smm", 0, {}), "settings": "a=1"}],
)  # fmt: skip
def test_what_is_no_record_of_a_run(broken: dict):
    assert measurement(broken) is None and sections([broken]) == []


def test_records_with_parts_of_the_wrong_kind_are_read_as_far_as_they_go():
    odd = record(
        "smm", 0, {"aligned_error": "0.1", "looks": 1}, phases=[1, {"name": "cast"}, None], peak_memory_bytes="x"
    )
    (row,) = sections([odd])[0].rows
    assert list(row.figures) == ["looks"] and row.costs["cast_seconds"] == 0 and "memory_bytes" not in row.costs
