"""From a decoded frame to RGB, as players show it."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Interpolation
from jaxtyping import UInt8, UInt16

from motionlift.video.dynamic_range import UNSAID, curve_of, standard_range
from motionlift.video.matrices import MATRICES, has_matrix, matrix_of

SMOOTH_CHROMA = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""How the halved colour planes of most videos are brought to full size (ours: on 64x64 videos of saturated shapes a
fifth less error than the default)."""
DEEP = 10
"""Bits of a channel from which a video without a transfer curve may be one of high dynamic range (BT.2100 has ten and twelve)."""
TRANSPARENT = "transparent parts of the video were laid on {}"
"""What is said where something is."""
MAPPED = "the video has a high dynamic range ({}): it was tone-mapped to the standard one (BT.2390)"
"""What is said of a video of such a curve."""
CURVELESS = (
    "the video has the colours of BT.2020 and does not say by which curve: it was read as one of standard range; if it looks pale, "
    "tag it as PQ or HLG, as it was recorded"
)
"""What is said of a deep video that may be of a high dynamic range."""


def rgb_of(
    frame: VideoFrame, background: tuple[int, int, int], called: str
) -> tuple[UInt8[np.ndarray, "height width 3"], tuple[str, ...]]:
    """A frame as RGB, and what was done to it, each a plain sentence.

    Tags of matrix and range are followed; without one the frame's size decides. A high dynamic range is mapped to the standard
    one. What is transparent lies on the background after that.

    Args:
        frame: the frame.
        background: what lies behind what is transparent: red, green and blue, 0 to 255.
        called: what that colour is called.

    Raises:
        InputError: its colours are of a matrix that cannot be converted.
    """
    curve = curve_of(frame)
    image, notices = _converted(frame, deep=bool(curve))
    if curve:
        wide = int(frame.color_primaries) in (int(ColorPrimaries.BT2020), UNSAID)
        image = standard_range(image, curve, wide)
        notices += (MAPPED.format(curve),)
    elif _may_be_high(frame):
        notices += (CURVELESS,)
    if image.shape[2] == 3:
        return image, notices
    image, seen_through = _opaque(image, background)
    return image, (*notices, TRANSPARENT.format(called)) if seen_through else notices


def _converted(
    frame: VideoFrame, deep: bool
) -> tuple[UInt8[np.ndarray, "height width colours"] | UInt16[np.ndarray, "height width colours"], tuple[str, ...]]:
    """A frame as RGB or, where parts may be transparent, RGBA, of eight bits or sixteen; and what is to be said of it."""
    parts = frame.format
    clear = parts.has_palette or any(component.is_alpha for component in parts.components)
    pixels = ("rgba64le" if clear else "rgb48le") if deep else ("rgba" if clear else "rgb24")
    matrix, notices = matrix_of(frame, deep)
    own = MATRICES.get(int(frame.colorspace)) if has_matrix(frame) else None
    if own is None:
        return frame.to_ndarray(format=pixels, interpolation=SMOOTH_CHROMA, src_colorspace=matrix), notices
    image = own(frame, SMOOTH_CHROMA)
    image = np.rint(image * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)
    if clear:
        image = np.concatenate([image, frame.to_ndarray(format=pixels, src_colorspace=matrix)[..., 3:]], axis=-1)
    return image, notices


def _may_be_high(frame: VideoFrame) -> bool:
    """Whether a frame is deep and wide as those of a high dynamic range are, and says no curve."""
    wide = int(frame.color_primaries) == int(ColorPrimaries.BT2020)
    return wide and int(frame.color_trc) == UNSAID and max(part.bits for part in frame.format.components) >= DEEP


def _opaque(image: np.ndarray, background: tuple[int, int, int]) -> tuple[np.ndarray, bool]:
    alpha = image[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(image[..., :3]), False
    share = alpha.astype(np.float32) / 255
    laid = image[..., :3] * share + np.array(background, np.float32) * (1 - share)
    return np.rint(laid).astype(np.uint8), True
