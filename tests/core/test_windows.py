"""Windows: where they begin, what they weigh, and how what is said of them is put together."""

import pytest
import torch

from motionlift.core.lattice import Shape
from motionlift.core.windows import Windows
from motionlift.errors import SettingError

ONE = Shape(17, 64, 64)


@pytest.mark.parametrize(
    ("frames", "length", "overlap", "starts"),
    [
        (4, 5, 0.5, (0,)),
        (5, 5, 0.5, (0,)),
        (6, 5, 0.5, (0, 1)),
        (14, 5, 0.5, (0, 3, 6, 9)),
        (13, 5, 0.5, (0, 3, 6, 8)),
        (10, 5, 0.0, (0, 5)),
        (12, 5, 0.0, (0, 5, 7)),
        (8, 5, 0.8, (0, 1, 2, 3)),
    ],
)
def test_where_windows_begin(frames: int, length: int, overlap: float, starts: tuple[int, ...]):
    windows = Windows.over(frames, length, overlap, ONE)
    assert windows.starts == starts and windows.several == (len(starts) > 1)
    assert windows.starts[-1] + windows.length == frames


def test_windows_that_never_move_on_are_refused():
    with pytest.raises(
        SettingError, match=r"overlap is 0.9, and a window of 2 latent frames then never moves on; .* 0.5"
    ):
        Windows.over(9, 2, 0.9, ONE)


def test_weights_by_hand():
    windows = Windows.over(6, 4, 0.5, ONE)
    weights = torch.tensor([[1, 1, 2 / 3, 1 / 3, 0, 0], [0, 0, 1 / 3, 2 / 3, 1, 1]])
    torch.testing.assert_close(windows.weights(), weights)
    assert windows.owners() == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]


@pytest.mark.parametrize(("frames", "length", "overlap"), [(9, 4, 0.5), (11, 5, 0.0), (23, 7, 0.8), (5, 5, 0.5)])
@pytest.mark.parametrize("patch", [1, 2])
def test_what_all_windows_say_alike_is_what_is_said(frames: int, length: int, overlap: float, patch: int):
    windows, latents = Windows.over(frames, length, overlap, ONE), torch.randn(1, 3, frames * patch, 2, 2)
    asked = []

    def same(piece: torch.Tensor, number: int) -> torch.Tensor:
        asked.append(number)
        assert torch.equal(piece, windows.cut(latents, number)) and piece.shape[2] == min(frames, length) * patch
        return piece

    torch.testing.assert_close(windows.blended(latents, same), latents)
    torch.testing.assert_close(
        windows.blended(latents, lambda piece, _: torch.ones_like(piece)), torch.ones_like(latents)
    )
    assert asked == list(range(len(windows)))


def test_of_one_window_everything_is_as_it_is():
    windows, latents = Windows.whole(5, ONE), torch.randn(1, 3, 5, 2, 2)
    assert windows.blended(latents, lambda piece, _: piece) is latents
    assert windows.cut(latents, 0) is latents and windows.joined([latents]) is latents and windows.told() == {}
