"""How brightness and two differences of colour become red, green and blue, by the number that a file names (ITU-T H.273, table 4).

Most matrices are left to libswscale; what it lacks is converted here by the formulas of the standards, or refused.
"""

from collections.abc import Callable, Mapping

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import Float

from motionlift.errors import InputError
from motionlift.video.dynamic_range import BAND, ICTCP_NUMBER, UNSAID, curve_of, rgb_of_ictcp

HIGH_DEFINITION = (1280, 576)
"""A frame without a colour tag that is this wide, or higher than this, is BT.709, a smaller one BT.601 (released program:
``pl_color_system_guess_ycbcr`` of libplacebo, by which mpv goes)."""
CONVERTED = (0, 1, 2, 4, 5, 6, 7, 9)
"""Matrices that libswscale converts; 2 is none."""
YCGCO, CONSTANT, DERIVED, DERIVED_CONSTANT = 8, 10, 12, 13
"""YCgCo, BT.2020 of constant luminance, that which follows from the primaries, and likewise of constant luminance."""
REFUSED = {
    3: "a number that is reserved",
    11: "SMPTE ST 2085",
    15: "IPT-C2, as Dolby Vision has it",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
"""What is not converted, by its name."""
OF_PRIMARIES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU709,
    6: Colorspace.SMPTE240M,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
"""The matrix that follows from primaries (H.273), to within a hundredth; of BT.470 B and G it is near BT.709's."""
NEAR = "the colours of the video are of constant luminance: they were read by the usual matrix of the same primaries, which is near"
"""What is said of such a video."""


def has_matrix(frame: VideoFrame) -> bool:
    """Whether a frame holds brightness and colours apart, so that a matrix matters."""
    return not frame.format.is_rgb and not frame.format.has_palette and len(frame.format.components) >= 3


def matrix_of(frame: VideoFrame, deep: bool) -> tuple[Colorspace | None, tuple[str, ...]]:
    """The matrix that libswscale is to take, none for that which the frame names, and what is to be said of it.

    Args:
        frame: the frame.
        deep: whether it is of high dynamic range, of which BT.2020 is assumed where nothing is said.

    Raises:
        InputError: the frame names one that cannot be converted.
    """
    code = int(frame.colorspace)
    if not has_matrix(frame):
        return (
            None if code in CONVERTED else Colorspace.ITU709
        ), ()  # which changes nothing, but must be one that it knows
    if code == UNSAID:
        return _assumed(frame, deep), ()
    if code in (DERIVED, DERIVED_CONSTANT):
        primaries = int(frame.color_primaries)
        if primaries != UNSAID and primaries not in OF_PRIMARIES:
            raise _refusal(f"that of primaries {primaries} of H.273")
        matrix = OF_PRIMARIES.get(primaries, _assumed(frame, deep) or Colorspace.ITU601)
        return matrix, (NEAR,) if code == DERIVED_CONSTANT else ()
    if code == CONSTANT:
        return Colorspace.BT2020, (NEAR,)
    if code in CONVERTED:
        return None, ()
    if code in MATRICES:
        return Colorspace.ITU709, ()  # for what is taken beside the colours
    raise _refusal(REFUSED.get(code, f"number {code} of H.273"))


def known_matrix(frame: VideoFrame) -> Colorspace | None:
    """What libswscale is to be told where the brightness alone is asked for: none but for a matrix that it lacks."""
    return None if int(frame.colorspace) in CONVERTED else Colorspace.ITU709


def _assumed(frame: VideoFrame, deep: bool) -> Colorspace | None:
    """What a frame without a tag has; none for libswscale's own, BT.601."""
    if deep:
        return Colorspace.BT2020
    high = frame.width >= HIGH_DEFINITION[0] or frame.height > HIGH_DEFINITION[1]
    return Colorspace.ITU709 if high else None


def _refusal(name: str) -> InputError:
    return InputError(
        f"the video says that its colours are of the matrix {name}, which cannot be converted; re-encode it as BT.709, or correct "
        "its tag"
    )


def _planes(frame: VideoFrame, interpolation: int) -> tuple[Float[np.ndarray, "3 height width"], bool]:
    """Brightness and both colours of every pixel as they are stored, in levels of eight bits, and whether the range is full."""
    full = int(frame.color_range) == int(ColorRange.JPEG)
    kept = ColorRange.JPEG if full else ColorRange.MPEG
    planes = frame.to_ndarray(
        format="yuv444p16le", interpolation=interpolation,
        src_colorspace=Colorspace.ITU709, dst_colorspace=Colorspace.ITU709, src_color_range=kept, dst_color_range=kept,
    )  # fmt: skip
    return np.moveaxis(planes, -1, 0).astype(np.float32) / (257 if full else 256), full


def _ycgco(frame: VideoFrame, interpolation: int) -> Float[np.ndarray, "height width 3"]:
    """Red, green and blue, 0..1, of YCgCo (H.273: a limited range is that of red, green and blue)."""
    (luma, green, orange), full = _planes(frame, interpolation)
    rest = luma - (green - 128)
    image = np.stack([rest + orange - 128, luma + green - 128, rest - orange + 128], axis=-1)
    return np.clip(image / 255 if full else (image - 16) / 219, 0, 1)


def _ictcp(frame: VideoFrame, interpolation: int) -> Float[np.ndarray, "height width 3"]:
    """The signal of red, green and blue, 0..1, of ICtCp."""
    planes, full = _planes(frame, interpolation)
    low, tall, wide = (0, 255, 255) if full else (16, 219, 224)
    signal = np.stack([(planes[0] - low) / tall, *((planes[1:] - 128) / wide)], axis=-1)
    for top in range(0, len(signal), BAND):
        signal[top : top + BAND] = rgb_of_ictcp(signal[top : top + BAND], curve_of(frame))
    return signal


MATRICES: Mapping[int, Callable[[VideoFrame, int], Float[np.ndarray, "height width 3"]]] = {
    YCGCO: _ycgco,
    ICTCP_NUMBER: _ictcp,
}
"""What is converted here: from a frame, and how its planes are brought to full size, to RGB of 0..1."""
