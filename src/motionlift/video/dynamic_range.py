"""From a high dynamic range to the standard one, by the published curves.

ITU-R BT.2100 says what light PQ and HLG stand for, BT.2408 at how much of it white lies, BT.2087 how its primaries become those of
BT.709, BT.2390 how highlights are rolled off, and BT.1886 what light a signal of standard range stands for.
"""

from functools import cache

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc
from jaxtyping import Float, UInt8, UInt16

CURVES = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}
"""Transfer curves of high dynamic range, by their number in a file."""
UNSAID = 2
"""How a frame numbers a matrix or primaries of which its file says nothing; those of BT.2020 are assumed."""
ICTCP_NUMBER = 14
"""How a frame numbers ICtCp among matrices (H.273, table 4)."""
WHITE = 203.0
"""Light of reference white, cd/m² (BT.2408, section 2.2); white of the standard range is put there."""
PEAK = 1000.0
"""Brightest light, cd/m² (BT.2100: the nominal peak of an HLG display; BT.2408 has the same for PQ); brighter is clipped."""
PQ = (2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32)
"""m1, m2, c1, c2, c3 (BT.2100, table 4)."""
HLG = (0.17883277, 0.28466892, 0.55991073)
"""a, b, c (BT.2100, table 5)."""
HLG_GAMMA = 1.2
"""Gamma of the whole system at a peak of 1000 cd/m² (BT.2100, table 5)."""
LUMINANCE = np.array((0.2627, 0.6780, 0.0593), np.float32)
"""Share of the primaries of BT.2020 in luminance (BT.2100, table 5)."""
CONES = np.array(((1688, 2146, 262), (683, 2951, 462), (99, 309, 3688))) / 4096
"""Linear light in the primaries of BT.2020 to L, M and S (BT.2100, table 7)."""
ICTCP = {
    "PQ": np.array(((2048, 2048, 0), (6610, -13613, 7003), (17933, -17390, -543))) / 4096,
    "HLG": np.array(((2048, 2048, 0), (3625, -7465, 3840), (9500, -9212, -288))) / 4096,
}
"""Signals of L, M and S to I, Ct and Cp (BT.2100, table 7)."""
TO_709 = np.array(((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)), np.float32)
"""Linear light in the primaries of BT.2020 to those of BT.709 (BT.2087, section 2)."""
DISPLAY_GAMMA = 2.4
"""Of a display of standard range (BT.1886)."""
BAND = 128
"""Rows that are mapped at once, so that a large frame takes little memory (ours)."""
POINTS = 40_960
"""Lights at which the curve that rolls highlights off is known (ours: at each eight hundredth of white)."""

Light = Float[np.ndarray, "*any"]


def curve_of(frame: VideoFrame) -> str:
    """``PQ``, ``HLG``, or empty where the frame has no high dynamic range; ICtCp has PQ unless it names HLG (H.273)."""
    own = int(frame.colorspace) == ICTCP_NUMBER and not frame.format.is_rgb
    return CURVES.get(int(frame.color_trc), "PQ" if own else "")


def standard_range(
    signal: UInt16[np.ndarray, "height width colours"], curve: str, wide: bool
) -> UInt8[np.ndarray, "height width colours"]:
    """A frame of PQ or HLG as one of standard range.

    Args:
        signal: RGB or RGBA, 0 to 65535.
        curve: ``PQ`` or ``HLG``.
        wide: as :func:`mapped` takes it.
    """
    image = np.empty(signal.shape, np.uint8)
    for top in range(0, len(signal), BAND):
        band = slice(top, top + BAND)
        image[band, :, :3] = mapped(signal[band, :, :3], curve, wide)
        image[band, :, 3:] = signal[band, :, 3:] >> 8
    return image


