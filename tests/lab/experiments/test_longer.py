"""Videos longer than a window: their references, legs and seams, and what the table says of them."""

from lab.experiments.longer import GUIDED, SHORT, failed, legs, length_of, section, to_and_fro


def test_every_leg_is_as_long_as_a_window_and_goes_as_far():
    numbers = to_and_fro(5, length_of(5))
    assert numbers == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0]
    assert [numbers[leg] for leg in legs(17, 5)] == [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]] * 2


def record(way: str, aligned: float, **more: float):
    return {"index": 0, "way": way, "aligned": aligned, "colour": 1.0, "background": 1.0, **more}


def test_what_is_worse_than_was_allowed_is_told():
    seams = {"constant": 1.0, "steps": 1.0, "pixels": 1.2}
    good = [record(SHORT, 0.05), record(GUIDED, 0.06, **seams)]
    assert failed(good) == [] and "| DiTFlow, windows |" in section(good)
    told = failed([record(SHORT, 0.05), record(GUIDED, 0.08, **{**seams, "steps": 1.6})])
    assert [each.split(",")[0] for each in told] == [
        "Legs of long videos follow worse than short ones",
        "The object's steps at seams are 1.60 times those elsewhere.",
    ]
