from dataclasses import replace

import numpy as np
import pytest
import torch

from motionlift.core.lattice import Lattice, Shape
from motionlift.errors import InputError, MotionError, SettingError
from motionlift.motion.drawing import direction_colour, draw_lifted, draw_maps, draw_motion, lattice_frames
from motionlift.motion.file import Motion, Source
from motionlift.video.clip import Clip

GRID = Lattice(3, 4, 4)
GREY = 100


def grey_clip(frames: int = 9, height: int = 32, width: int = 32) -> Clip:
    return Clip.of(torch.full((frames, height, width, 3), GREY, dtype=torch.uint8), 8.0)


def still() -> torch.Tensor:
    return torch.zeros(GRID.frames, GRID.frames, GRID.area, 2)


def motion(method: str = "ditflow", **tensors: torch.Tensor) -> Motion:
    named = {name.replace("_", "."): tensor for name, tensor in tensors.items()}
    return Motion(named, method, {}, "twin", "0", GRID, Source("0", 8.0, Shape(9, 32, 32)), "0")


def changed(field: torch.Tensor) -> np.ndarray:
    """Where the drawing of a field differs from that of no motion, ``(frames, height, width)``."""
    drawn, empty = (draw_motion(motion(displacement=each), grey_clip()).frames for each in (field, still()))
    return (drawn != empty).any(dim=-1).numpy()


@pytest.mark.parametrize(
    ("frames", "lattice", "expected"),
    [
        (17, 5, [0, *[1] * 4, *[2] * 4, *[3] * 4, *[4] * 4]),
        (8, 2, [0] * 4 + [1] * 4),
        (9, 9, list(range(9))),
        (5, 1, [0] * 5),
    ],
)
def test_every_pixel_frame_belongs_to_the_lattice_frame_of_its_group(frames, lattice, expected):
    assert lattice_frames(frames, lattice) == expected


def test_directions_have_the_colours_of_the_wheel():
    red, green, blue = direction_colour(1.0, 0.0)
    assert red == 255 and green == blue < 64
    assert direction_colour(3.0, 4.0) == direction_colour(0.6, 0.8)
    right, left = np.array(direction_colour(1.0, 0.0)), np.array(direction_colour(-1.0, 0.0))
    assert np.abs((right - right.mean()) + (left - left.mean())).max() < 50  # complements
    down, up = direction_colour(0.0, 1.0), direction_colour(0.0, -1.0)
    assert down[1] == 255 and up[2] == 255


@pytest.mark.slow
def test_an_arrow_reaches_from_the_token_to_where_it_goes_in_the_frames_of_its_group():
    field = still()
    field[1, 2, 5] = torch.tensor([2.0, 0.0])  # row 1, column 1: from (192, 192) to (448, 192) of 512
    where = changed(field)
    assert [frame for frame in range(9) if where[frame].any()] == [1, 2, 3, 4]
    rows, columns = np.nonzero(where[1])
    assert abs(columns.min() - 192) < 8 and abs(columns.max() - 448) < 8
    assert abs(rows.mean() - 192) < 2 and rows.min() > 160 and rows.max() < 224
    drawn = draw_motion(motion(displacement=field), grey_clip()).frames[1, 192, 300]
    assert tuple(drawn.tolist()) == direction_colour(1.0, 0.0)


def maps_of(hot: dict[int, tuple[int, int]], frames: int = 3, side: int = 4) -> torch.Tensor:
    """Maps of one word over two steps: hot at one token of each frame."""
    maps = torch.full((2, 1, frames, side, side), 0.01)
    for frame, (row, column) in hot.items():
        maps[:, :, frame, row, column] = 1.0
    return maps


def maps_motion(**tensors: torch.Tensor) -> Motion:
    named = {name.replace("_", "."): tensor for name, tensor in tensors.items()}
    settings = {"subjects": ["star"], "tau": 0.4}
    return Motion(named, "motionflow", settings, "twin", "0", GRID, Source("0", 8.0, Shape(9, 32, 32)), "0")


def test_heat_and_mask_lie_where_the_map_is_hot():
    drawn = draw_maps(maps_motion(maps_1=maps_of({0: (0, 0), 1: (1, 2), 2: (3, 3)})), grey_clip()).frames
    assert drawn.shape == (9, 192 + 20, 192 + 4, 3)
    panel = drawn[:, 16 : 16 + 192, :192].int()
    for frame, (row, column) in {0: (0, 0), 4: (1, 2), 8: (3, 3)}.items():
        cells = panel[frame].unflatten(0, (4, 48)).unflatten(2, (4, 48)).float()
        colour = (cells - cells.mean(dim=-1, keepdim=True)).abs().mean(dim=(1, 3, 4))
        assert colour.argmax().item() == row * 4 + column, "the hottest cell is the most coloured"
        lines = (panel[frame] == 255).all(dim=-1).nonzero()
        middle = lines.float().mean(dim=0) / 48
        assert abs(middle[0] - row - 0.5) < 0.1 and abs(middle[1] - column - 0.5) < 0.1, "the line runs around it"