def mapped(
    signal: UInt16[np.ndarray, "height width 3"], curve: str, wide: bool = True
) -> UInt8[np.ndarray, "height width 3"]:
    """Signal of high dynamic range as signal of standard range.

    Args:
        signal: RGB, 0 to 65535.
        curve: ``PQ`` or ``HLG``.
        wide: whether its primaries are those of BT.2020, else they are taken for those of BT.709.
    """
    light = _light_of(curve)[signal]
    if curve == "HLG":
        light = hlg_display(light)
    light /= WHITE
    if wide:
        light = light @ TO_709.T
    brightest = np.maximum(light.max(axis=-1), 1e-6)
    lights, factors = _roll_off()
    light *= np.interp(brightest, lights, factors).astype(np.float32)[..., None]
    return np.rint(np.clip(light, 0, 1) ** (1 / DISPLAY_GAMMA) * 255).astype(np.uint8)


def pq_light(signal: Light) -> Light:
    """Light, cd/m², of a PQ signal of 0..1 (BT.2100, table 4: the EOTF)."""
    m1, m2, c1, c2, c3 = PQ
    power = np.power(np.clip(signal, 0, 1), 1 / m2)
    return 10_000 * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)


def pq_signal(light: Light) -> Light:
    """PQ signal, 0..1, of light in cd/m² (BT.2100, table 4: the inverse EOTF)."""
    m1, m2, c1, c2, c3 = PQ
    power = np.power(np.clip(light, 0, 10_000) / 10_000, m1)
    return np.power((c1 + c2 * power) / (1 + c3 * power), m2)


def hlg_scene(signal: Light) -> Light:
    """Light of the scene, 0..1, of an HLG signal of 0..1 (BT.2100, table 5: the inverse OETF)."""
    a, b, c = HLG
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((np.clip(signal, 0, 1) - c) / a) + b) / 12)


def hlg_display(scene: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3"]:
    """Light of the display, cd/m², of light of the scene (BT.2100, table 5: the OOTF)."""
    luminance = np.maximum(scene @ LUMINANCE, 1e-9)[..., None]
    return PEAK * luminance ** np.float32(HLG_GAMMA - 1) * scene


def hlg_signal(scene: Light) -> Light:
    """HLG signal, 0..1, of light of the scene of 0..1 (BT.2100, table 5: the OETF)."""
    a, b, c = HLG
    bright = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.where(scene <= 1 / 12, np.sqrt(3 * np.maximum(scene, 0)), bright)


def rgb_of_ictcp(signal: Float[np.ndarray, "*any 3"], curve: str) -> Float[np.ndarray, "*any 3"]:
    """Signal of red, green and blue, 0..1, of the intensity and the colours of ICtCp (BT.2100, table 7).

    Args:
        signal: I of 0..1, Ct and Cp of -0.5..0.5.
        curve: ``PQ`` or ``HLG``.
    """
    cones = signal @ np.linalg.inv(ICTCP[curve]).T
    light = pq_light(cones) if curve == "PQ" else hlg_scene(np.maximum(cones, 0))
    light = light @ np.linalg.inv(CONES).T
    return np.clip(pq_signal(light) if curve == "PQ" else hlg_signal(light), 0, 1)


def rolled_off(light: Light) -> Light:
    """Light, cd/m², of up to :data:`PEAK` brought to at most :data:`WHITE`: what is dark stays (BT.2390, section 5.4.1)."""
    most = pq_signal(np.array([PEAK]))
    signal, target = np.minimum(pq_signal(light) / most, 1), pq_signal(np.array([WHITE])) / most
    knee = 1.5 * target - 0.5
    share = (signal - knee) / (1 - knee)
    curve = (
        (2 * share**3 - 3 * share**2 + 1) * knee
        + (share**3 - 2 * share**2 + share) * (1 - knee)
        + (-2 * share**3 + 3 * share**2) * target
    )
    return pq_light(np.where(signal < knee, signal, curve) * most)


@cache
def _light_of(curve: str) -> Float[np.ndarray, "65536"]:
    """Light of every signal of sixteen bits: cd/m² for PQ, of the scene for HLG."""
    signal = np.arange(65536) / 65535
    return (pq_light(signal) if curve == "PQ" else hlg_scene(signal)).astype(np.float32)


@cache
def _roll_off() -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]:
    """Lights, white being 1, and by what each is multiplied to be rolled off."""
    lights = np.linspace(1e-6, 10_000 / WHITE, POINTS)
    return lights, rolled_off(lights * WHITE) / (lights * WHITE)
