"""From a decoded frame to RGB, as players show it."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from jaxtyping import UInt8

from motionlift.video.dynamic_range import curve_of, standard_range

SMOOTH_CHROMA = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""How the halved colour planes of most videos are brought to full size (ours: on 64x64 videos of saturated shapes a
fifth less error than the default)."""
HIGH_DEFINITION = (1280, 576)
"""A frame without a colour tag that is this wide, or higher than this, is BT.709, a smaller one BT.601 (released program:
``pl_color_system_guess_ycbcr`` of libplacebo, by which mpv goes)."""
UNTAGGED = 2
"""``AVCOL_SPC_UNSPECIFIED`` of libavutil."""
TRANSPARENT = "transparent parts of the video were laid on {}"
"""What is said where something is."""


def rgb_of(
    frame: VideoFrame, background: tuple[int, int, int], called: str
) -> tuple[UInt8[np.ndarray, "height width 3"], tuple[str, ...]]:
    """A frame as RGB, and what was done to it, each a plain sentence.

    Tags of matrix and range are followed; without one the frame's size decides. A high dynamic range is mapped to the standard
    one.

    Args:
        frame: the frame.
        background: what lies behind what is transparent: red, green and blue, 0 to 255.
        called: what that colour is called.
    """
    curve = curve_of(frame)
    if curve:
        told = f"the video has a high dynamic range ({curve}): it was tone-mapped to the standard one (BT.2390)"
        return standard_range(frame, SMOOTH_CHROMA), (told,)
    image = _converted(frame)
    if image.shape[2] == 3:
        return image, ()
    image, seen_through = _opaque(image, background)
    return image, (TRANSPARENT.format(called),) if seen_through else ()


def _converted(frame: VideoFrame) -> np.ndarray:
    """A frame as RGB or, where parts may be transparent, RGBA."""
    parts = frame.format
    clear = parts.has_palette or any(component.is_alpha for component in parts.components)
    untagged = frame.colorspace == UNTAGGED and not parts.is_rgb and len(parts.components) >= 3
    high = frame.width >= HIGH_DEFINITION[0] or frame.height > HIGH_DEFINITION[1]
    matrix = Colorspace.ITU709 if untagged and high else None
    return frame.to_ndarray(format="rgba" if clear else "rgb24", interpolation=SMOOTH_CHROMA, src_colorspace=matrix)


def _opaque(image: np.ndarray, background: tuple[int, int, int]) -> tuple[np.ndarray, bool]:
    alpha = image[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(image[..., :3]), False
    share = alpha.astype(np.float32) / 255
    laid = image[..., :3] * share + np.array(background, np.float32) * (1 - share)
    return np.rint(laid).astype(np.uint8), True
