"""Sheets of stills, and moving pictures side by side."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from motionlift.errors import InputError, OutputError, SettingError
from motionlift.video.clip import Clip
from motionlift.video.sheets import contact_sheet, moving_picture


def shades(frames: int, side: int = 16) -> Clip:
    """Frames of one grey each, ten apart."""
    values = torch.arange(frames, dtype=torch.uint8) * 10
    return Clip.of(values[:, None, None, None].expand(frames, side, side, 3), 10.0)


def test_a_contact_sheet_shows_first_to_last_in_reading_order(tmp_path: Path):
    contact_sheet(shades(17), tmp_path / "sheet.png", columns=6)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (6 * 16 + 5 * 4, 3 * 16 + 2 * 4)
        seen = [sheet.getpixel((n % 6 * 20 + 8, n // 6 * 20 + 8))[0] for n in range(17)]
    assert seen == [10 * n for n in range(17)]


def test_a_contact_sheet_of_many_frames_leaves_some_out_evenly(tmp_path: Path):
    contact_sheet(shades(21), tmp_path / "sheet.png", columns=2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        seen = [sheet.getpixel((n % 2 * 20 + 8, n // 2 * 20 + 8))[0] for n in range(6)]
    assert seen == [0, 40, 80, 120, 160, 200]


def test_a_contact_sheet_is_written_whole_or_refused(tmp_path: Path):
    with pytest.raises(OutputError, match="png"):
        contact_sheet(shades(3), tmp_path / "sheet.jpg")
    with pytest.raises(SettingError, match="columns"):
        contact_sheet(shades(3), tmp_path / "sheet.png", columns=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_moving_picture_plays_the_clips_side_by_side_below_their_labels(tmp_path: Path):
    path = tmp_path / "moving.webp"
    moving_picture([("a long label that needs lines", shades(5)), ("b", shades(3))], path, height=64)
    with Image.open(path) as picture:
        assert (picture.n_frames, picture.info["loop"], picture.width) == (5, 0, 64 + 4 + 64)
        assert picture.height > 64 + 2 * 8
        top = picture.height - 64
        for number, (left, right) in enumerate([(0, 0), (10, 10), (20, 20), (30, 20), (40, 20)]):
            picture.seek(number)
            image = picture.convert("RGBA")
            assert abs(image.getpixel((32, top + 32))[0] - left) < 6
            assert abs(image.getpixel((64 + 4 + 32, top + 32))[0] - right) < 6
            assert image.getpixel((66, top + 32))[3] == 0
            assert image.crop((0, 0, 64, top)).getbbox() is not None


@pytest.mark.slow
def test_a_moving_picture_has_rows_whose_labels_stay_as_they_are(tmp_path: Path):
    path = tmp_path / "moving.webp"
    moving_picture([("a", shades(5)), ("b", shades(5)), ("c", shades(5))], path, height=64, across=2)
    with Image.open(path) as picture:
        row = (picture.height - 4) // 2
        assert picture.size == (64 + 4 + 64, 2 * row + 4)
        lettered = []
        for number in range(5):
            picture.seek(number)
            image = picture.convert("RGBA")
            shown = [image.getpixel(place) for place in ((32, row - 32), (100, row - 32), (32, picture.height - 32))]
            assert all(abs(pixel[0] - 10 * number) < 6 and pixel[3] == 255 for pixel in shown)
            assert image.crop((68, row, *picture.size)).getbbox() is None, "nothing below the last one of a row"
            lettered.append(image.crop((0, row, 64, picture.height - 64)).getchannel("A").tobytes())
        assert any(lettered[0]) and len(set(lettered)) == 1


def test_a_moving_picture_needs_clips_and_a_webp(tmp_path: Path):
    with pytest.raises(InputError, match="no clips"):
        moving_picture([], tmp_path / "moving.webp")
    with pytest.raises(SettingError, match="across is 0"):
        moving_picture([("a", shades(2))], tmp_path / "moving.webp", across=0)
    with pytest.raises(OutputError, match="webp"):
        moving_picture([("a", shades(2))], tmp_path / "moving.gif")
    assert list(tmp_path.iterdir()) == []
