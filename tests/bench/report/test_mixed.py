"""What is told of records that stand side by side."""

from pathlib import Path

from motionlift.bench.report.mixed import mixtures
from motionlift.bench.report.page import write_report
from motionlift.bench.report.summary import sections
from tests.bench.made_records import record, write


def told(*records: dict) -> list[str]:
    return mixtures(sections(records))


def of(reference: int, method: str = "none", **more: object) -> dict:
    found = record(method, reference, {"looks": 1.0}) | more
    return {name: value for name, value in found.items() if value is not None}


def test_one_code_on_one_device_is_nothing_to_tell():
    assert told(of(0), of(1)) == []


def test_several_codes_and_unknown_ones():
    stand = "results of more than one state of the code may stand side by side: "
    assert told(of(0), of(1, code="abc"), of(2, code="abc")) == [f"{stand}several are of none on tiny"]
    assert told(of(0, code=None), of(1, code=None)) == [f"{stand}2 of 2 records do not say which"]
    assert told(of(0, code=None), of(1)) == [f"{stand}1 of 2 records do not say which; several are of none on tiny"]
    failed = {**record("none", 7, {}, code="abc"), "error": "no"}
    assert told(of(0), failed) == [], "what failed is in no mean"


def test_methods_and_models_have_code_of_their_own():
    assert told(of(0), of(0, method="smm", code="abc"), of(0, model="large", code="def")) == []


def test_a_cell_measured_anew_counts_by_its_last_code():
    assert told(of(0, code="before"), of(0)) == []


def test_devices_are_told_model_by_model():
    other = of(0, model="large", device="cuda")
    assert told(of(0), of(1), other) == []
    assert told(of(0), of(1, device="cuda"), other) == ["means of tiny on world mix devices: cpu (1), cuda (1)"]
    assert told(of(0), of(1, device=None)) == ["means of tiny on world mix devices: cpu (1), unknown (1)"]


def test_what_was_done_for_memory_is_told_where_others_did_without():
    """Their seconds are not what the methods cost."""
    short = [of(number, method="smm", measures=["recomputed", "waiting"]) for number in range(2)]
    assert told(of(0), *short) == [
        "seconds and memory of tiny on world do not compare: so that they fit, some were measured with what takes more time: "
        "smm (recomputed, waiting)"
    ]
    assert told(*short) == told(of(0), of(1, measures=[])) == told(*short, of(0, method="frozen")) == []


def test_records_that_do_not_say_by_what_they_were_measured_are_counted():
    """Of figures of a tracker or of CLIP; the others are the judge's and the pixels', which have no version of their own."""
    figures = {"motion_fidelity": 0.5}
    tracker = {"tracker": {"name": "flow", "grid": 50, "opencv": "5.0.0"}}
    (said,) = told(of(0), of(1, figures=figures, measured_by=tracker), of(2, figures={"clip_text": 0.3}))
    assert said.startswith(
        "1 of 2 records with figures of a tracker or a CLIP model do not say of which version and grid"
    )
    assert told(of(1, figures=figures, measured_by=tracker)) == []


def test_figures_of_files_are_told():
    later = of(0, figures_of_files=["looks", "lpips"])
    assert told(later, of(1)) == [
        "figures that were measured later, of the kept videos, which are compressed: looks (1)"
    ]


def test_the_page_says_it_too(tmp_path: Path):
    path = write(tmp_path, [of(0), of(1, device="<cuda>")])
    _, notices = write_report(path, tmp_path / "page.html")
    assert notices == ["means of tiny on world mix devices: <cuda> (1), cpu (1)"]
    assert (
        "Note: means of tiny on world mix devices: &lt;cuda&gt; (1), cpu (1)." in (tmp_path / "page.html").read_text()
    )
    assert "Note: means of tiny on world mix devices:" in (tmp_path / "page-tables.md").read_text()
