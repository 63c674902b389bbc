"""What Pillow opened, as pixels of eight bits."""

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image, ImageOps

DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
"""Pillow's modes of sixteen bits a pixel."""


def eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of RGB, or of RGBA where parts may be transparent, turned as cameras say."""
    turned = ImageOps.exif_transpose(picture)
    if turned.mode in DEEP:
        deep = np.asarray(turned).astype(np.int64).clip(0, 65535)
        turned = Image.fromarray((deep >> 8).astype(np.uint8))
    return turned.convert("RGBA" if turned.has_transparency_data else "RGB")


def frame_of(picture: Image.Image) -> VideoFrame:
    """A picture as a frame of a video."""
    flat = eight_bits(picture)
    return VideoFrame.from_ndarray(np.asarray(flat), format="rgb24" if flat.mode == "RGB" else "rgba")
