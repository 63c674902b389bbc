import csv
import math
import random
from pathlib import Path

import pytest

from motionlift.bench.report.answers import HEAD, Answer, alpha, line_of, preferences, read_answers
from motionlift.errors import InputError


def answer(participant: str, item: str, preferred: str, question: str = "motion", other: str = "none") -> Answer:
    left, right = sorted(("ditflow", other))
    return Answer(participant, item, question, left, right, preferred)


def written(path: Path, answers: list[Answer]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEAD, *map(line_of, answers)])
    return path


# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: nominal data of four raters, with gaps.
PUBLISHED = (
    "1 1 - 1",
    "2 2 3 2",
    "3 3 3 3",
    "3 3 3 3",
    "2 2 2 2",
    "1 2 3 4",
    "4 4 4 4",
    "1 1 2 1",
    "2 2 2 2",
    "- 5 5 5",
    "- - 1 1",
    "- - 3 -",
)


def test_alpha_is_that_of_the_published_example():
    units = [[each for each in line.split() if each != "-"] for line in PUBLISHED]
    assert alpha(units) == pytest.approx(0.743, abs=0.0005)


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_that_of_nltk(seed: int):
    agreement = pytest.importorskip("nltk.metrics.agreement")
    draw = random.Random(seed)
    triples = [
        (f"rater {rater}", f"unit {unit}", draw.choices("abc", (4, 2, unit % 3))[0])
        for unit in range(15)
        for rater in range(6)
        if draw.random() < 0.7
    ]
    said: dict[str, list[str]] = {}
    for _, unit, value in triples:
        said.setdefault(unit, []).append(value)
    paired = [triple for triple in triples if len(said[triple[1]]) > 1]
    assert alpha(list(said.values())) == pytest.approx(agreement.AnnotationTask(paired).alpha(), abs=1e-12)


def test_alpha_of_all_the_same_or_of_one_rater_is_undefined():
    assert math.isnan(alpha([["a", "a"], ["a", "a"]])) and math.isnan(alpha([["a"], ["b"]])) and math.isnan(alpha([]))


def test_shares_count_participants_and_not_answers():
    many = [answer(f"p{number}", f"i{item}", "ditflow") for number in range(12) for item in range(4)]
    other = [answer("p12", f"i{item}", "none") for item in range(4)]
    (found,) = preferences([*many, *other])
    assert found.methods == ("ditflow", "none") and found.question == "motion"
    assert found.share.mean == pytest.approx(12 / 13) and found.share.groups == 13 and found.items == 4
    # Agresti and Coull of 12 of 13 by hand: n + z^2 = 16.8415, middle 0.82655, reach 0.18083
    assert found.share.ends == pytest.approx((0.6457, 1.0), abs=5e-4)
    assert found.p < 0.05


def test_of_few_participants_there_is_no_interval():
    (found,) = preferences([answer(f"p{number}", "i", "ditflow") for number in range(3)])
    assert found.share.ends is None and found.p == pytest.approx(0.25)


def test_sides_do_not_matter_and_questions_and_methods_are_apart():
    turned = Answer("p", "i", "motion", "none", "ditflow", "ditflow")
    found = preferences(
        [answer("p", "j", "ditflow"), turned, answer("p", "i", "none", "looks"), answer("p", "i", "smm", other="smm")]
    )
    assert [(each.question, each.methods, each.share.values) for each in found] == [
        ("motion", ("ditflow", "none"), 2),
        ("motion", ("ditflow", "smm"), 1),
        ("looks", ("ditflow", "none"), 1),
    ]


def test_the_last_answer_counts_and_lines_that_say_nothing_are_counted(tmp_path: Path):
    path = written(
        tmp_path / "a.csv",
        [
            answer("p", "i", "none"),
            answer("p", "i", "ditflow"),
            answer("p", "i", "vmc"),
            answer("", "i", "none"),
            answer("p", "i", "none", "taste"),
        ],
    )
    with path.open("a") as file:
        file.write("p,i,motion\n\n")
    read = read_answers(path)
    assert [each.preferred for each in read.answers] == ["ditflow"] and read.lost == 4


@pytest.mark.parametrize("content", [b"", b"model,source\n1,2\n", b"\xff\xfe\x00", b'"' + b"a" * 200_000])
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match="file of answers"):
        read_answers(path)
