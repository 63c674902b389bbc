import csv
import random
from pathlib import Path

import pytest

from motionlift.bench.report.answers import HEAD, Answer, line_of
from motionlift.bench.report.study import write_study
from motionlift.errors import InputError, OutputError


def filled(path: Path, participants: int = 14, methods: tuple[str, str] = ("ditflow", "none")) -> Path:
    draw = random.Random(1)
    answers = [
        Answer(f"p{number:02}", f"clip {item}", question, *methods, methods[int(draw.random() > share)])
        for number in range(participants)
        for item in range(6)
        for question, share in (("motion", 0.2), ("looks", 0.55))
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEAD, *map(line_of, answers)])
    return path


def test_the_page_and_its_tables_say_the_same(tmp_path: Path):
    answers = filled(tmp_path / "answers.csv")
    written, notices = write_study(answers, tmp_path / "study.html")
    assert [each.name for each in written] == ["study.html", "study-tables.md", "study-preferences.csv"] and not notices
    page, tables = (each.read_text() for each in written[:2])
    rows = list(csv.DictReader(written[2].open()))
    assert [row["question"] for row in rows] == ["motion", "looks"]
    share = 1 - float(rows[0]["share"])  # the method that is preferred stands first in what is read
    assert share > 0.7 and float(rows[0]["low"]) < 1 - share < float(rows[0]["high"])
    for text in (page, tables):
        assert f"{share:.0%}" in text and "14 participants" in text and "Krippendorff" in text
    assert tables.count("| none | ditflow |") >= 1


def test_names_are_no_html_no_markdown_and_no_formula(tmp_path: Path):
    answers = filled(tmp_path / "answers.csv", 3, ("=1+1", "<b>|x"))
    page, tables, figures = (each.read_text() for each in write_study(answers, tmp_path / "study.html")[0])
    assert "<b>|x" not in page + tables and "&lt;b&gt;" in page and "'=1+1" in figures


def test_it_is_written_again_but_over_nothing_else(tmp_path: Path):
    answers = filled(tmp_path / "answers.csv")
    write_study(answers, tmp_path / "study.html")
    write_study(answers, tmp_path / "study.html")
    (tmp_path / "mine-tables.md").write_text("mine")
    with pytest.raises(OutputError):
        write_study(answers, tmp_path / "mine.html")
    assert not (tmp_path / "mine.html").exists()
    with pytest.raises(OutputError):
        write_study(answers, tmp_path / "study.html", overwrite=False)


def test_a_study_without_answers_is_refused(tmp_path: Path):
    path = tmp_path / "answers.csv"
    path.write_text(",".join(HEAD) + "\n")
    with pytest.raises(InputError, match="no answer yet"):
        write_study(path, tmp_path / "study.html")
