"""Files of records, whole and cut."""

import json
import math
from pathlib import Path

import pytest

from motionlift.bench.records import missing, number
from motionlift.errors import InputError
from motionlift.jobs import records
from motionlift.jobs.records import append_record, read_lines


@pytest.mark.parametrize("cut", range(2, 40, 5))
def test_a_cut_line_is_counted_and_the_others_stay(tmp_path: Path, cut: int):
    path = tmp_path / "records.jsonl"
    for index in range(3):
        append_record(path, {"index": index, "prompt": "a “ring” of gold", "place": [1, 2]})
    path.write_bytes(path.read_bytes()[:-cut])
    lines = read_lines(path)
    assert [record["index"] for record in lines.records] == [0, 1] and lines.lost == 1
    append_record(path, {"index": 2})
    assert [record["index"] for record in read_lines(path).records] == [0, 1, 2]


def test_lines_that_are_no_records(tmp_path: Path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"a": 1}\n\n[1, 2]\n7\n\xff\xfe{\n' + b"[" * 100_000 + b'\n{"b": 2}\n')
    lines = read_lines(path)
    assert lines.records == [{"a": 1}, {"b": 2}] and lines.lost == 4


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(records, "MOST_BYTES", 8)
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps({"index": 100}))
    with pytest.raises(InputError, match="at most 8 are read"):
        read_lines(path)


def test_no_file_holds_no_records(tmp_path: Path):
    assert read_lines(tmp_path / "none.jsonl") == records.Lines([], 0)


def test_cells_of_other_keys_and_of_records_that_lack_some():
    cells = [{"index": 0}, {"index": 0, "seed": 1}, {"other": [1]}]
    assert missing(cells, [{"index": 0, "seed": 2, "figure": 3}]) == cells[1:]
    assert missing(cells, [{"other": [1], "seed": 1, "index": 0}]) == []


def test_other_code_is_missing_and_unknown_code_is_not():
    cells = [{"index": index, "code": "now"} for index in range(3)]
    records = [{"index": 0, "code": "before"}, {"index": 1}, {"index": 2, "code": "now"}]
    assert missing(cells, records) == cells[:1]
    assert missing(cells, records[::2]) == cells[:2]
    assert missing(cells, [{"index": 0, "code": None}]) == cells, "a code that is null is another one"


def test_records_are_lines_of_strict_json(tmp_path: Path):
    """Other programs read them too, and most know no NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    path = tmp_path / "records.jsonl"
    made = {"name": "“a”", "figures": {"spin": math.nan, "looks": 1.0}, "phases": ({"seconds": math.inf}, [-math.inf])}
    append_record(path, made)
    read = json.loads(path.read_bytes(), parse_constant=refuse)
    assert read == {"name": "“a”", "figures": {"spin": None, "looks": 1.0}, "phases": [{"seconds": None}, [None]]}


def test_records_of_before_may_hold_nan(tmp_path: Path):
    (tmp_path / "records.jsonl").write_text('{"figures": {"spin": NaN}}\n')
    lines = read_lines(tmp_path / "records.jsonl")
    assert math.isnan(lines.records[0]["figures"]["spin"]) and lines.lost == 0


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1, 1.0),
        (True, 1.0),
        (0.5, 0.5),
        (math.nan, None),
        (math.inf, None),
        ("1", None),
        (None, None),
        ([1], None),
        (-1e15, -1e15),
        (1.001e15, None),
        (-1e308, None),
        pytest.param(10**400, None, id="endless"),
        pytest.param(-(10**400), None, id="endless below"),
    ],
)
def test_numbers(value: object, read: float | None):
    assert number(value) == read
