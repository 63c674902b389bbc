"""From a decoded frame to RGB, as players show it."""

from fractions import Fraction

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, ColorTrc, Interpolation
from jaxtyping import UInt8

SMOOTH_CHROMA = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""How the halved colour planes of most videos are brought to full size (ours: on 64x64 videos of saturated shapes a
fifth less error than the default)."""
HIGH_DEFINITION = (1280, 576)
"""A frame without a colour tag that is this wide, or higher than this, is BT.709, a smaller one BT.601 (released program:
``pl_color_system_guess_ycbcr`` of libplacebo, by which mpv goes)."""
UNTAGGED = 2
"""``AVCOL_SPC_UNSPECIFIED`` of libavutil."""
BACKGROUND = 255
"""Grey level that transparent parts are laid on (ours: white, as GIF is decoded and as a page shows it)."""
WIDE_RANGE = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}
"""Transfer curves of high dynamic range."""


def rgb_of(frame: VideoFrame) -> tuple[UInt8[np.ndarray, "height width 3"], tuple[str, ...]]:
    """A frame as RGB, and what was done or left undone, each a plain sentence.

    Tags of matrix and range are followed; without one the frame's size decides. Of an interlaced frame the upper field
    is taken, every second line, since its two fields show two moments. Transparent parts are laid on white.
    """
    notices: list[str] = []
    height, width = frame.height, frame.width
    if frame.color_trc in WIDE_RANGE:
        curve = WIDE_RANGE[frame.color_trc]
        notices.append(
            f"the video has a high dynamic range ({curve}): its colours are read without tone mapping, paler"
        )
    if frame.interlaced_frame and height > 2:
        notices.append("the video is interlaced: every second line of it was read, so that a frame shows one moment")
        frame = _upper_field(frame)
    image = _converted(frame, width, height)
    if image.shape[2] == 4:
        image, seen_through = _opaque(image)
        if seen_through:
            notices.append("transparent parts of the video were laid on white")
    if len(image) != height:
        image = np.repeat(image, 2, axis=0)[:height]
    return image, tuple(notices)


def _converted(frame: VideoFrame, width: int, height: int) -> np.ndarray:
    """A frame as RGB or, where parts may be transparent, RGBA; ``width`` and ``height`` are those of the whole video."""
    parts = frame.format
    clear = parts.has_palette or any(component.is_alpha for component in parts.components)
    untagged = frame.colorspace == UNTAGGED and not parts.is_rgb and len(parts.components) >= 3
    high = width >= HIGH_DEFINITION[0] or height > HIGH_DEFINITION[1]
    matrix = Colorspace.ITU709 if untagged and high else None
    return frame.to_ndarray(format="rgba" if clear else "rgb24", interpolation=SMOOTH_CHROMA, src_colorspace=matrix)


def _opaque(image: np.ndarray) -> tuple[np.ndarray, bool]:
    alpha = image[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(image[..., :3]), False
    share = alpha.astype(np.float32) / 255
    laid = image[..., :3] * share + BACKGROUND * (1 - share)
    return np.rint(laid).astype(np.uint8), True


def _upper_field(frame: VideoFrame) -> VideoFrame:
    graph = Graph()
    first = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 25)
    )
    field, last = graph.add("field", "type=top"), graph.add("buffersink")
    first.link_to(field)
    field.link_to(last)
    graph.configure()
    graph.push(frame)
    half = graph.pull()
    assert isinstance(half, VideoFrame)
    return half
