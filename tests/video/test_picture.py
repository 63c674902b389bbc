"""Pictures that videos begin with."""

import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.errors import InputError
from motionlift.video import picture
from motionlift.video.clip import Clip
from motionlift.video.picture import fitted, read_picture

RED, GREEN, GREY = (255, 0, 0), (0, 255, 0), (128, 128, 128)


def halves(left, right, size=(40, 20), mode="RGB"):
    """A picture of two colours beside each other."""
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def corner(clip, row, column):
    return tuple(clip.frames[0, row, column].tolist())


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "gif", "webp", "jpg"])
def test_every_kind_of_file_is_read(tmp_path, suffix):
    halves(RED, GREEN).save(tmp_path / f"x.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    found = read_picture(tmp_path / f"x.{suffix}")
    assert tuple(found.frames.shape) == (1, 20, 40, 3) and found.notices == ()
    apart = found.frames[0, 10, 5].int() - torch.tensor(RED), found.frames[0, 10, 35].int() - torch.tensor(GREEN)
    assert max(int(each.abs().max()) for each in apart) <= (5 if suffix == "jpg" else 0)


def test_a_camera_that_was_held_upright_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise to be shown
    halves(RED, GREEN).save(tmp_path / "x.png", exif=exif)
    found = read_picture(tmp_path / "x.png")
    assert tuple(found.frames.shape) == (1, 40, 20, 3)
    assert (corner(found, 0, 0), corner(found, -1, 0)) == (RED, GREEN)


def test_what_is_transparent_is_grey_and_told(tmp_path):
    halves((*RED, 255), (*GREEN, 0), mode="RGBA").save(tmp_path / "x.png")
    found = read_picture(tmp_path / "x.png")
    assert (corner(found, 0, 0), corner(found, 0, -1)) == (RED, GREY)
    assert found.notices == ("the picture is transparent in parts: they are shown grey",)
    halves((*RED, 255), (*GREEN, 255), mode="RGBA").save(tmp_path / "x.png")
    assert read_picture(tmp_path / "x.png").notices == ()


def test_sixteen_bits_are_eight(tmp_path):
    Image.fromarray(np.full((20, 40), 0x80FF, dtype=np.uint16)).save(tmp_path / "x.png")
    assert corner(read_picture(tmp_path / "x.png"), 0, 0) == GREY


def test_pictures_in_memory_and_clips_are_taken():
    image, clip = halves(RED, GREEN), Clip.of(torch.zeros(3, 20, 40, 3, dtype=torch.uint8), 8)
    assert corner(read_picture(image), 0, 0) == RED
    assert len(read_picture(image).sha256) == 64
    assert tuple(read_picture(clip).frames.shape) == (1, 20, 40, 3)


def test_another_shape_is_cut_to_the_middle_and_told():
    wide = Image.new("RGB", (90, 30), GREY)
    wide.paste(RED, (30, 0, 60, 30))
    found = fitted(read_picture(wide), 30, 30)
    assert tuple(found.frames.shape) == (1, 30, 30, 3) and (found.frames == torch.tensor(RED)).all()
    assert found.notices == ("the picture: frames were cropped from 90x30 to 30x30 for the shape 30x30",)


def test_a_small_one_is_enlarged_and_told():
    found = fitted(read_picture(halves(RED, GREEN)), 40, 80)
    assert tuple(found.frames.shape) == (1, 40, 80, 3)
    assert found.notices == ("the picture of 40x20 was enlarged for 80x40: it will look soft",)


def test_one_of_another_size_is_made_smaller_and_told():
    assert fitted(read_picture(halves(RED, GREEN)), 10, 20).notices == ("the picture of 40x20 was made 20x10",)
    assert fitted(read_picture(Image.new("RGB", (512, 512))), 64, 64).notices == (
        "the picture of 512x512 was made 64x64",
    )
    assert fitted(read_picture(halves(RED, GREEN)), 20, 40).notices == ()


def broken(path):
    halves(RED, GREEN, (400, 400)).save(path)
    path.write_bytes(path.read_bytes()[:200])


def text(path):
    path.write_text("no picture")


@pytest.mark.parametrize("make", [broken, text, lambda path: path.touch(), lambda path: path.mkdir()])
def test_what_is_no_picture_is_refused(tmp_path, make):
    path = tmp_path / "x.png"
    make(path)
    with pytest.raises(InputError, match=r"x\.png"):
        read_picture(path)


def test_one_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_picture(tmp_path / "x.png")


def test_size_is_bounded_before_it_is_decoded(tmp_path, monkeypatch):
    halves(RED, GREEN).save(tmp_path / "x.png")
    monkeypatch.setattr(picture, "MOST_PIXELS", 40 * 20 - 1)
    monkeypatch.setattr(picture, "_flattened", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="40x20"):
        read_picture(tmp_path / "x.png")
    halves(RED, GREEN, (40, 4)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="40x4"):
        read_picture(tmp_path / "x.png")
