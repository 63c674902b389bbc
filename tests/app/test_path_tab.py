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
from motionlift.app.path_tab import LONGEST, path_tab, picture_of, points_of
from motionlift.errors import InputError
from tests.app.test_video_tab import Idle


def test_points_are_per_cent():
    assert points_of(" 20,50  80.5,0 ") == [(0.2, 0.5), (0.805, 0.0)] and points_of("") == []


@pytest.mark.parametrize(
    "text", ["20", "20,50,80", "a,b", "<b>", "1.2.3,4", "nan,1", "20, 50", "99999999999,50", "20,-1"]
)
def test_other_words_are_refused(text: str):
    with pytest.raises(InputError, match="per cent"):
        points_of(text)


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
    with gr.Blocks() as page:
        path_tab(Desk(jobs, tmp_path, gr.BrowserState(""), gr.State("")), (gr.State(""), gr.Textbox()), gr.Tabs())
    jobs.close()
    (picture,) = (each for each in page.blocks.values() if each.elem_id == "path-picture")
    assert isinstance(picture, gr.Image)
    sent = picture.preprocess(ImageData(path=str(header(tmp_path / "huge.png", side, side + 1)), orig_name="huge.png"))
    assert isinstance(sent, str)
    with pytest.raises(InputError, match=message):
        picture_of(sent)


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