def test_the_mask_is_that_of_the_motions_own_settings():
    """At a tenth of the maximum a smoothed peak takes its neighbours along: three rows of cells, and one without smoothing."""
    whole = maps_motion(maps_1=maps_of({0: (1, 1), 1: (1, 1), 2: (1, 1)}))
    for smooth, cells in ((True, 3), (False, 1)):
        drawn = draw_maps(replace(whole, settings={**whole.settings, "tau": 0.1, "smooth": smooth}), grey_clip()).frames
        lines = (drawn[0, 16 : 16 + 192, :192] == 255).all(dim=-1).nonzero()
        assert float(lines[:, 0].max() - lines[:, 0].min()) == pytest.approx(48 * cells, abs=6)


def test_every_subject_and_layer_has_its_panel():
    coarse = maps_of({0: (1, 1)}, side=2)
    both = maps_motion(maps_2=torch.cat([coarse, coarse], dim=1), maps_10=torch.cat([coarse, coarse], dim=1))
    both.settings["subjects"] = ["star", "field"]  # pyright: ignore[reportIndexIssue]
    assert draw_lifted(both, grey_clip()).frames.shape == (9, 2 * 212, 2 * 196, 3)


def test_a_displacement_on_a_coarser_lattice_is_drawn_on_it():
    field = torch.zeros(3, 3, 4, 2)
    field[1, 2, 0] = torch.tensor([1.0, 0.0])  # from the middle of the left upper quarter to that of the right
    drawn, empty = (draw_motion(motion(displacement_2=each), grey_clip()).frames for each in (field, 0 * field))
    rows, columns = np.nonzero((drawn != empty).any(dim=-1).numpy()[1])
    assert abs(columns.min() - 128) < 8 and abs(columns.max() - 384) < 8 and abs(rows.mean() - 128) < 2
    with pytest.raises(MotionError, match="5 tokens fits no lattice"):
        draw_motion(motion(displacement=torch.zeros(3, 3, 5, 2)), grey_clip())


def test_what_cannot_be_drawn_as_maps():
    with pytest.raises(MotionError, match="keeps no attention maps; lift it with motionflow"):
        draw_maps(motion("none"), grey_clip())
    with pytest.raises(InputError, match="7 frames"):
        draw_maps(maps_motion(maps_1=maps_of({0: (0, 0)})), grey_clip(7))


@pytest.mark.slow
def test_the_last_lattice_frame_shows_where_its_tokens_came_from():
    field = still()
    field[2, 1, 5] = torch.tensor([0.0, 2.0])  # came from two rows below, so the arrow points up
    where = changed(field)
    assert [frame for frame in range(9) if where[frame].any()] == [5, 6, 7, 8]
    rows, columns = np.nonzero(where[8])
    assert abs(rows.min() - 192) < 8 and abs(rows.max() - 448) < 8 and abs(columns.mean() - 192) < 2
    drawn = draw_motion(motion(displacement=field), grey_clip()).frames[8, 300, 192]
    assert tuple(drawn.tolist()) == direction_colour(0.0, -1.0)


@pytest.mark.slow
def test_unknown_tokens_get_a_grey_dot_and_small_moves_nothing():
    field = still()
    field[0, 1, 5] = torch.nan
    field[0, 1, 10] = torch.tensor([0.2, 0.1])
    where = changed(field)
    rows, columns = np.nonzero(where[0])
    assert len(rows) and np.hypot(rows - 192, columns - 192).max() < 8
    red, green, blue = draw_motion(motion(displacement=field), grey_clip()).frames[0, 192, 192].tolist()
    assert red == green == blue > 120


def test_the_lowest_block_is_drawn():
    moving = still()
    moving[0, 1] = 1.0
    several = motion(displacement_15=still(), displacement_4=moving)
    alone = motion(displacement=moving)
    assert torch.equal(draw_motion(several, grey_clip()).frames, draw_motion(alone, grey_clip()).frames)


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [((32, 32), None, (512, 512)), ((32, 32), 3, (96, 96)), ((600, 1024), None, (300, 512))],
)
def test_the_drawing_has_a_size_to_look_at(size, scale, expected):
    drawn = draw_motion(motion(displacement=still()), grey_clip(9, *size), scale)
    assert tuple(drawn.frames.shape) == (9, *expected, 3)
    assert drawn.fps == 8.0


def test_what_cannot_be_drawn_is_refused_by_name():
    with pytest.raises(MotionError, match=r"smm.*ditflow"):
        draw_motion(motion("smm", features=still()), grey_clip())
    with pytest.raises(InputError, match=r"5 frames.*9"):
        draw_motion(motion(displacement=still()), grey_clip(5))
    with pytest.raises(SettingError, match="scale is 0"):
        draw_motion(motion(displacement=still()), grey_clip(), 0)
