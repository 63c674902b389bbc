"""Pictures that visitors bring."""

import struct
import zlib
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import ImageData
from PIL import Image

from motionlift.app.desk import Desk
from motionlift.app.jobs import Jobs
from motionlift.app.path_tab import path_tab
from motionlift.app.pictures import LONGEST, picture_of, taken_picture
from motionlift.app.video_tab import video_tab
from motionlift.app.workspace import Workspace
from motionlift.errors import InputError
from tests.app.test_video_tab import Idle


def header(place: Path, width: int, height: int) -> Path:
    """A PNG that says it is so large, and holds nothing."""
    content = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"\0\0\0\0IEND\xaeB`\x82"
    place.write_bytes(
        b"\x89PNG\r\n\x1a\n\0\0\0\r"
        + content
        + struct.pack(">I", zlib.crc32(content))
        + b"\0\0\0\0IDAT5\xaf\x06\x1e"
        + end
    )
    return place


@pytest.mark.parametrize(
    ("side", "message"),
    [(6400, "is 6400x6401; allowed are 40 million"), (20_000, "too many pixels; allowed are 40 million")],
)
def test_pictures_that_are_too_large_are_refused_by_their_header(tmp_path: Path, side: int, message: str):
    """What comes from the browser is not decoded on its way, either: nothing is in there."""
    jobs = Jobs(tmp_path, Idle())
    desk = Desk(jobs, tmp_path, gr.BrowserState(""), gr.State(""))
    with gr.Blocks() as page:
        path_tab(desk, (gr.State(""), gr.Textbox()), gr.Tabs())
        video_tab(desk)
    jobs.close()
    pictures = [each for each in page.blocks.values() if each.elem_id in ("path-picture", "cast-picture")]
    assert len(pictures) == 2
    for picture in pictures:
        assert isinstance(picture, gr.Image)
        place = header(tmp_path / "huge.png", side, side + 1)
        sent = picture.preprocess(ImageData(path=str(place), orig_name="huge.png"))
        assert isinstance(sent, str)
        with pytest.raises(InputError, match=message):
            picture_of(sent)
        with pytest.raises(InputError, match=message):
            taken_picture(Path(sent), Workspace(tmp_path / "own"))


def test_pictures_are_upright_and_no_larger_than_they_are_shown(tmp_path: Path):
    shown = np.zeros((40, 3 * LONGEST, 3), np.uint8)
    shown[:, : LONGEST // 2] = 250
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned to the right
    Image.fromarray(shown).save(tmp_path / "a.jpg", exif=turned)
    picture = picture_of(str(tmp_path / "a.jpg"))
    assert picture.shape == (LONGEST, 13, 3) and picture[10].min() > 200 > 50 > picture[-10].max()
    (tmp_path / "b.jpg").write_text("<svg>")
    with pytest.raises(InputError, match=r"^b\.jpg is no picture"):
        picture_of(str(tmp_path / "b.jpg"))


def test_a_picture_lies_there_once_by_a_plain_name(tmp_path: Path):
    own = Workspace(tmp_path / "own")
    for name, shade in (("my <photo>.JPG", 50), ("other.JPG", 50), ("my <photo>.JPG", 60)):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(tmp_path / name, format="PNG")
        taken = [taken_picture(tmp_path / name, own) for _ in range(2)]
        assert taken[0] == taken[1] and taken[0].endswith(".jpg") and "<" not in taken[0]
        assert own.kept(taken[0]).read_bytes() == (tmp_path / name).read_bytes()
    assert len(own.entries()) == 3


def test_names_are_short_and_end_as_pictures_do(tmp_path: Path):
    own, upload = Workspace(tmp_path / "own"), tmp_path / ("a" * 200 + ".evil")
    Image.new("RGB", (8, 8)).save(upload, format="PNG")
    taken = taken_picture(upload, own)
    assert taken.endswith(".png") and len(taken) < 64
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(InputError, match="is no picture"):
        taken_picture(tmp_path / "b.png", own)
    assert [each.name for each in own.entries()] == [taken]
