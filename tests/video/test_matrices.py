"""Matrices of colour, by the number that a file names: converted as the standards say, or refused by name."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from motionlift.errors import InputError
from motionlift.video.clip import Clip
from motionlift.video.dynamic_range import CONES, ICTCP, hlg_scene, hlg_signal, mapped, pq_light, pq_signal
from motionlift.video.matrices import CONVERTED, NEAR, REFUSED
from motionlift.video.reading import check_moves
from tests.video.made import SQUARE, beside_rest, write

COLOURS = np.array(
    [
        (200, 40, 30),
        (40, 190, 60),
        (30, 60, 200),
        (220, 210, 40),
        (128, 128, 128),
        (20, 200, 210),
        (0, 0, 0),
        (255,) * 3,
    ]
)


def stored(path: Path, planes: np.ndarray, pixels: str, **tags: int) -> Path:
    """Eight patches of what the planes hold, side by side, without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = 128, 32, pixels
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for _ in range(2):
            image = planes.repeat(16, 1)[:, None].repeat(32, 1)
            image = np.moveaxis(image, 0, -1) if pixels.endswith("16le") else image  # PyAV's order
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=pixels)
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def patches(clip: Clip) -> np.ndarray:
    return clip.frames[0, 16, 8::16].numpy().astype(int)


@pytest.mark.parametrize("full", [False, True])
def test_ycgco_is_read_by_its_formulas(tmp_path, full):
    red, green, blue = (COLOURS if full else COLOURS * 219 / 255 + 16).T
    planes = np.stack([green / 2 + (red + blue) / 4, green / 2 - (red + blue) / 4 + 128, (red - blue) / 2 + 128])
    planes = np.rint(planes).clip(0, 255).astype(np.uint8)
    path = stored(tmp_path / "a.mkv", planes, "yuv444p", colorspace=8, color_range=2 if full else 1)
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 128))
    assert np.abs(patches(clip) - COLOURS).max() <= 3
    assert beside_rest(clip) == ()


@pytest.mark.parametrize(("trc", "curve"), [(16, "PQ"), (18, "HLG"), (2, "PQ")])
def test_ictcp_is_the_same_picture_as_red_green_and_blue(tmp_path, trc, curve):
    """Sixteen bits, so that rounding is small."""
    signal = COLOURS / 255 * 0.6 + 0.05
    light = pq_light(signal) if curve == "PQ" else hlg_scene(signal)
    cones = light @ CONES.T
    own = (pq_signal(cones) if curve == "PQ" else hlg_signal(cones)) @ ICTCP[curve].T
    planes = np.stack([own[:, 0] * 219 + 16, own[:, 1] * 224 + 128, own[:, 2] * 224 + 128]) * 256
    tags = {"colorspace": 14, "color_primaries": 9, "color_trc": trc, "color_range": 1}
    path = stored(tmp_path / "a.mkv", np.rint(planes).astype(np.uint16), "yuv444p16le", **tags)
    expected = mapped(np.rint(signal * 65535).astype(np.uint16)[None], curve)[0].astype(int)
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 128))
    assert np.abs(patches(clip) - expected).max() <= 3
    assert beside_rest(clip) == (
        f"the video has a high dynamic range ({curve}): it was tone-mapped to the standard one (BT.2390)",
    )


@pytest.mark.parametrize(
    ("code", "primaries", "matrix"),
    [
        (10, 9, Colorspace.BT2020), (12, 9, Colorspace.BT2020), (12, 1, Colorspace.ITU709), (13, 9, Colorspace.BT2020),
        (12, 6, Colorspace.SMPTE240M), (12, 2, Colorspace.ITU601),
    ],
)  # fmt: skip
def test_what_follows_from_primaries_does_and_constant_luminance_is_read_by_what_is_near(
    tmp_path, code, primaries, matrix
):
    image = COLOURS.astype(np.uint8).repeat(16, 0)[None].repeat(32, 0)
    tags = {"colorspace": code, "color_primaries": primaries, "color_range": 1}
    path = write(tmp_path / "a.mkv", [image] * 2, codec="ffv1", pixels="yuv444p", matrix=matrix, tags=tags)
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 128))
    assert np.abs(patches(clip) - COLOURS).max() <= 3
    assert beside_rest(clip) == ((NEAR,) if code in (10, 13) else ())


@pytest.mark.parametrize("code", range(18))
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuva420p", "gray", "bgr0"])
def test_every_number_is_read_or_refused_by_name_before_a_model_is_loaded(tmp_path, code, pixels):
    images = [np.full((64, 64, 3), 90, np.uint8)] * 12 + [np.full((64, 64, 3), 200, np.uint8)]
    path = write(tmp_path / "a.mkv", images, codec="ffv1", pixels=pixels, tags={"colorspace": code})
    with av.open(str(path)) as container:
        coloured = pixels.startswith("yuv") and int(next(container.decode(video=0)).colorspace) == code
    if coloured and code in REFUSED:
        for read in (check_moves, lambda path: Clip.read(path, frames=2, fps=8, aspect=SQUARE)):
            with pytest.raises(InputError) as refused:
                read(path)
            assert f"of the matrix {REFUSED[code]}, which cannot be converted; re-encode it as BT.709" in str(
                refused.value
            )
        return
    check_moves(path)
    clip = Clip.read(path, frames=9, fps=8, aspect=SQUARE)
    assert any("motion begins at 1.5 s" in notice for notice in clip.notices)
    if code in CONVERTED:
        assert not any("constant luminance" in notice for notice in clip.notices)
