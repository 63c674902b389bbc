import numpy as np
import pytest

from motionlift.errors import InputError, SettingError
from motionlift.video.dragging import along, dragged


def dot(height: int = 64, width: int = 96) -> np.ndarray:
    picture = np.full((height, width, 3), 60, np.uint8)
    picture[28:37, 20:29] = (255, 0, 0)
    return picture


def middle(frame: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero((frame[..., 0] > 150) & (frame[..., 1] < 60))
    return columns.mean() + 0.5, rows.mean() + 0.5


def test_the_piece_goes_along_the_path_at_an_even_speed_and_leaves_nothing():
    clip = dragged(dot(), [(24.5 / 96, 0.5), (72.5 / 96, 0.5)], seconds=1)
    frames = clip.frames.numpy()
    assert frames.shape == (24, 64, 96, 3) and clip.fps == 24
    places = [middle(frame)[0] for frame in frames]
    assert places == pytest.approx(np.linspace(24.5, 72.5, 24), abs=0.6)
    assert (frames[-1][28:37, 20:29, 0] < 80).all()


def test_bends_are_passed():
    places = along(np.array([[0.0, 0], [3, 0], [3, 6]]), 4)
    assert places == pytest.approx(np.array([[0, 0], [3, 0], [3, 3], [3, 6]]))


def test_large_pictures_are_shrunk_to_even_sides():
    clip = dragged(np.zeros((333, 1401, 3), np.uint8), [(0.1, 0.1), (0.9, 0.9)], seconds=0.5)
    assert clip.frames.shape[1:3] == (122, 512)


@pytest.mark.parametrize(
    ("points", "told"),
    [([], "0 points"), ([(0.5, 0.5)], "1 points"), ([(0.5, 0.5)] * 3, "nothing moves"), ([(0, 0), (1.5, 0)], "outside"),
     ([(0, 0), (float("nan"), 0)], "outside"), ([(0, 0), (1, 1)] * 200, "400 points")],
)  # fmt: skip
def test_paths_that_are_none_are_refused(points, told):
    with pytest.raises(InputError, match=told):
        dragged(dot(), points)


@pytest.mark.parametrize("wrong", [{"size": 0.9}, {"seconds": 1000.0}, {"seconds": float("nan")}])
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(SettingError, match="allowed is"):
        dragged(dot(), [(0, 0), (1, 1)], **wrong)
