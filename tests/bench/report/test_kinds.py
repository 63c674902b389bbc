"""Figures by kind of motion and of camera, which the names of references say."""

from motionlift.bench.references import reference
from motionlift.bench.report.kinds import by_kind, kind_of
from motionlift.bench.report.summary import measurement, sections
from tests.bench.made_records import record


def test_tables_by_motion_and_camera():
    made = [record(method, index, {"aligned_error": index + shift}, frames=17)
            for method, shift in (("none", 0), ("smm", 100)) for index in range(10)]  # fmt: skip
    motion, camera = by_kind(sections(made)[0], "aligned_error")
    assert motion.by == "motion" and motion.references == dict.fromkeys(
        ("arc", "bounce", "circle", "line", "zigzag"), 2
    )
    assert motion.rows["none"]["line"] == (0 + 5) / 2 and motion.rows["smm"]["bounce"] == 100 + (4 + 9) / 2
    still = [index for index in range(10) if reference(index).camera == "still"]
    assert camera.references["still"] == len(still) and sum(camera.references.values()) == 10
    assert camera.rows["none"]["still"] == sum(still) / len(still) and next(iter(camera.references)) == "still"


def test_kinds_that_came_later():
    made = [{**record("none", 0, {"aligned_error": 1.0}, frames=17), "reference": f"{start}0003"}
            for start in ("", "camera-", "rotation-")]  # fmt: skip
    motion, camera = by_kind(sections(made)[0], "aligned_error")
    assert set(motion.references) == {"zigzag", "rest", "spin"} and camera.references["zoom"] == 1


def test_things_move_in_ways_of_their_own():
    made = [record("none", index, {"aligned_error": 1.0}, source="things", frames=17) for index in (5, 6)]
    (motion, *_) = by_kind(sections(made)[0], "aligned_error")
    assert motion.references == {"jump": 1, "sway": 1}


def test_what_says_no_kind_is_left_out():
    for reference_name, frames in (("street.mp4", 17), ("fast-x", 17), ("slow-0001", 17), ("0001", 10**9), ("0001", "17"),
                                   ("99999999", 17), ("-0001", 17)):  # fmt: skip
        found = measurement({**record("none", 0, {}), "reference": reference_name, "frames": frames})
        assert found is not None
        assert kind_of("motion", found) is None
    made = [record("none", index, {"aligned_error": 1.0}, source="folder", frames=17) for index in range(9)]
    assert by_kind(sections(made)[0], "aligned_error") == []
    assert by_kind(sections([record("none", 0, {"aligned_error": 1.0}, frames=17)])[0], "aligned_error") == []
