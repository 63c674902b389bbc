"""Animated pictures look as browsers show them: what nothing covers is transparent."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motionlift.errors import InputError
from motionlift.video.reading import moments_of

GROUND, RED, BACK, CLEAR = 1, 2, 0, 3
"""Numbers of colours; the last is transparent where a picture says so."""
COLOURS = [(255, 0, 255), (200, 200, 60), (255, 0, 0), (7, 7, 7)]
NOTHING = [0, 0, 0, 0]
WIDE, HIGH = 32, 16


def flat(colour: int, width: int = 8, height: int = 8) -> np.ndarray:
    return np.full((height, width), colour, np.uint8)


def ring() -> np.ndarray:
    pixels = flat(RED)
    pixels[2:6, 2:6] = CLEAR
    return pixels


def rgba(colour: int) -> list[int]:
    return [*COLOURS[colour], 255]


def looks(path: Path) -> list[np.ndarray]:
    return [moment.frame.to_ndarray(format="rgba") for moment in moments_of(path)]


# GIF


def coded(pixels: np.ndarray) -> bytes:
    """Pixels of two bits as a GIF has them: of Pillow's own, which has one picture and the same colours."""
    picture, file = Image.fromarray(pixels, "P"), io.BytesIO()
    picture.putpalette([part for colour in COLOURS for part in colour])
    picture.save(file, "GIF", optimize=False, interlace=0)
    data = file.getvalue()
    start = data.index(b"," + struct.pack("<HHHH", 0, 0, pixels.shape[1], pixels.shape[0])) + 10
    return data[start:-1]


def gif(path: Path, *pictures: tuple[np.ndarray, int, int, bool], back: int = BACK) -> Path:
    """Pictures, each with its left edge, what becomes of it, and whether the last colour is transparent; upper edges are at 4."""
    data = b"GIF89a" + struct.pack("<HHBBB", WIDE, HIGH, 0x81, back, 0) + bytes(sum(COLOURS, ()))
    for pixels, left, after, clear in pictures:
        top = 0 if pixels.shape[0] == HIGH else 4
        data += b"!\xf9\x04" + struct.pack("<BHBB", after << 2 | clear, 12, CLEAR, 0)
        data += b"," + struct.pack("<HHHHB", left, top, pixels.shape[1], pixels.shape[0], 0) + coded(pixels)
    path.write_bytes(data + b";")
    return path


WHOLE = flat(GROUND, WIDE, HIGH)


@pytest.mark.parametrize("back", [BACK, RED])
def test_what_a_gif_clears_is_transparent_whatever_its_background(tmp_path: Path, back: int):
    path = gif(tmp_path / "a.gif", (WHOLE, 0, 1, False), (flat(RED), 0, 2, False), (flat(RED), 8, 2, False), back=back)
    _, first, second = looks(path)
    assert first[8, 4].tolist() == rgba(RED) and first[8, 12].tolist() == rgba(GROUND)
    assert second[8, 4].tolist() == NOTHING and second[8, 12].tolist() == rgba(RED)
    assert [round(moment.time, 2) for moment in moments_of(path)] == [0, 0.12, 0.24]


def test_what_no_picture_of_a_gif_covers_is_transparent(tmp_path: Path):
    first, second = looks(gif(tmp_path / "a.gif", (flat(RED), 0, 1, False), (flat(GROUND), 8, 1, False), back=GROUND))
    assert first[8, 4].tolist() == rgba(RED) and first[8, 12].tolist() == NOTHING and first[0, 0].tolist() == NOTHING
    assert second[8, 4].tolist() == rgba(RED) and second[8, 12].tolist() == rgba(GROUND)


@pytest.mark.parametrize(
    ("after", "left"),
    [(0, rgba(RED)), (1, rgba(RED)), (2, NOTHING), (3, rgba(GROUND)), (4, rgba(GROUND)), (5, rgba(RED))],
)
def test_what_becomes_of_a_gifs_picture_is_as_it_says(tmp_path: Path, after: int, left: list[int]):
    last = looks(gif(tmp_path / "a.gif", (WHOLE, 0, 1, False), (ring(), 0, after, True), (flat(RED), 20, 1, False)))[-1]
    assert last[5, 1].tolist() == left
    assert last[8, 4].tolist() == (NOTHING if after == 2 else rgba(GROUND))


