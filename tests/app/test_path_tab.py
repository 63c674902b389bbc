import pytest

from motionlift.app.path_tab import points_of
from motionlift.errors import InputError


def test_points_are_per_cent():
    assert points_of(" 20,50  80.5,0 ") == [(0.2, 0.5), (0.805, 0.0)] and points_of("") == []


@pytest.mark.parametrize(
    "text", ["20", "20,50,80", "a,b", "<b>", "1.2.3,4", "nan,1", "20, 50", "99999999999,50", "20,-1"]
)
def test_other_words_are_refused(text: str):
    with pytest.raises(InputError, match="per cent"):
        points_of(text)
