"""Words as messages show them."""

from motionlift.core.prompts import named


def test_words_are_named_as_they_are_where_they_can_be_printed():
    assert named(["star", "red ring"]) == "star, red ring"
    assert named(["star", "\x1b[31m"]) == r"star, '\x1b[31m'", "as of a motion file of anyone"
    assert len(named(["a" * 5000] * 5000)) < 500
