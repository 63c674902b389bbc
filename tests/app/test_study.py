import threading
from pathlib import Path

import pytest

from motionlift.app.study import ANSWERS, Pair, Study
from motionlift.bench.report.answers import read_answers
from motionlift.bench.report.study import write_study
from motionlift.errors import InputError


@pytest.fixture
def study(tmp_path: Path) -> Study:
    for item in ("a jump", "an arc", "a line"):
        (tmp_path / item).mkdir()
        for name in ("reference", "ditflow", "smm", "none"):
            (tmp_path / item / f"{name}.mp4").touch()
    (tmp_path / "lonely").mkdir()
    (tmp_path / "lonely" / "reference.mp4").touch()
    return Study(tmp_path)


def prefer(study: Study, code: str, pair: Pair, method: str) -> None:
    study.answer(code, pair, {"motion": method, "looks": method})


def test_every_pair_comes_once_in_an_order_of_its_own(study: Study):
    one, other = study.pairs("p1"), study.pairs("p2")
    assert len(one) == len(set(one)) == 9 and one != other and one == Study(study.folder).pairs("p1")
    assert {(each.item, *sorted((each.left, each.right))) for each in one} == {
        (each.item, *sorted((each.left, each.right))) for each in other
    }


def test_sides_are_drawn(study: Study):
    at_left = [pair.left < pair.right for number in range(60) for pair in study.pairs(f"p{number}")]
    assert 0.4 < sum(at_left) / len(at_left) < 0.6


def test_who_comes_back_goes_on_and_the_report_reads_it(study: Study, tmp_path: Path):
    for pair in study.pairs("p1")[:4]:
        prefer(study, "p1", pair, min(pair.left, pair.right))
    assert Study(study.folder).left("p1") == study.pairs("p1")[4:] and study.left("p2") == study.pairs("p2")
    written, notices = write_study(study.folder / ANSWERS, tmp_path / "report.html")
    assert written and not notices and len(read_answers(study.folder / ANSWERS).answers) == 8


def test_twenty_at_once_lose_nothing(study: Study):
    def all_of(code: str) -> None:
        for pair in study.pairs(code):
            prefer(study, code, pair, pair.left)

    threads = [threading.Thread(target=all_of, args=[f"p{number}"]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = read_answers(study.folder / ANSWERS)
    assert len(read.answers) == 20 * 9 * 2 and read.lost == 0


def test_a_line_that_was_cut_off_takes_no_other_with_it(study: Study):
    first, second = study.pairs("p")[:2]
    prefer(study, "p", first, first.left)
    with (study.folder / ANSWERS).open("a") as file:
        file.write("p,an ar")
    prefer(study, "p", second, second.left)
    read = read_answers(study.folder / ANSWERS)
    assert len(read.answers) == 4 and read.lost == 1


@pytest.mark.parametrize("code", ["", "=1+1", "../x", "a,b", "a" * 41, "<b>", "a\nb"])
def test_codes_that_are_none_are_refused(study: Study, code: str):
    with pytest.raises(InputError, match="code"):
        study.pairs(code)


def test_what_is_no_pair_and_half_an_answer_are_refused(study: Study):
    with pytest.raises(InputError, match="load the page again"):
        prefer(study, "p", Pair("../elsewhere", "a", "b"), "a")
    pair = study.pairs("p")[0]
    with pytest.raises(InputError, match="both questions"):
        study.answer("p", pair, {"motion": pair.left})
    assert not (study.folder / ANSWERS).exists()


def test_without_a_folder_there_is_no_study(tmp_path: Path):
    assert not Study(tmp_path / "none").items