def test_a_picture_beyond_a_gifs_screen_is_cut_to_it(tmp_path: Path):
    *_, last = looks(
        gif(tmp_path / "a.gif", (WHOLE, 0, 1, False), (flat(RED), 28, 1, False), (flat(RED), 40, 2, False))
    )
    assert last.shape == (HIGH, WIDE, 4)
    assert last[8, 30].tolist() == rgba(RED) and last[8, 26].tolist() == rgba(GROUND)


# PNG


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(path: Path, kind: int, *pictures: tuple[np.ndarray, int, int, int], shared: bytes = b"") -> Path:
    """Pictures of a kind of colour, each with its left edge, what becomes of it, and whether it is laid over; upper edges at 4."""
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDE, HIGH, 8, kind, 0, 0, 0))
    data += chunk(b"acTL", struct.pack(">II", len(pictures), 0)) + shared
    for number, (pixels, left, after, over) in enumerate(pictures):
        height, width = pixels.shape[:2]
        place = struct.pack(">IIII", width, height, left, 0 if height == HIGH else 4)
        data += chunk(b"fcTL", struct.pack(">I", 2 * number) + place + struct.pack(">HHBB", 1, 8, after, over))
        rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
        data += chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + rows) if number else chunk(b"IDAT", rows)
    path.write_bytes(data + chunk(b"IEND", b""))
    return path


PALETTE = chunk(b"PLTE", bytes(sum(COLOURS, ())))
CLEARED = chunk(b"tRNS", bytes([255, 255, 255, 0]))


def painted(pixels: np.ndarray) -> np.ndarray:
    return np.array(COLOURS, np.uint8)[pixels]


@pytest.mark.parametrize("kind", ["colours", "palette", "palette with a transparent one"])
def test_what_a_png_clears_is_transparent(tmp_path: Path, kind: str):
    form, shared = (2, b"") if kind == "colours" else (3, PALETTE + (CLEARED if "transparent" in kind else b""))
    shown = painted if kind == "colours" else np.asarray
    pictures = [(shown(WHOLE), 0, 0, 0), (shown(flat(RED)), 0, 1, 0), (shown(flat(RED)), 8, 1, 0)]
    _, first, second = looks(png(tmp_path / "a.png", form, *pictures, shared=shared))
    assert first[8, 4].tolist() == rgba(RED)
    assert second[8, 4].tolist() == NOTHING
    assert second[8, 12].tolist() == rgba(RED) and second[8, 20].tolist() == rgba(GROUND)


@pytest.mark.parametrize("over", [0, 1])
def test_one_grey_of_a_png_is_seen_through_where_it_is_laid_over(tmp_path: Path, over: int):
    shared = chunk(b"tRNS", struct.pack(">H", CLEAR))
    first, second = looks(png(tmp_path / "a.png", 0, (WHOLE, 0, 0, 0), (ring(), 0, 2, over), shared=shared))
    assert (first == [GROUND, GROUND, GROUND, 255]).all()
    assert second[4, 0].tolist() == [RED, RED, RED, 255]
    assert second[8, 4].tolist()[3] == 255 * over
    assert not over or second[8, 4].tolist() == [GROUND, GROUND, GROUND, 255]


def test_what_is_half_seen_through_over_a_whole_picture_leaves_none_of_it_open(tmp_path: Path):
    whole = np.dstack([painted(WHOLE), flat(255, WIDE, HIGH)])
    half = np.dstack([painted(flat(RED)), flat(128)])
    second = looks(png(tmp_path / "a.png", 6, (whole, 0, 0, 0), (half, 0, 2, 1)))[1]
    assert np.abs(second[8, 4].astype(int) - [228, 100, 30, 255]).max() <= 1


def test_a_png_whose_picture_reaches_beyond_it_or_that_lacks_one_is_damaged(tmp_path: Path):
    path = png(tmp_path / "a.png", 2, (painted(WHOLE), 0, 0, 0), (painted(flat(RED)), 28, 0, 0))
    with pytest.raises(InputError, match="breaks off after 1 frames"):
        looks(path)
    path = png(tmp_path / "a.png", 2, (painted(WHOLE), 0, 0, 0), (painted(flat(RED)), 8, 0, 0))
    data = path.read_bytes()
    promised = chunk(b"acTL", struct.pack(">II", 2, 0))
    path.write_bytes(data.replace(promised, chunk(b"acTL", struct.pack(">II", 3, 0))))
    with pytest.raises(InputError, match="breaks off after 2 frames"):
        looks(path)
    path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])  # in what is summed of the last picture
    with pytest.raises(InputError, match="breaks off after 1 frames"):
        looks(path)
