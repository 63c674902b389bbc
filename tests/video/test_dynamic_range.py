"""High dynamic range is mapped to the standard one. Signals and lights are those of BT.2408, tables 1 and 2."""

import numpy as np
import pytest
from av.video.reformatter import Colorspace

from motionlift.video.clip import Clip
from motionlift.video.colour import CURVELESS
from motionlift.video.dynamic_range import (
    LUMINANCE,
    PEAK,
    TO_709,
    WHITE,
    hlg_display,
    hlg_scene,
    mapped,
    pq_light,
    pq_signal,
    rolled_off,
)
from motionlift.video.footage import Footage
from tests.video.made import beside_rest, write


@pytest.mark.parametrize(
    ("signal", "light"), [(0.0, 0.0), (0.508, 100.0), (0.58, 203.0), (0.752, 1000.0), (1.0, 10_000.0)]
)
def test_pq_stands_for_the_light_that_the_standards_say(signal, light):
    assert pq_light(np.array([signal]))[0] == pytest.approx(light, rel=0.01)
    assert pq_signal(np.array([light]))[0] == pytest.approx(signal, abs=0.001)


def test_hlg_stands_for_the_light_that_the_standards_say():
    """BT.2408, table 1: reference white is 75 % HLG and 203 cd/m2, an 18 % grey card 38 % and 26 cd/m2, the peak 1000 cd/m2."""
    for signal, light in [(0.75, 203.0), (0.38, 26.0), (1.0, 1000.0), (0.0, 0.0)]:
        grey = np.full(3, hlg_scene(np.array([signal]))[0], np.float32)
        assert hlg_display(grey) == pytest.approx(np.full(3, light), rel=0.03, abs=1e-3)


def test_highlights_are_rolled_off_and_the_rest_stays():
    """BT.2390: the knee is at 1.5 times the target less a half; the peak becomes white, and nothing turns round."""
    most = pq_signal(np.array([PEAK]))
    knee = pq_light((1.5 * pq_signal(np.array([WHITE])) / most - 0.5) * most)
    light = np.geomspace(0.01, PEAK, 200)
    mapped_light = rolled_off(light)
    assert np.allclose(mapped_light[light < knee], light[light < knee], rtol=1e-6)
    assert mapped_light[-1] == pytest.approx(WHITE, rel=1e-6)
    assert (np.diff(mapped_light) > 0).all() and (mapped_light <= light * (1 + 1e-9)).all()


@pytest.mark.parametrize("curve", ["PQ", "HLG"])
def test_what_was_mastered_from_standard_range_comes_back(curve):
    """Grey of up to a third of white, and colours of BT.709 in that light, put into HDR by the standards' own formulas."""
    colours = np.array([(0.05, 0.05, 0.05), (0.2, 0.2, 0.2), (0.3, 0.1, 0.05), (0.05, 0.25, 0.1), (0.1, 0.08, 0.3)])
    light = colours @ np.linalg.inv(TO_709.astype(float)).T * WHITE
    if curve == "PQ":
        signal = pq_signal(light)
    else:
        luminance = (light @ LUMINANCE)[..., None]
        scene = light / PEAK * (luminance / PEAK) ** (1 / 1.2 - 1)
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    found = mapped(np.rint(signal * 65535).astype(np.uint16)[None], curve)[0]
    expected = np.rint(255 * colours ** (1 / 2.4))
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(("trc", "curve", "white"), [(16, "PQ", 0.58), (18, "HLG", 0.75)])
def test_a_file_of_high_dynamic_range_is_tone_mapped(tmp_path, trc, curve, white):
    """A ramp of grey from black over reference white to the peak, ten bits: no level turns round, and white is bright."""
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": trc, "color_range": 1}
    ramp = np.linspace(0, 255, 256).astype(np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    path = write(
        tmp_path / "a.mkv", [ramp] * 2, codec="ffv1", pixels="yuv420p10le", matrix=Colorspace.BT2020, tags=tags
    )
    clip = Clip.read(path, frames=2, fps=8, aspect=(64, 256))
    told_of = f"the video has a high dynamic range ({curve}): it was tone-mapped to the standard one (BT.2390)"
    assert beside_rest(clip) == (told_of,)
    assert Footage.of(path).notices == beside_rest(clip)
    levels = clip.frames[0].float().mean(0)
    assert (levels - levels.mean(-1, keepdim=True)).abs().max() < 3  # grey stays grey
    assert (levels.mean(-1).diff() > -2).all() and levels[0].max() < 3
    light = 255 * (rolled_off(np.array([WHITE])) / WHITE) ** (1 / 2.4)
    assert float(levels[round(255 * white)].mean()) == pytest.approx(float(light[0]), abs=3)


@pytest.mark.parametrize(
    ("pixels", "primaries", "told"), [("yuv420p10le", 9, True), ("yuv420p", 9, False), ("yuv420p10le", 1, False)]
)
def test_a_deep_video_of_wide_colours_that_says_no_curve_is_told(tmp_path, pixels, primaries, told):
    tags = {"colorspace": 9, "color_primaries": primaries, "color_range": 1}
    images = [np.full((32, 32, 3), 90, np.uint8)] * 2
    path = write(tmp_path / "a.mkv", images, codec="ffv1", pixels=pixels, matrix=Colorspace.BT2020, tags=tags)
    clip = Clip.read(path, frames=2, fps=8, aspect=(32, 32))
    assert beside_rest(clip) == ((CURVELESS,) if told else ())
    assert np.abs(clip.frames.numpy().astype(int) - 90).max() <= 2
